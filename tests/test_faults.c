/*
 * test_faults.c - system calls that fail, in the real programs.
 *
 * strace makes a call return an error, without its being made (strace(1),
 * --inject). That is told with its symbol. What cannot go on ends, with
 * status 1; what can, goes on, and the next conversation works.
 */
#include <signal.h>
#include <unistd.h>

#include "harness.h"

enum { SKIPPED = 77 }; /* the exit status that CTest takes for "skipped" */

#define HELLO        "Hello, server!\n"
#define ACCEPT       "?accept,?accept4"
#define FORK         "?fork,?clone,?clone3"
#define MKFIFO       "?mknod,?mknodat"
#define OPEN         "?open,?openat"
#define LSTAT        "?lstat,?newfstatat"
#define SLEEP        "?nanosleep,?clock_nanosleep"
#define UNLINK       "?unlink,?unlinkat"
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct fault {
    const char *program; /* command line; NULL: that of the scene */
    const char *inject;  /* the fault, for strace */
    const char *said;    /* lines of the story; NULL: no failure is told */
    const char *printed; /* of the conversation; "": it fails */
};

/* Starts a program with a fault. It is our child, and strace is behind it
 * (-D). With a path, only calls on it are counted, and fail. */
static struct program *start_with(const char *inject, const char *path,
                                  const char *command)
{
    return start("strace -D -f -qq -o trace %s%s -e inject=%s %s",
                 *path == '\0' ? "" : "-P \"$PWD/path\" -P ", path, inject,
                 command);
}

/* Brings a fault to a program that runs, and to its children; each counts for
 * itself. What the C library reads, writes and closes at first is over. */
static struct program *bring(const char *inject, struct program *victim)
{
    struct program *tracer = start("strace -f -o trace -e inject=%s -p %ld",
                                   inject, (long)victim->pid);

    expect_said(tracer, "*attached*");
    return tracer;
}

static bool is_call(const struct fault *fault, const char *call)
{
    return strncmp(fault->inject, call, strlen(call)) == 0;
}

/* Whether the C library makes such calls, too, before main. */
static bool is_common(const struct fault *fault)
{
    return is_call(fault, "read:") || is_call(fault, "write:") ||
           is_call(fault, "close:");
}

/* The fault has happened, and is told, or not. The program has ended. */
static void check_fault(const struct fault *fault, struct program *victim)
{
    if (system("grep -q INJECTED trace") != 0)
        fail_msg("did not happen: %s", fault->inject);
    if (fault->said != NULL)
        expect_lines(victim, fault->said);
    else
        assert_int_equal(count_said(victim, "* = -1 *"), 0);
    unlink("trace");
}

/* ---- Nothing to go on with: status 1 ---- */

