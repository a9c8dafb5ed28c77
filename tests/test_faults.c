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
#define AND_SLEEP    " -e inject=" SLEEP ":error=EINTR"
#define FSTAT        "?fstat:error=EIO -e inject=?newfstatat:error=EIO:when=2"
#define UNLINK       "?unlink,?unlinkat"
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct fault {
    const char *program; /* command line, or a part; "": both stream pairs */
    const char *inject;  /* the fault, for strace; retval: what is claimed */
    const char *said;    /* the call in the story; "": it is not told */
    bool works;          /* the conversation, or else it fails */
};

static bool is_call(const struct fault *fault, const char *call)
{
    return strncmp(fault->inject, call, strlen(call)) == 0;
}

/* Whether the C library makes such calls, too, before main; those of FIFOs are
 * told apart by their path. */
static bool is_common(const struct fault *fault, const char *command)
{
    return command[0] != 'f' &&
           (is_call(fault, "read:") || is_call(fault, "write:") ||
            is_call(fault, "close:"));
}

/* Starts a program; with its fault, unless bring() has to. It is our child, and
 * strace is behind it (-D). All are quiet: they write failures and data. */
static struct program *start_victim(const struct fault *fault,
                                    const char *command)
{
    bool is_fifo = command[0] == 'f' && !is_call(fault, SLEEP);

    if (is_common(fault, command))
        return start("%s", command);
    return start("strace -D -f -qq -o trace %s -e inject=%s %s",
                 is_fifo ? "-P path -P \"$PWD/path\"" : "", fault->inject,
                 command);
}

/* Brings the fault to a program that runs, and to its children; each counts for
 * itself. What the C library reads, writes and closes at first is over. */
static struct program *bring(const struct fault *fault, struct program *victim)
{
    struct program *tracer = NULL;

    if (is_common(fault, victim->command)) {
        tracer = start("strace -f -o trace -e inject=%s -p %ld", fault->inject,
                       (long)victim->pid);
        expect_said(tracer, "*attached*");
    }
    return tracer;
}

/* The line that tells the fault, with the symbol that was injected. */
static const char *line_of(const struct fault *fault)
{
    const char *error = strstr(fault->inject, "error=") + strlen("error=");

    return formatted("*: %s = -1 %.*s (*", fault->said,
                     (int)strspn(error, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), error);
}

/* The fault has happened, and was told as often, or not at all; and no other
 * failure, as a child for a failed accept had. The program has ended. */
static void check_fault(const struct fault *fault, struct program *victim)
{
    const char *last = strstr(fault->inject, "..");
    size_t count = last == NULL ? 1 : (size_t)atoi(last + 2);

    if (system("grep -q INJECTED trace") != 0)
        fail_msg("did not happen: %s", fault->inject);
    if (fault->said[0] == '\0')
        count = 0;
    else
        assert_int_equal(count_said(victim, line_of(fault)), count);
    assert_int_equal(count_said(victim, "* = -1 *"), count);
    unlink("trace");
}

/* What is still written of a text when strace claims that a part was. */
static const char *what_is_left(const struct fault *fault, const char *text)
{
    const char *claimed = strstr(fault->inject, "retval=");

    return claimed == NULL ? text : text + atoi(claimed + strlen("retval="));
}

/* ---- Nothing to go on with: status 1 ---- */

static const struct fault fatal_faults[] = {
    {"tcp_server", "socket:error=EMFILE", "socket(AF_INET, *)", false},
    {"tcp_server", "bind:error=EACCES", "bind(3, 127.0.0.1:0)", false},
    {"tcp_server", "listen:error=ENOBUFS", "listen(3, 128)", false},
    {"tcp_server", "getsockname:error=ENOBUFS", "getsockname(3)", false},
    {"unix_server", "socket:error=EMFILE", "socket(AF_UNIX, *)", false},
    {"unix_server", "bind:error=EPERM", "bind(3, path)", false},
    {"unix_server", "listen:error=ENOBUFS", "listen(3, 128)", false},
    {"udp_server", "socket:error=EMFILE", "socket(AF_INET, *)", false},
    {"udp_server", "bind:error=EADDRNOTAVAIL", "bind(3, 127.0.0.1:0)", false},
    {"udp_server", "getsockname:error=ENOBUFS", "getsockname(3)", false},
    {"tcp_client", "socket:error=ENFILE", "socket(AF_INET, *)", false},
    {"tcp_client", "connect:error=ETIMEDOUT", "connect(3, 127.0.0.1:1)", false},
    {"unix_client", "socket:error=ENFILE", "socket(AF_UNIX, *)", false},
    {"unix_client", "connect:error=EACCES", "connect(3, path)", false},
    {"udp_client", "socket:error=EMFILE", "socket(AF_INET, *)", false},
    {"udp_client", "setsockopt:error=ENOMEM", "setsockopt(3, SO_RCVTIMEO)",
     false},
    {"udp_client", "connect:error=ENETUNREACH", "connect(3, 127.0.0.1:1)",
     false},
    {"udp_client", "sendto:error=EPERM", "sendto(3)", false},
    {"udp_client", "recvfrom:error=ENOMEM", "recvfrom(3)", false},
    {"fifo_writer", MKFIFO ":error=ENOSPC", "mkfifo(path, 0600)", false},
    {"fifo_writer", OPEN ":error=EACCES", "open(path, O_WRONLY)", false},
    {"fifo_reader", MKFIFO ":error=ENOSPC", "mkfifo(path, 0600)", false},
    {"fifo_reader", OPEN ":error=EACCES", "open(path, O_RDONLY)", false},
};

