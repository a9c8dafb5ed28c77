/*
 * test_load.c - many clients, at once and one after another.
 *
 * Arguments: tcp_server, tcp_client, unix_server and unix_client.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "harness.h"

#define TEST(function)                                                         \
    cmocka_unit_test_setup_teardown(function, open_stage, close_stage)

enum {
    CROWD = 200,             /* clients at once */
    CARGO = 1024 * 1024,     /* bytes that each sends and receives */
    BOUND = 256,             /* clients that a server serves at a time */
    QUEUE = 5000,            /* clients one after another */
    FIRST = 100,             /* of these, to compare with */
    FLOOD = 64 * 1024 * 1024 /* bytes of a client that never reads */
};

struct pair {
    const char *server;
    const char *client;
    bool is_tcp;
};

static struct pair tcp_pair = {NULL, NULL, true};
static struct pair unix_pair = {NULL, NULL, false};

static struct terminal *start_server(const struct pair *pair,
                                     const char *options)
{
    return pair->is_tcp ? start(pair->server, options, "127.0.0.1", "0", NULL)
                        : start(pair->server, options, "path", NULL);
}

static struct terminal *start_client(const struct pair *pair,
                                     const char *address)
{
    const char *port = strrchr(address, ':');

    return pair->is_tcp
               ? start(pair->client, "-q", "127.0.0.1", port + 1, "-", NULL)
               : start(pair->client, "-q", address, "-", NULL);
}

static void end_server(struct terminal *server)
{
    signal_program(server, SIGTERM);
    assert_int_equal(wait_end(server), 128 + SIGTERM);
}

/* Each of the crowd gets back what it sent, and nothing of the others'. */
static void serve_a_crowd(const struct pair *pair)
{
    static struct terminal *clients[CROWD];
    static unsigned char *cargo[CROWD];
    struct terminal *server = start_server(pair, "-q");
    const char *address = ready_address(server);

    for (unsigned i = 0; i < CROWD; i++) {
        cargo[i] = random_bytes(CARGO, i + 1);
        clients[i] = start_client(pair, address);
        type_bytes(clients[i], cargo[i], CARGO);
        end_input(clients[i]);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        finish_with(clients[i], 0);
        expect_printed_bytes(clients[i], cargo[i], CARGO);
        free(cargo[i]);
    }
    end_server(server);
}

static void test_tcp_server_serves_a_crowd(void **state)
{
    (void)state;
    serve_a_crowd(&tcp_pair);
}

static void test_unix_server_serves_a_crowd(void **state)
{
    (void)state;
    serve_a_crowd(&unix_pair);
}

/* One more than the bound has to wait, until a place is free. */
static void keep_the_bound(const struct pair *pair)
{
    static int clients[BOUND + 1];
    struct terminal *server = start_server(pair, "-n1000");
    const char *address = ready_address(server);
    char answer;

    for (int i = 0; i < BOUND; i++) {
        clients[i] = connect_to(address);
        transmit(clients[i], "x", 1);
        assert_int_equal(receive(clients[i], &answer, 1), 1);
        expect_said(server, "*]: write(4) = 1"); /* its story is long */
    }
    clients[BOUND] = connect_to(address); /* into the listen queue */
    transmit(clients[BOUND], "y", 1);
    server->heard = 0; /* it may have said it before the last child wrote */
    expect_said(server, "*: sigsuspend waits for the end of a child");
    assert_int_equal(recv(clients[BOUND], &answer, 1, MSG_DONTWAIT), -1);

    close(clients[0]);
    assert_int_equal(receive(clients[BOUND], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    for (int i = 1; i <= BOUND; i++) {
        close(clients[i]);
    }
    end_server(server);
}

static void test_tcp_server_keeps_its_bound(void **state)
{
    (void)state;
    keep_the_bound(&tcp_pair);
}

static void test_unix_server_keeps_its_bound(void **state)
{
    (void)state;
    keep_the_bound(&unix_pair);
}

/* What a process has: open descriptors, children, pages of memory. */
struct possession {
    int descriptors;
    int children; /* zombies too */
    long kibibytes;
};

/* The value behind a word in a file of /proc, -1 if it is not there. */
static long value_in(const char *path, const char *word)
{
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, word, strlen(word)) == 0) {
            value = strtol(line + strlen(word), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return value;
}

static struct possession possession_of(pid_t pid)
{
    struct possession has = {0, 0, 0};
    struct dirent *entry;
    char path[300];

    snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        has.descriptors += entry->d_name[0] != '.';
    }
    closedir(folder);

    folder = opendir("/proc");
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "/proc/%s/status", entry->d_name);
        has.children += value_in(path, "PPid:") == (long)pid;
    }
    closedir(folder);

    snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    has.kibibytes = value_in(path, "VmRSS:");
    return has;
}

