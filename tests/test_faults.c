/*
 * test_faults.c - system calls that fail, in the real programs.
 *
 * strace makes a call of a program return an error, without its being made
 * (strace(1), --inject). Each test says what must be seen then: who lives,
 * what is said, which status.
 *
 * Arguments: the folder of the programs, and the module interrupted_connect.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, open_stage, close_stage)

enum { SKIPPED = 77 }; /* the exit status that CTest takes for "skipped" */

static const char *folder;
static char preload[PATH_MAX + sizeof "LD_PRELOAD="];

/* The path of a program, for start(). */
static const char *program(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    int size = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    assert_true(size > 0 && size < PATH_MAX);
    return path;
}

/* ---- strace ---- */

/* What strace wrote, to be freed; and no trace is left in the folder. */
static char *read_trace(void)
{
    FILE *file = fopen("trace", "r");
    char *text = calloc(1, 1);
    size_t size = 0;
    char piece[4096];
    size_t count;

    assert_non_null(file);
    while ((count = fread(piece, 1, sizeof piece, file)) > 0) {
        text = realloc(text, size + count + 1);
        assert_non_null(text);
        memcpy(text + size, piece, count);
        size += count;
        text[size] = '\0';
    }
    fclose(file);
    return text;
}

static int count_in(const char *text, const char *word)
{
    int count = 0;

    while ((text = strstr(text, word)) != NULL) {
        count++;
        text += strlen(word);
    }
    return count;
}

static bool was_injected(const void *unused)
{
    char *trace = read_trace();
    bool injected = strstr(trace, "(INJECTED)") != NULL;

    (void)unused;
    free(trace);
    return injected;
}

/* The fault has really happened: else the test has shown nothing. strace may
 * end a little later than the program, and write its last lines then. */
static void assert_injected(void)
{
    expect_true(was_injected, NULL, "the fault");
    unlink("trace");
}

/* Starts a program with a fault from its beginning on. `fault` is what
 * strace's inject takes, such as "accept:error=EMFILE:when=1"; `only` limits
 * it to calls on this path, NULL: to all. Up to four arguments. */
static struct terminal *start_with(const char *fault, const char *only,
                                   const char *name, const char *arguments[4])
{
    char inject[128];
    int size = snprintf(inject, sizeof inject, "inject=%s", fault);

    assert_true(size > 0 && (size_t)size < sizeof inject);
    /* -D: strace is in the background, the program is our child. */
    return start("/bin/sh", "-c",
                 "only=$1; inject=$2; shift 2; "
                 "exec strace -D -f -qq -o trace ${only:+-P \"$only\" -P "
                 "\"$PWD/$only\"} "
                 "-e \"$inject\" \"$@\"",
                 "sh", only == NULL ? "" : only, inject, program(name),
                 arguments[0], arguments[1], arguments[2], arguments[3], NULL);
}

/* Brings a fault to a program that runs. Its counting begins now. */
static struct terminal *bring(const char *fault, struct terminal *victim)
{
    char inject[128];
    char pid[32];
    int size = snprintf(inject, sizeof inject, "inject=%s", fault);

    assert_true(size > 0 && (size_t)size < sizeof inject);
    snprintf(pid, sizeof pid, "%ld", (long)victim->pid);
    struct terminal *tracer = start("/usr/bin/strace", "-f", "-o", "trace",
                                    "-e", inject, "-p", pid, NULL);
    expect_said(tracer, "*attached*");
    return tracer;
}

/* ---- Faults of the calls that a program makes once ---- */

/* A program, the call that fails, and what must be said; then it ends with
 * status 1. `hint` is NULL where there is none. */
struct fatal {
    const char *name;
    const char *fault;
    const char *said;
    const char *hint;
};

