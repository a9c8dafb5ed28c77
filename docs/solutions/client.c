/*
 * client.c - sends a message over TCP, and prints all that comes back.
 *
 * Calls:    getaddrinfo, socket, connect, write, shutdown, read, close.
 * Run:      build/tcp_server          in another terminal, then
 *           ./client 127.0.0.1 12345 'Hello, server!'
 */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Prints which call failed, and why, and ends the program. */
static _Noreturn void fail(const char *call)
{
    perror(call);
    exit(1);
}

/* Returns a socket that is connected to the first address that answers. */
static int connect_to(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;

    int error = getaddrinfo(host, port, &hints, &list);
    if (error != 0) {
        (void)fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    for (struct addrinfo *next = list; next != NULL; next = next->ai_next) {
        int fd = socket(next->ai_family, SOCK_STREAM, 0);
        if (fd == -1)
            fail("socket");
        if (connect(fd, next->ai_addr, next->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        if (next->ai_next == NULL)
            fail("connect");
        if (close(fd) == -1)
            fail("close");
    }
    exit(1); /* there is always one address */
}

/* One write may take fewer bytes than it is given. */
static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written == -1)
            fail("write");
        data += written;
        size -= (size_t)written;
    }
}

int main(int argc, char *argv[])
{
    char buffer[4096];
    ssize_t size;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: client HOST PORT MESSAGE\n");
        return 2;
    }
    /* If the server has gone, write shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = connect_to(argv[1], argv[2]);

    write_all(fd, argv[3], strlen(argv[3]));
    write_all(fd, "\n", 1);
    if (shutdown(fd, SHUT_WR) == -1) /* the server reads end of file */
        fail("shutdown");

    /* Each read takes a piece of the answer, and 0 is its end. */
    while ((size = read(fd, buffer, sizeof buffer)) > 0)
        write_all(STDOUT_FILENO, buffer, (size_t)size);
    if (size == -1)
        fail("read");
    if (close(fd) == -1)
        fail("close");
    return 0;
}
