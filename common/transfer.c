/*
 * transfer.c - moving all of some bytes, whatever the system call does.
 */
#include "transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

/* Waits until fd can be written, or read. select: on some systems (macOS)
 * poll does not work on terminals. */
static int wait_ready(int fd, bool writing)
{
    fd_set ready;

    if (fd >= FD_SETSIZE) {
        errno = EMFILE; /* an fd_set has no room for it */
        return -1;
    }
    do {
        FD_ZERO(&ready);
        FD_SET((unsigned)fd, &ready); /* musl's computes with it */
        if (select(fd + 1, writing ? NULL : &ready, writing ? &ready : NULL,
                   NULL, NULL) != -1) {
            return 0;
        }
    } while (errno == EINTR);
    return -1;
}

bool must_repeat(void)
{
    return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
}

bool try_again(int fd, bool writing)
{
    return errno == EINTR || (must_repeat() && wait_ready(fd, writing) == 0);
}

int write_all(int fd, const void *data, size_t size, struct tally *tally)
{
    const char *next = data;

    while (size > 0) {
        ssize_t nwritten = write(fd, next, size);
        if (nwritten == -1) {
            if (!try_again(fd, true)) {
                return -1;
            }
            continue;
        }
        if (tally != NULL) {
            say_data(tally, "write", fd, next, (size_t)nwritten);
        }
        next += nwritten;
        size -= (size_t)nwritten;
    }
    return 0;
}

char *make_line(const char *text)
{
    size_t size = strlen(text);
    char *line = malloc(size + sizeof "\n");

    if (line != NULL) {
        memcpy(line, text, size);
        memcpy(line + size, "\n", sizeof "\n");
        return line;
    }
    die("malloc of %zu bytes", size + sizeof "\n");
}

int finish_connect(int sock_fd)
{
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof peer;
    int error;
    socklen_t size = sizeof error;

    if (wait_ready(sock_fd, true) == -1 ||
        getsockopt(sock_fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
        return -1;
    }
    if (error != 0) {
        errno = error;
        return -1;
    }
    return getpeername(sock_fd, (struct sockaddr *)&peer, &peer_size);
}
