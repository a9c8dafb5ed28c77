/*
 * test_udp.c - udp_server and udp_client, end to end.
 *
 * Arguments: the paths of the two programs.
 */
#include "harness.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    DATAGRAM_MAX = 65507, /* bytes in one datagram of IPv4 */
};

static const char *server;
static const char *client;

/* ---- Helpers of the dialogues ---- */

/* The client asks one question, and prints exactly this. */
static void assert_answered(const char *host, const char *port,
                            const char *message, const char *printed)
{
    struct terminal *c = start(client, host, port, message, NULL);

    finish_with(c, 0);
    expect_printed(c, printed);
}

static void assert_between(size_t least, size_t number, size_t most)
{
    if (number < least || number > most) {
        fail_msg("%zu is not from %zu to %zu", number, least, most);
    }
}

/* ---- The test's own side of a conversation ---- */

/* A datagram that came in, and whom from. */
struct question {
    char data[DATAGRAM_MAX + 1];
    size_t size;
    struct sockaddr_storage from;
    socklen_t from_size;
};

static void take_question(int fd, struct question *question)
{
    question->from_size = sizeof question->from;
    ssize_t size =
        recvfrom(fd, question->data, sizeof question->data - 1, 0,
                 (struct sockaddr *)&question->from, &question->from_size);
    if (size == -1) {
        fail_msg("no question came: %s", strerror(errno));
    }
    question->size = (size_t)size;
    question->data[size] = '\0';
}

static void answer(int fd, const struct question *question, const char *data)
{
    ssize_t sent =
        sendto(fd, data, strlen(data), 0,
               (const struct sockaddr *)&question->from, question->from_size);

    assert_int_equal(sent, strlen(data));
}

/* Sends a datagram to a server, and takes its answer. */
static size_t trade(int fd, const void *data, size_t size, char *received)
{
    assert_int_equal(send(fd, data, size, 0), size);
    ssize_t count = recv(fd, received, DATAGRAM_MAX + 1, 0);
    if (count == -1) {
        fail_msg("no answer came: %s", strerror(errno));
    }
    return (size_t)count;
}

static struct sockaddr_in loopback_port(const char *port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    return address;
}

/* A socket of the test that exchanges datagrams with a server. */
static int datagrams_with(const char *port)
{
    struct sockaddr_in to = loopback_port(port);
    int fd = bound_datagram("127.0.0.1:0");

    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* A socket at this address that keeps its port from others and yet hears
 * nobody: it is connected to itself. So nobody listens at this port. */
static int deaf_datagram(const char *address)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    int fd = bound_datagram(address);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&own, size), 0);
    return fd;
}

/* An address of loopback that no other test has. */
static const char *own_host(void)
{
    long pid = (long)getpid();

    return formatted("127.%ld.%ld.%ld", 1 + pid / 65536 % 250, pid / 256 % 256,
                     pid % 256);
}

/* ---- Conversations ---- */

static void test_both_sides_tell_every_call(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "1", "127.0.0.1", "0", NULL);
    const char *at = ready_address(s);
    expect_said(s, "udp_server: recvfrom(3) waits for a datagram");
    struct terminal *c = start(client, "127.0.0.1", strchr(at, ':') + 1, NULL);

    finish_with(c, 0);
    finish_with(s, 0);
    expect_printed(c, "Hello, server!\n");
    expect_printed(s, "");
    assert_said(
        c, "udp_client: socket(AF_INET, SOCK_DGRAM) = 3",
        formatted("udp_client: connect(3, %s) = 0, nothing is sent yet", at),
        formatted("udp_client: sendto(3, %s) = 14 \"Hello, server!\"", at),
        "udp_client: recvfrom(3) waits for the answer, try 1 of 3",
        "udp_client: recvfrom(3) = 14 \"Hello, server!\"",
        "udp_client: close(3) = 0",
        "udp_client: done; sent: 1, 14 bytes; received: 1, 14 bytes", NULL);
    assert_said(
        s, "udp_server: socket(AF_INET, SOCK_DGRAM) = 3",
        "udp_server: bind(3, 127.0.0.1:0) = 0",
        formatted("udp_server: ready on %s", at),
        "udp_server: recvfrom(3) waits for a datagram",
        "udp_server: recvfrom(3) = 14 \"Hello, server!\" from 127.0.0.1:*",
        "udp_server: sendto(3, 127.0.0.1:*) = 14",
        "udp_server: close(3) = 0; received: 1, 14 bytes; sent: 1, 14 bytes",
        NULL);
}

static void test_reply_answers_every_datagram(void **state)
{
    (void)state;
    struct terminal *s =
        start(server, "-n", "3", "127.0.0.1", "0", "Hello, client!", NULL);
    const char *port = ready_port(s);

    assert_answered("127.0.0.1", port, "Hello, server!", "Hello, client!\n");
    struct terminal *c = start(client, "127.0.0.1", port, "-", NULL);
    type(c, "one\n\n");
    finish_with(c, 0);
    expect_printed(c, "Hello, client!\nHello, client!\n");
    finish_with(s, 0);
    assert_said_among(s, "udp_server: sendto(3, 127.0.0.1:*) = 14", NULL);
}

static void test_an_empty_reply_is_an_empty_datagram(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "1", "127.0.0.1", "0", "", NULL);

    assert_answered("127.0.0.1", ready_port(s), "Hello", "\n");
    finish_with(s, 0);
    assert_said_among(s, "udp_server: sendto(3, 127.0.0.1:*) = 0", NULL);
}

static void test_a_message_is_one_datagram_of_its_bytes(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "Hello", "你好，世界", "", "a\nb\n", "--", "-q", "--help"};
    struct question q;
    int fd = bound_datagram("127.0.0.1:0");

    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct terminal *c =
            start(client, "127.0.0.1", own_port(fd), messages[i], NULL);
        take_question(fd, &q);
        assert_int_equal(q.size, strlen(messages[i]));
        assert_string_equal(q.data, messages[i]);
        answer(fd, &q, "yes");
        finish_with(c, 0);
        expect_printed(c, "yes\n");
    }
    close(fd);
}

static void test_every_line_is_a_datagram(void **state)
{
    (void)state;
    static const char typed[] = "one\n\nn\0l\n 你好 \r\nno newline";
    static const char *const lines[] = {"one", "", "n\0l", " 你好 \r",
                                        "no newline"};
    static const size_t sizes[] = {3, 0, 3, 9, 10};
    struct question q;
    int fd = bound_datagram("127.0.0.1:0");
    struct terminal *c = start(client, "127.0.0.1", own_port(fd), "-", NULL);

    type_bytes(c, typed, sizeof typed - 1);
    end_input(c);
    expect_said(c, "*sendto(*) = 3 \"one\"");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        take_question(fd, &q);
        assert_int_equal(q.size, sizes[i]);
        assert_memory_equal(q.data, lines[i], sizes[i]);
        answer(fd, &q, i == 1 ? "" : formatted("answer %zu", i));
        expect_printed_size(c, i == 0 ? 9 : 10 + 9 * (i - 1));
    }
    finish_with(c, 0);
    expect_printed(c, "answer 0\n\nanswer 2\nanswer 3\nanswer 4\n");
    assert_said_among(c, "udp_client: recvfrom(*) = 0 \"\"",
                      "udp_client: sendto(*) = 3 \"n\\0l\"",
                      "udp_client: sendto(*) = 9 \" 你好 \\r\"",
                      "udp_client: done; sent: 5, 25 bytes; received: 5, "
                      "32 bytes",
                      NULL);
    close(fd);
}

