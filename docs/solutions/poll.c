/*
 * poll.c - an echo server for many clients, in one process.
 *
 * Calls:    getaddrinfo, socket, setsockopt, bind, listen, fcntl; then poll,
 *           and for who is ready accept, read, write, close.
 * Run:      ./poll 127.0.0.1 12345
 *           build/tcp_client 127.0.0.1 12345 -   in several other terminals
 *
 * Only poll waits. A client is either read from, or written to as long as
 * something for it is unsent: so who does not read is not read from either,
 * one buffer for each is enough, and at the end of file all has been sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256 };

struct client {
    size_t unsent;
    char buffer[4096];
};

/* polled[i] is the socket of clients[i], or -1; the last one listens. */
static struct client clients[CLIENTS_MAX];
static struct pollfd polled[CLIENTS_MAX + 1];

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
    if (listen(fd, 128) == -1)
        fail("listen");
    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
        fail("fcntl");
    return fd;
}

static void enter(int listen_fd)
{
    size_t i = 0;

    int fd = accept(listen_fd, NULL, NULL);
    if (fd == -1) /* the client has gone, or no descriptor is free */
        return;
    while (i < CLIENTS_MAX && polled[i].fd != -1)
        i++;
    if (i == CLIENTS_MAX || fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
        (void)close(fd);
        return;
    }
    polled[i].fd = fd;
    clients[i].unsent = 0;
}

/* Reads from a client, or writes to it. Returns whether it stays. */
static bool serve(int fd, struct client *client)
{
    if (client->unsent == 0) {
        ssize_t size = read(fd, client->buffer, sizeof client->buffer);
        if (size <= 0)
            return size == -1 && errno == EAGAIN;
        client->unsent = (size_t)size;
    }
    ssize_t written = write(fd, client->buffer, client->unsent);
    if (written == -1)
        return errno == EAGAIN; /* no room: poll says when there is some */
    client->unsent -= (size_t)written;
    memmove(client->buffer, client->buffer + written, client->unsent);
    return true;
}

int main(int argc, char *argv[])
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: poll HOST PORT\n");
        return 2;
    }
    /* If a client has gone, write shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        polled[i].fd = -1; /* which poll leaves out */
    int listen_fd = listen_on(argv[1], argv[2]);
    polled[CLIENTS_MAX] = (struct pollfd){.fd = listen_fd, .events = POLLIN};
    (void)fprintf(stderr, "poll: ready on %s:%s\n", argv[1], argv[2]);

    for (;;) {
        for (size_t i = 0; i < CLIENTS_MAX; i++)
            polled[i].events = clients[i].unsent > 0 ? POLLOUT : POLLIN;
        if (poll(polled, CLIENTS_MAX + 1, -1) == -1)
            fail("poll");
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
            if (polled[i].revents == 0 || serve(polled[i].fd, &clients[i]))
                continue;
            (void)close(polled[i].fd);
            polled[i].fd = -1;
        }
        if (polled[CLIENTS_MAX].revents != 0)
            enter(listen_fd);
    }
}
