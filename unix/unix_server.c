/*
 * unix_server.c - answers local clients, each by a process of its own.
 *
 * Partner:  unix_client, or nc -U, or any program that speaks AF_UNIX.
 * Calls:    socket, bind, listen; then for each client accept, fork, and in
 *           the child read, write, close; after COUNT clients unlink.
 * Run:      build/unix_server       and, in a second terminal,
 *           build/unix_client
 *
 * It is an echo service (RFC 862): what arrives goes back. Given a REPLY, it
 * answers every read with that text: one read is not one message.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

/* About how many clients may wait for accept; how many children may run. */
enum { BACKLOG = 128, CHILDREN = 256 };

/* bind found something at the path. Removes it if it is stale, the socket file
 * of a server that has ended; else ends the program. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat file;

    if (lstat(address->sun_path, &file) == -1 || !S_ISSOCK(file.st_mode)) {
        announce("%s is not a socket", address->sun_path);
        give_up_with("take another PATH: this one stays as it is");
    }

    /* connect, with a socket of another type, is an attempt that no stream
     * server notices: it fails with EPROTOTYPE if there is one. It works if a
     * datagram server is there. It fails with ECONNREFUSED if nobody is. */
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    check(fd, "socket(AF_UNIX, SOCK_DGRAM)");
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    tell(result, "connect(%d, %s)", fd, address->sun_path);
    if (result == 0 || errno != ECONNREFUSED)
        give_up(); /* somebody has the path, or it is not ours to judge */
    result = unlink(address->sun_path);
    check(result, "unlink(%s)", address->sun_path);
    result = close(fd);
    tell(result, "close(%d)", fd);
}

/* Returns a socket that is bound to the path. */
static int bind_to(const char *path)
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

    /* bind: makes the socket file that clients connect to; umask restricts it
     * to the owner. */
    (void)umask(S_IRWXG | S_IRWXO); /* always succeeds */
    int result = bind(fd, (struct sockaddr *)&address, sizeof address);
    if (result == -1 && errno == EADDRINUSE) {
        tell(result, "bind(%d, %s)", fd, path);
        remove_stale(&address);
        result = bind(fd, (struct sockaddr *)&address, sizeof address);
    }
    check(result, "bind(%d, %s)", fd, path);
    return fd;
}

/* The child: answers one client until it has finished sending. */
static void serve(int conn_fd, const char *reply)
{
    static char buffer[64 * 1024]; /* larger ones were no faster */

    for (;;) {
        /* read: takes what has arrived so far: part of a message, or several.
         * 0 is the end of file: the client has finished sending. */
        say("read(%d) waits for the client", conn_fd);
        ssize_t size = read(conn_fd, buffer, sizeof buffer);
        tell_data(size, buffer, "read", conn_fd);
        /* EINTR: a signal handler ran first. This program has none; if you add
         * one, this loop goes on. */
        if (size == -1 && errno == EINTR)
            continue;
        if (size <= 0)
            return;

        /* write: waits when the client does not read, and all the socket
         * buffers are full. */
        int result = reply == NULL ? write_all(conn_fd, buffer, (size_t)size)
                                   : write_line(conn_fd, reply);
        if (result == -1)
            return;
    }
}

static const char usage[] =
    "usage: unix_server [-hq] [-n COUNT] [PATH [REPLY]]\n"
    "  PATH      the socket file (default: /tmp/unix_pair)\n"
    "  REPLY     the answer to every read (default: what was read)\n"
    "  -n COUNT  exit after COUNT clients\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/unix_pair", NULL};
    long count = read_command_line(argc, argv, usage, operands, 2);
    const char *reply = operands[1];
    long accepted = 0, ended = 0; /* clients; children, as collected */

    /* Without this, a write to a client that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* who started us may have ignored it */

    int listen_fd = bind_to(operands[0]);

    /* listen: from now on the kernel completes connections, and queues them
     * for accept. A listening socket itself never carries data. */
    int result = listen(listen_fd, BACKLOG);
    check(result, "listen(%d, %d)", listen_fd, BACKLOG);
    announce("ready on %s", operands[0]);

    while (count == 0 || accepted < count) {
        /* accept: takes the next connection from the queue, or waits for one.
         * The result is a new socket, which is connected to this client. */
        say("accept(%d) waits for a client", listen_fd);
        int conn_fd = accept(listen_fd, NULL, NULL);
        tell(conn_fd, "accept(%d)", listen_fd);
        if (conn_fd == -1) {
            (void)sleep(1); /* perhaps no descriptor is free for a while */
            continue;
        }

        /* fork: makes a copy of this process, and returns in both: 0 in the
         * child, which serves this client; in the parent, which accepts the
         * next, the child's number. Both have both sockets, and each closes
         * the one that it does not use. */
        pid_t child = fork();
        tell(child, "fork()");
        if (child == 0) {
            result = close(listen_fd);
            tell(result, "close(%d)", listen_fd);
            serve(conn_fd, reply);
            /* close: after the last answer the client reads end of file. */
            result = close(conn_fd);
            tell(result, "close(%d)", conn_fd);
            _exit(0); /* not exit(): what that cleans up is the parent's */
        }
        if (child != -1)
            accepted++;
        result = close(conn_fd);
        tell(result, "close(%d)", conn_fd);

        /* waitpid: collects children that have ended and are zombies until
         * then, at the latest until the next client. WNOHANG: it does not wait
         * for one, unless too many are running. */
        while (waitpid(-1, NULL, accepted - ended < CHILDREN ? WNOHANG : 0) > 0)
            ended++;
    }

    /* unlink: before close; after close the path may be another server's. */
    result = unlink(operands[0]);
    check(result, "unlink(%s)", operands[0]);
    result = close(listen_fd);
    tell(result, "close(%d)", listen_fd);
    while (ended < accepted && waitpid(-1, NULL, 0) > 0)
        ended++;
    return 0;
}