static void test_lines_come_back_byte_for_byte(void **state)
{
    (void)state;
    enum { SIZE = 64 * 1024 }; /* about 256 lines of every byte value */
    struct terminal *s = start(server, "127.0.0.1", "0", NULL);
    struct terminal *c = start(client, "127.0.0.1", ready_port(s), "-", NULL);
    unsigned char *bytes = random_bytes(SIZE, 1);

    bytes[SIZE - 1] = '\n';
    type_bytes(c, bytes, SIZE);
    finish_with(c, 0);
    expect_printed_bytes(c, bytes, SIZE);
    free(bytes);
    assert_clean(c, "udp_client");
    signal_program(s, SIGTERM);
    assert_int_equal(wait_end(s), 128 + SIGTERM);
    assert_clean(s, "udp_server");
}

static void test_conversation_on_a_terminal(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "3", "127.0.0.1", "0", NULL);
    struct terminal *c =
        start_on_terminal(client, "127.0.0.1", ready_port(s), "-", NULL);

    type(c, "Hello\n");
    expect_printed(c, "Hello\n");
    type(c, "\n");
    expect_printed(c, "Hello\n\n");
    type(c, "你好\n");
    expect_printed(c, "Hello\n\n你好\n");
    finish_with(c, 0);
    finish_with(s, 0);
}

static void test_empty_input_sends_nothing(void **state)
{
    (void)state;
    int fd = bound_datagram("127.0.0.1:0");
    char byte;
    struct terminal *c = start(client, "127.0.0.1", own_port(fd), "-", NULL);

    finish_with(c, 0);
    expect_printed(c, "");
    assert_said_among(
        c, "udp_client: done; sent: 0, 0 bytes; received: 0, 0 bytes", NULL);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    close(fd);
}

static void test_datagrams_of_any_size_pass_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 508, 1472, 1473, 65506, DATAGRAM_MAX};
    struct terminal *s = start(server, "127.0.0.1", "0", NULL);
    struct terminal *c = start(client, "127.0.0.1", ready_port(s), "-", NULL);
    unsigned char *bytes = random_bytes(DATAGRAM_MAX, 2);
    struct bytes all = {malloc(4 * DATAGRAM_MAX), 0};

    assert_non_null(all.data);
    for (size_t i = 0; i < DATAGRAM_MAX; i++) {
        bytes[i] = bytes[i] == '\n' ? 'n' : bytes[i];
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memcpy(all.data + all.size, bytes, sizes[i]);
        all.data[all.size + sizes[i]] = '\n';
        all.size += sizes[i] + 1;
    }
    type_bytes(c, all.data, all.size);
    finish_with(c, 0);
    expect_printed_bytes(c, all.data, all.size);
    assert_said_among(c, "udp_client: recvfrom(*) = 65507 \"*\"...*", NULL);
    assert_clean(c, "udp_client");
    free(bytes);
    free(all.data);
}

/* A text that is this long, to be freed by the caller. */
static char *long_text(size_t size)
{
    char *made = malloc(size + 1);

    assert_non_null(made);
    for (size_t i = 0; i < size; i++) {
        made[i] = (char)('a' + i % 26);
    }
    made[size] = '\0';
    return made;
}

static void test_the_largest_message_and_reply_pass_whole(void **state)
{
    (void)state;
    char *longest = long_text(DATAGRAM_MAX);
    struct terminal *s =
        start(server, "-n", "2", "127.0.0.1", "0", longest, NULL);
    const char *port = ready_port(s);
    struct terminal *c = start(client, "127.0.0.1", port, longest, NULL);

    finish_with(c, 0);
    longest[DATAGRAM_MAX] = '\n';
    expect_printed_bytes(c, longest, DATAGRAM_MAX + 1);
    longest[DATAGRAM_MAX] = '\0';
    c = start(client, "127.0.0.1", port, "short", NULL);
    finish_with(c, 0);
    expect_printed_size(c, DATAGRAM_MAX + 1);
    finish_with(s, 0);
    assert_said_among(s, "udp_server: recvfrom(3) = 65507 *",
                      "udp_server: recvfrom(3) = 5 \"short\" *",
                      "udp_server: sendto(3, *) = 65507", NULL);
    assert_clean(s, "udp_server");
    free(longest);
}

static void test_what_no_datagram_holds_is_refused(void **state)
{
    (void)state;
    static const char hint[] = "*: hint: *65507 bytes*";
    char *too_long = long_text(DATAGRAM_MAX + 1);
    struct terminal *s = start(server, "127.0.0.1", "0", too_long, NULL);
    struct terminal *c = start(client, "127.0.0.1", "1", too_long, NULL);

    expect_failure(s, "udp_server: REPLY of 65508 bytes: Message too long",
                   hint);
    assert_not_said(s, "*ready on*");
    expect_failure(c, "udp_client: sendto of 65508 bytes: Message too long",
                   hint);
    assert_not_said(c, "*socket(*");

    /* What came before the line is answered. */
    s = start(server, "-n", "1", "127.0.0.1", "0", NULL);
    c = start(client, "127.0.0.1", ready_port(s), "-", NULL);
    type(c, "short\n");
    type(c, too_long);
    type(c, "\nnever sent\n");
    finish_with(c, 1);
    expect_printed(c, "short\n");
    assert_said_among(c,
                      "udp_client: sendto of a line over 65507 bytes: "
                      "Message too long",
                      hint, NULL);
    finish_with(s, 0);
    free(too_long);
}

static void test_ipv6(void **state)
{
    (void)state;
    if (!has_ipv6()) {
        skip();
    }
    struct terminal *s = start(server, "-n", "1", "::1", "0", NULL);
    const char *at = ready_address(s);
    assert_true(matches("[::1]:*", at));
    struct terminal *c =
        start(client, "::1", strrchr(at, ':') + 1, "你好", NULL);

    finish_with(c, 0);
    expect_printed(c, "你好\n");
    finish_with(s, 0);
    assert_said_among(c, "udp_client: socket(AF_INET6, SOCK_DGRAM) = 3",
                      formatted("udp_client: connect(3, %s) = 0, *", at), NULL);
    assert_said_among(s, "udp_server: bind(3, [::1]:0) = 0",
                      "udp_server: recvfrom(3) = 6 \"你好\" from [::1]:*",
                      NULL);
}

static void test_all_addresses_of_the_machine(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "1", "0.0.0.0", "0", NULL);
    const char *at = ready_address(s);

    assert_true(matches("0.0.0.0:*", at));
    assert_answered("127.0.0.1", strchr(at, ':') + 1, "Hello", "Hello\n");
    finish_with(s, 0);
    if (has_ipv6()) {
        s = start(server, "-n", "1", "::", "0", NULL);
        at = ready_address(s);
        assert_true(matches("[::]:*", at));
        assert_answered("::1", strrchr(at, ':') + 1, "Hello", "Hello\n");
        finish_with(s, 0);
    }
}

