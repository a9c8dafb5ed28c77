/*
 * numbered.c - asks a UDP server several questions, and knows which answer is
 *              for which.
 *
 * Calls:    getaddrinfo, socket, connect, send, poll, recv, close.
 * Run:      build/udp_server          in another terminal, then
 *           ./numbered 127.0.0.1 12345 one two three
 *
 * Question 2 is the datagram "2 two", and its answer begins with "2 ", too.
 * Who asks again may get two answers: the second of them comes while the next
 * question waits for its own, and its number says that it is none.
 */
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 3, PATIENCE = 1000, DATAGRAM_MAX = 65507 };

/* Prints which call failed, and why, and ends the program. */
static _Noreturn void fail(const char *call)
{
    perror(call);
    exit(1);
}

/* Returns the milliseconds of a clock that nobody can set. */
static long now(void)
{
    struct timespec time;

    if (clock_gettime(CLOCK_MONOTONIC, &time) == -1)
        fail("clock_gettime");
    return (long)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Asks, and prints the answer. Returns whether one came. */
static bool ask(int fd, int number, const char *message)
{
    static char question[DATAGRAM_MAX + 1], answer[DATAGRAM_MAX + 1];
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    ssize_t size;

    int length = snprintf(question, sizeof question, "%d %s", number, message);
    if (length < 0 || length > DATAGRAM_MAX)
        return false;
    size_t prefix = strcspn(question, " ") + 1; /* the size of "NUMBER " */

    for (int try = 1; try <= TRIES; try++) {
        if (send(fd, question, (size_t)length, 0) == -1)
            fail("send");

        /* Other datagrams shall not make the wait longer. */
        long end = now() + PATIENCE;
        for (long left = PATIENCE; left > 0; left = end - now()) {
            int ready = poll(&polled, 1, (int)left);
            if (ready == -1)
                fail("poll");
            if (ready == 0)
                break;
            size = recv(fd, answer, DATAGRAM_MAX, 0);
            if (size == -1)
                fail("recv");
            if ((size_t)size < prefix || memcmp(answer, question, prefix) != 0)
                continue; /* the answer to another question, or none */
            answer[size] = '\n';
            return fwrite(answer + prefix, (size_t)size + 1 - prefix, 1,
                          stdout) == 1;
        }
    }
    (void)fprintf(stderr, "numbered: no answer to %s\n", question);
    return false;
}

int main(int argc, char *argv[])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *address;

    if (argc < 4) {
        (void)fprintf(stderr, "usage: numbered HOST PORT MESSAGE...\n");
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

    for (int i = 3; i < argc; i++)
        if (!ask(fd, i - 2, argv[i]))
            return 1;
    if (close(fd) == -1)
        fail("close");
    return fflush(stdout) == 0 ? 0 : 1;
}