SCENE(what_cannot_go_on_ends)
{
    for (size_t i = 0; i < COUNT(fatal_faults); i++) {
        const struct fault *fault = &fatal_faults[i];
        const char *name = fault->program;
        const char *operands = name[1] == 'n' || name[0] == 'f' ? "path"
                               : strstr(name, "server") != NULL ? "127.0.0.1 0"
                                                                : "127.0.0.1 1";
        struct program *victim =
            start_victim(fault, formatted("%s -q %s", name, operands));

        expect_status(victim, 1);
        check_fault(fault, victim);
        assert_false(is_there("path")); /* removed by the one who made it */
    }
}

/* ---- Stream servers: trouble with one client ---- */

static const struct fault server_faults[] = {
    {"tcp", "setsockopt:error=ENOMEM", "setsockopt(3, SO_REUSEADDR)", true},
    {"unix", UNLINK ":error=EPERM", "unlink(path)", true},
    {"", ACCEPT ":error=ECONNABORTED:when=1", "accept(3)", true},
    {"", ACCEPT ":error=EMFILE:when=1..2" AND_SLEEP, "accept(3)", true},
    {"", ACCEPT ":error=EINTR:when=1..3", "", true},
    {"", FORK ":error=EAGAIN:when=1", "fork()", false},
    {"", "read:error=EINTR:when=1..2", "", true},
    {"", "read:error=ECONNRESET:when=1", "read(4)", false},
    {"", "write:error=EINTR:when=1..2", "", true},
    {"", "write:error=EPIPE:when=1", "write(4)", false},
    {"", "write:retval=7:when=1", "", true},
    {"", "close:error=EIO:when=2", "close(4)", true},
};

/* A client who sends only if somebody reads it, and itself reads to the end. */
static void visit(const struct fault *fault, const char *address)
{
    char answer[sizeof HELLO + 1] = "";
    int fd = connect_to(address);

    if (fault->works || is_call(fault, "write"))
        transmit(fd, HELLO, strlen(HELLO));
    if (fault->works)
        shutdown(fd, SHUT_WR); /* or else the server ends it, by itself */
    receive(fd, answer, sizeof answer - 1);
    assert_string_equal(answer, fault->works ? what_is_left(fault, HELLO) : "");
    close(fd);
}

/* The server counts two clients, but none for whom fork has failed. */
static void trouble_server(bool is_tcp, const struct fault *fault)
{
    struct program *server =
        start_victim(fault, is_tcp ? "tcp_server -q -n 2 127.0.0.1 0"
                                   : "unix_server -q -n 2 path");
    const char *address = address_of(server);
    struct program *tracer = bring(fault, server);

    visit(fault, address);
    if (tracer != NULL) {
        signal_program(tracer, SIGTERM); /* the next child is spared */
        ends_with(tracer, 128 + SIGTERM);
    }
    for (int served = is_call(fault, FORK) ? 0 : 1; served < 2; served++) {
        struct program *client =
            is_tcp ? start("tcp_client -q 127.0.0.1 %s", port_of(server))
                   : start("unix_client -q path");
        expect_status(client, 0);
        expect_printed(client, HELLO);
    }
    expect_status(server, 0);
    check_fault(fault, server);
    unlink("path"); /* it may be there after its unlink has failed */
}

/* ---- Stream clients: reads 1 and 2 are input and answer, writes 1 and 2 the
 * question and what is printed ---- */

static const struct fault client_faults[] = {
    {"", "?poll,?ppoll:error=EINTR:when=1..2", "", true},
    {"", "fcntl:error=ENOMEM:when=4", "fcntl(3, F_SETFL, *)", false},
    {"", "shutdown:error=ENOTCONN", "shutdown(3, SHUT_WR)", true},
    {"", "read:error=EINTR:when=1..2", "", true},
    {"", "read:error=EINTR:when=2..3", "", true},
    {"", "read:error=EIO:when=1", "read(0)", false},
    {"", "read:error=ECONNRESET:when=2", "read(3)", false},
    {"", "write:error=EINTR:when=1..2", "", true},
    {"", "write:error=EAGAIN:when=1..2", "", true},
    {"", "write:error=EPIPE:when=1", "write(3)", false},
    {"", "write:retval=4:when=1", "", true},
    {"", "write:error=EINTR:when=2..3", "", true},
    {"", "write:error=ENOSPC:when=2", "write(1)", false},
    {"", "close:error=EIO:when=1", "close(3)", true},
};

