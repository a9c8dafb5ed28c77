/* bytes.c - prints socket addresses as they are in memory. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Prints where a member is in its structure, and its first 16 bytes. */
static void print_bytes(const char *name, const void *structure,
                        const void *member, size_t size)
{
    const unsigned char *bytes = member;

    printf("%4td  %-14s", bytes - (const unsigned char *)structure, name);
    for (size_t i = 0; i < size && i < 16; i++)
        printf(" %02x", bytes[i]);
    printf("\n");
}

#define PRINT(structure, member)                                               \
    print_bytes(#member, &(structure), &(structure).member,                    \
                sizeof((structure).member))
#define PRINT_SIZE(type) printf(#type ", %zu bytes\n", sizeof(type))

int main(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(12345)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(12345)};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/s"};
    struct sockaddr *any = (struct sockaddr *)&in;

    if (inet_pton(AF_INET, "127.0.0.1", &in.sin_addr) != 1 ||
        inet_pton(AF_INET6, "::1", &in6.sin6_addr) != 1)
        return 1;

    PRINT_SIZE(struct sockaddr_in);
    PRINT(in, sin_family);
    PRINT(in, sin_port);
    PRINT(in, sin_addr);
    PRINT(in, sin_zero);
    PRINT_SIZE(struct sockaddr);
    PRINT(*any, sa_family);
    PRINT(*any, sa_data);
    PRINT_SIZE(struct sockaddr_in6);
    PRINT(in6, sin6_family);
    PRINT(in6, sin6_port);
    PRINT(in6, sin6_flowinfo);
    PRINT(in6, sin6_addr);
    PRINT(in6, sin6_scope_id);
    PRINT_SIZE(struct sockaddr_un);
    PRINT(un, sun_family);
    PRINT(un, sun_path);
    PRINT_SIZE(struct sockaddr_storage);
    return 0;
}