static const struct fatal fatal_faults[] = {
    {"tcp_server", "socket:error=EMFILE", "socket 127.0.0.1:0: Too many *",
     NULL},
    {"tcp_server", "socket:error=EAFNOSUPPORT", "socket 127.0.0.1:0: Address *",
     "hint: this machine does not*"},
    {"tcp_server", "setsockopt:error=ENOMEM", "setsockopt 127.0.0.1:0: Cannot*",
     NULL},
    {"tcp_server", "bind:error=EACCES", "bind 127.0.0.1:0: Permission denied",
     "hint: *1024*"},
    {"tcp_server", "listen:error=EADDRINUSE", "listen 127.0.0.1:0: Address *",
     "hint: *port*"},
    {"tcp_server", "getsockname:error=ENOBUFS", "getsockname 127.0.0.1:0: No *",
     NULL},
    {"tcp_client", "socket:error=ENFILE", "socket 127.0.0.1:*: Too many *",
     NULL},
    {"tcp_client", "connect:error=ETIMEDOUT",
     "connect 127.0.0.1:*: Connection timed out", "hint: *firewall*"},
    {"tcp_client", "connect:error=ENETUNREACH",
     "connect 127.0.0.1:*: Network is unreachable", "hint: *network*"},
    {"tcp_client", "connect:error=EHOSTUNREACH",
     "connect 127.0.0.1:*: No route to host", "hint: *network*"},
    {"tcp_client", "fcntl:error=ENOMEM:when=4", "fcntl 127.0.0.1:*: Cannot *",
     NULL},
    {"tcp_client", "select,?pselect6:error=ENOMEM:when=1",
     "select 127.0.0.1:*: Cannot *", NULL},
    {"tcp_client", "shutdown:error=ENOBUFS", "shutdown 127.0.0.1:*: No buffer*",
     NULL},
    {"unix_server", "socket:error=EMFILE", "socket path: Too many *", NULL},
    {"unix_server", "bind:error=EPERM", "bind path: Operation not permitted",
     "hint: *file system*"},
    {"unix_server", "bind:error=EOPNOTSUPP", "bind path: Operation not *",
     "hint: *file system*"},
    {"unix_server", "bind:error=EROFS", "bind path: Read-only file system",
     NULL},
    {"unix_server", "listen:error=ENOBUFS", "listen path: No buffer space *",
     NULL},
    {"unix_client", "socket:error=ENFILE", "socket path: Too many *", NULL},
    {"unix_client", "connect:error=EACCES", "connect path: Permission denied",
     "hint: *another user*"},
    {"unix_client", "fcntl:error=ENOMEM:when=4", "fcntl path: Cannot *", NULL},
    {"unix_client", "select,?pselect6:error=ENOMEM:when=1",
     "select path: Cannot *", NULL},
    {"unix_client", "shutdown:error=ENOBUFS", "shutdown path: No buffer*",
     NULL},
    {"udp_server", "socket:error=EMFILE", "socket 127.0.0.1:0: Too many *",
     NULL},
    {"udp_server", "setsockopt:error=ENOMEM", "setsockopt 127.0.0.1:0: Cannot*",
     NULL},
    {"udp_server", "bind:error=EADDRNOTAVAIL", "bind 127.0.0.1:0: Cannot *",
     "hint: *does not have this address*"},
    {"udp_server", "getsockname:error=ENOBUFS", "getsockname 127.0.0.1:0: No *",
     NULL},
    {"udp_client", "socket:error=EMFILE", "socket 127.0.0.1:*: Too many *",
     NULL},
    {"udp_client", "setsockopt:error=ENOMEM:when=1",
     "setsockopt 127.0.0.1:*: Cannot *", NULL},
    {"udp_client", "setsockopt:error=ENOMEM:when=2",
     "setsockopt 127.0.0.1:*: Cannot *", NULL},
    {"udp_client", "connect:error=ENETUNREACH",
     "connect 127.0.0.1:*: Network is unreachable", "hint: *network*"},
    {"udp_client", "sendto:error=ENETUNREACH",
     "sendto 127.0.0.1:*: Network is unreachable", "hint: *network*"},
    {"udp_client", "sendto:error=EPERM",
     "sendto 127.0.0.1:*: Operation not permitted", "hint: *firewall*"},
    {"udp_client", "sendto:error=EMSGSIZE",
     "sendto 127.0.0.1:*: Message too long", "hint: *65507*"},
    {"udp_client", "recvfrom:error=ECONNREFUSED",
     "recvfrom 127.0.0.1:*: Connection refused", "hint: nobody listens*"},
    {"udp_client", "recvfrom:error=EAGAIN",
     "recvfrom 127.0.0.1:*: Connection timed out", "hint: *firewall*"},
    {"fifo_writer", "mknod,mknodat:error=EROFS", "mkfifo path: Read-only *",
     NULL},
    {"fifo_writer", "mknod,mknodat:error=EPERM", "mkfifo path: Operation not *",
     "hint: *file system*"},
    {"fifo_writer", "open,openat:error=EACCES", "open path: Permission denied",
     "hint: *another user*"},
    {"fifo_writer", "lstat,newfstatat:error=EIO:when=1",
     "mkfifo path: Input/output error", NULL},
    {"fifo_reader", "mknod,mknodat:error=ENOSPC", "mkfifo path: No space *",
     NULL},
    {"fifo_reader", "open,openat:error=EACCES", "open path: Permission denied",
     "hint: *another user*"},
    {"fifo_reader", "lstat,newfstatat:error=EIO:when=1",
     "mkfifo path: Input/output error", NULL},
};