static void test_each_client_is_served_while_another_idles(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "12", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);
    struct terminal *idle =
        start_on_terminal(client, "127.0.0.1", port, "-", NULL);
    struct terminal *many[10];

    type(idle, "first\n");
    expect_printed(idle, "first\n");
    for (int i = 0; i < 10; i++) {
        many[i] =
            start(client, "127.0.0.1", port, formatted("client %d", i), NULL);
    }
    for (int i = 0; i < 10; i++) {
        finish_with(many[i], 0);
        expect_printed(many[i], formatted("client %d\n", i));
    }
    type(idle, "last\n");
    expect_printed(idle, "first\nlast\n");
    finish_with(idle, 0);
    finish_with(s, 0);
}

/* ---- Options and operands ---- */

static void test_help_names_the_defaults(void **state)
{
    (void)state;
    static const char *const options[] = {"-h", "--help", "-qh"};
    static const char *const told[] = {"HOST ",   "(127.0.0.1)", "PORT ",
                                       "(12345)", "  -q ",       "  -h "};

    for (size_t i = 0; i < 3; i++) {
        struct terminal *s = start(server, options[i], NULL);
        struct terminal *c = start(client, options[i], "a", "b", NULL);
        finish_with(s, 0);
        finish_with(c, 0);
        for (size_t j = 0; j < sizeof told / sizeof told[0]; j++) {
            assert_non_null(strstr(s->printed.data, told[j]));
            assert_non_null(strstr(c->printed.data, told[j]));
        }
        assert_non_null(strstr(s->printed.data, "usage: udp_server "));
        assert_non_null(strstr(s->printed.data, "  -n COUNT "));
        assert_non_null(strstr(c->printed.data, "usage: udp_client "));
        assert_non_null(strstr(c->printed.data, "(Hello, server!)"));
        assert_said(s, NULL);
        assert_said(c, NULL);
    }
}

/* Runs a program that may open nothing any more: its failure names the
 * address, and the well-known port is left alone. */
static struct terminal *start_without_descriptors(const char *path)
{
    /* Standard input is closed, so that there is one to load libraries. */
    return start("/bin/sh", "-c", "exec <&-; ulimit -n 3; exec \"$0\"", path,
                 NULL);
}

/* AddressSanitizer tries for ever to open a file with a number above 2. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as GCC has it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
static const bool needs_descriptors = true;
#else
static const bool needs_descriptors = false;
#endif

static void test_the_default_address_is_loopback(void **state)
{
    (void)state;
    if (needs_descriptors) {
        skip();
    }
    struct terminal *s = start_without_descriptors(server);
    struct terminal *c = start_without_descriptors(client);

    wait_end(s);
    wait_end(c);
    if (count_said(s, "udp_server: *") == 0) {
        skip(); /* an emulator or a checker needs more descriptors */
    }
    assert_said(s, "udp_server: socket 127.0.0.1:12345: *", NULL);
    assert_said(c, "udp_client: socket 127.0.0.1:12345: *", NULL);
    assert_int_equal(s->status, 1);
    assert_int_equal(c->status, 1);
}

static void test_defaults_of_port_message_and_reply(void **state)
{
    (void)state;
    const char *host = own_host();
    struct terminal *s = start(server, "-n", "1", host, NULL);

    expect_said(s, "udp_server: socket(*");
    const char *next = expect_said(s, "udp_server: *");
    if (matches("*: Cannot assign*", next) || matches("*: *in use", next)) {
        skip(); /* loopback is 127.0.0.1 alone, or 0.0.0.0:12345 is taken */
    }
    assert_string_equal(ready_address(s), formatted("%s:12345", host));
    struct terminal *c = start(client, host, NULL);
    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    finish_with(s, 0);
}

static void test_quiet_leaves_the_ready_line_and_errors(void **state)
{
    (void)state;
    int deaf_fd = deaf_datagram("127.0.0.1:0");
    struct terminal *s = start(server, "-q", "-n", "2", "127.0.0.1", "0", NULL);
    const char *at = ready_address(s);
    struct terminal *c =
        start(client, "-q", "127.0.0.1", strchr(at, ':') + 1, "-", NULL);

    type(c, "one\ntwo\n");
    finish_with(c, 0);
    expect_printed(c, "one\ntwo\n");
    assert_said(c, NULL);
    finish_with(s, 0);
    assert_said(s, formatted("udp_server: ready on %s", at), NULL);

    const char *port = own_port(deaf_fd);
    c = start(client, "-q", "127.0.0.1", port, NULL);
    finish_with(c, 1);
    assert_said(
        c,
        formatted("udp_client: recvfrom 127.0.0.1:%s: Connection refused",
                  port),
        "udp_client: hint: *", NULL);
    close(deaf_fd);
}

static void test_count_ends_the_server(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n2", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);

    assert_answered("127.0.0.1", port, "1", "1\n");
    expect_said(s, "udp_server: sendto(*) = 1");
    expect_said(s, "udp_server: recvfrom(3) waits for a datagram");
    assert_answered("127.0.0.1", port, "2", "2\n");
    assert_int_equal(wait_end(s), 0);
    assert_said_among(s,
                      "udp_server: close(3) = 0; received: 2, 2 bytes; "
                      "sent: 2, 2 bytes",
                      NULL);
}

static void test_two_dashes_end_the_options(void **state)
{
    (void)state;
    struct terminal *s =
        start(server, "-n", "1", "--", "127.0.0.1", "0", "-q", NULL);
    struct terminal *c =
        start(client, "--", "127.0.0.1", ready_port(s), "-", NULL);

    type(c, "Hello\n");
    finish_with(c, 0);
    expect_printed(c, "-q\n");
    finish_with(s, 0);
    expect_usage(start(client, "--", "--help", "x", NULL),
                 "udp_client: *PORT*number from 1 to 65535*");
}

static void test_bad_ports_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "abc",   "99999", "65536",      "-1",
        "+80",  " 80",   "80 ",   "80x",        "0x50",
        "1e3",  "8.0",   "echo",  "4294967297", "18446744073709551617",
        "１２", "80\n1", "-0",    "０"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_usage(start(server, "127.0.0.1", bad[i], NULL),
                     "udp_server: *PORT*number from 0 to 65535*");
        expect_usage(start(client, "127.0.0.1", bad[i], NULL),
                     "udp_client: *PORT*number from 1 to 65535*");
    }
    expect_usage(start(client, "127.0.0.1", "0", NULL),
                 "udp_client: *PORT*number from 1 to 65535*");
}

static void test_the_highest_port_is_a_port(void **state)
{
    (void)state;
    struct terminal *c = start(client, "127.0.0.1", "65535", NULL);

    expect_said(c, "udp_client: sendto(3, 127.0.0.1:65535) = 14 *");
    signal_program(c, SIGTERM);
    wait_end(c); /* refused, or ended: somebody may have this port */
}

