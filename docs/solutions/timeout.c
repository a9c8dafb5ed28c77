/*
 * timeout.c - asks a UDP server, and waits for the answer for a second.
 *
 * Calls:    getaddrinfo, socket, connect, send, select, recv, close.
 * Run:      build/udp_server          in another terminal, then
 *           ./timeout 127.0.0.1 12345 'Hello, server!'
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/* Prints which call failed, and why, and ends the program. */
static _Noreturn void fail(const char *call)
{
    perror(call);
    exit(1);
}

int main(int argc, char *argv[])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *address;
    static char answer[65536]; /* a datagram is smaller: none is cut */

    if (argc != 4) {
        (void)fprintf(stderr, "usage: timeout HOST PORT MESSAGE\n");
        return 2;
    }
    int error = getaddrinfo(argv[1], argv[2], &hints, &address);
    if (error != 0) {
        (void)fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        return 1;
    }
    int fd = socket(address->ai_family, SOCK_DGRAM, 0);
    if (fd == -1)
        fail("socket");

    /* From now on the kernel drops what comes from anybody else. */
    if (connect(fd, address->ai_addr, address->ai_addrlen) == -1)
        fail("connect");
    freeaddrinfo(address);
    if (send(fd, argv[3], strlen(argv[3]), 0) == -1)
        fail("send");

    /* select waits until recv would not wait, but no longer than a second.
     * Its first argument is the highest descriptor of the sets, plus one. */
    struct timeval limit = {.tv_sec = 1};
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    int ready = select(fd + 1, &readable, NULL, NULL, &limit);
    if (ready == -1)
        fail("select");
    if (ready == 0) {
        (void)fprintf(stderr, "timeout: no answer within a second\n");
        return 1;
    }

    ssize_t size = recv(fd, answer, sizeof answer, 0);
    if (size == -1)
        fail("recv");
    answer[size] = '\n'; /* a datagram has at most 65,507 bytes */
    if (fwrite(answer, (size_t)size + 1, 1, stdout) != 1)
        fail("fwrite");
    if (close(fd) == -1)
        fail("close");
    return fflush(stdout) == 0 ? 0 : 1;
}