static void test_fatal_faults(void **state)
{
    (void)state;
    int tcp = listen_on("127.0.0.1:0");
    int udp = bound_datagram("127.0.0.1:0");

    for (size_t i = 0; i < sizeof fatal_faults / sizeof fatal_faults[0]; i++) {
        const struct fatal *fatal = &fatal_faults[i];
        const char *name = fatal->name;
        const char *arguments[4] = {"-q", "path", NULL, NULL};
        bool is_server = strstr(name, "server") != NULL;
        bool is_fifo = strncmp(name, "fifo", 4) == 0;
        char pattern[256];

        if (strncmp(name, "tcp", 3) == 0 || strncmp(name, "udp", 3) == 0) {
            arguments[1] = "127.0.0.1";
            arguments[2] =
                is_server ? "0" : own_port(name[0] == 't' ? tcp : udp);
        }
        bool is_local_client = strcmp(name, "unix_client") == 0;
        int local = is_local_client ? listen_on("path") : -1;
        /* What was there before is nobody's to clear away. */
        bool was_there = strstr(fatal->fault, "lstat") != NULL;
        if (was_there) {
            assert_int_equal(mkfifo("path", S_IRUSR | S_IWUSR), 0);
        }
        struct terminal *t =
            start_with(fatal->fault, is_fifo ? "path" : NULL, name, arguments);
        finish_with(t, 1);
        snprintf(pattern, sizeof pattern, "%s: %s", name, fatal->said);
        expect_said(t, pattern);
        if (fatal->hint != NULL) {
            snprintf(pattern, sizeof pattern, "%s: %s", name, fatal->hint);
            expect_said(t, pattern);
        }
        assert_injected();
        if (is_local_client || was_there) {
            close(local);
            assert_int_equal(unlink("path"), 0);
        }
        assert_int_not_equal(access("path", F_OK), 0); /* cleared away */
    }
    close(tcp);
    close(udp);
}

/* ---- The stream servers: a fault is one client's, and passes ---- */

struct pair {
    const char *server;
    const char *client;
    bool is_tcp;
};

static const struct pair tcp_pair = {"tcp_server", "tcp_client", true};
static const struct pair unix_pair = {"unix_server", "unix_client", false};

/* Starts the pair's server with an option, and a fault, or NULL. */
static struct terminal *start_server_with(const struct pair *pair,
                                          const char *option, const char *fault)
{
    const char *tcp[4] = {option, "127.0.0.1", "0", NULL};
    const char *local[4] = {option, "path", NULL, NULL};
    const char **arguments = pair->is_tcp ? tcp : local;

    return fault == NULL ? start(program(pair->server), arguments[0],
                                 arguments[1], arguments[2], NULL)
                         : start_with(fault, NULL, pair->server, arguments);
}

/* Starts the pair's server, which ends after two clients. */
static struct terminal *start_server(const struct pair *pair, const char *fault)
{
    return start_server_with(pair, "-n2", fault);
}

/* Starts the pair's client, to the address of the ready line. */
static struct terminal *start_client(const struct pair *pair,
                                     const char *address, const char *message)
{
    const char *port = strrchr(address, ':');

    return pair->is_tcp
               ? start(program(pair->client), "-q", "127.0.0.1", port + 1,
                       message, NULL)
               : start(program(pair->client), "-q", address, message, NULL);
}

/* A client has its whole conversation. */
static void converse(const struct pair *pair, const char *address)
{
    struct terminal *client = start_client(pair, address, "Hello, server!");

    finish_with(client, 0);
    expect_printed(client, "Hello, server!\n");
}

/* accept fails, at first or after a client: both clients are served. */
static void survive_accept(const struct pair *pair, const char *fault,
                           const char *said)
{
    struct terminal *server = start_server(pair, fault);
    const char *address = ready_address(server);

    converse(pair, address);
    converse(pair, address);
    finish_with(server, 0);
    if (said == NULL) {
        assert_not_said(server, "*: accept *:*: *");
    } else {
        assert_said_among(server, said, NULL);
    }
    assert_injected();
}

