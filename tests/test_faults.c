/*
 * test_faults.c - system calls that fail, in the real programs.
 *
 * strace makes a call return an error, without its being made (strace(1),
 * --inject). That is told with its symbol. What cannot go on ends, with
 * status 1 and a hint for this call and error; what can, goes on, and the next
 * conversation works.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "harness.h"

enum { SKIPPED = 77 }; /* the exit status that CTest takes for "skipped" */

#define HELLO        "Hello, server!\n"
#define ACCEPT       "?accept,?accept4"
#define FORK         "?fork,?clone,?clone3"
#define MKFIFO       "?mknod,?mknodat"
#define OPEN         "?open,?openat"
#define SLEEP        "?nanosleep,?clock_nanosleep"
#define AND_SLEEP    " -e inject=" SLEEP ":error=EINTR"
#define LSTAT        "?lstat,?newfstatat"
#define UNLINK       "?unlink,?unlinkat"
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

struct fault {
    const char *program; /* or whose fault it is; "": both */
    const char *inject;  /* the fault, for strace; retval: what is claimed */
    const char *said;    /* the call in the story; "": it is not told */
    bool works;          /* the conversation, or else it fails */
    int status;          /* of the program */
};

static bool is_call(const struct fault *fault, const char *call)
{
    return strncmp(fault->inject, call, strlen(call)) == 0;
}

/* Starts a program with its fault. It is our child, and strace is behind it
 * (-D). All are quiet: what they write are failures and data. The faults of
 * FIFOs are those of calls on the path. */
static struct program *start_victim(const struct fault *fault,
                                    const char *command)
{
    const char *only = command[0] == 'f' ? "-P path -P \"$PWD/path\"" : "";

    return start("strace -D -f -qq -o trace %s -e inject=%s %s", only,
                 fault->inject, command);
}

/* Brings the fault to a process that runs already, and, with "-f", to its
 * children; each counts for itself. What the C library reads, writes and closes
 * at first is over. */
