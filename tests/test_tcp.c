/*
 * test_tcp.c - tcp_server and tcp_client, end to end.
 *
 * Arguments: the paths of the two programs.
 */
#include "stream_tests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair pair = {
    .server_name = "tcp_server",
    .client_name = "tcp_client",
    .server_operands = "[HOST [PORT [REPLY]]]",
    .client_operands = "[HOST [PORT [MESSAGE]]]",
};

#define REFUSED_HINT                                                           \
    "tcp_client: hint: nobody listens there: is the server running*IPv4 and "  \
    "IPv6 differ*"

static const char *port_of_place(void)
{
    return strrchr(place(), ':') + 1;
}

/* Both sides' whole story, line by line. */
static void test_conversation(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", "127.0.0.1", "0", NULL);
    struct terminal *c = open_client(PLACE, NULL);

    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    assert_said(
        c, "tcp_client: socket(AF_INET, SOCK_STREAM) = 3",
        "tcp_client: connect(3, 127.0.0.1:*) waits for the server",
        "tcp_client: connect(3, 127.0.0.1:*) = 0",
        "tcp_client: write(3) = 15 \"Hello, server!\\n\"",
        "tcp_client: shutdown(3, SHUT_WR) = 0, *",
        "tcp_client: read(3) = 15 \"Hello, server!\\n\"",
        "tcp_client: read(3) = 0, end of file: the server has closed",
        "tcp_client: close(3) = 0; writes: 1, 15 bytes; reads: 1, 15 bytes",
        NULL);
    finish_with(s, 0);
    expect_printed(s, "");
    assert_story(s, "tcp_server: ", "socket(AF_INET, SOCK_STREAM) = 3",
                 "bind(3, 127.0.0.1:0) = 0", "listen(3, 128) = 0",
                 "ready on 127.0.0.1:*", "accept(3) waits for a client",
                 "accept(3) = 4, client 127.0.0.1:*",
                 "fork() = *, a child that serves it",
                 "close(4) = 0, the child serves",
                 "?sigsuspend* waits for the end of a child",
                 "close(3) = 0; clients served: 1", NULL);
    assert_story(s, "tcp_server[", "*]: close(3) = 0, the parent accepts",
                 "*]: read(4) = 15 \"Hello, server!\\n\"", "*]: write(4) = 15",
                 "*]: read(4) = 0, end of file: the client has finished "
                 "sending",
                 "*]: close(4) = 0; reads: 1, 15 bytes; writes: 1, 15 bytes",
                 NULL);
}

static void test_conversation_over_ipv6(void **state)
{
    (void)state;
    if (!has_ipv6()) {
        print_message("no ::1 here\n");
        skip();
    }
    use_place("[::1]:0");
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, NULL);

    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    assert_said_among(c, "tcp_client: socket(AF_INET6, SOCK_STREAM) = 3",
                      "tcp_client: connect(3, [::1]:*) = 0", NULL);
    finish_with(s, 0);
    assert_said_among(s, "tcp_server: socket(AF_INET6, SOCK_STREAM) = 3",
                      "tcp_server: bind(3, [::1]:0) = 0",
                      "tcp_server: ready on [::1]:*",
                      "tcp_server: accept(3) = 4, client [::1]:*", NULL);
}

static void test_conversation_on_all_addresses(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", "0.0.0.0", "0", NULL);
    struct terminal *c = open_client("127.0.0.1", port_of_place(), NULL);

    assert_true(matches("0.0.0.0:*", place()));
    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    finish_with(s, 0);
}

/* In a network of their own, which has no address: what both programs try is
 * seen, and the real default port of this machine stays alone. */
static void test_defaults(void **state)
{
    (void)state;
    need_apart("-n");
    struct terminal *s = start_apart("-n", "exec \"$0\"", pair.server, NULL);
    struct terminal *c = start_apart("-n", "exec \"$0\"", pair.client, NULL);

    expect_said(s, "*127.0.0.1:12345*");
    expect_said(c, "*: connect(3, 127.0.0.1:12345) waits for the server");
    ends_with(c, 1); /* nothing can be there */
}

static void test_usage_tells_the_defaults(void **state)
{
    (void)state;

    expect_usage_text(pair.server, "\n  HOST ", "(127.0.0.1)\n", "\n  PORT ",
                      "(12345)\n", "\n  REPLY ", "echo", "\n  -n COUNT ", NULL);
    expect_usage_text(pair.client, "\n  HOST ", "(127.0.0.1)\n", "\n  PORT ",
                      "(12345)\n", "\n  MESSAGE ", "(Hello, server!)\n", NULL);
}

/* ---- Ports ---- */

static void test_port_0_becomes_a_real_one(void **state)
{
    (void)state;
    struct terminal *a = open_server("127.0.0.1", "0", NULL);
    struct terminal *b = open_server("127.0.0.1", "0", NULL);

    assert_int_not_equal(strtol(port_of_place(), NULL, 10), 0);
    expect_echo();
    stop(a);
    expect_echo(); /* it is the second that answers */
    stop(b);
}