static void survive_each_accept(const struct pair *pair)
{
    survive_accept(pair, "accept,?accept4:error=EINTR:when=1", NULL);
    survive_accept(pair, "accept,?accept4:error=EINTR:when=2", NULL);
    survive_accept(pair, "accept,?accept4:error=ECONNABORTED:when=1",
                   "*: accept *: Software caused connection abort");
    survive_accept(pair, "accept,?accept4:error=ECONNABORTED:when=2",
                   "*: accept *: Software caused connection abort");
    survive_accept(pair, "accept,?accept4:error=EMFILE:when=1",
                   "*: accept *: Too many open files");
    survive_accept(pair, "accept,?accept4:error=EMFILE:when=2..3",
                   "*: accept *: Too many open files");
    survive_accept(pair, "accept,?accept4:error=ENFILE:when=1",
                   "*: accept *: Too many open files in system");
    survive_accept(pair, "accept,?accept4:error=ENFILE:when=2",
                   "*: accept *: Too many open files in system");
    survive_accept(pair, "accept,?accept4:error=ENOBUFS:when=1",
                   "*: accept *: No buffer space available");
    survive_accept(pair, "accept,?accept4:error=ENOBUFS:when=2",
                   "*: accept *: No buffer space available");
}

static void test_tcp_server_survives_accept(void **state)
{
    (void)state;
    survive_each_accept(&tcp_pair);
}

static void test_unix_server_survives_accept(void **state)
{
    (void)state;
    survive_each_accept(&unix_pair);
}

/* accept fails for good: the server tries again, and does not spin. */
static void do_not_spin(const struct pair *pair)
{
    struct timespec begin;
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    struct terminal *server =
        start_server(pair, "accept,?accept4:error=EMFILE");
    for (int i = 0; i < 5; i++) {
        expect_said(server, "*_server: accept *: Too many open files");
    }
    signal_program(server, SIGTERM);
    assert_int_equal(wait_end(server), 128 + SIGTERM);
    clock_gettime(CLOCK_MONOTONIC, &end);

    char *trace = read_trace();
    long calls = count_in(trace, "(INJECTED)");
    long tenths = (end.tv_sec - begin.tv_sec) * 10 +
                  (end.tv_nsec - begin.tv_nsec) / 100000000;
    free(trace);
    unlink("trace");
    assert_true(calls >= 5);
    assert_true(calls <= tenths / 2 + 2); /* at most five in a second */
}

static void test_a_full_table_is_no_busy_loop(void **state)
{
    (void)state;
    do_not_spin(&tcp_pair);
    do_not_spin(&unix_pair);
}

/* fork fails: that client is told by the end of its connection, and dropped;
 * the next ones are served. */
static void survive_fork(const struct pair *pair, const char *fault, bool first)
{
    struct terminal *server = start_server(pair, fault);
    const char *address = ready_address(server);

    if (!first) {
        converse(pair, address);
    }
    struct terminal *dropped = start_client(pair, address, "-");
    assert_int_equal(wait_end(dropped), 1); /* its input has not even ended */
    expect_said(dropped, "*_client: read *: the server closed before *");
    expect_said(server, "*: fork for *: Resource temporarily unavailable");
    expect_said(server, "*: close(4) = 0, this client is dropped");
    converse(pair, address);
    if (first) {
        converse(pair, address);
    }
    finish_with(server, 0);
    assert_injected();
}

static void test_servers_survive_fork(void **state)
{
    (void)state;
    const char *first = "fork,clone,?clone3:error=EAGAIN:when=1";
    const char *later = "fork,clone,?clone3:error=EAGAIN:when=2";

    survive_fork(&tcp_pair, first, true);
    survive_fork(&unix_pair, first, true);
    survive_fork(&tcp_pair, later, false);
    survive_fork(&unix_pair, later, false);
}

/* A fault that comes to the child that serves a client. */
struct child_fault {
    const char *fault;
    const char *said; /* NULL: nothing happens to the client */
};

static const struct child_fault child_faults[] = {
    {"read:error=EINTR:when=1", NULL},
    {"read:error=EINTR:when=2", NULL},
    {"read:error=ECONNRESET:when=1", "*]: read *: Connection reset by peer"},
    {"read:error=EIO:when=2", "*]: read *: Input/output error"},
    {"read:error=ETIMEDOUT:when=2", "*]: read *: Connection timed out"},
    {"write:error=EINTR:when=1", NULL},
    {"write:error=EPIPE:when=1", "*]: write *: Broken pipe"},
    {"write:error=ECONNRESET:when=1", "*]: write *: Connection reset by peer"},
};

