/*
 * room.c - a room for many: what one client says, all others get.
 *
 * Calls:    getaddrinfo, socket, setsockopt, bind, listen, fcntl; then poll,
 *           and for who is ready accept, read, write, close.
 * Run:      ./room 127.0.0.1 12345
 *           nc 127.0.0.1 12345        in several other terminals
 *
 * Only poll waits. A line is passed on when its newline has come. Who does not
 * read what the others say is closed as soon as the socket buffer is full.
 */
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 256, LINE_SIZE = 4096 };

struct client {
    size_t size;
    char line[LINE_SIZE]; /* what came after the last newline */
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
    polled[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    clients[i].size = 0;
}

static void leave(size_t i)
{
    (void)close(polled[i].fd);
    polled[i].fd = -1;
}

/* Passes a line on to all but the speaker. */
static void pass_on(size_t speaker, const char *line, size_t size)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (i != speaker && polled[i].fd != -1 &&
            write(polled[i].fd, line, size) != (ssize_t)size)
            leave(i); /* it has gone, or does not read */
}

/* Takes what a client has said so far, and passes on the complete lines. */
static void hear(size_t speaker)
{
    struct client *client = &clients[speaker];
    char *end;

    ssize_t size = read(polled[speaker].fd, client->line + client->size,
                        LINE_SIZE - client->size);
    client->size += size > 0 ? (size_t)size : 0;
    while ((end = memchr(client->line, '\n', client->size)) != NULL) {
        size_t line_size = (size_t)(end - client->line) + 1;
        pass_on(speaker, client->line, line_size);
        client->size -= line_size;
        memmove(client->line, end + 1, client->size);
    }
    if (size <= 0 || client->size == LINE_SIZE) /* a line that is too long */
        leave(speaker);
}

int main(int argc, char *argv[])
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: room HOST PORT\n");
        return 2;
    }
    /* If a client has gone, write shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        polled[i].fd = -1; /* which poll leaves out */
    int listen_fd = listen_on(argv[1], argv[2]);
    polled[CLIENTS_MAX] = (struct pollfd){.fd = listen_fd, .events = POLLIN};
    (void)fprintf(stderr, "room: ready on %s:%s\n", argv[1], argv[2]);

    for (;;) {
        if (poll(polled, CLIENTS_MAX + 1, -1) == -1)
            fail("poll");
        for (size_t i = 0; i < CLIENTS_MAX; i++)
            if (polled[i].revents != 0 && polled[i].fd != -1)
                hear(i);
        if (polled[CLIENTS_MAX].revents != 0)
            enter(listen_fd);
    }
}
