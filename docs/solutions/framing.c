/*
 * framing.c - answers messages that have their length in front.
 *
 * Calls:    getaddrinfo, socket, setsockopt, bind, listen; then for each
 *           client accept, read, write, close.
 * Run:      ./framing 127.0.0.1 12345
 *           printf '\0\0\0\5hello' | nc -N 127.0.0.1 12345 | od -c
 *
 * A message is a length of four bytes, in network byte order, and as many
 * bytes. The answer is the same in capital letters.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MESSAGE_MAX = 1024 * 1024 };

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
    return fd;
}

/* Reads exactly size bytes; false: the stream ends before, or fails. */
static bool read_all(int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t result = read(fd, (char *)data + done, size - done);
        if (result <= 0)
            return false;
        done += (size_t)result;
    }
    return true;
}

static bool write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t result = write(fd, (const char *)data + done, size - done);
        if (result == -1)
            return false;
        done += (size_t)result;
    }
    return true;
}

/* Answers message after message, until the client has finished. */
static void serve(int fd)
{
    static unsigned char message[MESSAGE_MAX];
    uint32_t length;

    while (read_all(fd, &length, sizeof length)) {
        size_t size = ntohl(length);
        if (size > MESSAGE_MAX) /* else a stranger says how much to take */
            break;
        if (!read_all(fd, message, size))
            break;
        for (size_t i = 0; i < size; i++)
            message[i] = (unsigned char)toupper(message[i]);
        if (!write_all(fd, &length, sizeof length) ||
            !write_all(fd, message, size))
            break;
    }
}

int main(int argc, char *argv[])
{
    if (argc != 3) {
        (void)fprintf(stderr, "usage: framing HOST PORT\n");
        return 2;
    }
    /* If a client has gone, write shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);
    int listen_fd = listen_on(argv[1], argv[2]);
    (void)fprintf(stderr, "framing: ready on %s:%s\n", argv[1], argv[2]);

    for (;;) {
        int fd = accept(listen_fd, NULL, NULL);
        if (fd == -1)
            fail("accept");
        serve(fd);
        if (close(fd) == -1)
            perror("close");
    }
}