static const struct fault fatal_faults[] = {
    {"tcp_server 127.0.0.1 0", "socket:error=EMFILE",
     "*: socket(AF_INET, SOCK_STREAM) = -1 EMFILE (*", ""},
    {"tcp_server 127.0.0.1 0", "bind:error=EACCES",
     "*: bind(3, 127.0.0.1:0) = -1 EACCES (*\n*: hint: take a PORT from 1024*",
     ""},
    {"tcp_server 127.0.0.1 0", "listen:error=ENOBUFS",
     "*: listen(3, 128) = -1 ENOBUFS (*", ""},
    {"tcp_server 127.0.0.1 0", "getsockname:error=ENOBUFS",
     "*: getsockname(3) = -1 ENOBUFS (*", ""},
    {"unix_server path", "socket:error=EMFILE",
     "*: socket(AF_UNIX, SOCK_STREAM) = -1 EMFILE (*", ""},
    {"unix_server path", "bind:error=EPERM", "*: bind(3, path) = -1 EPERM (*",
     ""},
    {"unix_server path", "listen:error=ENOBUFS",
     "*: bind(3, path) = 0\n*: listen(3, 128) = -1 ENOBUFS (*", ""},
    {"udp_server 127.0.0.1 0", "socket:error=EMFILE",
     "*: socket(AF_INET, SOCK_DGRAM) = -1 EMFILE (*", ""},
    {"udp_server 127.0.0.1 0", "bind:error=EADDRNOTAVAIL",
     "*: bind(3, 127.0.0.1:0) = -1 EADDRNOTAVAIL (*\n*: hint: take an *", ""},
    {"udp_server 127.0.0.1 0", "getsockname:error=ENOBUFS",
     "*: getsockname(3) = -1 ENOBUFS (*", ""},
    {"tcp_client 127.0.0.1 1", "socket:error=ENFILE",
     "*: socket(AF_INET, SOCK_STREAM) = -1 ENFILE (*", ""},
    {"tcp_client 127.0.0.1 1", "connect:error=ETIMEDOUT",
     "*: connect(3, 127.0.0.1:1) = -1 ETIMEDOUT (*\n*: hint: check HOST*", ""},
    {"unix_client path", "socket:error=ENFILE",
     "*: socket(AF_UNIX, SOCK_STREAM) = -1 ENFILE (*", ""},
    {"unix_client path", "connect:error=EACCES",
     "*: connect(3, path) = -1 EACCES (*\n*: hint: take another PATH*", ""},
    {"udp_client 127.0.0.1 1", "socket:error=EMFILE",
     "*: socket(AF_INET, SOCK_DGRAM) = -1 EMFILE (*", ""},
    {"udp_client 127.0.0.1 1", "setsockopt:error=ENOMEM",
     "*: setsockopt(3, SO_RCVTIMEO) = -1 ENOMEM (*", ""},
    {"udp_client 127.0.0.1 1", "connect:error=ENETUNREACH",
     "*: connect(3, 127.0.0.1:1) = -1 ENETUNREACH (*", ""},
    {"udp_client 127.0.0.1 1", "sendto:error=EPERM",
     "*: sendto(3) = -1 EPERM (*", ""},
    {"udp_client 127.0.0.1 1", "recvfrom:error=ENOMEM",
     "*: recvfrom(3) = -1 ENOMEM (*", ""},
    {"fifo_writer path", MKFIFO ":error=ENOSPC",
     "*: mkfifo(path, 0600) = -1 ENOSPC (*", ""},
    {"fifo_writer path", OPEN ":error=EACCES",
     "*: open(path, O_WRONLY) = -1 EACCES (*\n*: hint: take another PATH*", ""},
    {"fifo_reader path", MKFIFO ":error=ENOSPC",
     "*: mkfifo(path, 0600) = -1 ENOSPC (*", ""},
    {"fifo_reader path", OPEN ":error=EACCES",
     "*: open(path, O_RDONLY) = -1 EACCES (*\n*: hint: take another PATH*", ""},
};

SCENE(what_cannot_go_on_ends)
{
    for (size_t i = 0; i < COUNT(fatal_faults); i++) {
        const struct fault *fault = &fatal_faults[i];
        const char *path =
            strncmp(fault->program, "fifo", 4) == 0 ? "path" : "";
        struct program *victim =
            start_with(fault->inject, path, fault->program);

        expect_status(victim, 1);
        check_fault(fault, victim);
        assert_false(is_there("path")); /* removed by the one who made it */
    }
}

/* ---- Stream servers: trouble with one client ---- */

static const struct fault server_faults[] = {
    {"tcp", "setsockopt:error=ENOMEM",
     "*: setsockopt(3, SO_REUSEADDR) = -1 ENOMEM (*", HELLO},
    {"unix", UNLINK ":error=EPERM", "*: unlink(path) = -1 EPERM (*", HELLO},
    {NULL, ACCEPT ":error=ECONNABORTED:when=1",
     "*: accept(3) = -1 ECONNABORTED (*\n*: accept(3*) = 4", HELLO},
    {NULL, ACCEPT ":error=EMFILE:when=1..2 -e inject=" SLEEP ":error=EINTR",
     "*: accept(3) = -1 EMFILE (*\n*: accept(3) = -1 EMFILE (*\n"
     "*: accept(3*) = 4",
     HELLO},
    {NULL, ACCEPT ":error=EINTR:when=1..3", NULL, HELLO},
    {NULL, FORK ":error=EAGAIN:when=1",
     "*: fork() = -1 EAGAIN (*\n*: close(4) = 0\n*: accept(3) waits *", ""},
    {NULL, "read:error=EINTR:when=1..2", NULL, HELLO},
    {NULL, "read:error=ECONNRESET:when=1", "*]: read(4) = -1 ECONNRESET (*",
     ""},
    {NULL, "write:error=EINTR:when=1..2", NULL, HELLO},
    {NULL, "write:error=EPIPE:when=1",
     "*]: write(4) = -1 EPIPE (*\n*]: hint: let the other side *", ""},
    {NULL, "write:retval=7:when=1", NULL, "server!\n"}, /* 7 are claimed */
    {NULL, "close:error=EIO:when=2", "*]: close(4) = -1 EIO (*", HELLO},
};