static void test_bad_options_are_refused(void **state)
{
    (void)state;
    static const char *const counts[] = {"0",  "-1", "",
                                         "1x", " 1", "99999999999999999999"};

    expect_usage(start(server, "-x", NULL), "udp_server: unknown option: -x");
    expect_usage(start(client, "-x", NULL), "udp_client: unknown option: -x");
    expect_usage(start(server, "--quiet", NULL),
                 "udp_server: unknown option: --quiet");
    expect_usage(start(client, "-n", "1", NULL),
                 "udp_client: unknown option: -n");
    expect_usage(start(server, "-n", NULL),
                 "udp_server: option needs a COUNT: -n");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        expect_usage(
            start(server, "-n", counts[i], NULL),
            formatted("udp_server: *COUNT*number from 1 *: %s", counts[i]));
    }
    expect_usage(start(server, "127.0.0.1", "0", "reply", "more", NULL),
                 "udp_server: one operand too many: more");
    expect_usage(start(client, "127.0.0.1", "1", "message", "more", NULL),
                 "udp_client: one operand too many: more");
}

/* ---- Errors that teach ---- */

static void test_nobody_listens(void **state)
{
    (void)state;
    int fd = deaf_datagram("127.0.0.1:0");
    const char *port = own_port(fd);
    struct terminal *c = start(client, "127.0.0.1", port, NULL);

    expect_failure(
        c,
        formatted("udp_client: recvfrom 127.0.0.1:%s: Connection refused",
                  port),
        "udp_client: hint: nobody listens there: is the server "
        "running, *");
    assert_not_said(c, "*try 2 of 3"); /* said at once */
    close(fd);
}

static void test_a_server_that_ended_is_told_at_once(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "1", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);
    struct terminal *c = start(client, "127.0.0.1", port, "-", NULL);

    type(c, "first\n");
    expect_printed(c, "first\n");
    assert_int_equal(wait_end(s), 0);
    type(c, "second\nthird\n");
    finish_with(c, 1);
    expect_printed(c, "first\n");
    assert_said_among(
        c, formatted("udp_client: * 127.0.0.1:%s: Connection refused", port),
        "udp_client: hint: nobody listens there*", NULL);
    assert_not_said(c, "*try 2 of 3");
    assert_not_said(c, "*third*");
}

static void test_the_port_is_taken(void **state)
{
    (void)state;
    struct terminal *first = start(server, "-n", "1", "127.0.0.1", "0", NULL);
    const char *port = ready_port(first);
    struct terminal *second = start(server, "127.0.0.1", port, NULL);

    expect_failure(
        second,
        formatted("udp_server: bind 127.0.0.1:%s: Address already in use",
                  port),
        "udp_server: hint: another program has this port*");
    assert_not_said(second, "*ready on*");
    assert_answered("127.0.0.1", port, "still there", "still there\n");
    finish_with(first, 0);
}

static void test_no_such_host(void **state)
{
    (void)state;
    /* No name service is asked for it: a label has at most 63 bytes. */
    char *name = long_text(64);
    const char *failure = formatted("*: getaddrinfo %s: *", name);
    static const char hint[] = "*: hint: *name*";

    expect_failure(start(server, name, "0", NULL), failure, hint);
    expect_failure(start(client, name, "1", NULL), failure, hint);
    free(name);
}

static void test_an_address_of_another_machine(void **state)
{
    (void)state;
    expect_failure(start(server, "192.0.2.1", "0", NULL), /* RFC 5737 */
                   "udp_server: bind 192.0.2.1:0: Cannot assign requested "
                   "address",
                   "udp_server: hint: this machine does not have this "
                   "address; *");
}

static const char *low_host; /* NULL: it shall show its help */

/* Becomes a server without privileges on a port below 1024. */
static void become_nobody_and_serve(void)
{
    char *arguments[] = {(char *)(uintptr_t) "udp_server",
                         (char *)(uintptr_t)(low_host ? low_host : "-h"),
                         (char *)(uintptr_t) "7", NULL};

    if (geteuid() == 0 && (setgid(65534) == -1 || setuid(65534) == -1)) {
        _exit(126);
    }
    execv("./server", arguments);
    _exit(127);
}

static void test_ports_below_1024(void **state)
{
    (void)state;

    copy_program(server, "server");
    assert_int_equal(chmod(".", 0755), 0);

    low_host = NULL;
    if (finish(start_function(become_nobody_and_serve)) != 0) {
        assert_int_equal(unlink("server"), 0);
        skip(); /* not even a copy is for everybody, such as a stand-in's */
    }
    low_host = own_host();
    struct terminal *s = start_function(become_nobody_and_serve);
    expect_said(s, "udp_server: socket(*");
    const char *next = expect_said(s, "udp_server: *");
    assert_int_equal(unlink("server"), 0);
    if (matches("*Cannot assign*", next) || matches("*bind(*) = 0", next)) {
        skip(); /* not here: a container may give these ports to everybody */
    }
    expect_failure(
        s, formatted("udp_server: bind %s:7: Permission denied", low_host),
        "udp_server: hint: a server's ports below 1024 *");
}

/* ---- Names with several addresses ---- */

static const char *const addresses[] = {"::1", "127.0.0.1"};
static bool own_names; /* the programs get a file of names of their own */

/* Returns a name that has both addresses, in this order, or NULL. */
static const char *name_of_both(void)
{
    static const char names[] = "::1 pair.test\n127.0.0.1 pair.test\n";
    struct addrinfo wanted;
    struct addrinfo *list;

    memset(&wanted, 0, sizeof wanted);
    wanted.ai_socktype = SOCK_DGRAM;
    assert_int_equal(getaddrinfo("localhost", NULL, &wanted, &list), 0);
    bool both = list->ai_family == AF_INET6 && list->ai_next != NULL &&
                list->ai_next->ai_family == AF_INET &&
                list->ai_next->ai_next == NULL;
    freeaddrinfo(list);
    if (both) {
        own_names = false;
        return "localhost";
    }
    FILE *file = fopen("hosts", "w");
    assert_non_null(file);
    assert_true(fputs(names, file) >= 0);
    assert_int_equal(fclose(file), 0);
    own_names = true; /* it takes root, and Linux */
    if (has_ipv6() &&
        finish(start("/bin/sh", "-c",
                     "unshare -m mount --bind hosts /etc/hosts", NULL)) == 0) {
        return "pair.test";
    }
    assert_int_equal(unlink("hosts"), 0);
    return NULL;
}

static void forget_names(void)
{
    if (own_names) {
        assert_int_equal(unlink("hosts"), 0);
    }
}

/* As start() with these three arguments, of which the last may be NULL. */
static struct terminal *start_with_names(const char *path, const char *host,
                                         const char *port, const char *more)
{
    if (!own_names) {
        return start(path, host, port, more, NULL);
    }
    return start("/bin/sh", "-c",
                 "exec unshare -m sh -c 'mount --bind hosts /etc/hosts && "
                 "exec \"$0\" \"$@\"' \"$0\" \"$@\"",
                 path, host, port, more, NULL);
}

static const char *with_port(const char *host, const char *port)
{
    return formatted(strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host,
                     port);
}

static void test_localhost(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "1", "localhost", "0", NULL);

    assert_answered("localhost", ready_port(s), "Hello", "Hello\n");
    finish_with(s, 0);
}

/* Sockets at the first and the second of the addresses, with the same port.
 * The second one hears; connected to itself, it would be as deaf as the first.
 */