static void trouble_client(bool is_tcp, const struct fault *fault)
{
    const char *question = what_is_left(fault, "question\n");
    char received[sizeof "question\n"] = "";
    int listen_fd = listen_on(is_tcp ? "127.0.0.1:0" : "path");
    struct program *client =
        start_victim(fault, is_tcp ? formatted("tcp_client -q 127.0.0.1 %s -",
                                               own_port(listen_fd))
                                   : "unix_client -q path -");
    int conn_fd = accept_from(listen_fd);
    struct program *tracer = bring(fault, client);

    type(client, "question\n");
    if (fault->works || strstr(fault->inject, "when=2") != NULL) {
        receive(conn_fd, received, strlen(question));
        assert_string_equal(received, question);
        transmit(conn_fd, "answer\n", strlen("answer\n"));
    }
    if (fault->works) {
        expect_printed(client, "answer\n");
        end_input(client);
    }
    if (!fault->works || is_call(fault, "shutdown"))
        expect_said(client, line_of(fault));
    else
        assert_int_equal(receive(conn_fd, received, 1), 0);
    close(conn_fd);
    expect_status(client, fault->works ? 0 : 1);
    if (tracer != NULL)
        expect_status(tracer, 0);
    check_fault(fault, client);
    close(listen_fd);
    unlink("path");
}

SCENE(stream_programs_go_on)
{
    for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
        const char *other = is_tcp ? "unix" : "tcp";

        for (size_t i = 0; i < COUNT(server_faults); i++)
            if (strcmp(server_faults[i].program, other) != 0)
                trouble_server(is_tcp, &server_faults[i]);
        for (size_t i = 0; i < COUNT(client_faults); i++)
            trouble_client(is_tcp, &client_faults[i]);
    }
}

/* ---- UDP ---- */

static const struct fault udp_faults[] = {
    {"server", "recvfrom:error=EINTR:when=1..2", "", true},
    {"server", "recvfrom:error=ENOMEM:when=1" AND_SLEEP, "recvfrom(3)", true},
    {"server", "sendto:error=EPERM:when=1", "sendto(3, *)", true},
    {"client", "recvfrom:error=EINTR:when=1..2", "", true},
    {"client", "recvfrom:error=EAGAIN:when=1", "recvfrom(3)", true},
    {"client", "recvfrom:error=EAGAIN:when=1..3", "recvfrom(3)", false},
};

SCENE(udp_goes_on)
{
    for (size_t i = 0; i < COUNT(udp_faults); i++) {
        const struct fault *fault = &udp_faults[i];
        bool is_server = strcmp(fault->program, "server") == 0;
        const char *command = "udp_server -q -n 1 127.0.0.1 0";
        struct program *server = is_server ? start_victim(fault, command)
                                           : start("udp_server 127.0.0.1 0");

        command = formatted("udp_client -q 127.0.0.1 %s", port_of(server));
        struct program *client =
            is_server ? start("%s", command) : start_victim(fault, command);
        struct program *victim = is_server ? server : client;
        expect_status(client, fault->works ? 0 : 1);
        expect_printed(client, fault->works ? HELLO : "");
        expect_status(victim, fault->works ? 0 : 1);
        check_fault(fault, victim);
    }
}

/* ---- FIFO: only calls on the path ---- */

static const struct fault fifo_faults[] = {
    {"writer", LSTAT ":error=ENOENT:when=1", "", true},
    {"writer", LSTAT ":error=EIO:when=1", "lstat(path)", false},
    {"writer", FSTAT, "*stat(*)", false},
    {"writer", OPEN ":error=ENOENT:when=1", "", true},
    {"writer", "write:error=EINTR:when=1..2", "", true},
    {"writer", "write:retval=7:when=1", "", true},
    {"writer", "write:error=EPIPE:when=1", "write(3)", false},
    {"writer", "close:error=EIO", "close(3)", true},
    {"reader", LSTAT ":error=ENOENT:when=1", "", true},
    {"reader", FSTAT, "*stat(*)", false},
    {"reader", OPEN ":error=ENOENT:when=1", "", true},
    {"reader", "read:error=EINTR:when=1..2", "", true},
    {"reader", "read:error=EIO:when=1", "read(3)", false},
    {"reader", UNLINK ":error=EPERM", "unlink(path)", true},
    {"reader", "close:error=EIO", "close(3)", true},
    {"reader", SLEEP ":error=EINTR", "", true},
};

SCENE(fifo_goes_on)
{
    for (size_t i = 0; i < COUNT(fifo_faults); i++) {
        const struct fault *fault = &fifo_faults[i];
        bool is_writer = strcmp(fault->program, "writer") == 0;
        const char *printed = what_is_left(fault, "Hello, reader!\n");
        struct program *partner =
            start("fifo_%s path", is_writer ? "reader" : "writer");

        expect_said(partner, "*: open(path, *) waits *");
        struct program *victim =
            start_victim(fault, formatted("fifo_%s -q path", fault->program));
        expect_status(victim, fault->works ? 0 : 1);
        check_fault(fault, victim);
        if (fault->works)
            expect_status(partner, 0);
        expect_printed(is_writer ? partner : victim,
                       fault->works ? printed : "");
        unlink("path");
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_go_on_ends),
        TEST(stream_programs_go_on),
        TEST(udp_goes_on),
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
