/*
 * chat.c - a conversation of two terminals.
 *
 * Calls:    getaddrinfo, socket, connect, fork; then in each of the two
 *           processes read, write; shutdown, waitpid, close.
 * Run:      nc -l 127.0.0.1 12345     in another terminal, then
 *           ./chat 127.0.0.1 12345
 *
 * Each process copies one direction, so each may wait as long as it likes, in
 * read and in write. Only shutdown ends a direction for both of them.
 */
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints which call failed, and why, and ends the program. */
static _Noreturn void fail(const char *call)
{
    perror(call);
    exit(1);
}

static int connect_to(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *address;

    int error = getaddrinfo(host, port, &hints, &address);
    if (error != 0) {
        (void)fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error));
        exit(1);
    }
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd == -1)
        fail("socket");
    if (connect(fd, address->ai_addr, address->ai_addrlen) == -1)
        fail("connect");
    freeaddrinfo(address);
    return fd;
}

/* Copies until the end of file. Returns whether it came to that. */
static bool copy(int from, int to)
{
    char buffer[4096];
    ssize_t size;

    while ((size = read(from, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < size;) {
            ssize_t result = write(to, buffer + done, (size_t)(size - done));
            if (result == -1) {
                perror("write");
                return false;
            }
            done += result;
        }
    if (size == -1)
        perror("read");
    return size == 0;
}

int main(int argc, char *argv[])
{
    int status;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: chat HOST PORT\n");
        return 2;
    }
    /* If the other side has gone, write shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);
    int fd = connect_to(argv[1], argv[2]);

    pid_t child = fork();
    if (child == -1)
        fail("fork");
    if (child == 0) {
        bool is_sent = copy(STDIN_FILENO, fd);
        /* The end of the input (Ctrl-D): the other side reads end of file.
         * close would not do that: the parent still has the socket. */
        if (shutdown(fd, SHUT_WR) == -1)
            is_sent = false;
        _exit(is_sent ? 0 : 1);
    }

    /* The other side may finish first, and still listen: then the child goes
     * on. But a connection that fails is over for both. */
    bool is_received = copy(fd, STDOUT_FILENO);
    if (!is_received)
        (void)kill(child, SIGTERM);
    if (waitpid(child, &status, 0) == -1)
        fail("waitpid");
    if (close(fd) == -1)
        fail("close");
    return is_received && status == 0 ? 0 : 1;
}