static void take_port_of_both(int *first_fd, int *second_fd)
{
    const struct timeval patience = {.tv_sec = DEADLINE};
    int refused;

    do {
        struct sockaddr_in second;
        *first_fd = deaf_datagram("[::1]:0");
        second = loopback_port(own_port(*first_fd));
        *second_fd = socket(AF_INET, SOCK_DGRAM, 0);
        setsockopt(*second_fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof patience);
        refused = bind(*second_fd, (struct sockaddr *)&second, sizeof second);
        if (refused != 0) { /* somebody else has it there: another one */
            close(*first_fd);
            close(*second_fd);
        }
    } while (refused != 0);
}

static void test_the_client_tries_each_address_of_a_name(void **state)
{
    (void)state;
    const char *name = name_of_both();
    struct question q;
    int first_fd;
    int second_fd;

    if (name == NULL) {
        skip();
    }
    take_port_of_both(&first_fd, &second_fd);
    const char *port = own_port(first_fd);
    struct terminal *c = start_with_names(client, name, port, "-");
    type_now(c, "one\ntwo\n");
    for (int i = 0; i < 2; i++) {
        take_question(second_fd, &q);
        answer(second_fd, &q, q.data);
    }
    finish_with(c, 0);
    expect_printed(c, "one\ntwo\n");
    assert_int_equal(count_said(c, "*: Connection refused"), 1);
    assert_said_among(c,
                      formatted("udp_client: recvfrom %s: Connection refused",
                                with_port(addresses[0], port)),
                      NULL);
    assert_not_said(c, "*hint*"); /* it went well in the end */

    /* And nobody at either: both failures are told, and one hint. */
    struct sockaddr_in own = loopback_port(port);
    assert_int_equal(connect(second_fd, (struct sockaddr *)&own, sizeof own),
                     0);
    c = start_with_names(client, name, port, NULL);
    finish_with(c, 1);
    assert_said_among(c,
                      formatted("udp_client: recvfrom %s: Connection refused",
                                with_port(addresses[0], port)),
                      formatted("udp_client: recvfrom %s: Connection refused",
                                with_port(addresses[1], port)),
                      "udp_client: hint: *", NULL);
    assert_int_equal(count_said(c, "*hint*"), 1);
    close(first_fd);
    close(second_fd);
    forget_names();
}

static void test_the_server_takes_the_first_address_it_can(void **state)
{
    (void)state;
    const char *name = name_of_both();
    struct terminal *s;
    const char *port;
    const char *line;
    int first_fd;
    int second_fd;

    if (name == NULL) {
        skip();
    }
    do { /* again, if somebody takes the second address in between */
        take_port_of_both(&first_fd, &second_fd);
        port = own_port(first_fd);
        close(second_fd);
        s = start_with_names(server, name, port, NULL);
        expect_said(s, formatted("udp_server: bind %s: Address already in use",
                                 with_port(addresses[0], port)));
        do {
            line = expect_said(s, "udp_server: *");
        } while (!matches("*: ready on *", line) &&
                 !matches("*: bind *: Address already in use", line));
    } while (!matches("*: ready on *", line));
    assert_string_equal(line, formatted("udp_server: ready on %s",
                                        with_port(addresses[1], port)));
    assert_not_said(s, "*hint*");
    assert_answered(addresses[1], port, "Hello", "Hello\n");

    struct terminal *late = start_with_names(server, name, port, NULL);
    finish_with(late, 1);
    assert_int_equal(count_said(late, "*: Address already in use"), 2);
    assert_int_equal(count_said(late, "*hint*"), 1);
    close(first_fd);
    forget_names();
}

/* ---- What UDP does to datagrams ---- */

static long long milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/*
 * Three things that take their time, together: a question that is lost, one
 * that nobody answers, and a silence of the latter's three seconds, after
 * which a server tells its story again.
 */
static void test_lost_questions_and_a_burst(void **state)
{
    (void)state;
    enum { BURST = 500 };
    static char received[DATAGRAM_MAX + 1];
    struct question q;

    /* A burst: it is counted after the first few. */
    struct terminal *s = start(server, "127.0.0.1", "0", NULL);
    int fd = datagrams_with(ready_port(s));
    for (int i = 0; i < BURST; i++) {
        assert_int_equal(trade(fd, "burst", 5, received), 5);
    }

    /* Its first question is lost, then it asks again. */
    int loser_fd = bound_datagram("127.0.0.1:0");
    struct terminal *lost =
        start(client, "127.0.0.1", own_port(loser_fd), NULL);
    int silent_fd = bound_datagram("127.0.0.1:0");
    const char *silent_port = own_port(silent_fd);
    long long begin = milliseconds();
    struct terminal *unheard = start(client, "127.0.0.1", silent_port, NULL);
    take_question(loser_fd, &q);
    take_question(loser_fd, &q);
    assert_string_equal(q.data, "Hello, server!");
    answer(loser_fd, &q, "yes");
    finish_with(lost, 0);
    expect_printed(lost, "yes\n");
    assert_said_among(
        lost, "udp_client: recvfrom(3) waits for the answer, try 1 of 3",
        "udp_client: recvfrom(3) = -1, no answer for 1 second",
        "udp_client: sendto(3, *) = 14 \"Hello, server!\"",
        "udp_client: recvfrom(3) waits for the answer, try 2 of 3",
        "udp_client: recvfrom(3) = 3 \"yes\"",
        "udp_client: done; sent: 2, 28 bytes; received: 1, 3 bytes", NULL);

    /* Three tries, one second each, and no more. */
    expect_failure(
        unheard,
        formatted("udp_client: recvfrom 127.0.0.1:%s: Connection timed "
                  "out",
                  silent_port),
        "udp_client: hint: no answer came*");
    long long took = milliseconds() - begin;
    assert_true(took >= 2900 && took < 20 * 1000);
    for (int i = 0; i < 3; i++) {
        take_question(silent_fd, &q);
        assert_string_equal(q.data, "Hello, server!");
    }
    assert_int_equal(recv(silent_fd, received, 1, MSG_DONTWAIT), -1);
    assert_int_equal(count_said(unheard, "*waits for the answer*"), 3);

    /* The burst is long over: a datagram is news again. */
    trade(fd, "later", 5, received);
    expect_said(s, "udp_server: recvfrom(3) = 5 \"later\" from 127.0.0.1:*");
    expect_said(s, "udp_server: sendto(3, 127.0.0.1:*) = 5");
    signal_program(s, SIGTERM);
    assert_int_equal(wait_end(s), 128 + SIGTERM);
    assert_int_equal(count_said(s, "*; the rest of this burst is only *"), 1);
    assert_between(3, count_said(s, "*\"burst\"*"), 20);
    assert_between(10, count_said(s, "*"), 60);
    close(fd);
    close(loser_fd);
    close(silent_fd);
}