static void survive_child_fault(const struct pair *pair,
                                const struct child_fault *child)
{
    /* Quiet: its first write is then the answer, not the story. */
    struct terminal *server = start_server_with(pair, "-qn2", NULL);
    const char *address = ready_address(server);
    struct terminal *tracer = bring(child->fault, server);

    if (child->said != NULL) {
        struct terminal *victim = start_client(pair, address, "Hello, server!");
        finish(victim); /* its status depends on how far it had come */
        expect_said(server, child->said);
        /* The fault comes to each child: end it, and serve again. */
        signal_program(tracer, SIGTERM);
        wait_end(tracer);
        converse(pair, address);
        converse(pair, address);
        finish_with(server, 0);
    } else {
        converse(pair, address);
        converse(pair, address);
        finish_with(server, 0);
        wait_end(tracer);
    }
    assert_injected();
}

static void test_servers_survive_a_childs_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof child_faults / sizeof child_faults[0]; i++) {
        survive_child_fault(&tcp_pair, &child_faults[i]);
        survive_child_fault(&unix_pair, &child_faults[i]);
    }
}

/* A write takes less than it was given: the rest is written after it. What
 * strace only claims to be written is missing, so the rest is all there is. */
static void test_servers_write_the_rest(void **state)
{
    (void)state;
    const struct pair *pairs[] = {&tcp_pair, &unix_pair};

    for (size_t i = 0; i < 2; i++) {
        struct terminal *server = start_server_with(pairs[i], "-qn1", NULL);
        const char *address = ready_address(server);
        struct terminal *tracer = bring("write:retval=7:when=1", server);
        struct terminal *client =
            start_client(pairs[i], address, "Hello, server!");

        finish_with(client, 0);
        expect_printed(client, "server!\n");
        finish_with(server, 0);
        wait_end(tracer);
        assert_injected();
    }
}

/* ---- The stream clients ---- */

/* With these, in the order of the calls: read 1 takes the input, write 1 sends
 * it, read 2 takes the answer, write 2 prints it. */
struct client_fault {
    const char *fault;
    int status;
    const char *said;    /* NULL: nothing */
    const char *hint;    /* NULL: none */
    const char *sent;    /* what the server receives */
    const char *printed; /* what the client prints */
};

static const struct client_fault client_faults[] = {
    {"read:error=EINTR:when=1", 0, NULL, NULL, "question\n", "answer\n"},
    {"read:error=EIO:when=1", 1, "read standard input: Input/output error",
     NULL, "", ""},
    {"read:error=EINTR:when=2", 0, NULL, NULL, "question\n", "answer\n"},
    {"read:error=EAGAIN:when=2", 0, NULL, NULL, "question\n", "answer\n"},
    {"read:error=ECONNRESET:when=2", 1, "read *: Connection reset by peer",
     "hint: the other side*", "question\n", ""},
    {"read:error=EIO:when=2", 1, "read *: Input/output error", NULL,
     "question\n", ""},
    {"write:error=EINTR:when=1", 0, NULL, NULL, "question\n", "answer\n"},
    {"write:error=EAGAIN:when=1", 0, NULL, NULL, "question\n", "answer\n"},
    {"write:error=EPIPE:when=1", 1, "write *: Broken pipe",
     "hint: the other side*", "", "answer\n"},
    {"write:error=ECONNRESET:when=1", 1, "write *: Connection reset by peer",
     "hint: the other side*", "", "answer\n"},
    {"write:retval=4:when=1", 0, NULL, NULL, "tion\n", "answer\n"},
    {"write:error=EINTR:when=2", 0, NULL, NULL, "question\n", "answer\n"},
    {"write:error=EAGAIN:when=2", 0, NULL, NULL, "question\n", "answer\n"},
    {"write:error=ENOSPC:when=2", 1,
     "write standard output: No space left on device", NULL, "question\n", ""},
    {"write:error=EIO:when=2", 1, "write standard output: Input/output error",
     NULL, "question\n", ""},
    {"write:retval=3:when=2", 0, NULL, NULL, "question\n", "wer\n"},
    {"select,?pselect6:error=EINTR:when=2", 0, NULL, NULL, "question\n",
     "answer\n"},
    {"shutdown:error=ENOTCONN", 0, NULL, NULL, "question\n", "answer\n"},
    {"close:error=EIO", 0, NULL, NULL, "question\n", "answer\n"},
};

