/*
 * test_udp.c - udp_server and udp_client, end to end: what a datagram carries,
 * that the story is whole, what the client does when UDP loses, doubles or
 * delays a datagram, and that every failure is told, with its hint.
 */
#include "harness.h"

#include <signal.h>
#include <unistd.h>

enum { DATAGRAM_MAX = 65507 }; /* bytes that a datagram of IPv4 can carry */

/* Parts of stories. $PORT is what with_port() fills in. */
#define RESOLVED "udp_client: getaddrinfo(127.0.0.1, $PORT) = 0\n"
#define WAITS    "udp_client: read(0) waits for input (Ctrl-D ends it)\n"
#define CONNECTED                                                              \
    "udp_client: socket(AF_INET, SOCK_DGRAM) = 3\n"                            \
    "udp_client: setsockopt(3, SO_RCVTIMEO) = 0\n"                             \
    "udp_client: connect(3, 127.0.0.1:N) = 0\n"
#define ASKED(number)                                                          \
    "udp_client: sendto(3) = 14 \"Hello, server!\"\n"                          \
    "udp_client: recvfrom(3) waits for the answer, try " number " of 3\n"
#define ANSWERED                                                               \
    "udp_client: recvfrom(3) = 2 \"Hi\"\n"                                     \
    "udp_client: close(3) = 0\n"
#define TIMED_OUT(number)                                                      \
    ASKED(number) "udp_client: recvfrom(3) = -1 EAGAIN (N)\n"
#define REFUSED                                                                \
    "udp_client: recvfrom(3) = -1 ECONNREFUSED (N)\n"                          \
    "udp_client: hint: start udp_server first, on this HOST and PORT\n"
#define TOO_LARGE                                                              \
    "udp_client: sendto(3) = -1 EMSGSIZE (N)\n"                                \
    "udp_client: hint: send less: a datagram holds at most 65507 bytes\n"

/* The port is in the environment, so that the shell fills it in, too. */
static const char *with_port(const char *text)
{
    const char *mark = strstr(text, "$PORT");

    return mark == NULL ? text
                        : formatted("%.*s%s%s", (int)(mark - text), text,
                                    getenv("PORT"), mark + strlen("$PORT"));
}

/* Takes this question as a server would, so that transmit() answers it. One
 * that a busy machine has let wait, and that was asked again, is dropped. */
#define take(fd, question) (HERE, take_question(fd, question))
static void take_question(int fd, const char *question)
{
    char data[64];

    do {
        data[receive_bytes(fd, data, sizeof data - 1)] = '\0';
    } while (strcmp(data, question) != 0);
}

/* A socket of the test that has a port to itself and hears nobody, for it is
 * connected to itself: nobody listens there, and nobody else can. */
static int deaf_datagram(const char *address)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    int fd = bound_datagram(address);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&own, size), 0);
    return fd;
}

/* Ends the input, and compares the end, and all that was printed. */
#define expect_end(...) (HERE, compare_whole_end(__VA_ARGS__))
static void compare_whole_end(struct program *program, int status,
                              const char *printed)
{
    compare_end(program, status, true);
    compare_printed(program, printed, strlen(printed));
}

/* ---- Conversations ---- */

SCENE(both_sides_tell_every_call)
{
    struct program *server = start("udp_server -n 1 127.0.0.1 0 Hi");

    setenv("PORT", port_of(server), 1);
    struct program *client = start("udp_client 127.0.0.1 $PORT");
    expect_end(client, 0, "Hi\n");
    expect_end(server, 0, "");
    expect_story(client, with_port(RESOLVED CONNECTED ASKED("1") ANSWERED));
    expect_story(
        server, "udp_server: getaddrinfo(127.0.0.1, 0) = 0\n"
                "udp_server: socket(AF_INET, SOCK_DGRAM) = 3\n"
                "udp_server: bind(3, 127.0.0.1:0) = 0\n"
                "udp_server: ready on 127.0.0.1:N\n"
                "udp_server: recvfrom(3) waits for a datagram\n"
                "udp_server: recvfrom(3, 127.0.0.1:N) = 14 \"Hello, server!\"\n"
                "udp_server: sendto(3, 127.0.0.1:N) = 2 \"Hi\"\n"
                "udp_server: close(3) = 0\n");
}

/* What a server, which ends with 0, and a client of these operands and this
 * input say to each other; $PORT is the server's. */
