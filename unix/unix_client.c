/*
 * unix_client.c - sends a message to a local server and prints the answer.
 *
 * Partner:  unix_server, or nc -lU, or any program that speaks AF_UNIX.
 * Calls:    socket, connect, select, write, read, shutdown, close.
 * Run:      build/unix_server                       in another terminal, then
 *           build/unix_client
 *           build/unix_client /tmp/unix_pair.socket -     to type, until Ctrl-D
 *
 * It reads the answer while it is still writing. A client that writes all
 * before it reads may wait for ever, for a server that waits to be read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/arguments.h"
#include "../common/report.h"
#include "../common/transfer.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* bytes per read: more gains no speed */
    SILENCE = 2,             /* seconds until we tell what we wait for */
};

static const char usage[] =
    "usage: unix_client [-hq] [PATH [MESSAGE]]\n"
    "  PATH     the server's path (/tmp/unix_pair.socket)\n"
    "  MESSAGE  the text to send, - for standard input (Hello, server!)\n"
    "  -q       quiet: do not tell the system calls\n"
    "  -h       show this help\n"
    "In parentheses: what is taken when it is left out.\n";

/* A connection, and what is on its way from our input to the server. */
struct conversation {
    int sock_fd;
    const char *server; /* its path, for messages */
    bool input_open;    /* standard input may have more */
    const char *unsent; /* what was read of it and is not sent yet */
    size_t unsent_size;
    bool sending; /* not yet half-closed */
    bool failed;
    struct tally reads;
    struct tally writes;
};

/* Connects to the path. Returns 0, or -1 after a warning. */
static int connect_to(const char *server, struct conversation *talk)
{
    struct sockaddr_un address;

    if (unix_address(server, &address) == -1) {
        return give_up(-1, "connect", server);
    }
    /* socket: an endpoint of this family, so far without an address. */
    int sock_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (sock_fd == -1) {
        return give_up(-1, "socket", server);
    }
    say("socket(AF_UNIX, SOCK_STREAM) = %d", sock_fd);

    /* connect: waits for the kernel on the other side, which completes the
     * connection even before the server calls accept. */
    say("connect(%d, %s) waits for the server", sock_fd, server);
    if (connect(sock_fd, (struct sockaddr *)&address, sizeof address) == -1 &&
        (errno != EINTR || finish_connect(sock_fd) == -1)) {
        return give_up(sock_fd, "connect", server);
    }
    say("connect(%d, %s) = 0", sock_fd, server);

    talk->sock_fd = sock_fd;
    talk->server = server;
    return 0;
}

/* Takes the next piece of standard input; from a terminal that is a line. */
static void read_input(struct conversation *talk)
{
    static char buffer[BUFFER_SIZE];
    ssize_t nread = read(STDIN_FILENO, buffer, sizeof buffer);

    if (nread == -1) {
        if (!must_repeat()) {
            die("read standard input");
        }
        return;
    }
    talk->input_open = nread > 0;
    talk->unsent = buffer;
    talk->unsent_size = (size_t)nread;
}

/* write: takes as many bytes as there is room for in the socket buffer. */
static void send_some(struct conversation *talk)
{
    ssize_t nwritten = write(talk->sock_fd, talk->unsent, talk->unsent_size);

    if (nwritten == -1) {
        if (!must_repeat()) {
            /* The server has gone, and may have left an answer to read. */
            warn("write %s", talk->server);
            give_hint(errno);
            talk->failed = true;
            talk->sending = false;
            talk->input_open = false;
            talk->unsent_size = 0;
        }
        return;
    }
    say_data(&talk->writes, "write", talk->sock_fd, talk->unsent,
             (size_t)nwritten);
    talk->unsent += nwritten;
    talk->unsent_size -= (size_t)nwritten;
}

/* read: takes what has come of the answer by now, and prints it. Returns
 * false when nothing more can come. */
static bool print_answer(struct conversation *talk)
{
    static char buffer[BUFFER_SIZE];
    ssize_t nread = read(talk->sock_fd, buffer, sizeof buffer);

    if (nread == -1) {
        if (must_repeat()) {
            return true;
        }
        if (!talk->failed) {
            warn("read %s", talk->server);
            give_hint(errno);
        }
        talk->failed = true;
        return false;
    }
    if (nread == 0) {
        say("read(%d) = 0, end of file: the server has closed", talk->sock_fd);
        if (talk->input_open || talk->unsent_size > 0) {
            announce("read %s: the server closed before the end of the input",
                     talk->server);
            announce("hint: was it ended, or does it close early? Some of the "
                     "input may have no answer");
            talk->failed = true;
        }
        return false;
    }
    say_data(&talk->reads, "read", talk->sock_fd, buffer, (size_t)nread);
    if (write_all(STDOUT_FILENO, buffer, (size_t)nread, NULL) == -1) {
        die("write standard output");
    }
    return true;
}