static void endure(const struct pair *pair, const struct client_fault *fault)
{
    char pattern[256];
    char received[16] = "";
    int listen_fd = listen_on(pair->is_tcp ? "127.0.0.1:0" : "path");
    char address[64] = "path";

    if (pair->is_tcp) {
        snprintf(address, sizeof address, "127.0.0.1:%s", own_port(listen_fd));
    }
    struct terminal *client = start_client(pair, address, "-");
    int conn_fd = accept_from(listen_fd);
    struct terminal *tracer = bring(fault->fault, client);

    type(client, "question\n");
    wait_typed(client);
    if (fault->sent[0] == '\0') {
        snprintf(pattern, sizeof pattern, "%s: %s", pair->client, fault->said);
        expect_said(client, pattern);
        client->heard = 0;
    }
    receive(conn_fd, received, strlen(fault->sent));
    assert_string_equal(received, fault->sent);
    if (fault->sent[0] != '\0' || fault->printed[0] != '\0') {
        transmit(conn_fd, "answer\n", strlen("answer\n")); /* it is there */
    }
    expect_printed_size(client, strlen(fault->printed));
    end_input(client);
    if (fault->status == 0) {
        /* Only after the client has finished sending. */
        char rest[1];
        wait_typed(client);
        if (strstr(fault->fault, "ENOTCONN") == NULL) {
            assert_int_equal(receive(conn_fd, rest, 1), 0);
        } else {
            expect_true(was_injected, NULL, "the fault"); /* no end of file */
        }
    }
    close(conn_fd);
    finish_with(client, fault->status);
    expect_printed(client, fault->printed);
    if (fault->said != NULL) {
        snprintf(pattern, sizeof pattern, "%s: %s", pair->client, fault->said);
        expect_said(client, pattern);
    }
    if (fault->hint != NULL) {
        snprintf(pattern, sizeof pattern, "%s: %s", pair->client, fault->hint);
        expect_said(client, pattern);
    }
    wait_end(tracer);
    assert_injected();
    close(listen_fd);
    unlink("path");
}

static void test_clients_under_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof client_faults / sizeof client_faults[0];
         i++) {
        endure(&tcp_pair, &client_faults[i]);
        endure(&unix_pair, &client_faults[i]);
    }
}

/* connect is interrupted: the client waits for it, and doesn't repeat it. */
static void test_clients_wait_for_an_interrupted_connect(void **state)
{
    (void)state;
    const struct pair *pairs[] = {&tcp_pair, &unix_pair};

    for (size_t i = 0; i < 2; i++) {
        struct terminal *server = start_server_with(pairs[i], "-n1", NULL);
        const char *address = ready_address(server);
        const char *port = strrchr(address, ':');
        struct terminal *client = start(
            "/usr/bin/env", preload, "ASAN_OPTIONS=verify_asan_link_order=0",
            program(pairs[i]->client), pairs[i]->is_tcp ? "127.0.0.1" : address,
            pairs[i]->is_tcp ? port + 1 : "Hello, server!",
            pairs[i]->is_tcp ? "Hello, server!" : NULL, NULL);

        finish_with(client, 0);
        expect_printed(client, "Hello, server!\n");
        assert_said_among(client, "*: connect(3, *) = 0", NULL);
        finish_with(server, 0); /* it has accepted one client, and no more */
    }

    /* Nobody listens there: the failure comes in the background, too. */
    int bound_fd = bound_datagram("127.0.0.1:0");
    struct terminal *client =
        start("/usr/bin/env", preload, "ASAN_OPTIONS=verify_asan_link_order=0",
              program("tcp_client"), "127.0.0.1", own_port(bound_fd), NULL);
    finish_with(client, 1);
    expect_said(client, "tcp_client: connect *: Connection refused");
    close(bound_fd);
}

/* ---- UDP ---- */

static void survive_datagram(const char *fault, const char *said)
{
    const char *arguments[4] = {"-n1", "127.0.0.1", "0", NULL};
    struct terminal *server = start_with(fault, NULL, "udp_server", arguments);
    const char *port = ready_port(server);
    struct terminal *client =
        start(program("udp_client"), "-q", "127.0.0.1", port, NULL);

    finish_with(client, 0);
    expect_printed(client, "Hello, server!\n");
    finish_with(server, 0);
    if (said != NULL) {
        assert_said_among(server, said, NULL);
    }
    assert_injected();
}

static void test_udp_server_survives(void **state)
{
    (void)state;
    survive_datagram("recvfrom:error=EINTR:when=1", NULL);
    survive_datagram("recvfrom:error=ENOMEM:when=1",
                     "udp_server: recvfrom 127.0.0.1:*: Cannot allocate *");
    survive_datagram("sendto:error=EINTR:when=1", NULL);
    /* The client asks again, and this time gets its answer. */
    survive_datagram("sendto:error=EPERM:when=1",
                     "udp_server: sendto 127.0.0.1:*: Operation not *");
}