static const struct {
    const char *server, *client, *typed, *printed;
    int status;                        /* of the client */
    const char *by_server, *by_client; /* lines of their stories */
} talks[] = {
    {"-n 1 127.0.0.1 0 ''", "127.0.0.1 $PORT 'a\nb\n'", "", "\n", 0,
     "udp_server: sendto(3, 127.0.0.1:N) = 0 \"\"",
     "udp_client: sendto(3) = 4 \"a\\nb\\n\""},
    {"-n 1 localhost 0", "localhost $PORT ''", "", "\n", 0,
     "udp_server: recvfrom(3, *) = 0 \"\"", "udp_client: recvfrom(3) = 0 \"\""},
    {"-n 4 127.0.0.1 0", "127.0.0.1 $PORT - 2>&-",
     "one\n\n\033[2J你好\xff\r\nno newline",
     "one\n\n\033[2J你好\xff\r\nno newline\n", 0,
     "*: recvfrom(3, 127.0.0.1:N) = 12 \"\\x1b[2J你好\\xff\\x0d\"\n"
     "*: sendto(3, 127.0.0.1:N) = 12",
     ""},
    {"-n 1 127.0.0.1 0", "-q 127.0.0.1 $PORT >/dev/full", "", "", 1, "",
     "udp_client: write(1) = -1 ENOSPC (*)"},
    {"-n 1 127.0.0.1 0", "127.0.0.1 $PORT >&-", "", "", 1, "",
     "udp_client: write(1) = -1 EBADF (*)"},
    {"-n 1 ::1 0", "::1 $PORT", "", "Hello, server!\n", 0,
     "udp_server: ready on [::1]:N\n*: recvfrom(3, [::1]:N) = 14 *",
     "udp_client: connect(3, [::1]:N) = 0"}, /* the last: if there is IPv6 */
};

SCENE(what_goes_comes_back)
{
    size_t count = sizeof talks / sizeof *talks - !has_ipv6();

    for (size_t i = 0; i < count; i++) {
        struct program *server = start("udp_server %s", talks[i].server);
        setenv("PORT", port_of(server), 1);
        struct program *client = start("udp_client %s", talks[i].client);
        type(client, talks[i].typed);
        expect_end(client, talks[i].status, talks[i].printed);
        expect_status(server, 0); /* after COUNT datagrams, not before */
        expect_lines(client, talks[i].by_client);
        expect_lines(server, talks[i].by_server);
    }
}

SCENE(datagrams_of_every_size_pass_whole)
{
    static const size_t sizes[] = {0, 1, 512, 1472, 1473, 65506, DATAGRAM_MAX};
    static char lines[3 * DATAGRAM_MAX]; /* of NULs */
    size_t size = 0;
    struct program *server = start("udp_server -q 127.0.0.1 0");

    setenv("PORT", port_of(server), 1);
    setenv("LONG", formatted("%0*d", DATAGRAM_MAX, 1), 1);
    struct program *client = start("udp_client -q 127.0.0.1 $PORT -");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size += sizes[i];
        lines[size++] = '\n';
    }
    type_bytes(client, lines, size);
    expect_status(client, 0);
    expect_printed_bytes(client, lines, size);
    expect_story(client, ""); /* not even that calls were counted */
    client = start("udp_client 127.0.0.1 $PORT \"$LONG\"");
    expect_end(client, 0, formatted("%s\n", getenv("LONG")));

    /* A REPLY that no datagram can hold leaves the client waiting. */
    server = start("udp_server 127.0.0.1 0 \"${LONG}1\"");
    client = start("udp_client 127.0.0.1 %s", port_of(server));
    expect_lines(server, "*: sendto(*) = -1 EMSGSIZE (*)\n*: hint: send less*\n"
                         "*: recvfrom(3) waits for a datagram");
    signal_program(server, SIGTERM);
    ends_with(server, 128 + SIGTERM);
}

SCENE(one_client_is_no_trouble_for_another)
{
    struct program *server = start("udp_server -q -n 4 127.0.0.1 0");
    setenv("PORT", port_of(server), 1);
    struct program *idle = start_on_terminal("udp_client -q 127.0.0.1 $PORT -");

    type(idle, "one\n");
    expect_printed(idle, "one\n");
    suspend(server); /* until one client has gone without its answer */
    int fd = open_socket(address_of(server), SOCK_DGRAM, connect);
    assert_int_equal(send(fd, "and away", 8, 0), 8);
    close(fd);
    resume(server);
    struct program *deaf = start("udp_client -q 127.0.0.1 $PORT -");
    close(deaf->fds[OUTPUT]); /* nobody reads what it prints */
    deaf->fds[OUTPUT] = -1;
    type(deaf, "Hello\n");
    expect_status(deaf, 1);
    expect_lines(deaf, "udp_client: write(1) = -1 EPIPE (N)\n*: hint: *");
    type(idle, "two\n");
    expect_end(idle, 0, "one\ntwo\n");
    expect_status(server, 0);
    expect_story(server, "udp_server: ready on 127.0.0.1:N\n");
}