static bool has_no_child(const void *pid)
{
    return possession_of(*(const pid_t *)pid).children == 0;
}

static void serve_some(const char *address, int count)
{
    char answer[6];

    for (int i = 0; i < count; i++) {
        int client = connect_to(address);
        transmit(client, "hello\n", 6);
        assert_int_equal(shutdown(client, SHUT_WR), 0);
        assert_int_equal(receive(client, answer, 6), 6);
        assert_int_equal(receive(client, answer, 1), 0);
        close(client);
    }
}

/* After thousands of clients the server has no more than after the first. */
static void serve_a_queue(const struct pair *pair)
{
    struct terminal *server = start_server(pair, "-q");
    const char *address = ready_address(server);

    if (access("/proc/self/status", R_OK) != 0) {
        skip(); /* there is no such way to look at a process here */
    }
    serve_some(address, FIRST);
    expect_true(has_no_child, &server->pid, "the end of all children");
    struct possession first = possession_of(server->pid);
    serve_some(address, QUEUE - FIRST);
    expect_true(has_no_child, &server->pid, "the end of all children");
    struct possession last = possession_of(server->pid);

    assert_int_equal(last.descriptors, first.descriptors);
    assert_true(last.kibibytes <= first.kibibytes + 64);
    end_server(server);
}

static void test_tcp_server_serves_a_queue(void **state)
{
    (void)state;
    serve_a_queue(&tcp_pair);
}

static void test_unix_server_serves_a_queue(void **state)
{
    (void)state;
    serve_a_queue(&unix_pair);
}

/* A client sends without end, never reads, and vanishes: the next is served,
 * and the story says what happened to it. */
static void survive_a_flood(const struct pair *pair)
{
    static char bytes[CARGO];
    struct terminal *server = start_server(pair, "-n1000");
    const char *address = ready_address(server);
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int flooding = connect_to(address);
    long sent = 0;

    /* Until nothing more goes in: the server waits for us to read. */
    for (ssize_t count = 0; sent < FLOOD && count != -1; sent += count) {
        const struct timeval short_time = {.tv_usec = 200000};
        setsockopt(flooding, SOL_SOCKET, SO_SNDTIMEO, &short_time,
                   sizeof short_time);
        count = send(flooding, bytes, sizeof bytes, MSG_NOSIGNAL);
    }
    assert_true(sent < FLOOD); /* the buffers of the kernel are bounded */
    assert_int_equal(
        setsockopt(flooding, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(flooding);
    expect_said(server, "*]: write *: *");
    serve_some(address, 1);
    end_server(server);
}

static void test_tcp_server_survives_a_flood(void **state)
{
    (void)state;
    survive_a_flood(&tcp_pair);
}

static void test_unix_server_survives_a_flood(void **state)
{
    (void)state;
    survive_a_flood(&unix_pair);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(test_tcp_server_serves_a_crowd),
        TEST(test_unix_server_serves_a_crowd),
        TEST(test_tcp_server_keeps_its_bound),
        TEST(test_unix_server_keeps_its_bound),
        TEST(test_tcp_server_serves_a_queue),
        TEST(test_unix_server_serves_a_queue),
        TEST(test_tcp_server_survives_a_flood),
        TEST(test_unix_server_survives_a_flood),
    };

    choose_tests();
    if (argc != 5) {
        fprintf(stderr, "usage: test_load TCP_SERVER TCP_CLIENT UNIX_SERVER "
                        "UNIX_CLIENT\n");
        return 2;
    }
    tcp_pair.server = absolute(argv[1]);
    tcp_pair.client = absolute(argv[2]);
    unix_pair.server = absolute(argv[3]);
    unix_pair.client = absolute(argv[4]);
    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