static void ask_under(const char *fault, int status, const char *said,
                      const char *printed)
{
    struct terminal *server =
        start(program("udp_server"), "-q", "127.0.0.1", "0", NULL);
    const char *arguments[4] = {"-q", "127.0.0.1", ready_port(server), NULL};
    struct terminal *client = start_with(fault, NULL, "udp_client", arguments);

    finish_with(client, status);
    expect_printed(client, printed);
    if (said != NULL) {
        assert_said_among(client, said, NULL);
    }
    assert_injected();
    signal_program(server, SIGTERM);
    wait_end(server);
}

static void test_udp_client_under_faults(void **state)
{
    (void)state;
    ask_under("sendto:error=EINTR:when=1", 0, NULL, "Hello, server!\n");
    ask_under("recvfrom:error=EINTR:when=1", 0, NULL, "Hello, server!\n");
    ask_under("recvfrom:error=EAGAIN:when=1", 0, NULL, "Hello, server!\n");
    ask_under("write:error=EINTR:when=1", 0, NULL, "Hello, server!\n");
    ask_under("write:retval=7:when=1", 0, NULL, "server!\n");
    ask_under("write:error=ENOSPC:when=1", 1,
              "udp_client: write standard output: No space left on device", "");
}

/* ---- FIFO ---- */

struct fifo_fault {
    const char *name;
    const char *fault; /* of calls on the FIFO */
    int status;
    const char *said; /* NULL: nothing */
    const char *printed;
};

static const struct fifo_fault fifo_faults[] = {
    {"fifo_writer", "mknod,mknodat:error=EEXIST:when=1", 0, NULL,
     "Hello, reader!\n"},
    {"fifo_writer", "open,openat:error=EINTR:when=1", 0, NULL,
     "Hello, reader!\n"},
    {"fifo_writer", "open,openat:error=ENOENT:when=1", 0, NULL,
     "Hello, reader!\n"},
    {"fifo_writer", "fstat,newfstatat:error=EIO:when=2", 1,
     "fifo_writer: open path: Input/output error", ""},
    {"fifo_writer", "fcntl:error=EINTR:when=1", 0, NULL, "Hello, reader!\n"},
    {"fifo_writer", "fcntl:error=EAGAIN:when=1", 0, NULL, "Hello, reader!\n"},
    {"fifo_writer", "fcntl:error=EINVAL", 0, NULL, "Hello, reader!\n"},
    {"fifo_writer", "write:error=EINTR:when=1", 0, NULL, "Hello, reader!\n"},
    {"fifo_writer", "write:retval=7:when=1", 0, NULL, "reader!\n"},
    {"fifo_writer", "write:error=EPIPE:when=1", 1,
     "fifo_writer: write path: Broken pipe", ""},
    {"fifo_writer", "close:error=EIO:when=1", 0, NULL, "Hello, reader!\n"},
    {"fifo_reader", "open,openat:error=EINTR:when=1", 0, NULL,
     "Hello, reader!\n"},
    {"fifo_reader", "open,openat:error=ENOENT:when=1", 0, NULL,
     "Hello, reader!\n"},
    {"fifo_reader", "read:error=EINTR:when=1", 0, NULL, "Hello, reader!\n"},
    {"fifo_reader", "read:error=EINTR:when=2", 0, NULL, "Hello, reader!\n"},
    {"fifo_reader", "read:error=EIO:when=1", 1,
     "fifo_reader: read path: Input/output error", ""},
    {"fifo_reader", "read:error=EIO:when=2", 1,
     "fifo_reader: read path: Input/output error", "Hello, reader!\n"},
    {"fifo_reader", "unlink:error=EACCES:when=1", 0,
     "fifo_reader: unlink path: Permission denied", "Hello, reader!\n"},
};

static void test_fifo_under_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fifo_faults / sizeof fifo_faults[0]; i++) {
        const struct fifo_fault *fault = &fifo_faults[i];
        const char *arguments[4] = {"-q", "path", NULL, NULL};
        bool is_writer = strcmp(fault->name, "fifo_writer") == 0;
        struct terminal *victim =
            start_with(fault->fault, "path", fault->name, arguments);
        struct terminal *other =
            start(program(is_writer ? "fifo_reader" : "fifo_writer"), "-q",
                  "path", NULL);

        finish_with(victim, fault->status);
        finish(other); /* a writer may have lost its reader, or not */
        expect_printed(is_writer ? other : victim, fault->printed);
        if (fault->said != NULL) {
            expect_said(victim, fault->said);
        }
        assert_injected();
        if (strstr(fault->fault, "unlink") != NULL) {
            assert_int_equal(unlink("path"), 0);
        }
        assert_int_not_equal(access("path", F_OK), 0);
    }
}