static struct program *bring(const struct fault *fault, const char *options,
                             long process)
{
    struct program *tracer = start("strace %s -o trace -e inject=%s -p %ld",
                                   options, fault->inject, process);

    expect_said(tracer, "*attached*");
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
 * failure, as a child for a failed accept had. Who pauses has slept as often.
 * The program has ended. */
static void check_fault(const struct fault *fault, struct program *victim)
{
    const char *last = strstr(fault->inject, "..");
    size_t count = last == NULL ? 1 : (size_t)atoi(last + 2);

    if (system("grep -q INJECTED trace") != 0)
        fail_msg("did not happen: %s", fault->inject);
    if (strstr(fault->inject, AND_SLEEP) != NULL &&
        system(formatted("[ $(grep -c 'sleep.*INJECTED' trace) = %zu ]",
                         count)) != 0)
        fail_msg("no pause: %s", fault->inject);
    if (fault->said[0] == '\0')
        count = 0;
    if (count_said(victim, "* = -1 *") != count ||
        (count > 0 && count_said(victim, line_of(fault)) != count))
        fail_msg("not told, or other failures: %s", fault->inject);
    unlink("trace");
}

/* What is still written of a text when strace claims that a part was. */
static const char *what_is_left(const struct fault *fault, const char *text)
{
    const char *claimed = strstr(fault->inject, "retval=");

    return claimed == NULL ? text : text + atoi(claimed + strlen("retval="));
}

/* ---- Nothing to go on with: status 1, and a hint that is true ---- */

/* What docs/trouble.md plays or leads to, with its real cause, is not here. */

#define INET "(3, 127.0.0.1:*)"
static const struct {
    const char *program, *inject, *said, *hint; /* "": there is none */
} fatal_faults[] = {
    {"tcp_server", "socket:error=EMFILE", "socket(AF_INET, *)", ""},
    {"tcp_server", "listen:error=ENOBUFS", "listen(3, 128)", ""},
    {"tcp_server", "getsockname:error=ENOBUFS", "getsockname(3)", ""},
    {"unix_server", "socket:error=EMFILE", "socket(AF_UNIX, *)", ""},
    {"unix_server", "bind:error=EPERM", "bind(3, path)", "*under /tmp*"},
    {"unix_server", "bind:error=EOPNOTSUPP", "bind(3, path)", "*under /tmp*"},
    {"unix_server", "listen:error=ENOBUFS", "listen(3, 128)", ""},
    {"udp_server", "socket:error=EMFILE", "socket(AF_INET, *)", ""},
    {"udp_server", "getsockname:error=ENOBUFS", "getsockname(3)", ""},
    {"tcp_client", "socket:error=ENFILE", "socket(AF_INET, *)", ""},
    {"unix_client", "socket:error=ENFILE", "socket(AF_UNIX, *)", ""},
    {"unix_client", "connect:error=EACCES", "connect(3, path)", "*PATH*"},
    {"udp_client", "socket:error=EAFNOSUPPORT", "socket(AF_INET, *)", ""},
    {"udp_client", "setsockopt:error=ENOMEM", "setsockopt(3, SO_RCVTIMEO)", ""},
    {"udp_client", "sendto:error=EMSGSIZE", "sendto(3)", "send less*"},
    {"udp_client", "recvfrom:error=EHOSTUNREACH", "recvfrom(3)", "*HOST*"},
    {"udp_client", "recvfrom:error=ENOMEM", "recvfrom(3)", ""},
    {"fifo_writer", MKFIFO ":error=EPERM", "mkfifo(path, 0600)",
     "*under /tmp*"},
    {"fifo_writer", MKFIFO ":error=EDQUOT", "mkfifo(path, 0600)", ""},
    {"fifo_writer", LSTAT ":error=EIO", "lstat(path)", ""},
    {"fifo_writer", OPEN ":error=ENOENT", "open(path, O_WRONLY)",
     "*just removed"},
    {"fifo_reader", LSTAT ":error=ENOENT", "lstat(path)", "*removed"},
    {"fifo_reader", MKFIFO ":error=EOPNOTSUPP", "mkfifo(path, 0600)",
     "*under /tmp*"},
    {"fifo_reader", OPEN ":error=EACCES", "open(path, O_RDONLY)", "*PATH*"},
    {"fifo_reader", OPEN ":error=ENOTDIR", "open(path, O_RDONLY)", ""},
};

SCENE(what_cannot_go_on_ends_with_its_hint)
{
    for (size_t i = 0; i < COUNT(fatal_faults); i++) {
        const struct fault fault = {"", fatal_faults[i].inject,
                                    fatal_faults[i].said, false, 1};
        const char *name = fatal_faults[i].program;
        const char *operands = name[1] == 'n' || name[0] == 'f' ? "path"
                               : strstr(name, "server") != NULL ? "127.0.0.1 0"
                                                                : "127.0.0.1 1";
        const char *story = formatted("%s\n", line_of(&fault));
        if (fatal_faults[i].hint[0] != '\0')
            story = formatted("%s%s: hint: %s\n", story, name,
                              fatal_faults[i].hint);
        struct program *victim =
            start_victim(&fault, formatted("%s -q %s", name, operands));

        expect_status(victim, 1);
        expect_story(victim, story);
        check_fault(&fault, victim);
        unlink("path");
    }
}

/* ---- Stream servers: trouble with one client ---- */

static const struct fault server_faults[] = {
    {"tcp", "setsockopt:error=ENOMEM", "setsockopt(3, SO_REUSEADDR)", true, 0},
    {"unix", UNLINK ":error=EPERM", "unlink(path)", true, 1},
    {"", ACCEPT ":error=ECONNABORTED:when=1" AND_SLEEP, "accept(3)", true, 0},
    {"", ACCEPT ":error=EMFILE:when=1..2" AND_SLEEP, "accept(3)", true, 0},
    {"", FORK ":error=EAGAIN:when=1", "fork()", false, 0},
    {"", "read:error=EINTR:when=1..2", "read(4)", true, 0},
    {"", "read:error=ECONNRESET:when=1", "read(4)", false, 0},
    {"", "write:error=EINTR:when=1", "write(4)", true, 0},
    {"", "write:error=EPIPE:when=1", "write(4)", false, 0},
    {"", "write:retval=7:when=1", "", true, 0},
    {"", "close:error=EIO:when=2", "close(4)", true, 0},
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
    const char *command =
        is_tcp ? "tcp_server -q -n 2 127.0.0.1 0" : "unix_server -q -n 2 path";
    bool is_later = is_call(fault, "read:") || is_call(fault, "write:") ||
                    is_call(fault, "close:");
    struct program *server =
        is_later ? start("%s", command) : start_victim(fault, command);
    const char *address = address_of(server);
    struct program *tracer =
        is_later ? bring(fault, "-f", (long)server->pid) : NULL;

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
    expect_status(server, fault->status);
    check_fault(fault, server);
    unlink("path"); /* it may be there after its unlink has failed */
}

/* ---- Stream clients: the child, who reads the input and writes the question,
 * or its parent, who reads and prints the answer; or, from its start, a client
 * with a MESSAGE, or without a child ---- */

static const struct fault client_faults[] = {
    {"child", "read:error=EINTR:when=1..2", "read(0)", true, 0},
    {"child", "read:error=EIO:when=1", "read(0)", false, 1},
    {"child", "write:error=EINTR:when=1", "write(3)", true, 0},
    {"child", "write:error=EPIPE:when=1", "write(3)", false, 1},
    {"child", "write:retval=4:when=1", "", true, 0},
    {"child", "shutdown:error=ENOTCONN", "shutdown(3, SHUT_WR)", true, 1},
    {"parent", "read:error=EINTR:when=1..2", "read(3)", true, 0},
    {"parent", "read:error=ECONNRESET:when=1", "read(3)", false, 1},
    {"parent", "write:error=EFBIG:when=1", "write(1)", false, 1},
    {"parent", "write:error=EINTR:when=1", "write(1)", true, 0},
    {"parent", "write:retval=2:when=1", "", true, 0},
    {"parent", "close:error=EIO:when=1", "close(3)", true, 0},
    {"message", "write:error=EPIPE:when=1", "write(3)", false, 1},
    {"message", "shutdown:error=ENOTCONN", "shutdown(3, SHUT_WR)", true, 1},
    {"none", FORK ":error=EAGAIN:when=1", "fork()", false, 1},
};

static void trouble_client(bool is_tcp, const struct fault *fault)
{
    bool is_child = strcmp(fault->program, "child") == 0;
    bool is_parent = strcmp(fault->program, "parent") == 0;
    bool is_answered = fault->works || (is_parent && is_call(fault, "write"));
    const char *question =
        is_child ? what_is_left(fault, "question\n") : "question\n";
    const char *answer =
        is_parent ? what_is_left(fault, "answer\n") : "answer\n";
    char received[sizeof "question\n"] = "";
    struct program *tracer = NULL;
    int listen_fd = listen_on(is_tcp ? "127.0.0.1:0" : "path");
    const char *command = formatted(
        "%s_client %s %s %s", is_tcp ? "tcp" : "unix", is_child ? "" : "-q",
        is_tcp ? formatted("127.0.0.1 %s", own_port(listen_fd)) : "path",
        strcmp(fault->program, "message") == 0 ? "question" : "-");
    struct program *client = is_child || is_parent
                                 ? start("%s", command)
                                 : start_victim(fault, command);
    int conn_fd = accept_from(listen_fd);

    if (is_child) {
        const char *line = expect_said(client, "*_client: fork() = *");
        expect_lines(client, "*]: read(0) waits for input *");
        tracer = bring(fault, "", atol(strstr(line, "= ") + 2));
    } else if (is_parent) {
        tracer = bring(fault, "", (long)client->pid);
    }
    if (tracer != NULL && is_call(fault, "read"))
        expect_said(client, line_of(fault)); /* before there is what to read */
    if (!is_parent || is_answered)
        type(client, "question\n");
    if (is_answered) {
        receive(conn_fd, received, strlen(question));
        assert_string_equal(received, question);
        transmit(conn_fd, "answer\n", strlen("answer\n"));
    }
    if (fault->works) {
        expect_printed(client, answer);
        end_input(client);
    }
    /* In any case the client half-closes: else both would wait for ever. */
    if (!is_call(fault, "shutdown") && (fault->works || !is_parent))
        assert_int_equal(receive(conn_fd, received, 1), 0);
    else
        expect_lines(client, line_of(fault));
    close(conn_fd);
    expect_status(client, fault->status);
    expect_printed(client, fault->works ? answer : "");
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
    {"server", "recvfrom:error=ENOMEM:when=1" AND_SLEEP, "recvfrom(3)", true,
     0},
    {"server", "sendto:error=EPERM:when=1", "sendto(3, *)", true, 0},
    {"server", "sendto:error=EINTR:when=1", "sendto(3, *)", true, 0},
    {"client", "sendto:error=EINTR:when=1", "sendto(3)", true, 0},
    {"client", "recvfrom:error=EINTR:when=1..2", "recvfrom(3)", true, 0},
    {"client", "recvfrom:error=EAGAIN:when=1", "recvfrom(3)", true, 0},
    {"client", "recvfrom:error=EAGAIN:when=1..3", "recvfrom(3)", false, 1},
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
        expect_status(client, fault->status);
        expect_printed(client, fault->works ? HELLO : "");
        expect_status(victim, fault->status);
        if (is_server) /* only what was given up is asked for again */
            assert_int_equal(count_said(client, "*: recvfrom(3) = -1 EAGAIN *"),
                             strstr(fault->inject, "EPERM") == NULL ? 0 : 1);
        check_fault(fault, victim);
        if (!fault->works)
            expect_lines(client, "*: hint: start the server, *no answer*");
    }
}

