/*
 * tcp_server.c - answers TCP clients, each by a process of its own.
 *
 * Partner:  tcp_client, or nc, or any program that speaks TCP.
 * Calls:    getaddrinfo, socket, setsockopt, bind, listen; then for each
 *           client accept, fork, and in the child read, write, close.
 * Run:      build/tcp_server       and, in a second terminal,
 *           build/tcp_client
 *
 * It is an echo service (RFC 862): what arrives goes back. Given a REPLY, it
 * answers every read with that text: one read is not one message.
 */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

/* About how many clients may wait for accept; how many children may run. */
enum { BACKLOG = 128, CHILDREN = 256 };

/* Returns a socket that is bound to the first address that works. */
static int bind_to(const struct addrinfo *address)
{
    const int on = 1;
    char name[ADDRESS_SIZE];

    for (; address != NULL; address = address->ai_next) {
        address_text(address->ai_addr, address->ai_addrlen, name);

        /* socket: an endpoint of this family, so far without an address. */
        int fd = socket(address->ai_family, SOCK_STREAM, 0);
        tell(fd, "socket(%s, SOCK_STREAM)", family_text(address->ai_family));
        if (fd == -1)
            continue;

        /* Connections of an earlier server may linger on this port
         * (TIME_WAIT). They must not keep a new server from starting. */
        int result = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        tell(result, "setsockopt(%d, SO_REUSEADDR)", fd);

        /* bind: gives it the address that clients connect to. */
        result = bind(fd, address->ai_addr, address->ai_addrlen);
        tell(result, "bind(%d, %s)", fd, name);
        if (result == 0)
            return fd;
        result = close(fd); /* the next address needs another socket */
        tell(result, "close(%d)", fd);
    }
    give_up();
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
    "usage: tcp_server [-hq] [-n COUNT] [HOST [PORT [REPLY]]]\n"
    "  HOST      the address to listen on (default: 127.0.0.1)\n"
    "  PORT      its port; 0: the kernel chooses one (default: 12345)\n"
    "  REPLY     the answer to every read (default: what was read)\n"
    "  -n COUNT  exit after COUNT clients\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"127.0.0.1", "12345", NULL};
    long count = read_command_line(argc, argv, usage, operands, 3);
    const char *reply = operands[2];
    long accepted = 0, ended = 0; /* clients; children, as collected */

    /* Without this, a write to a client that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* who started us may have ignored it */

    /* resolve calls getaddrinfo: a name may have several addresses. */
    struct addrinfo *list = resolve(operands[0], operands[1], 0, SOCK_STREAM);
    int listen_fd = bind_to(list);
    freeaddrinfo(list);

    /* listen: from now on the kernel completes connections, and queues them
     * for accept. A listening socket itself never carries data. */
    int result = listen(listen_fd, BACKLOG);
    check(result, "listen(%d, %d)", listen_fd, BACKLOG);
    announce_ready(listen_fd);

    while (count == 0 || accepted < count) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        char peer[ADDRESS_SIZE];

        /* accept: takes the next connection from the queue, or waits for one.
         * The result is a new socket, which is connected to this client. */
        say("accept(%d) waits for a client", listen_fd);
        int conn_fd = accept(listen_fd, (struct sockaddr *)&address, &size);
        if (conn_fd == -1) {
            tell(conn_fd, "accept(%d)", listen_fd);
            (void)sleep(1); /* perhaps no descriptor is free for a while */
            continue;
        }
        address_text((struct sockaddr *)&address, size, peer);
        tell(conn_fd, "accept(%d, %s)", listen_fd, peer);

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

    result = close(listen_fd);
    tell(result, "close(%d)", listen_fd);
    while (ended < accepted && waitpid(-1, NULL, 0) > 0)
        ended++;
    return 0;
}