/* It has got the alarm, and sleeps, which is in open. */
static bool waits_without_alarm(const void *argument)
{
    const struct terminal *victim = argument;
    char path[64];
    char state = '?';
    char *trace = read_trace();
    bool alarmed = strstr(trace, "--- SIGALRM") != NULL;

    free(trace);
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)victim->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
    fclose(file);
    return alarmed && state == 'S';
}

/* The alarm comes before the open that it is to interrupt: the next one does,
 * and finds that the path has gone. */
static void test_fifo_alarm_that_comes_too_early(void **state)
{
    (void)state;
    static const char *const names[] = {"fifo_reader", "fifo_writer"};

    for (size_t i = 0; i < 2; i++) {
        const char *arguments[4] = {"path", NULL, NULL, NULL};
        char pattern[64];
        struct terminal *waits =
            start_with("alarm,?setitimer:delay_exit=1500000:when=1", NULL,
                       names[i], arguments);

        snprintf(pattern, sizeof pattern, "%s: mkfifo(path, 0600) = 0",
                 names[i]);
        expect_said(waits, "*: open(path, *) waits for *");
        expect_true(waits_without_alarm, waits, "the alarm");
        assert_int_equal(unlink("path"), 0);
        expect_said(waits, pattern); /* once more */
        finish_with(start(program(names[1 - i]), "-q", "path", NULL), 0);
        finish_with(waits, 0);
        unlink("trace");
    }
}

/* The disk is full, the pipe's reader is slow: what is printed is complete, or
 * the program says that it is not. */
static void test_fifo_reader_on_a_full_disk(void **state)
{
    (void)state;
    const char *arguments[4] = {"-q", "path", NULL, NULL};
    struct terminal *writer =
        start(program("fifo_writer"), "-q", "path", "Hello, reader!", NULL);
    struct terminal *reader =
        start_with("write:error=ENOSPC:when=1", NULL, "fifo_reader", arguments);

    finish_with(reader, 1);
    expect_said(reader, "fifo_reader: write standard output: No space left *");
    finish(writer);
    assert_injected();
}

/* ---- The path of the UNIX server ---- */

static void test_unix_server_says_what_it_could_not_remove(void **state)
{
    (void)state;
    struct terminal *server =
        start_server_with(&unix_pair, "-n1", "unlink,?unlinkat:error=EACCES");

    converse(&unix_pair, ready_address(server));
    finish_with(server, 0);
    expect_said(server, "unix_server: unlink path: Permission denied");
    assert_injected();
    assert_int_equal(unlink("path"), 0);
}

static bool can_trace(void)
{
    return system("strace -D -qq -o /dev/null -e inject=getpid:error=EIO true "
                  "2>/dev/null") == 0;
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(test_fatal_faults),
        TEST(test_tcp_server_survives_accept),
        TEST(test_unix_server_survives_accept),
        TEST(test_a_full_table_is_no_busy_loop),
        TEST(test_servers_survive_fork),
        TEST(test_servers_survive_a_childs_faults),
        TEST(test_servers_write_the_rest),
        TEST(test_clients_under_faults),
        TEST(test_clients_wait_for_an_interrupted_connect),
        TEST(test_udp_server_survives),
        TEST(test_udp_client_under_faults),
        TEST(test_fifo_under_faults),
        TEST(test_fifo_alarm_that_comes_too_early),
        TEST(test_fifo_reader_on_a_full_disk),
        TEST(test_unix_server_says_what_it_could_not_remove),
    };

    choose_tests();
    /* A leak checker can't work in a program that is traced. */
    if (setenv("ASAN_OPTIONS", "detect_leaks=0", 1) == -1) {
        perror("setenv");
        return 2;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: test_faults FOLDER INTERRUPTED_CONNECT\n");
        return 2;
    }
    folder = absolute(argv[1]);
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", absolute(argv[2]));
    if (!can_trace()) {
        fprintf(stderr, "Skipped: strace is missing, or may not trace here\n");
        return getenv("FAULTS_REQUIRED") == NULL ? SKIPPED : 1;
    }
    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
