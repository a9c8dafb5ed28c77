/*
 * test_udp.c - udp_server and udp_client, end to end: what a datagram carries,
 * and what the client does when UDP loses, doubles or delays one. What the
 * pages show (docs/), such as the usual stories and failures, is proven there.
 */
#include "harness.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DATAGRAM_MAX = 65507 }; /* bytes that a datagram of IPv4 can carry */

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

/* Ends the input, and compares the end, and all that was printed. */
#define expect_end(...) (HERE, compare_whole_end(__VA_ARGS__))
static void compare_whole_end(struct program *program, int status,
                              const char *printed)
{
    compare_end(program, status, true);
    compare_printed(program, printed, strlen(printed));
}

/* ---- Conversations ---- */

/* What a server, which ends with 0, and a client of these operands and this
 * input say to each other; $PORT is the server's. */
static const struct {
    const char *server, *client, *typed, *printed;
    int status;                        /* of the client */
    const char *by_server, *by_client; /* lines of their stories */
} talks[] = {
    {"-n 1 127.0.0.1 0 ''", "127.0.0.1 $PORT 'a\nb\n'", "", "\n", 0,
     "udp_server: sendto(3, 127.0.0.1:*) = 0 \"\"",
     "udp_client: sendto(3*) = 4 \"a\\nb\\n\""},
    {"-n 1 localhost 0", "localhost $PORT ''", "", "\n", 0,
     "udp_server: recvfrom(3, *) = 0 \"\"",
     "udp_client: recvfrom(3*) = 0 \"\""},
    {"-n 4 127.0.0.1 0", "127.0.0.1 $PORT - 2>&-",
     "one\n\n\033[2J你好\xff\r\nno newline",
     "one\n\n\033[2J你好\xff\r\nno newline\n", 0,
     "*: recvfrom(3, 127.0.0.1:*) = 12 \"\\x1b[2J你好\\xff\\x0d\"\n"
     "*: sendto(3, 127.0.0.1:*) = 12 \"\\x1b[2J你好\\xff\\x0d\"",
     ""},
    {"-n 1 127.0.0.1 0", "127.0.0.1 $PORT >&-", "", "", 1, "",
     "udp_client: write(1) = -1 EBADF (*)"},
    {"-n 1 127.0.0.1 0", "127.0.0.1 $PORT 3<>p >p 3<&-", "", "", 1, "",
     "udp_client: write(1) = -1 EPIPE (*)\nudp_client: hint: *"},
    {"-n 1 ::1 0", "::1 $PORT", "", "Hello, server!\n", 0,
     "udp_server: ready on [::1]:*\n*: recvfrom(3, [::1]:*) = 14 *",
     "udp_client: connect(3, [::1]:*) = 0"}, /* the last: if there is IPv6 */
};

SCENE(what_goes_comes_back)
{
    size_t count = sizeof talks / sizeof *talks - !has_ipv6();

    assert_int_equal(mkfifo("p", 0600), 0);
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
    (void)unlink("p");
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
    expect_story(client, "");
    client = start("udp_client 127.0.0.1 $PORT \"$LONG\"");
    expect_end(client, 0, formatted("%s\n", getenv("LONG")));

    /* A REPLY that no datagram can hold leaves the client waiting. */
    server = start("udp_server 127.0.0.1 0 \"${LONG}1\"");
    client = start("udp_client 127.0.0.1 %s", port_of(server));
    expect_lines(server, "*: sendto(*) = -1 EMSGSIZE (*)\n"
                         "*: recvfrom(3) waits for a datagram");
    signal_program(server, SIGTERM);
    ends_with(server, 128 + SIGTERM);
}

SCENE(one_client_is_no_trouble_for_another)
{
    struct program *server = start("udp_server -q -n 3 127.0.0.1 0");
    setenv("PORT", port_of(server), 1);
    struct program *idle = start("udp_client -q 127.0.0.1 $PORT -");

    type(idle, "one\n");
    expect_printed(idle, "one\n");
    suspend(server); /* until one client has gone without its answer */
    int fd = open_socket(address_of(server), SOCK_DGRAM, connect);
    assert_int_equal(send(fd, "and away", 8, 0), 8);
    close(fd);
    resume(server);
    type(idle, "two\n");
    expect_end(idle, 0, "one\ntwo\n");
    expect_status(server, 0);
    expect_story(server, "udp_server: ready on 127.0.0.1:*\n");
}

SCENE(more_questions_than_there_are_descriptors)
{
    char *lines = formatted("%0400d", 0);
    struct program *server =
        start("sh -c 'ulimit -n 64; exec udp_server -n 200 127.0.0.1 0'");
    struct program *client =
        start("sh -c 'ulimit -n 64; exec udp_client 127.0.0.1 %s -'",
              port_of(server));

    close(server->fds[ERROR]); /* nobody reads its story any more */
    server->fds[ERROR] = -1;
    for (size_t i = 1; i < 400; i += 2)
        lines[i] = '\n';
    type(client, lines);
    expect_end(client, 0, lines);
    expect_status(server, 0);
}

/* ---- The test is the server, and does what UDP and strangers do ---- */

SCENE(a_question_without_an_answer_is_asked_again)
{
    int fd = bound_datagram("127.0.0.1:0");
    struct program *client =
        start("udp_client 127.0.0.1 %s lost", own_port(fd));

    take(fd, "lost");
    expect_said(client, "*: recvfrom(3*) = -1 EAGAIN (*");
    expect_said(client, "*: recvfrom(3) waits for the answer, try 2 of 3");
    take(fd, "lost");
    transmit(fd, "yes", 3);
    expect_end(client, 0, "yes\n");
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

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(what_goes_comes_back),
        TEST(datagrams_of_every_size_pass_whole),
        TEST(one_client_is_no_trouble_for_another),
        TEST(more_questions_than_there_are_descriptors),
        TEST(a_question_without_an_answer_is_asked_again),
        TEST(only_the_answer_to_the_question_is_shown),
    };

    return play_tests("udp", tests, argc, argv);
}
