/*
 * transfer.c - receives one file, with its length in front.
 *
 * Calls:    getaddrinfo, socket, setsockopt, bind, listen, accept, mkstemp,
 *           read, write, link, unlink, close.
 * Run:      ./transfer 127.0.0.1 12345 copy.txt
 *           printf '\0\0\0\6Hello\n' | nc -N 127.0.0.1 12345
 *
 * The bytes go to a file of another name in the same folder. Only link gives
 * it the right one, when it is complete; unlike rename it replaces nothing.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Prints which call failed, and why, and ends the program. */
static _Noreturn void fail(const char *call)
{
    perror(call);
    exit(1);
}

static int listen_on(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    const int on = 1;

    int error = getaddrinfo(host, port, &hints, &address);
    if (error != 0) {
        (void)fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd == -1)
        fail("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1)
        fail("setsockopt");
    if (bind(fd, address->ai_addr, address->ai_addrlen) == -1)
        fail("bind");
    freeaddrinfo(address);
    if (listen(fd, 1) == -1)
        fail("listen");
    return fd;
}

/* Copies exactly size bytes from a socket. Returns whether all came. */
static bool receive(int fd, int file, size_t size)
{
    static char buffer[64 * 1024];

    while (size > 0) {
        size_t most = size < sizeof buffer ? size : sizeof buffer;
        ssize_t result = read(fd, buffer, most);
        if (result == -1)
            perror("read");
        if (result == 0)
            (void)fprintf(stderr, "transfer: the end came too early\n");
        if (result <= 0)
            return false;
        if (write(file, buffer, (size_t)result) != result) {
            perror("write");
            return false;
        }
        size -= (size_t)result;
    }
    return true;
}

int main(int argc, char *argv[])
{
    char part[4096];
    uint32_t length;

    if (argc != 4) {
        (void)fprintf(stderr, "usage: transfer HOST PORT FILE\n");
        return 2;
    }
    int size = snprintf(part, sizeof part, "%s.XXXXXX", argv[3]);
    if (size < 0 || (size_t)size >= sizeof part)
        return 2;
    int listen_fd = listen_on(argv[1], argv[2]);
    (void)fprintf(stderr, "transfer: ready on %s:%s\n", argv[1], argv[2]);
    int fd = accept(listen_fd, NULL, NULL);
    if (fd == -1)
        fail("accept");

    /* MSG_WAITALL: recv waits until all four bytes have come. */
    if (recv(fd, &length, sizeof length, MSG_WAITALL) != sizeof length) {
        (void)fprintf(stderr, "transfer: no length came\n");
        return 1;
    }
    int file = mkstemp(part);
    if (file == -1)
        fail("mkstemp");
    bool is_complete = receive(fd, file, ntohl(length));
    if (close(file) == -1) {
        perror("close");
        is_complete = false;
    }
    if (is_complete && link(part, argv[3]) == -1) {
        perror("link");
        is_complete = false;
    }
    if (unlink(part) == -1)
        fail("unlink");
    return is_complete ? 0 : 1;
}
