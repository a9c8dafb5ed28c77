/*
 * interrupted_connect.c - a connect() that a signal interrupts, at every try.
 *
 * Preloaded before the C library (LD_PRELOAD). The connection goes on in the
 * background and the caller gets EINTR, as POSIX says of connect. No signal
 * could be timed so well.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    int flags = fcntl(fd, F_GETFL);

    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    long result = syscall(SYS_connect, fd, address, size);
    fcntl(fd, F_SETFL, flags);
    if (result == 0 || errno == EINPROGRESS) {
        errno = EINTR;
    }
    return -1;
}