/* Both stories of a burst are short, and end with the totals. On a busy machine
 * it may have pauses: the number of lines is only bounded. */
SCENE(a_burst_is_counted_and_leaks_nothing)
{
    static const char story[] = "*: calls that follow are only counted, *\n"
                                "*: so far received 200 bytes, sent 200\n";
    char *lines = formatted("%0*d", 2 * 200, 0);
    struct program *server = start("udp_server -n 200 127.0.0.1 0");
    struct program *client =
        start("sh -c 'ulimit -n 64; exec udp_client 127.0.0.1 %s -'",
              port_of(server));

    for (size_t i = 1; i < 2 * 200; i += 2)
        lines[i] = '\n';
    type(client, lines);
    expect_end(client, 0, lines);
    expect_status(server, 0);
    expect_lines(client, story);
    expect_lines(server, formatted("%sudp_server: close(3) = 0\n", story));
    assert_true(count_said(client, "*") + count_said(server, "*") < 300);
}

/* ---- The test is the server, and does what UDP and strangers do ---- */

SCENE(a_person_sees_every_line_told)
{
    static const char *const lines[] = {"one", "two", "lost", "four", "five"};
    int fd = bound_datagram("127.0.0.1:0");
    struct program *client =
        start_on_terminal("udp_client 127.0.0.1 %s -", own_port(fd));

    for (size_t i = 0; i < 5; i++) {
        type(client, formatted("%s\n", lines[i]));
        take(fd, lines[i]);
        expect_said(client, formatted("*: sendto(3) = * \"%s\"", lines[i]));
        if (i == 2)
            take(fd, lines[i]); /* asked again; and that was a pause */
        transmit(fd, "yes", 3);
        expect_said(client, "udp_client: recvfrom(3) = 3 \"yes\"");
    }
    expect_end(client, 0, "yes\nyes\nyes\nyes\nyes\n");
}

SCENE(only_the_answer_to_the_question_is_shown)
{
    struct sockaddr_storage first; /* the port that asked first */
    socklen_t size = sizeof first;
    char byte;
    int fd = bound_datagram("127.0.0.1:0");
    int stranger_fd = bound_datagram("127.0.0.1:0");
    struct program *client = start("udp_client 127.0.0.1 %s -", own_port(fd));

    type(client, "one\n");
    recvfrom(fd, &byte, 1, MSG_PEEK, (struct sockaddr *)&first, &size);
    take(fd, "one");
    transmit(stranger_fd, "forged", 6);
    transmit(fd, "first", 5);
    expect_printed(client, "first\n");
    type(client, "two\n");
    take(fd, "two");
    for (int i = 0; i < 5; i++) { /* at least once while it waits */
        expect_status(start("true"), 0);
        suspend(client);
        resume(client);
    }
    sendto(fd, "late", 4, 0, (struct sockaddr *)&first, size);
    transmit(fd, "second", 6);
    expect_end(client, 0, "first\nsecond\n");
}

SCENE(a_silent_server_is_asked_three_times)
{
    setenv("PORT", own_port(bound_datagram("127.0.0.1:0")), 1);
    struct program *client = start("udp_client 127.0.0.1 $PORT");

    expect_status(client, 1);
    expect_story(client,
                 with_port(RESOLVED CONNECTED TIMED_OUT("1") TIMED_OUT(
                     "2") TIMED_OUT("3") "udp_client: hint: start udp_server, "
                                         "check HOST: no answer came\n"));
}

/* ---- Failures: whole stories ---- */

/* Nobody listens at $PORT; ${LONG}1 is one byte too long. The last one has no
 * input, so nothing to send, and nothing fails. */