static void test_what_is_no_port_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",     " 80",   "80 ",    "+80",  "-1",    "0x50",
        "80.0", "65536", "99999",  "http", "1e3",   "4294967376",
        "\n80", "80x",   "１２３", "-0",   "65535a"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_usage(open_client("--", "127.0.0.1", wrong[i], NULL),
                     "tcp_client: PORT * a number from 1 to 65535*: *");
        expect_usage(try_server("--", "127.0.0.1", wrong[i], NULL),
                     "tcp_server: PORT * a number from 0 to 65535*: *");
    }
    /* 0 lets the kernel choose, which helps servers only. */
    expect_usage(open_client("127.0.0.1", "0", NULL),
                 "tcp_client: PORT * a number from 1 to 65535*: 0");
}

static void test_ports_below_1024_need_a_privilege(void **state)
{
    (void)state;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "r");
    int first = 1024;

    if (file != NULL) {
        assert_int_equal(fscanf(file, "%d", &first), 1);
        fclose(file);
    }
    if (first <= 80) {
        print_message("everybody may use port 80 here\n");
        skip();
    }
    if (geteuid() == 0) {
        need_nobody(pair.server);
    }
    struct terminal *s =
        geteuid() == 0 ? start_as_nobody(pair.server, "127.0.0.1", "80", NULL)
                       : try_server("127.0.0.1", "80", NULL);
    expect_failure(
        s, "tcp_server: bind 127.0.0.1:80: Permission denied",
        "tcp_server: hint: a server's ports below 1024 belong to the "
        "system: *");
}

/* ---- Failures ---- */

static void test_nobody_listens(void **state)
{
    (void)state;
    char address[sizeof "127.0.0.1:65535"];
    struct sockaddr_in free_port = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    /* Bound, so that nobody else takes it, but it does not listen. */
    free_port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&free_port, sizeof free_port),
                     0);
    snprintf(address, sizeof address, "127.0.0.1:%s", own_port(fd));
    use_place(address);
    struct terminal *c = open_client(PLACE, NULL);
    expect_failure(c, "tcp_client: connect 127.0.0.1:*: Connection refused",
                   REFUSED_HINT);
    expect_printed(c, "");
    /* Quietly too: only the story is left out. */
    struct terminal *quiet = open_client("-q", PLACE, NULL);
    ends_with(quiet, 1);
    assert_said(quiet, "tcp_client: connect 127.0.0.1:*: Connection refused",
                REFUSED_HINT, NULL);
    close(fd);
}

/* IPv4 and IPv6 look alike to a learner: the hint tells. */
static void test_server_listens_on_the_other_family(void **state)
{
    (void)state;
    if (!has_ipv6()) {
        print_message("no ::1 here\n");
        skip();
    }
    struct terminal *s = open_server("127.0.0.1", "0", NULL);

    expect_failure(open_client("::1", port_of_place(), NULL),
                   "tcp_client: connect [::1]:*: Connection refused",
                   REFUSED_HINT);
    stop(s);
}

static void test_port_is_taken(void **state)
{
    (void)state;
    struct terminal *first = open_server(PLACE, NULL);

    expect_failure(try_server(PLACE, NULL),
                   "tcp_server: bind 127.0.0.1:*: Address already in use",
                   "tcp_server: hint: another program has this port: *");
    stop(first);
}

static void test_no_such_host(void **state)
{
    (void)state;

    /* Names in .invalid exist nowhere (RFC 6761). */
    expect_failure(open_client("nosuchhost.invalid", "12345", NULL),
                   "tcp_client: getaddrinfo nosuchhost.invalid: *",
                   "tcp_client: hint: HOST is a name, or a numeric address*");
    expect_failure(try_server("nosuchhost.invalid", "0", NULL),
                   "tcp_server: getaddrinfo nosuchhost.invalid: *",
                   "tcp_server: hint: HOST is a name, or a numeric address*");
    struct terminal *raw = open_client("\033[2J", "12345", NULL);
    expect_failure(raw, "tcp_client: getaddrinfo \\x1b[2J: *", "*: hint: *");
    assert_harmless(raw);
}

static void test_address_of_another_machine(void **state)
{
    (void)state;

    /* An address for documentation, that nobody has (RFC 5737). */
    expect_failure(
        try_server("192.0.2.1", "0", NULL),
        "tcp_server: bind 192.0.2.1:0: Cannot assign requested address",
        "tcp_server: hint: this machine does not have this address; *");
}

/* Runs the program with our own /etc/hosts. */
#define WITH_HOSTS "mount --bind hosts /etc/hosts && exec \"$0\" \"$@\""

