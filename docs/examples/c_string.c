/* c_string.c - takes what was read for a C string. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    const struct message {
        const char *text;
        size_t size;
    } messages[] = {{"Hello, server!", 14}, {"Bye", 3}, {"one\0two", 7}};
    char buffer[64] = "";
    int pair[2]; /* two sockets that are connected to each other */

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
        return 1;
    for (int i = 0; i < 3; i++) {
        if (write(pair[0], messages[i].text, messages[i].size) == -1)
            return 1;
        ssize_t size = read(pair[1], buffer, sizeof buffer - 1);
        if (size == -1)
            return 1;
        printf("read: %2zd, strlen: %2zu, printed with %%s: %s\n", size,
               strlen(buffer), buffer);
    }
    return 0;
}