static const char *const failures[][2] = {
    {"udp_client 127.0.0.1 $PORT", RESOLVED CONNECTED ASKED("1") REFUSED},
    {"udp_client -q 127.0.0.1 $PORT", REFUSED},
    {"udp_client 127.0.0.1 $PORT \"${LONG}1\"", RESOLVED CONNECTED TOO_LARGE},
    {"sh -c 'echo \"${LONG}1\" | udp_client 127.0.0.1 $PORT -'",
     RESOLVED WAITS CONNECTED TOO_LARGE},
    {"udp_client 127.0.0.1 $PORT - </",
     RESOLVED WAITS "udp_client: read(0) = -1 EISDIR (N)\n"},
    {"udp_server 127.0.0.1 $PORT",
     "udp_server: getaddrinfo(127.0.0.1, $PORT) = 0\n"
     "udp_server: socket(AF_INET, SOCK_DGRAM) = 3\n"
     "udp_server: bind(3, 127.0.0.1:N) = -1 EADDRINUSE (N)\n"
     "udp_server: hint: end the server on this PORT (suspended? fg), or take "
     "another\n"},
    {"udp_server 192.0.2.1 0", /* nobody's address: RFC 5737 */
     "udp_server: getaddrinfo(192.0.2.1, 0) = 0\n"
     "udp_server: socket(AF_INET, SOCK_DGRAM) = 3\n"
     "udp_server: bind(3, 192.0.2.1:0) = -1 EADDRNOTAVAIL (N)\n"
     "udp_server: hint: take an address of this machine, such as 127.0.0.1\n"},
    {"udp_client no..host 1", /* can't be a name: no name server is asked */
     "udp_client: getaddrinfo(no..host, 1) = EAI_NONAME (N)\n"
     "udp_client: hint: check HOST: a name, or an address such as 127.0.0.1\n"},
    {"udp_client 127.0.0.1 $PORT -", RESOLVED WAITS},
};

SCENE(failures_are_told_with_a_hint)
{
    size_t count = sizeof failures / sizeof *failures;

    setenv("PORT", own_port(deaf_datagram("127.0.0.1:0")), 1);
    setenv("LONG", formatted("%0*d", DATAGRAM_MAX, 1), 1);
    for (size_t i = 0; i < count; i++) {
        struct program *program = start("%s", failures[i][0]);
        expect_end(program, i < count - 1 ? 1 : 0, "");
        expect_story(program, with_port(failures[i][1]));
    }
}

/* A program that finds names in the test's own file, instead of the machine's.
 * It takes Linux, and a user who may mount. */
#define NAMES                                                                  \
    "unshare -rm sh -c 'mount --bind hosts /etc/hosts && exec \"$@\"' sh "

/* two.test is [::1], at a port where nobody listens, and another address. */
SCENE(a_name_with_several_addresses)
{
    if (!has_ipv6() ||
        system("unshare -rm mount --bind /etc/hosts /etc/hosts") != 0)
        skip();
    assert_int_equal(system("printf '%s two.test\\n' ::1 127.1.2.3 >hosts"), 0);
    setenv("PORT", own_port(deaf_datagram("[::1]:0")), 1);
    struct program *server = start(NAMES "udp_server -n 2 two.test $PORT");
    (void)address_of(server); /* the second: the first one is taken */

    /* The second question goes at once to the address that has answered. */
    struct program *client = start(NAMES "udp_client two.test $PORT -");
    type(client, "1\n2\n");
    expect_end(client, 0, "1\n2\n");
    assert_int_equal(count_said(client, "*ECONNREFUSED*"), 1);
    expect_status(server, 0);
    expect_lines(server, "*: bind(3, [::1]:N) = -1 EADDRINUSE (N)\n"
                         "udp_server: close(3) = 0\n"
                         "*\nudp_server: ready on 127.1.2.3:N\n");
    assert_int_equal(count_said(server, "*hint*"), 0);

    client = start(NAMES "udp_client two.test $PORT"); /* nobody, now */
    expect_status(client, 1);
    expect_lines(client, "udp_client: recvfrom(3) = -1 ECONNREFUSED (N)\n"
                         "udp_client: close(3) = 0\n"
                         "udp_client: connect(3, 127.1.2.3:N) = 0\n" REFUSED);
    assert_int_equal(count_said(client, "*hint*"), 1);
    unlink("hosts");
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(both_sides_tell_every_call),
        TEST(what_goes_comes_back),
        TEST(datagrams_of_every_size_pass_whole),
        TEST(one_client_is_no_trouble_for_another),
        TEST(a_burst_is_counted_and_leaks_nothing),
        TEST(a_person_sees_every_line_told),
        TEST(only_the_answer_to_the_question_is_shown),
        TEST(a_silent_server_is_asked_three_times),
        TEST(failures_are_told_with_a_hint),
        TEST(a_name_with_several_addresses),
    };

    return play_tests("udp", tests, argc, argv);
}
