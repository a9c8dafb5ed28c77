/*
 * unix_server.c - answers local clients, each by a process of its own.
 *
 * Partner:  unix_client, or nc -U, or any program that speaks AF_UNIX.
 * Calls:    socket, bind, listen, accept, fork, read, write, close, unlink.
 * Run:      build/unix_server       and, in a second terminal,
 *           build/unix_client
 *
 * It is an echo service (RFC 862): what arrives goes back. Given a REPLY, it
 * answers every read with that text: one read is not one message.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/arguments.h"
#include "../common/cleanup.h"
#include "../common/report.h"
#include "../common/transfer.h"

enum {
    BACKLOG = 128,               /* connections that may wait for accept */
    BUFFER_SIZE = 64 * 1024,     /* bytes per read: more gains no speed */
    RETRY_PAUSE = 200 * 1000000, /* nanoseconds until accept is tried again */
};

static const char usage[] =
    "usage: unix_server [-hq] [-n COUNT] [PATH [REPLY]]\n"
    "  PATH      the path to listen on (/tmp/unix_pair.socket)\n"
    "  REPLY     the answer to every read (echo: what was read)\n"
    "  -n COUNT  end when COUNT clients have been served\n"
    "  -q        quiet: do not tell the system calls\n"
    "  -h        show this help\n"
    "In parentheses: what is taken when it is left out.\n";

/* Binds the socket to the address, and makes its path ours to remove. */
static int bind_path(int listen_fd, const struct sockaddr_un *address,
                     const char *path)
{
    struct stat status;

    /* Ctrl-C before own_path() notes that the file is ours would leave it
     * behind: until then the signal waits. */
    hold_signals();
    int result =
        bind(listen_fd, (const struct sockaddr *)address, sizeof *address);
    if (result == 0) {
        result = lstat(path, &status);
    }
    if (result == 0) {
        own_path(path, &status);
    }
    release_signals();
    return result;
}

/* Returns a socket that listens on the path, or -1 after a warning. */
static int listen_on(const char *name)
{
    struct sockaddr_un address;

    /* socket: an endpoint of this family, so far without an address. */
    int listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listen_fd == -1) {
        return give_up(-1, "socket", name);
    }
    say("socket(AF_UNIX, SOCK_STREAM) = %d", listen_fd);

    /* bind: makes the socket file that clients connect to, for the owner
     * alone. One that a killed server has left is replaced. */
    if (unix_address(name, &address) == -1) {
        return give_up(listen_fd, "bind", name);
    }
    umask(S_IRWXG | S_IRWXO);
    int bound = bind_path(listen_fd, &address, name);
    if (bound == -1 && errno == EADDRINUSE) {
        say("bind(%d, %s) = -1, it is taken: does a server have it?", listen_fd,
            name);
        if (remove_stale_socket(&address) == 0) {
            bound = bind_path(listen_fd, &address, name);
        }
    }
    if (bound == -1) {
        return give_up(listen_fd, "bind", name);
    }
    say("bind(%d, %s) = 0", listen_fd, name);

    /* listen: from now on the kernel completes connections and queues them
     * for accept. A listening socket itself never carries data. */
    if (listen(listen_fd, BACKLOG) == -1) {
        return give_up(listen_fd, "listen", name);
    }
    say("listen(%d, %d) = 0", listen_fd, BACKLOG);

    announce("ready on %s", name);
    return listen_fd;
}

/* Waits for the next client. Returns its connected socket, and its address
 * as text in `peer`; or -1 when it is worth trying again. */
