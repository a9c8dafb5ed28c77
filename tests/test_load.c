/*
 * test_load.c - proves that the servers serve many: one after another and at
 * once, never more than their bound, also when descriptors are short; and that
 * nothing of a client who has gone is left in them.
 */
#include "harness.h"

#include <signal.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

static const char *const servers[] = {
    "tcp_server -q 127.0.0.1 0",
    "unix_server -q ./socket",
};

static void end_server(struct program *server)
{
    signal_program(server, SIGTERM);
    expect_status(server, 128 + SIGTERM);
}

/* Connects to the server's address, and sends a line with this number. */
static int ask(const char *address, int number)
{
    int fd = connect_to(address);
    const char *line = formatted("line %d\n", number);

    transmit(fd, line, strlen(line));
    return fd;
}

/* Receives the line, the end of file behind it, and closes. */
static void expect_answer(int fd, int number)
{
    const char *line = formatted("line %d\n", number);
    char answer[80] = "";

    shutdown(fd, SHUT_WR);
    receive(fd, answer, sizeof answer - 1);
    assert_string_equal(answer, line);
    close(fd);
}

/* Serves clients one after another. */
static void serve(const char *address, int count)
{
    for (int i = 0; i < count; i++)
        expect_answer(ask(address, i), i);
}

/* What a server should come to: asleep, with nothing open but its standard
 * descriptors and the listening socket, and so many children, also counting
 * those that have ended. */
struct rest {
    struct program *server;
    int children;
};

static bool has_come_to(const void *argument)
{
    const struct rest *rest = argument;
    struct program *look =
        start("sh -c 'cd /proc/%d && ls fd && wc -w <task/%d/children && "
              "grep State status'",
              rest->server->pid, rest->server->pid);

    expect_status(look, 0);
    if (strcmp(look->bytes[OUTPUT].data,
               formatted("0\n1\n2\n3\n%d\nState:\tS (sleeping)\n",
                         rest->children)) == 0)
        return true;
    /* The last child may have ended in the very moment before the server
     * waits for the next client; so there comes one. */
    if (rest->children == 0)
        serve(address_of(rest->server), 1);
    return false;
}

/* Many, one after another, at once, and some who reset their connection. */
SCENE(nothing_is_left_of_a_thousand_clients)
{
    enum { ALL = 1000, AT_ONCE = 64 };
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    int fds[AT_ONCE];

    for (size_t i = 0; i < LENGTH(servers); i++) {
        struct program *server = start("%s", servers[i]);
        const char *address = address_of(server);
        serve(address, ALL);
        for (int k = 0; k < AT_ONCE; k++)
            fds[k] = ask(address, k);
        for (int k = AT_ONCE - 1; k >= 0; k--)
            expect_answer(fds[k], k);
        for (int k = 0; k < AT_ONCE; k++) {
            int fd = ask(address, k);
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(fd);
        }
        wait_until(has_come_to, &(struct rest){server, 0}, "rest");
        end_server(server);
    }
}

/* While all places are taken, others wait: the server sleeps, though they have
 * asked. Each who leaves makes room for one of them. */
SCENE(no_more_than_256_are_served_at_a_time)
{
    enum { BOUND = 256, ALL = 300 };
    int fds[ALL];
    char answer;

    for (size_t i = 0; i < LENGTH(servers); i++) {
        struct program *server = start("%s", servers[i]);
        for (int k = 0; k < ALL; k++)
            fds[k] = ask(address_of(server), k);
        for (int k = 0; k < ALL; k++) {
            if (k == BOUND)
                wait_until(has_come_to, &(struct rest){server, BOUND}, "rest");
            if (k >= BOUND)
                expect_answer(fds[k - BOUND], k - BOUND);
            assert_int_equal(recv(fds[k], &answer, 1, MSG_PEEK), 1);
        }
        wait_until(has_come_to, &(struct rest){server, BOUND}, "rest");
        for (int k = ALL - BOUND; k < ALL; k++)
            expect_answer(fds[k], k);
        end_server(server);
    }
}

/* With no descriptor for a client, the server tells it, and tries again at
 * leisure: it says less than another server serves meanwhile. */
SCENE(a_server_without_descriptors_does_not_spin)
{
    enum { OTHERS = 200 };

    for (size_t i = 0; i < LENGTH(servers); i++) {
        struct program *other = start("%s", servers[0]);
        struct program *server = start("%s", servers[i]);
        expect_said(server, "*: ready on *");
        expect_status(start("prlimit --pid %d --nofile=4:", server->pid), 0);
        int fd = ask(address_of(server), 1);
        expect_said(server, "*: accept(3) = -1 EMFILE (*");
        serve(address_of(other), OTHERS);
        assert_true(count_said(server, "*") < OTHERS);
        expect_status(start("prlimit --pid %d --nofile=64:", server->pid), 0);
        expect_answer(fd, 1);
        end_server(server);
        end_server(other);
    }
}

/* Each answer is that of its own question. */
SCENE(udp_server_answers_5000_datagrams)
{
    enum { ROUNDS = 625, CLIENTS = 8 };
    struct program *server = start("udp_server -q 127.0.0.1 0");
    int fds[CLIENTS];

    for (int k = 0; k < CLIENTS; k++)
        fds[k] = open_socket(address_of(server), SOCK_DGRAM, connect);
    for (int i = 0; i < ROUNDS * CLIENTS; i += CLIENTS) {
        for (int k = 0; k < CLIENTS; k++) {
            const char *line = formatted("line %d", i + k);
            assert_true(send(fds[k], line, strlen(line), 0) > 0);
        }
        for (int k = 0; k < CLIENTS; k++) {
            char answer[80] = "";
            receive(fds[k], answer, sizeof answer - 1);
            assert_string_equal(answer, formatted("line %d", i + k));
        }
    }
    end_server(server);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_of_a_thousand_clients),
        TEST(no_more_than_256_are_served_at_a_time),
        TEST(a_server_without_descriptors_does_not_spin),
        TEST(udp_server_answers_5000_datagrams),
    };

    return play_tests("load", tests, argc, argv);
}