static void test_a_long_conversation_is_counted(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "300", "127.0.0.1", "0", NULL);
    struct terminal *c = start(client, "127.0.0.1", ready_port(s), "-", NULL);

    for (int i = 0; i < 300; i++) {
        type(c, "again\n");
    }
    finish_with(c, 0);
    expect_printed_size(c, 300 * 6);
    assert_said_among(c, "udp_client: read(0) waits for input (Ctrl-D ends it)",
                      "udp_client: socket(*", NULL);
    finish_with(s, 0);
    assert_int_equal(count_said(c, "*; from now on only counted"), 1);
    assert_between(6, count_said(c, "*\"again\"*"), 40);
    assert_between(10, count_said(c, "*"), 80);
    assert_between(10, count_said(s, "*"), 60);
    assert_said_among(c,
                      "udp_client: done; sent: 300, 1500 bytes; received: "
                      "300, 1500 bytes",
                      NULL);
    assert_said_among(s,
                      "udp_server: close(3) = 0; received: 300, 1500 bytes; "
                      "sent: 300, 1500 bytes",
                      NULL);
}

static void test_a_doubled_answer_answers_no_later_question(void **state)
{
    (void)state;
    enum { QUESTIONS = 40 }; /* more than the client keeps sockets */
    static struct question last;
    static struct question now;
    char printed[QUESTIONS * 16] = "";
    int fd = bound_datagram("127.0.0.1:0");
    struct terminal *c = start(client, "127.0.0.1", own_port(fd), "-", NULL);

    for (int i = 0; i < QUESTIONS; i++) {
        type_now(c, formatted("question %d\n", i));
        take_question(fd, &now);
        assert_string_equal(now.data, formatted("question %d", i));
        if (i > 0) {
            answer(fd, &last, "a late copy");
        }
        answer(fd, &now, formatted("answer %d", i));
        answer(fd, &now, "a copy");
        strcat(printed, formatted("answer %d\n", i));
        expect_printed(c, printed);
        last = now;
    }
    finish_with(c, 0);
    expect_printed(c, printed);
    close(fd);
}

static void test_strangers_answer_in_vain(void **state)
{
    (void)state;
    struct question q;
    int fd = bound_datagram("127.0.0.1:0");
    int stranger_fd = bound_datagram("127.0.0.1:0");
    struct terminal *c = start(client, "127.0.0.1", own_port(fd), "-", NULL);

    type_now(c, "who are you?\nand now?\n");
    for (int i = 0; i < 2; i++) {
        take_question(fd, &q);
        answer(stranger_fd, &q, "the server, believe me");
        answer(fd, &q, "the server");
    }
    finish_with(c, 0);
    expect_printed(c, "the server\nthe server\n");
    close(fd);
    close(stranger_fd);
}

/* ---- A relay that does to datagrams what a network may do ---- */

enum {
    WAYS = 64,     /* clients' addresses that it knows */
    LETTERS = 512, /* datagrams that it holds back at a time */
    LETTER_SIZE = 256,
    DELAY_MAX = 40, /* milliseconds */
    RELAYS = 10,
    QUESTIONS_EACH = 20,
};

static struct sockaddr_in relay_to; /* the server, for a new relay */
static unsigned relay_seed;

static struct way {
    int fd; /* connected to the server, on behalf of this client */
    struct sockaddr_in client;
} ways[WAYS];

static struct letter {
    long long due; /* when it goes on; 0: there is none */
    struct way *way;
    bool to_client;
    size_t size;
    char data[LETTER_SIZE];
} letters[LETTERS];

static struct fates {
    int lost, doubled, delayed, forged;
} fates;

/* A number below `limit`, from the seed. */
static int chance(int limit)
{
    relay_seed ^= relay_seed << 13; /* xorshift: Marsaglia, 2003 */
    relay_seed ^= relay_seed >> 17;
    relay_seed ^= relay_seed << 5;
    return (int)((relay_seed >> 3) % (unsigned)limit);
}

/* Holds a datagram back for some milliseconds. */
static void hold(struct letter letter, int delay)
{
    for (size_t i = 0; i < LETTERS; i++) {
        if (letters[i].due == 0) {
            letters[i] = letter;
            letters[i].due = milliseconds() + delay;
            return;
        }
    }
    fates.lost++;
}

/* Decides what happens to a datagram on its way. */
static void relay_letter(const struct letter *letter, int forger_fd)
{
    static int seen;

    if (letter->to_client && chance(4) == 0) {
        static const char forged[] = "forged";
        sendto(forger_fd, forged, sizeof forged - 1, 0,
               (const struct sockaddr *)&letter->way->client,
               sizeof letter->way->client);
        fates.forged++;
    }
    if (++seen == 7 || chance(60) == 0) {
        fates.lost++;
        return;
    }
    if (chance(3) == 0) {
        fates.doubled++;
        hold(*letter, chance(DELAY_MAX));
    }
    if (chance(3) == 0) {
        fates.delayed++; /* another one may overtake it */
        hold(*letter, 1 + chance(DELAY_MAX));
    } else {
        hold(*letter, 0);
    }
}

/* The way of a client's datagrams, or NULL when there are too many. */
static struct way *way_of(const struct sockaddr_in *from)
{
    size_t i = 0;

    while (i < WAYS && ways[i].fd > 0) {
        if (ways[i].client.sin_port == from->sin_port) {
            return &ways[i];
        }
        i++;
    }
    if (i == WAYS) {
        return NULL;
    }
    ways[i].fd = socket(AF_INET, SOCK_DGRAM, 0);
    ways[i].client = *from;
    if (connect(ways[i].fd, (struct sockaddr *)&relay_to, sizeof relay_to) ==
        -1) {
        _exit(1);
    }
    return &ways[i];
}

/* Sends what is due; returns the milliseconds until something is. */
static int send_due(int front_fd)
{
    long long now = milliseconds();
    int wait = -1;

    for (size_t i = 0; i < LETTERS; i++) {
        struct letter *letter = &letters[i];
        if (letter->due == 0) {
            continue;
        }
        if (letter->due > now) {
            int left = (int)(letter->due - now);
            wait = wait == -1 || left < wait ? left : wait;
            continue;
        }
        letter->due = 0;
        /* A failure is a loss, and this is UDP. */
        ssize_t ignored =
            letter->to_client
                ? sendto(front_fd, letter->data, letter->size, 0,
                         (struct sockaddr *)&letter->way->client,
                         sizeof letter->way->client)
                : send(letter->way->fd, letter->data, letter->size, 0);
        (void)ignored;
    }
    return wait;
}

/* The relay itself, a process of its own, until its input ends. */
static void relay(void)
{
    struct sockaddr_in own = loopback_port("0");
    socklen_t own_size = sizeof own;
    int front_fd = socket(AF_INET, SOCK_DGRAM, 0);
    int forger_fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (bind(front_fd, (struct sockaddr *)&own, sizeof own) == -1 ||
        getsockname(front_fd, (struct sockaddr *)&own, &own_size) == -1) {
        _exit(1);
    }
    fprintf(stderr, "relay: ready on 127.0.0.1:%d\n", ntohs(own.sin_port));
    for (;;) {
        struct pollfd all[WAYS + 2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                       {.fd = front_fd, .events = POLLIN}};
        for (size_t i = 0; i < WAYS; i++) {
            all[i + 2].fd = ways[i].fd > 0 ? ways[i].fd : -1;
            all[i + 2].events = POLLIN;
        }
        poll(all, WAYS + 2, send_due(front_fd));
        if (all[0].revents != 0) {
            break;
        }
        for (size_t i = 0; i < WAYS; i++) {
            struct letter letter = {.to_client = true, .way = &ways[i]};
            if (all[i + 2].revents == 0) {
                continue;
            }
            ssize_t size = recv(ways[i].fd, letter.data, LETTER_SIZE, 0);
            letter.size = size > 0 ? (size_t)size : 0;
            relay_letter(&letter, forger_fd);
        }
        if (all[1].revents != 0) {
            struct letter letter = {.to_client = false};
            struct sockaddr_in from;
            socklen_t from_size = sizeof from;
            ssize_t size = recvfrom(front_fd, letter.data, LETTER_SIZE, 0,
                                    (struct sockaddr *)&from, &from_size);
            if (size != -1) { /* -1: a client's old port is gone */
                letter.way = way_of(&from);
                letter.size = (size_t)size;
            }
            if (letter.way != NULL) {
                relay_letter(&letter, forger_fd);
            }
        }
    }
    fprintf(stderr, "relay: lost %d, doubled %d, delayed %d, forged %d\n",
            fates.lost, fates.doubled, fates.delayed, fates.forged);
    _exit(0); /* it has nothing of the test's to clear away */
}

