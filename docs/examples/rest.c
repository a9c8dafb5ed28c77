/* rest.c - reads five bytes of a message: where is the rest? */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int play(const char *name, int type)
{
    char first[5], next[64];
    int pair[2]; /* two sockets that are connected to each other */

    if (socketpair(AF_UNIX, type, 0, pair) == -1 ||
        write(pair[0], "Hello, server!", 14) == -1 ||
        write(pair[0], "Bye", 3) == -1)
        return 1;
    ssize_t size = read(pair[1], first, sizeof first);
    ssize_t rest = read(pair[1], next, sizeof next);
    if (size == -1 || rest == -1)
        return 1;
    printf("%s: %.*s | %.*s\n", name, (int)size, first, (int)rest, next);
    return 0;
}

int main(void)
{
    return play("SOCK_STREAM", SOCK_STREAM) + play("SOCK_DGRAM", SOCK_DGRAM);
}