/* The first client, who sends only if somebody would read it, reads to the end
 * of file. */
static void visit(const struct fault *fault, const char *address)
{
    char answer[sizeof HELLO + 1] = "";
    int fd = connect_to(address);

    if (fault->printed[0] != '\0' || is_call(fault, "write"))
        transmit(fd, HELLO, strlen(HELLO));
    shutdown(fd, SHUT_WR);
    receive(fd, answer, sizeof answer - 1);
    assert_string_equal(answer, fault->printed);
    close(fd);
}

/* A server that counts two clients; one for whom fork failed does not count. */
static void trouble_server(const char *pair, const struct fault *fault)
{
    bool is_tcp = strcmp(pair, "tcp") == 0;
    bool is_fork = is_call(fault, FORK);
    const char *operands = is_tcp ? "127.0.0.1 0" : "path";
    struct program *tracer = NULL;
    struct program *server;

    if (is_common(fault)) { /* quiet: the first write is the answer */
        server = start("%s_server -q -n 2 %s", pair, operands);
        address_of(server);
        tracer = bring(fault->inject, server);
    } else {
        server = start_with(fault->inject, "",
                            formatted("%s_server -n 2 %s", pair, operands));
    }
    visit(fault, address_of(server));
    if (tracer != NULL) {
        signal_program(tracer, SIGTERM); /* the next child is spared */
        ends_with(tracer, 128 + SIGTERM);
    }
    for (int served = is_fork ? 0 : 1; served < 2; served++) {
        struct program *client =
            start("%s_client -q %s %s", pair, is_tcp ? "127.0.0.1" : "path",
                  is_tcp ? port_of(server) : "");
        expect_status(client, 0);
        expect_printed(client, HELLO);
    }
    expect_status(server, 0);
    check_fault(fault, server);
    if (tracer == NULL) /* no child for a failed accept */
        assert_int_equal(count_said(server, "*: fork() = *"), 4 + is_fork);
    if (is_call(fault, UNLINK))
        unlink("path");
}

SCENE(stream_servers_go_on)
{
    for (size_t i = 0; i < COUNT(server_faults); i++) {
        const struct fault *fault = &server_faults[i];

        trouble_server(fault->program != NULL ? fault->program : "tcp", fault);
        if (fault->program == NULL)
            trouble_server("unix", fault);
    }
}

/* ---- Stream clients: reads 1 and 2 are input and answer, writes 1 and 2 the
 * question and what is printed ---- */

static const struct fault client_faults[] = {
    {NULL, "?poll,?ppoll:error=EINTR:when=1..2", NULL, "answer\n"},
    {NULL, "fcntl:error=ENOMEM:when=4",
     "*: fcntl(3, F_SETFL, O_NONBLOCK) = -1 ENOMEM (*", ""},
    {NULL, "shutdown:error=ENOTCONN",
     "*: shutdown(3, SHUT_WR) = -1 ENOTCONN (*", "answer\n"},
    {NULL, "read:error=EINTR:when=1..2", NULL, "answer\n"},
    {NULL, "read:error=EINTR:when=2..3", NULL, "answer\n"},
    {NULL, "read:error=EIO:when=1", "*: read(0) = -1 EIO (*", ""},
    {NULL, "read:error=ECONNRESET:when=2", "*: read(3) = -1 ECONNRESET (*", ""},
    {NULL, "write:error=EINTR:when=1..2", NULL, "answer\n"},
    {NULL, "write:error=EAGAIN:when=1..2", NULL, "answer\n"},
    {NULL, "write:error=EPIPE:when=1",
     "*: write(3) = -1 EPIPE (*\n*: hint: let the other side *\n"
     "*: the server closed before the end of the input",
     ""},
    {NULL, "write:retval=4:when=1", NULL, "answer\n"}, /* 4 are claimed */
    {NULL, "write:error=EINTR:when=2..3", NULL, "answer\n"},
    {NULL, "write:error=ENOSPC:when=2", "*: write(1) = -1 ENOSPC (*", ""},
    {NULL, "close:error=EIO:when=1", "*: close(3) = -1 EIO (*", "answer\n"},
};

