/*
 * tcp_client.c - sends a message to a TCP server and prints the answer.
 *
 * Partner:  tcp_server, or nc -l, or any program that speaks TCP.
 * Calls:    getaddrinfo, socket, connect, write, shutdown, read, close; with
 *           the message -, fork, and a child writes and shuts down.
 * Run:      build/tcp_server                       in another terminal, then
 *           build/tcp_client
 *           build/tcp_client 127.0.0.1 12345 -     to type, until Ctrl-D
 */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

/* How many times 10 ms a child may take to end, when it has sent all. */
enum { GRACE = 30 };

/* Returns a socket that is connected to the first address that answers. */
static int connect_to(const struct addrinfo *address)
{
    char server[ADDRESS_SIZE];

    for (; address != NULL; address = address->ai_next) {
        address_text(address->ai_addr, address->ai_addrlen, server);

        /* socket: an endpoint of this family, so far without an address. */
        int fd = socket(address->ai_family, SOCK_STREAM, 0);
        tell(fd, "socket(%s, SOCK_STREAM)", family_text(address->ai_family));
        if (fd == -1)
            continue;

        /* connect: waits for the kernel on the other side, which completes
         * the connection even before the server calls accept. */
        say("connect(%d, %s) waits for the server", fd, server);
        int result = connect(fd, address->ai_addr, address->ai_addrlen);
        tell(result, "connect(%d, %s)", fd, server);
        if (result == 0)
            return fd;
        result = close(fd); /* the next address needs another socket */
        tell(result, "close(%d)", fd);
    }
    give_up();
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
    "usage: tcp_client [-hq] [HOST [PORT [MESSAGE]]]\n"
    "  HOST      the server's name or address (default: 127.0.0.1)\n"
    "  PORT      its port (default: 12345)\n"
    "  MESSAGE   the text to send, or - to send standard input\n"
    "            (default: Hello, server!)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"127.0.0.1", "12345", "Hello, server!"};
    (void)read_command_line(argc, argv, usage, operands, 3);
    const char *message = operands[2];

    /* Without this, a write to a server that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    /* resolve calls getaddrinfo: a name may have several addresses. */
    struct addrinfo *list = resolve(operands[0], operands[1], 1, SOCK_STREAM);
    int fd = connect_to(list);
    freeaddrinfo(list);

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
