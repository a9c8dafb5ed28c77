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

/* Waits until fd takes bytes. select, for poll fails on macOS' terminals. */
static int wait_writable(int fd)
{
    fd_set writable;

    if (fd >= FD_SETSIZE) {
        errno = EBADF; /* more than an fd_set holds */
        return -1;
    }
    FD_ZERO(&writable);
    FD_SET((unsigned)fd, &writable); /* musl's computes with it */
    while (select(fd + 1, NULL, &writable, NULL, NULL) == -1) {
        if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

bool try_again(void)
{
    return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
}

int write_all(int fd, const void *data, size_t size, struct tally *tally)
{
    const char *next = data;

    while (size > 0) {
        ssize_t nwritten = write(fd, next, size);
        if (nwritten == -1) {
            if (!try_again() || (errno != EINTR && wait_writable(fd) == -1)) {
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
    char *line = malloc(size + 2);

    if (line == NULL) {
        die("malloc %zu", size + 2);
    }
    memcpy(line, text, size);
    memcpy(line + size, "\n", 2);
    return line;
}

int finish_connect(int sock_fd)
{
    int error;
    socklen_t size = sizeof error;

    if (wait_writable(sock_fd) == -1 ||
        getsockopt(sock_fd, SOL_SOCKET, SO_ERROR, &error, &size) == -1) {
        return -1;
    }
    errno = error;
    return error == 0 ? 0 : -1;
}