/* ---- FIFO: calls on the path; a writer's input, when it waits for it ---- */

static const struct fault fifo_faults[] = {
    {"writer", "write:error=EINTR:when=1..2", "write(3)", true, 0},
    {"writer", "write:retval=7:when=1", "", true, 0},
    {"writer", "write:error=EPIPE:when=1", "write(3)", false, 1},
    {"writer", "close:error=EIO", "close(3)", true, 0},
    {"reader", "read:error=EINTR:when=1..2", "read(3)", true, 0},
    {"reader", "read:error=EIO:when=1", "read(3)", false, 1},
    {"reader", UNLINK ":error=EPERM", "unlink(path)", true, 1},
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
        expect_status(victim, fault->status);
        check_fault(fault, victim);
        if (fault->works || is_writer)
            expect_status(partner, 0);
        expect_printed(is_writer ? partner : victim,
                       fault->works ? printed : "");
        unlink("path");
    }
}

SCENE(fifo_writer_reads_on)
{
    static const struct fault fault = {"writer", "read:error=EINTR:when=1..2",
                                       "read(0)", true, 0};
    struct program *writer = start("fifo_writer path -");

    expect_said(writer, "*: open(path, O_WRONLY) waits *");
    struct program *reader = start("fifo_reader -q path");
    expect_said(writer, "*: read(0) waits for input *");
    struct program *tracer = bring(&fault, "", (long)writer->pid);
    expect_said(writer, line_of(&fault));
    type(writer, HELLO);
    expect_status(writer, 0);
    expect_status(reader, 0);
    expect_printed(reader, HELLO);
    expect_status(tracer, 0);
    check_fault(&fault, writer);
}

static bool is_gone(const void *path)
{
    return !is_there(path);
}

/* A signal stops the reader in the moment in which it removes the path. Who had
 * found it before is read. */
SCENE(a_writer_comes_while_the_reader_ends)
{
    struct program *writer = start("fifo_writer path");
    struct program *reader = start("strace -D -o trace -e inject=" UNLINK
                                   ":signal=STOP -P path fifo_reader path");

    expect_said(reader, "*: read(3) = 0, end of file");
    wait_until(is_gone, "path", "unlink");
    suspend(reader); /* as that signal does: now it has come */
    int fd = open(formatted("/proc/%ld/fd/3", (long)reader->pid), O_WRONLY);
    dprintf(fd, "late\n");
    close(fd);
    resume(reader);
    expect_status(reader, 0);
    expect_printed(reader, "Hello, reader!\nlate\n");
    expect_status(writer, 0);
    unlink("trace");
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_go_on_ends_with_its_hint),
        TEST(stream_programs_go_on),
        TEST(udp_goes_on),
        TEST(fifo_goes_on),
        TEST(fifo_writer_reads_on),
        TEST(a_writer_comes_while_the_reader_ends),
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
