/*
 * unix_server.c - answers local clients, each by a process of its own.
 *
 * Partner:  unix_client, or nc -U, or any program that speaks AF_UNIX.
 * Calls:    socket, bind, listen; then for each client accept, fork, and in
 *           the child read, write, close; at the end unlink.
 * Run:      build/unix_server       and, in a second terminal,
 *           build/unix_client
 *
 * It is an echo service (RFC 862): what arrives goes back. Given a REPLY, it
 * answers every read with that text: one read is not one message.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

enum { BACKLOG = 128 };     /* clients that may wait for accept */
enum { CLIENTS_MAX = 256 }; /* clients that are served at once */

/* bind found something at the path. Removes it if a killed server left it
 * behind; ends the program if it is not a socket at all. */
static void remove_left_over(const struct sockaddr_un *address)
{
    struct stat file;

    if (lstat(address->sun_path, &file) == 0 && !S_ISSOCK(file.st_mode))
        give_up(ENOTSOCK);

    /* connect, with a socket of another type, does not disturb a server: it
     * fails with EPROTOTYPE if there is one, with ECONNREFUSED if nobody is. */
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    check(fd, "socket(AF_UNIX, SOCK_DGRAM)");
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    tell(result, "connect(%d, %s)", fd, address->sun_path);
    if (result == -1 && errno == ECONNREFUSED) {
        result = unlink(address->sun_path);
        check(result, "unlink(%s)", address->sun_path);
    }
    result = close(fd);
    tell(result, "close(%d)", fd);
}

/* Returns a socket that is bound to the path. */
static int bind_to(const char *path)
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

    /* bind: makes the socket file that clients connect to; umask restricts it
     * to the owner. */
    (void)umask(S_IRWXG | S_IRWXO); /* always succeeds */
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    if (result == -1 && errno == EADDRINUSE) {
        tell(result, "bind(%d, %s)", fd, path);
        remove_left_over(&address);
        result = bind(fd, (struct sockaddr *)&address, sizeof address);
    }
    check(result, "bind(%d, %s)", fd, path);
    own_path(path, -1); /* -1: it is known by its path alone */
    return fd;
}

/* The child: answers one client until it has finished sending. */
static void serve(int conn_fd, const char *reply)
{
    static char buffer[64 * 1024]; /* a larger one is no faster */

    say("read(%d) waits for the client", conn_fd);
    for (;;) {
        /* read: takes what has arrived so far: part of a message, or several.
         * 0 is the end of file: the client has finished sending. */
        ssize_t size = read(conn_fd, buffer, sizeof buffer);
        if (size == -1 && errno == EINTR)
            continue;
        tell_data("read", conn_fd, NULL, size, buffer);
        if (size <= 0)
            break;

        /* write: waits when the client does not read, and all the socket
         * buffers are full. */
        int result = reply == NULL ? write_all(conn_fd, buffer, (size_t)size)
                                   : write_line(conn_fd, reply);
        if (result == -1)
            break;
    }

    /* close: behind its last answer the client reads end of file. */
    tell_totals();
    int result = close(conn_fd);
    tell(result, "close(%d)", conn_fd);
}

/* Does nothing: SIGCHLD shall only interrupt accept when a child has ended. */
static void on_child_end(int signal_number)
{
    (void)signal_number;
}

static const char usage[] =
    "usage: unix_server [-hq] [-n COUNT] [PATH [REPLY]]\n"
    "  PATH      the socket file (default: /tmp/unix_pair.socket)\n"
    "  REPLY     the answer to every read (default: what was read)\n"
    "  -n COUNT  exit after COUNT clients\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/unix_pair.socket", NULL};
    const struct sigaction child_end = {.sa_handler = on_child_end};
    long count = 0;   /* clients until the end; 0: no end */
    long running = 0; /* children that serve a client */

    start_program("unix_server");
    while (next_option(argc, argv, "hqn:", usage) != -1)
        count = number(optarg, 1, 1000000000, "COUNT");
    read_operands(argc, argv, operands, 2);

    /* Without this, a write to a client that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGCHLD, &child_end, NULL);

    const char *path = operands[0];
    int listen_fd = bind_to(path);

    /* listen: from now on the kernel completes connections, and queues them
     * for accept. A listening socket itself never carries data. */
    int result = listen(listen_fd, BACKLOG);
    check(result, "listen(%d, %d)", listen_fd, BACKLOG);
    announce("ready on %s", path);

    for (long accepted = 0; count == 0 || accepted < count;) {
        int conn_fd;

        /* accept: takes the next connection from the queue, or waits for one.
         * waitpid: collects children that have ended, which would otherwise
         * remain as zombies; while too many are running, it waits for one. */
        say("accept(%d) waits for a client", listen_fd);
        do {
            while (waitpid(-1, NULL, running < CLIENTS_MAX ? WNOHANG : 0) > 0)
                running--;
            conn_fd = accept(listen_fd, NULL, NULL);
        } while (conn_fd == -1 && errno == EINTR);
        tell(conn_fd, "accept(%d)", listen_fd);
        if (conn_fd == -1) {
            wait_a_moment(200); /* no descriptor is free, perhaps for a while */
            continue;
        }

        /* fork: the child serves this client, the parent accepts the next.
         * Each has both sockets, and closes the one that it does not use. */
        pid_t child = fork();
        tell(child, "fork()");
        if (child == 0) {
            (void)disown_path(); /* it is the parent's to remove */
            result = close(listen_fd);
            tell(result, "close(%d)", listen_fd);
            serve(conn_fd, operands[1]);
            _exit(0); /* exit() would run the parent's clean-up */
        }
        if (child != -1) {
            accepted++;
            running++;
        }
        result = close(conn_fd);
        tell(result, "close(%d)", conn_fd);
    }

    /* unlink: before close; after it the path may be another server's. */
    if (disown_path()) {
        result = unlink(path);
        tell(result, "unlink(%s)", path);
    }
    result = close(listen_fd);
    tell(result, "close(%d)", listen_fd);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    return 0;
}