static void test_answers_are_right_over_a_bad_network(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-q", "127.0.0.1", "0", NULL);
    struct terminal *relays[RELAYS];
    struct terminal *clients[RELAYS];
    struct fates all = {0};
    int answered = 0;

    relay_to = loopback_port(ready_port(s));
    for (unsigned i = 0; i < RELAYS; i++) {
        relay_seed = 1234567 * (i + 1);
        relays[i] = start_function(relay);
        clients[i] =
            start(client, "127.0.0.1", ready_port(relays[i]), "-", NULL);
        for (int j = 0; j < QUESTIONS_EACH; j++) {
            type(clients[i], formatted("client %u asks question %d\n", i, j));
        }
        end_input(clients[i]);
    }
    for (unsigned i = 0; i < RELAYS; i++) {
        struct terminal *c = clients[i];
        char printed[QUESTIONS_EACH * 64] = "";
        int complete = wait_end(c);

        int right = 0;
        while (right < QUESTIONS_EACH && strlen(printed) < c->printed.size) {
            strcat(printed,
                   formatted("client %u asks question %d\n", i, right));
            right++;
        }
        expect_printed(c, printed);
        answered += right;
        if (complete == 0) {
            assert_int_equal(right, QUESTIONS_EACH);
        } else { /* three tries were lost */
            assert_int_equal(complete, 1);
            assert_said_among(c, "udp_client: recvfrom *: Connection timed out",
                              "udp_client: hint: no answer came*", NULL);
        }
        finish_with(relays[i], 0);
        struct fates some = {0};
        const char *counts = strstr(relays[i]->said.data, "relay: lost");
        assert_non_null(counts);
        assert_int_equal(sscanf(counts,
                                "relay: lost %d, doubled %d, delayed "
                                "%d, forged %d",
                                &some.lost, &some.doubled, &some.delayed,
                                &some.forged),
                         4);
        all.lost += some.lost;
        all.doubled += some.doubled;
        all.delayed += some.delayed;
        all.forged += some.forged;
    }
    /* The network was bad indeed, and most got through. */
    assert_true(all.lost > 0 && all.doubled > 0 && all.delayed > 0 &&
                all.forged > 0);
    assert_true(answered > RELAYS * QUESTIONS_EACH / 2);
}

/* ---- Hostile datagrams ---- */

static void test_clients_that_vanish_are_no_trouble(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "22", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);
    int stays = datagrams_with(port);
    char received[DATAGRAM_MAX + 1];

    for (int i = 0; i < 20; i++) {
        int fd = datagrams_with(port);
        transmit(fd, "gone", 4);
        close(fd);
    }
    /* All have been answered then: a late answer to one who has gone would
     * reach whoever gets that port next. */
    assert_int_equal(trade(stays, "here", 4, received), 4);
    close(stays);
    assert_answered("127.0.0.1", port, "Hello", "Hello\n");
    finish_with(s, 0);
}

static void test_the_server_survives_any_datagram(void **state)
{
    (void)state;
    static char received[DATAGRAM_MAX + 1];
    struct terminal *s = start(server, "127.0.0.1", "0", NULL);
    int fd = datagrams_with(ready_port(s));
    unsigned char *bytes = random_bytes(DATAGRAM_MAX, 3);

    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(trade(fd, "", 0, received), 0);
    }
    for (size_t i = 0; i < 256; i++) {
        assert_int_equal(trade(fd, bytes + i, 1, received), 1);
        assert_int_equal((unsigned char)received[0], i);
    }
    assert_int_equal(trade(fd, bytes, DATAGRAM_MAX, received), DATAGRAM_MAX);
    assert_memory_equal(received, bytes, DATAGRAM_MAX);
    free(bytes);
    close(fd);
    signal_program(s, SIGTERM);
    assert_int_equal(wait_end(s), 128 + SIGTERM);
    assert_clean(s, "udp_server");
}

/* What comes from the network, and how the story shows it. */
static const struct hostile {
    const char *data;
    size_t size;
    const char *shown;
} hostile[] = {
    {"\0\1\2\3\4\5\6\7\b\t\n", 11,
     "\\0\\x01\\x02\\x03\\x04\\x05\\x06\\x07\\x08\\t\\n"},
    {"\v\f\r\16\17\20\21\22\23\24\25", 11,
     "\\x0b\\x0c\\r\\x0e\\x0f\\x10\\x11\\x12\\x13\\x14\\x15"},
    {"\26\27\30\31\32\33\34\35\36\37\177", 11,
     "\\x16\\x17\\x18\\x19\\x1a\\x1b\\x1c\\x1d\\x1e\\x1f\\x7f"},
    {"\33]0;title\a\33[2J", 14, "\\x1b]0;title\\x07\\x1b[2J"},
    {"\302\233\300\257\355\240\200", 7, /* U+009B, overlong, a surrogate */
     "\\xc2\\x9b\\xc0\\xaf\\xed\\xa0\\x80"},
    {"\344\275 \377\376", 5, "\\xe4\\xbd \\xff\\xfe"},
    {"你好 \"\\", 9, "你好 \\\"\\\\"},
};
enum { HOSTILE = sizeof hostile / sizeof hostile[0] };

static void test_control_bytes_never_reach_the_terminal_raw(void **state)
{
    (void)state;
    static char received[DATAGRAM_MAX + 1];
    struct terminal *s = start(server, "127.0.0.1", "0", NULL);
    int fd = datagrams_with(ready_port(s));
    struct question q;

    for (size_t i = 0; i < HOSTILE; i++) {
        trade(fd, hostile[i].data, hostile[i].size, received);
        const char *line = expect_said(s, "udp_server: recvfrom(3) = * from *");
        assert_non_null(
            strstr(line, formatted("%zu \"%s\" from", hostile[i].size,
                                   hostile[i].shown)));
    }
    close(fd);
    signal_program(s, SIGTERM);
    wait_end(s);
    assert_clean(s, "udp_server");

    /* And the client, whose data stays what it is. */
    fd = bound_datagram("127.0.0.1:0");
    for (size_t i = 0; i < HOSTILE; i++) {
        struct terminal *c = start(client, "127.0.0.1", own_port(fd), NULL);
        take_question(fd, &q);
        assert_int_equal(sendto(fd, hostile[i].data, hostile[i].size, 0,
                                (struct sockaddr *)&q.from, q.from_size),
                         hostile[i].size);
        finish_with(c, 0);
        assert_int_equal(c->printed.size, hostile[i].size + 1);
        assert_memory_equal(c->printed.data, hostile[i].data, hostile[i].size);
        assert_non_null(
            strstr(c->said.data, formatted("%zu \"%s\"\n", hostile[i].size,
                                           hostile[i].shown)));
        assert_clean(c, "udp_client");
    }
    close(fd);
}