/* shutdown: half-closes. The server reads end of file, and can still write. */
static void finish_sending(struct conversation *talk)
{
    talk->sending = false;
    if (shutdown(talk->sock_fd, SHUT_WR) == 0) {
        say("shutdown(%d, SHUT_WR) = 0, all is sent; the answer may still come",
            talk->sock_fd);
    } else if (errno != ENOTCONN) { /* else it has closed: read tells how */
        die("shutdown %s", talk->server);
    }
}

/* select: waits until there is input or an answer to read, or room to write.
 * Stores what can be read. */
static void wait_for_either(const struct conversation *talk, fd_set *readable)
{
    static const char *told; /* what was told last: not again */
    const unsigned sock = (unsigned)talk->sock_fd; /* FD_SET of musl wants it */
    const char *awaited = "the answer and for the server to close";
    struct timeval silence = {SILENCE, 0};
    fd_set writable;

    FD_ZERO(readable);
    FD_ZERO(&writable);
    FD_SET(sock, readable);
    if (talk->unsent_size > 0) {
        FD_SET(sock, &writable);
        awaited = "the server to read what it was sent";
    } else if (talk->input_open) {
        FD_SET(STDIN_FILENO, readable);
        awaited = "input (Ctrl-D ends it) or an answer";
    }
    int ready = select(talk->sock_fd + 1, readable, &writable, NULL, &silence);
    if (ready == -1) {
        if (errno != EINTR) {
            die("select %s", talk->server);
        }
        FD_ZERO(readable);
    }
    if (ready == 0 && told != awaited) {
        say("select waits for %s", awaited);
        told = awaited;
    }
}

/* Sends and receives, whatever can be done first, until the server closes. */
static void converse(struct conversation *talk)
{
    bool answering = true;

    if (talk->sock_fd >= FD_SETSIZE) {
        errno = EMFILE; /* an fd_set has no room for it */
        die("select %s", talk->server);
    }
    /* Only select may wait. A write that waited for room would keep us from
     * reading the answer, and the server from reading what we write. */
    int flags = fcntl(talk->sock_fd, F_GETFL);
    if (flags == -1 ||
        fcntl(talk->sock_fd, F_SETFL, flags | O_NONBLOCK) == -1) {
        die("fcntl %s", talk->server);
    }

    while (answering) {
        fd_set readable;

        if (talk->sending && !talk->input_open && talk->unsent_size == 0) {
            finish_sending(talk);
        }
        wait_for_either(talk, &readable);
        if (FD_ISSET(STDIN_FILENO, &readable)) {
            read_input(talk);
        }
        if (FD_ISSET((unsigned)talk->sock_fd, &readable)) {
            answering = print_answer(talk);
        }
        /* If there is no room, write says EAGAIN, and nothing is lost. */
        if (answering && talk->unsent_size > 0) {
            send_some(talk);
        }
    }
}

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/unix_pair.socket", "Hello, server!"};
    struct conversation talk = {.sock_fd = -1,
                                .sending = true,
                                .reads.payload_shown = true,
                                .writes.payload_shown = true};

    start_program("unix_client", PATHS);
    read_arguments(argc, argv, usage, operands, 2, NULL);

    if (connect_to(operands[0], &talk) == -1) {
        give_hint(errno);
        return EXIT_FAILURE;
    }

    char *message = NULL;
    if (strcmp(operands[1], "-") == 0) {
        talk.input_open = true;
    } else {
        message = make_line(operands[1]);
        talk.unsent = message;
        talk.unsent_size = strlen(message);
    }
    converse(&talk);

    /* close: the end of the connection, for both directions. */
    close(talk.sock_fd); /* can fail for a wrong descriptor only */
    say("close(%d) = 0; writes: %lu, %llu bytes; reads: %lu, %llu bytes",
        talk.sock_fd, talk.writes.calls, talk.writes.bytes, talk.reads.calls,
        talk.reads.bytes);
    free(message);
    return talk.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
