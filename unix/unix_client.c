/*
 * unix_client.c - sends a message to a local server and prints the answer.
 *
 * Partner:  unix_server, or nc -lU, or any program that speaks AF_UNIX.
 * Calls:    socket, connect, write, shutdown, read, close; with the message -,
 *           fork, and a child writes and shuts down.
 * Run:      build/unix_server                      in another terminal, then
 *           build/unix_client
 *           build/unix_client /tmp/unix_pair -     to type, until Ctrl-D
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

/* How many times 10 ms a child may take to end, when it has sent all. */
enum { GRACE = 30 };

/* Returns a socket that is connected to the path. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t limit = sizeof address.sun_path;

    /* The address is the path. One that does not fit is refused: cut short,
     * it would be another one. */
    int size = snprintf(address.sun_path, limit, "%s", path);
    if (size < 1 || (size_t)size >= limit) {
        announce("PATH must have 1 to %zu bytes, not %d", limit - 1, size);
        give_up_with("take a PATH such as /tmp/unix_pair");
    }

    /* socket: an endpoint of this family, so far without an address. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    check(fd, "socket(AF_UNIX, SOCK_STREAM)");

    /* connect: the kernel completes the connection even before the server
     * calls accept; it waits only while the server's queue is full. */
    say("connect(%d, %s) waits for the server", fd, path);
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);
    check(result, "connect(%d, %s)", fd, path);
    return fd;
}

/*
 * Reads from one descriptor and writes to another, until end of file: from
 * standard input to the socket, or from the socket to standard output. For
 * read and write a socket is like a file. Returns 0, or -1.
 */
static int pass_on(int from, int to, const char *source)
{
    static char buffer[64 * 1024]; /* larger ones were no faster */

    for (;;) {
        /* read: takes what has arrived so far. 0 is the end of file. */
        say("read(%d) waits for %s", from, source);
        ssize_t size = read(from, buffer, sizeof buffer);
        tell_data(size, buffer, "read", from);
        /* EINTR: a signal handler ran first. This program has none; if you add
         * one, this loop goes on. */
        if (size == -1 && errno == EINTR)
            continue;
        if (size <= 0)
            return (int)size;
        if (write_all(to, buffer, (size_t)size) == -1)
            return -1;
    }
}

/* shutdown: half-closes. The server reads end of file, and can still answer. */
static int half_close(int fd)
{
    int result = shutdown(fd, SHUT_WR);
    tell(result, "shutdown(%d, SHUT_WR)", fd);
    return result;
}

/*
 * Sends and prints at the same time: a child waits for input, its parent for
 * the server. One process that first sent all could wait for ever, for a
 * server that waits until its answers are read. Returns 0 if all was sent and
 * printed, or -1 if the child has failed.
 */
static int converse(int fd)
{
    const struct timespec moment = {0, 10000000}; /* nanoseconds: 10 ms */
    int status;

    (void)signal(SIGCHLD, SIG_DFL); /* who started us may have ignored it */
    pid_t child = fork();
    check(child, "fork()");
    if (child == 0) {
        /* In any case half-close: the parent waits for the server's end of
         * file, and the server for ours. */
        int sent = pass_on(STDIN_FILENO, fd, "input (Ctrl-D ends it)");
        if (half_close(fd) == -1 || sent == -1)
            give_up();
        _exit(0);
    }
    int printed = pass_on(fd, STDOUT_FILENO, "the server");

    /* Both sides are done if the child ends now, of its own accord. If it does
     * not, it still waits for input, and this program takes the server's end of
     * file for its end: so the child is ended. (A server that only half-closed
     * would still read.) */
    for (int moments = 0; printed == 0 && moments < GRACE; moments++) {
        if (waitpid(child, &status, WNOHANG) == child)
            return status == 0 ? 0 : -1;
        (void)nanosleep(&moment, NULL);
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    if (printed == -1)
        give_up();
    announce("the server closed before the end of the input");
    give_up_with("look at the server: it ended before reading all");
}

static const char usage[] =
    "usage: unix_client [-hq] [PATH [MESSAGE]]\n"
    "  PATH      the server's socket file (default: /tmp/unix_pair)\n"
    "  MESSAGE   the text to send, or - to send standard input\n"
    "            (default: Hello, server!)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/unix_pair", "Hello, server!"};
    (void)read_command_line(argc, argv, usage, operands, 2);
    const char *message = operands[1];

    /* Without this, a write to a server that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = connect_to(operands[0]);

    if (strcmp(message, "-") == 0) {
        if (converse(fd) == -1)
            return 1;
    } else {
        /* write: puts the message into the socket buffer; the kernel sends. */
        int sent = write_line(fd, message);
        int half_closed = half_close(fd);
        int printed = pass_on(fd, STDOUT_FILENO, "the server");
        if (sent == -1 || half_closed == -1 || printed == -1)
            give_up(); /* the kernel closes what a program leaves open */
    }

    /* close: ends the connection, now for both directions. */
    int result = close(fd);
    tell(result, "close(%d)", fd);
    return 0;
}