/* ---- Output, input and signals ---- */

static void test_output_that_fails_is_told(void **state)
{
    (void)state;
    struct terminal *s = start(server, "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);

    if (access("/dev/full", W_OK) == 0) {
        struct terminal *c =
            start_redirected(">/dev/full", client, "127.0.0.1", port, NULL);
        finish_with(c, 1);
        assert_said_among(
            c, "udp_client: write standard output: No space left on device",
            NULL);
        c = start_redirected(">/dev/full", client, "-h", NULL);
        finish_with(c, 1);
        assert_said(
            c, "udp_client: write standard output: No space left on device",
            NULL);
    }

    struct terminal *c =
        start_redirected(">&-", client, "127.0.0.1", port, NULL);
    finish_with(c, 1);
    assert_said_among(c, "udp_client: write standard output: Bad file *", NULL);

    c = start(client, "127.0.0.1", port, "-", NULL);
    close(c->output); /* whoever read it has gone */
    c->output = -1;
    type(c, "Hello\n");
    finish_with(c, 1);
    assert_said_among(c, "udp_client: write standard output: Broken pipe",
                      "udp_client: hint: *", NULL);
}

static void test_input_that_fails_is_told(void **state)
{
    (void)state;
    struct terminal *c =
        start_redirected("<&-", client, "127.0.0.1", "1", "-", NULL);

    finish_with(c, 1);
    assert_said_among(c, "udp_client: read standard input: Bad file *", NULL);
    c = start_redirected("</", client, "127.0.0.1", "1", "-", NULL);
    finish_with(c, 1);
    assert_said_among(c, "udp_client: read standard input: Is a directory",
                      NULL);
}

static void test_the_conversation_needs_no_story(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "2", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);
    static const char *const redirections[] = {"2>&-", "2>/dev/full"};

    for (size_t i = 0; i < 2; i++) {
        struct terminal *c =
            start_redirected(redirections[i], client, "127.0.0.1", port, NULL);
        finish_with(c, 0);
        expect_printed(c, "Hello, server!\n");
    }
    finish_with(s, 0);
}

static void test_signals_end_both_at_once(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM};
    struct question q;

    for (size_t i = 0; i < 2; i++) {
        struct terminal *s = start(server, "127.0.0.1", "0", NULL);
        int fd = bound_datagram("127.0.0.1:0");
        struct terminal *types =
            start(client, "127.0.0.1", ready_port(s), "-", NULL);
        struct terminal *waits = start(client, "127.0.0.1", own_port(fd), NULL);
        type(types, "Hello\n");
        expect_printed(types, "Hello\n");
        take_question(fd, &q);

        signal_program(types, numbers[i]);
        signal_program(waits, numbers[i]);
        signal_program(s, numbers[i]);
        assert_int_equal(wait_end(types), 128 + numbers[i]);
        assert_int_equal(wait_end(waits), 128 + numbers[i]);
        assert_int_equal(wait_end(s), 128 + numbers[i]);
        close(fd);
    }
}

static void test_being_stopped_and_continued_disturbs_none(void **state)
{
    (void)state;
    struct question q;
    struct terminal *s = start(server, "-n", "2", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);
    expect_said(s, "udp_server: recvfrom(3) waits for a datagram");
    int fd = bound_datagram("127.0.0.1:0");
    struct terminal *waits = start(client, "127.0.0.1", own_port(fd), NULL);
    struct terminal *types = start(client, "127.0.0.1", port, "-", NULL);

    /* The datagrams wait in the sockets. */
    type(types, "one\n");
    expect_printed(types, "one\n");
    take_question(fd, &q);
    suspend(s);
    suspend(waits);
    suspend(types);
    answer(fd, &q, "yes");
    type(types, "two\n");
    resume(types);
    expect_said(types, "*sendto(*\"two\"");
    resume(s);
    resume(waits);

    finish_with(types, 0);
    expect_printed(types, "one\ntwo\n");
    finish_with(waits, 0);
    expect_printed(waits, "yes\n");
    finish_with(s, 0);
    close(fd);
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_stage, close_stage)

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_sides_tell_every_call),
        TEST(test_reply_answers_every_datagram),
        TEST(test_an_empty_reply_is_an_empty_datagram),
        TEST(test_a_message_is_one_datagram_of_its_bytes),
        TEST(test_every_line_is_a_datagram),
        TEST(test_lines_come_back_byte_for_byte),
        TEST(test_conversation_on_a_terminal),
        TEST(test_empty_input_sends_nothing),
        TEST(test_datagrams_of_any_size_pass_whole),
        TEST(test_the_largest_message_and_reply_pass_whole),
        TEST(test_what_no_datagram_holds_is_refused),
        TEST(test_ipv6),
        TEST(test_all_addresses_of_the_machine),
        TEST(test_each_client_is_served_while_another_idles),
        TEST(test_help_names_the_defaults),
        TEST(test_the_default_address_is_loopback),
        TEST(test_defaults_of_port_message_and_reply),
        TEST(test_quiet_leaves_the_ready_line_and_errors),
        TEST(test_count_ends_the_server),
        TEST(test_two_dashes_end_the_options),
        TEST(test_bad_ports_are_refused),
        TEST(test_the_highest_port_is_a_port),
        TEST(test_bad_options_are_refused),
        TEST(test_nobody_listens),
        TEST(test_a_server_that_ended_is_told_at_once),
        TEST(test_the_port_is_taken),
        TEST(test_no_such_host),
        TEST(test_an_address_of_another_machine),
        TEST(test_ports_below_1024),
        TEST(test_localhost),
        TEST(test_the_client_tries_each_address_of_a_name),
        TEST(test_the_server_takes_the_first_address_it_can),
        TEST(test_lost_questions_and_a_burst),
        TEST(test_a_long_conversation_is_counted),
        TEST(test_a_doubled_answer_answers_no_later_question),
        TEST(test_strangers_answer_in_vain),
        TEST(test_answers_are_right_over_a_bad_network),
        TEST(test_clients_that_vanish_are_no_trouble),
        TEST(test_the_server_survives_any_datagram),
        TEST(test_control_bytes_never_reach_the_terminal_raw),
        TEST(test_output_that_fails_is_told),
        TEST(test_input_that_fails_is_told),
        TEST(test_the_conversation_needs_no_story),
        TEST(test_signals_end_both_at_once),
        TEST(test_being_stopped_and_continued_disturbs_none),
    };

    choose_tests();
    if (argc != 3) {
        fprintf(stderr, "usage: test_udp SERVER CLIENT\n");
        return 2;
    }
    server = absolute(argv[1]);
    client = absolute(argv[2]);
    return cmocka_run_group_tests_name("udp", tests, NULL, NULL);
}