static int accept_client(int listen_fd, const char *name, char *peer,
                         size_t peer_size)
{
    const struct timespec retry_pause = {0, RETRY_PAUSE};
    struct sockaddr_storage address;
    socklen_t size = sizeof address;

    say("accept(%d) waits for a client", listen_fd);
    int conn_fd = accept(listen_fd, (struct sockaddr *)&address, &size);
    if (conn_fd == -1) {
        if (errno == EINTR) {
            return -1;
        }
        /* The client has gone already: the next one, please. Or descriptors
         * or memory are short, which passes; the pause keeps that from being
         * a busy loop. */
        warn("accept %s", name);
        if (errno != ECONNABORTED) {
            nanosleep(&retry_pause, NULL); /* may end early: no matter */
        }
        return -1;
    }
    address_text((struct sockaddr *)&address, size, peer, peer_size);
    say("accept(%d) = %d, client %s", listen_fd, conn_fd, peer);
    return conn_fd;
}

/* Answers one client until it has finished sending. Returns the child's exit
 * status: EXIT_SUCCESS when the client was served to the end. */
static int serve(int conn_fd, const char *peer, const char *reply)
{
    static char buffer[BUFFER_SIZE];
    struct tally reads = {.payload_shown = true};
    struct tally writes = {.payload_shown = reply != NULL};
    int status = EXIT_FAILURE;

    for (;;) {
        /* read: waits for the client, and takes what has come by now: a part
         * of a message, or several messages. */
        ssize_t nread = read(conn_fd, buffer, sizeof buffer);
        if (nread == -1 && errno == EINTR) {
            continue;
        }
        if (nread == -1) {
            warn("read %s", peer);
            break;
        }
        if (nread == 0) {
            say("read(%d) = 0, end of file: the client has finished sending",
                conn_fd);
            status = EXIT_SUCCESS;
            break;
        }
        say_data(&reads, "read", conn_fd, buffer, (size_t)nread);

        /* write: waits while the client does not read its answers. */
        const char *answer = reply == NULL ? buffer : reply;
        size_t size = reply == NULL ? (size_t)nread : strlen(reply);
        if (write_all(conn_fd, answer, size, &writes) == -1) {
            warn("write %s", peer);
            break;
        }
    }

    /* close: the client reads its last answers, and then end of file. */
    close(conn_fd); /* can fail for a wrong descriptor only */
    say("close(%d) = 0; reads: %lu, %llu bytes; writes: %lu, %llu bytes",
        conn_fd, reads.calls, reads.bytes, writes.calls, writes.bytes);
    return status;
}

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/unix_pair.socket", NULL};
    unsigned long count = 0;
    char peer[ADDRESS_SIZE];

    start_program("unix_server", PATHS);
    read_arguments(argc, argv, usage, operands, 2, &count);
    start_cleanup();

    const char *name = operands[0];
    int listen_fd = listen_on(name);
    if (listen_fd == -1) {
        give_hint(errno);
        return EXIT_FAILURE;
    }
    char *reply = operands[1] == NULL ? NULL : make_line(operands[1]);

    /* Ends after COUNT clients (-n); waits while too many are served. */
    while (wait_for_place(count)) {
        int conn_fd = accept_client(listen_fd, name, peer, sizeof peer);
        if (conn_fd == -1) {
            continue;
        }
        /* fork: the child serves this client, the parent accepts the next. A
         * child that ended before own_child() notes it would not be counted:
         * until then its signal waits. */
        hold_signals();
        pid_t child = fork();
        if (child == 0) {
            release_signals();
            name_process();
            close(listen_fd);
            say("close(%d) = 0, the parent accepts", listen_fd);
            _exit(serve(conn_fd, peer, reply));
        }
        if (child != -1) {
            own_child(child);
        }
        release_signals();
        if (child == -1) {
            warn("fork for %s", peer);
        } else {
            say("fork() = %ld, a child that serves it", (long)child);
        }
        close(conn_fd); /* the child has a copy */
        say("close(%d) = 0, %s", conn_fd,
            child == -1 ? "this client is dropped" : "the child serves");
    }

    remove_path(); /* while the socket is ours, so is the path */
    close(listen_fd);
    say("close(%d) = 0; clients served: %lu", listen_fd, count);
    free(reply);
    return EXIT_SUCCESS;
}