static void write_hosts(const char *text)
{
    FILE *file = fopen("hosts", "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

/* pair.test has two addresses, in a corner of the loopback network where no
 * other test takes a port. */
static const char *const two[] = {"127.0.1.1", "127.0.1.2"};
#define TWO_HOSTS "127.0.1.1 pair.test\n127.0.1.2 pair.test\n"

/* A server listens on one of them only: each in its turn, so that whatever the
 * order is, one first try fails. */
static void test_client_tries_each_address_of_a_name(void **state)
{
    size_t refused = 0;

    (void)state;
    need_apart("-m");
    write_hosts(TWO_HOSTS);
    for (size_t i = 0; i < 2; i++) {
        struct terminal *s = open_server(two[i], "0", NULL);
        struct terminal *c = start_apart("-m", WITH_HOSTS, pair.client,
                                         "pair.test", port_of_place(), NULL);
        finish_with(c, 0);
        expect_printed(c, "Hello, server!\n");
        assert_not_said(c, "*: hint: *"); /* one of them did answer */
        assert_said_among(
            c, "tcp_client: getaddrinfo(pair.test) may wait for a name service",
            "tcp_client: socket(*", NULL);
        refused += count_said(c, "*: connect *: Connection refused");
        /* The socket of the failed try was closed. */
        assert_said_among(c, "tcp_client: connect(3, *) = 0",
                          "tcp_client: write(3) = 15 *", NULL);
        stop(s);
    }
    assert_int_equal(refused, 1);
    unlink("hosts");
}

/* The port is taken on one of them: each in its turn. */
static void test_server_takes_the_first_address_that_it_can(void **state)
{
    size_t taken = 0;

    (void)state;
    need_apart("-m");
    write_hosts(TWO_HOSTS);
    for (size_t i = 0; i < 2; i++) {
        char address[sizeof "127.0.1.1:65535"];
        snprintf(address, sizeof address, "%s:0", two[i]);
        int fd = listen_on(address);
        struct terminal *s = start_apart("-m", WITH_HOSTS, pair.server, "-n",
                                         "1", "pair.test", own_port(fd), NULL);
        use_place(ready_address(s));
        assert_true(matches(i == 0 ? "127.0.1.2:*" : "127.0.1.1:*", place()));
        expect_echo();
        finish_with(s, 0);
        assert_not_said(s, "*: hint: *");
        assert_int_equal(count_said(s, "*: ready on *"), 1);
        taken += count_said(s, "*: bind *: Address already in use");
        close(fd);
    }
    assert_int_equal(taken, 1);
    unlink("hosts");
}

/* Every address was tried: a reason for each, and one hint. */
static void test_all_addresses_of_a_name_fail(void **state)
{
    (void)state;
    need_apart("-m");
    write_hosts(TWO_HOSTS);
    struct terminal *s = open_server("127.0.1.3", "0", NULL);
    struct terminal *c = start_apart("-m", WITH_HOSTS, pair.client, "pair.test",
                                     port_of_place(), NULL);
    expect_failure(c, "tcp_client: connect 127.0.1.*: Connection refused",
                   REFUSED_HINT);
    assert_int_equal(count_said(c, "*: connect *: Connection refused"), 2);
    stop(s);
    unlink("hosts");
}

/* ---- Connections that break off ---- */

/* Closes with a reset, whether something is unread or not. */
static void reset(int fd)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now),
                     0);
    assert_int_equal(close(fd), 0);
}

static void test_client_resets(void **state)
{
    (void)state;
    struct terminal *s = open_server("-qn1", PLACE, NULL);

    reset(connect_here());
    expect_count_said(
        s, 1, "tcp_server[*]: read 127.0.0.1:*: Connection reset by peer");
    expect_echo();
    finish_with(s, 0); /* the one who broke off was not counted */
    assert_int_equal(count_said(s, "*"), 2);
}

static void test_server_resets(void **state)
{
    (void)state;
    char question[sizeof "Hello, server!"] = "";
    int listener = listen_here();
    struct terminal *c = open_client("-q", PLACE, NULL);
    int fd = accept_from(listener);

    assert_int_equal(receive(fd, question, 15), 15);
    transmit(fd, "Hello, ", 7);
    expect_printed(c, "Hello, "); /* what came before it is not lost */
    reset(fd);
    expect_failure(c, "tcp_client: read 127.0.0.1:*: Connection reset by peer",
                   "tcp_client: hint: the other side broke the connection off");
    expect_printed(c, "Hello, ");
    leave(listener);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_conversation),
        STREAM_TEST(test_conversation_over_ipv6),
        STREAM_TEST(test_conversation_on_all_addresses),
        STREAM_TEST(test_defaults),
        STREAM_TEST(test_usage_tells_the_defaults),
        STREAM_TEST(test_port_0_becomes_a_real_one),
        STREAM_TEST(test_what_is_no_port_is_refused),
        STREAM_TEST(test_ports_below_1024_need_a_privilege),
        STREAM_TEST(test_nobody_listens),
        STREAM_TEST(test_server_listens_on_the_other_family),
        STREAM_TEST(test_port_is_taken),
        STREAM_TEST(test_no_such_host),
        STREAM_TEST(test_address_of_another_machine),
        STREAM_TEST(test_client_tries_each_address_of_a_name),
        STREAM_TEST(test_server_takes_the_first_address_that_it_can),
        STREAM_TEST(test_all_addresses_of_a_name_fail),
        STREAM_TEST(test_client_resets),
        STREAM_TEST(test_server_resets),
    };

    int failed = run_stream_tests(argc, argv);
    failed += cmocka_run_group_tests_name("tcp pair", tests, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