static void trouble_client(const char *pair, const struct fault *fault)
{
    bool is_tcp = strcmp(pair, "tcp") == 0;
    bool is_cut = strstr(fault->inject, "retval") != NULL;
    bool is_asked =
        fault->printed[0] != '\0' || strstr(fault->inject, ":when=2") != NULL;
    const char *question = is_cut ? "tion\n" : "question\n";
    char received[sizeof "question\n"] = "";
    struct program *tracer = NULL;
    struct program *client;
    int listen_fd = listen_on(is_tcp ? "127.0.0.1:0" : "path");
    const char *command =
        is_tcp ? formatted("tcp_client -q 127.0.0.1 %s -", own_port(listen_fd))
               : "unix_client -q path -";

    client = is_common(fault) ? start("%s", command)
                              : start_with(fault->inject, "", command);
    int conn_fd = accept_from(listen_fd);
    if (is_common(fault))
        tracer = bring(fault->inject, client);
    type(client, "question\n");
    if (is_asked) {
        receive(conn_fd, received, strlen(question));
        assert_string_equal(received, question);
        transmit(conn_fd, "answer\n", strlen("answer\n"));
        expect_printed(client, fault->printed);
    }
    if (fault->printed[0] != '\0')
        end_input(client);
    if (fault->printed[0] == '\0' || is_call(fault, "shutdown"))
        expect_lines(client, fault->said);
    else
        assert_int_equal(receive(conn_fd, received, 1), 0);
    close(conn_fd);
    expect_status(client, fault->printed[0] == '\0');
    if (tracer != NULL)
        expect_status(tracer, 0);
    check_fault(fault, client);
    close(listen_fd);
    unlink("path");
}

SCENE(stream_clients_go_on)
{
    for (size_t i = 0; i < COUNT(client_faults); i++) {
        trouble_client("tcp", &client_faults[i]);
        trouble_client("unix", &client_faults[i]);
    }
}

/* ---- UDP ---- */

static const struct fault udp_faults[] = {
    {"server", "recvfrom:error=EINTR:when=1..2", NULL, HELLO},
    {"server", "recvfrom:error=ENOMEM:when=1 -e inject=" SLEEP ":error=EINTR",
     "*: recvfrom(3) = -1 ENOMEM (*\n*: recvfrom(3, *) = 14*", HELLO},
    {"server", "sendto:error=EPERM:when=1", "*: sendto(3, *) = -1 EPERM (*",
     HELLO}, /* the client asks again */
    {"client", "recvfrom:error=EINTR:when=1..2", NULL, HELLO},
    {"client", "recvfrom:error=EAGAIN:when=1", "*: recvfrom(3) = -1 EAGAIN (*",
     HELLO},
    {"client", "recvfrom:error=EAGAIN",
     "*: recvfrom(3) = -1 EAGAIN (*\n*: recvfrom(3) = -1 EAGAIN (*\n"
     "*: recvfrom(3) = -1 EAGAIN (*\n*: hint: start udp_server, check*",
     ""},
    {"client", "write:error=EINTR:when=1..2", NULL, HELLO},
    {"client", "write:error=ENOSPC:when=1", "*: write(1) = -1 ENOSPC (*", ""},
};

