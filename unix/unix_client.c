/*
 * unix_client.c - sends a message to a local server and prints the answer.
 *
 * Partner:  unix_server, or nc -lU, or any program that speaks AF_UNIX.
 * Calls:    socket, connect, write, shutdown, read, close.
 * Run:      build/unix_server                       in another terminal, then
 *           build/unix_client
 *           build/unix_client /tmp/unix_pair.socket -     to type, until Ctrl-D
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

enum { BUFFER_SIZE = 64 * 1024 }; /* bytes per read: more gains no speed */

/* Returns a socket that is connected to the path. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);

    /* The address is the path. One that does not fit is refused: cut short,
     * it would be another one. */
    if (size == 0 || size >= sizeof address.sun_path) {
        announce("PATH must have 1 to %zu bytes, not %zu",
                 sizeof address.sun_path - 1, size);
        give_up(ENAMETOOLONG);
    }
    memcpy(address.sun_path, path, size);

    /* socket: an endpoint of this family, so far without an address. */
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    check(fd, "socket(AF_UNIX, SOCK_STREAM)");

    /* connect: waits for the kernel, which completes the connection even
     * before the server calls accept. */
    say("connect(%d, %s) waits for the server", fd, path);
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);
    check(result, "connect(%d, %s)", fd, path);
    return fd;
}

/* read: takes what has arrived of the answer, and prints it. Returns its size;
 * 0 is the end of file: the server has finished sending. */
static ssize_t print_answer(int fd)
{
    static char buffer[BUFFER_SIZE];
    ssize_t size;

    do {
        size = read(fd, buffer, sizeof buffer);
    } while (size == -1 && errno == EINTR);
    tell_data("read", fd, NULL, size, buffer);
    if (size == -1)
        give_up(errno);
    print_data(buffer, (size_t)size);
    return size;
}

/*
 * Sends standard input, and meanwhile prints what comes back. If it wrote all
 * before it read, it could wait for ever, for a server that waits to be read.
 * So only poll waits for the server; write takes what the socket buffer has
 * room for. Returns whether all was sent.
 */
static bool send_input(int fd)
{
    enum { INPUT, SERVER };
    static char buffer[BUFFER_SIZE];
    struct pollfd polled[] = {{.events = POLLIN}, {.fd = fd}};
    const char *unsent = buffer;
    size_t unsent_size = 0;
    bool is_open = true; /* no end of file from the server yet */
    bool is_sent = false;

    if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
        check(-1, "fcntl(%d, F_SETFL, O_NONBLOCK)", fd);
    say("poll() waits for input (Ctrl-D ends it) or the server");
    while (is_open && !is_sent) {
        polled[INPUT].fd = unsent_size == 0 ? STDIN_FILENO : -1;
        polled[SERVER].events = unsent_size == 0 ? POLLIN : POLLIN | POLLOUT;
        if (poll(polled, 2, -1) == -1) {
            if (errno != EINTR)
                check(-1, "poll()");
            continue;
        }

        if (polled[INPUT].revents != 0) {
            ssize_t size = read(STDIN_FILENO, buffer, sizeof buffer);
            if (size == -1 && errno != EINTR)
                check(size, "read(%d)", STDIN_FILENO);
            is_sent = size == 0;
            unsent = buffer;
            unsent_size = size == -1 ? 0 : (size_t)size;
        }
        if (!is_sent && (polled[SERVER].revents & ~POLLOUT) != 0)
            is_open = print_answer(fd) > 0;
        if (is_open && unsent_size > 0) {
            ssize_t size = write(fd, unsent, unsent_size);
            if (size == -1 && (errno == EAGAIN || errno == EINTR))
                continue;
            tell_data("write", fd, NULL, size, unsent);
            if (size == -1) {
                give_hint(errno);
                break;
            }
            unsent += size;
            unsent_size -= (size_t)size;
        }
    }
    if (!is_sent)
        announce("the server closed before the end of the input");
    if (fcntl(fd, F_SETFL, 0) == -1) /* read and write wait again */
        check(-1, "fcntl(%d, F_SETFL, 0)", fd);
    return is_sent;
}

static const char usage[] =
    "usage: unix_client [-hq] [PATH [MESSAGE]]\n"
    "  PATH      the server's socket file (default: /tmp/unix_pair.socket)\n"
    "  MESSAGE   the text to send, or - to send standard input\n"
    "            (default: Hello, server!)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/unix_pair.socket", "Hello, server!"};

    start_program("unix_client");
    while (next_option(argc, argv, "hq", usage) != -1)
        continue;
    read_operands(argc, argv, operands, 2);

    /* Without this, a write to a server that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = connect_to(operands[0]);

    /* write: puts the message into the socket buffer; the kernel sends it. */
    bool is_sent = strcmp(operands[1], "-") == 0
                       ? send_input(fd)
                       : write_line(fd, operands[1]) == 0;

    /* shutdown: half-closes. The server reads end of file, and can still
     * answer. */
    tell_totals();
    int result = shutdown(fd, SHUT_WR);
    tell(result, "shutdown(%d, SHUT_WR)", fd);
    say("read(%d) waits for the answer", fd);
    while (print_answer(fd) > 0)
        continue;

    /* close: ends the connection, now for both directions. */
    tell_totals();
    result = close(fd);
    tell(result, "close(%d)", fd);
    return is_sent ? 0 : 1;
}
