/* structure.c - the bytes of a structure, and those of its members. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void print(const char *what, const void *data, size_t size)
{
    const unsigned char *byte = data;

    printf("%s, %zu bytes:", what, size);
    for (size_t i = 0; i < size; i++)
        printf(" %02x", byte[i]);
    printf("\n");
}

int main(void)
{
    struct {
        char kind;
        uint32_t number;
        uint16_t port;
    } message;
    unsigned char bytes[7];

    memset(&message, 0xee, sizeof message); /* to see what nobody sets */
    message.kind = 'A';
    message.number = 1;
    message.port = 12345;
    print("all of it", &message, sizeof message);

    uint32_t number = htonl(message.number); /* in network byte order */
    uint16_t port = htons(message.port);
    bytes[0] = (unsigned char)message.kind;
    memcpy(bytes + 1, &number, 4);
    memcpy(bytes + 5, &port, 2);
    print("by hand", bytes, 7);
    return 0;
}