SCENE(udp_goes_on)
{
    for (size_t i = 0; i < COUNT(udp_faults); i++) {
        const struct fault *fault = &udp_faults[i];
        bool is_server = strcmp(fault->program, "server") == 0;
        struct program *server =
            is_server
                ? start_with(fault->inject, "", "udp_server -n 1 127.0.0.1 0")
                : start("udp_server -q 127.0.0.1 0");
        const char *command =
            formatted("udp_client -q 127.0.0.1 %s", port_of(server));
        struct program *client = is_server
                                     ? start("%s", command)
                                     : start_with(fault->inject, "", command);

        expect_status(client, fault->printed[0] == '\0');
        expect_printed(client, fault->printed);
        if (is_server)
            expect_status(server, 0);
        check_fault(fault, is_server ? server : client);
    }
}

/* ---- FIFO: only calls on the path ---- */

static const struct fault fifo_faults[] = {
    {"writer", LSTAT ":error=ENOENT:when=1", NULL, "Hello, reader!\n"},
    {"writer", LSTAT ":error=EIO:when=1", "*: stat(path) = -1 EIO (*", ""},
    {"writer", "?fstat:error=EIO -e inject=?newfstatat:error=EIO:when=2",
     "*: stat(path) = -1 EIO (*", ""},
    {"writer", OPEN ":error=ENOENT:when=1",
     "*: open(path, O_WRONLY) = -1 ENOENT (*", "Hello, reader!\n"},
    {"writer", "write:error=EINTR:when=1..2", NULL, "Hello, reader!\n"},
    {"writer", "write:retval=7:when=1", NULL, "reader!\n"}, /* 7 are claimed */
    {"writer", "write:error=EPIPE:when=1",
     "*: write(3) = -1 EPIPE (*\n*: hint: let the other side *", ""},
    {"writer", "close:error=EIO", "*: close(3) = -1 EIO (*",
     "Hello, reader!\n"},
    {"reader", LSTAT ":error=ENOENT:when=1", NULL, "Hello, reader!\n"},
    {"reader", "?fstat:error=EIO -e inject=?newfstatat:error=EIO:when=2",
     "*: stat(path) = -1 EIO (*", ""},
    {"reader", OPEN ":error=ENOENT:when=1",
     "*: open(path, O_RDONLY) = -1 ENOENT (*", "Hello, reader!\n"},
    {"reader", "read:error=EINTR:when=1..2", NULL, "Hello, reader!\n"},
    {"reader", "read:error=EIO:when=1", "*: read(3) = -1 EIO (*", ""},
    {"reader", UNLINK ":error=EPERM", "*: unlink(path) = -1 EPERM (*",
     "Hello, reader!\n"},
    {"reader", "close:error=EIO", "*: close(3) = -1 EIO (*",
     "Hello, reader!\n"},
    {"reader", SLEEP ":error=EINTR", NULL, "Hello, reader!\n"},
};

SCENE(fifo_goes_on)
{
    for (size_t i = 0; i < COUNT(fifo_faults); i++) {
        const struct fault *fault = &fifo_faults[i];
        bool is_writer = strcmp(fault->program, "writer") == 0;
        struct program *partner =
            start("fifo_%s path", is_writer ? "reader" : "writer");

        expect_said(partner, "*: open(path, *) waits *");
        struct program *victim =
            start_with(fault->inject, is_call(fault, SLEEP) ? "" : "path",
                       formatted("fifo_%s -q path", fault->program));
        expect_status(victim, fault->printed[0] == '\0');
        check_fault(fault, victim);
        if (fault->printed[0] != '\0')
            expect_status(partner, 0);
        expect_printed(is_writer ? partner : victim, fault->printed);
        unlink("path");
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_go_on_ends), TEST(stream_servers_go_on),
        TEST(stream_clients_go_on),   TEST(udp_goes_on),
        TEST(fifo_goes_on),
    };

    /* A leak checker can't work in a program that is traced. */
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    /* strace has to attach itself to programs that are not its children. */
    if (system("strace -D -qq -o /dev/null -e inject=getpid:error=EIO true "
               "2>/dev/null && { [ $(id -u) = 0 ] || "
               "! grep -q [123] /proc/sys/kernel/yama/ptrace_scope; }") != 0) {
        fprintf(stderr, "Skipped: strace is missing, or may not trace here\n");
        return getenv("FAULTS_REQUIRED") == NULL ? SKIPPED : 1;
    }
    return play_tests("faults", tests, argc, argv);
}
