/*
 * test_load.c - proves that the servers serve many: one after another and at
 * once, never more than their bound; and that nothing of a client who has gone
 * is left in them.
 */
#include "harness.h"

#include <signal.h>
#include <unistd.h>

/* Started as some supervisors do: a server that ignored SIGCHLD, too, could not
 * count its children. */
static const char *const servers[] = {
    "env --ignore-signal=CHLD tcp_server -q 127.0.0.1 0",
    "env --ignore-signal=CHLD unix_server -q ./socket",
};
enum { SERVERS = 2, AT_ONCE_MOST = 300 };

static struct program *server; /* that is tested */

static void end_server(void)
{
    signal_program(server, SIGTERM);
    expect_status(server, 128 + SIGTERM);
    (void)unlink("socket"); /* if it has one */
}

/* Connects, and sends a line with this number. */
static int ask(int number)
{
    int fd = connect_to(address_of(server));

    dprintf(fd, "line %d\n", number);
    return fd;
}

/* Receives exactly that line, and leaves. */
static void expect_answer(int fd, int number)
{
    char answer[80] = "";

    shutdown(fd, SHUT_WR);
    receive(fd, answer, sizeof answer - 1);
    assert_string_equal(answer, formatted("line %d\n", number));
    close(fd);
}

/* So many times so many clients at once, of whom the last leaves first. */
static void serve(int times, int at_once)
{
    int fds[AT_ONCE_MOST];

    for (int i = 0; i < times; i++) {
        for (int k = 0; k < at_once; k++)
            fds[k] = ask(i + k);
        for (int k = at_once - 1; k >= 0; k--)
            expect_answer(fds[k], i + k);
    }
}

/* Whether the server sleeps, and has nothing open but its standard descriptors
 * and the listening socket, and no more children than the number, those that
 * have ended included. */
static bool has_come_to(const void *number)
{
    return system(formatted("cd /proc/%d && [ \"$(echo $(ls fd))\" = "
                            "'0 1 2 3' ] && grep -q State:.S status && "
                            "[ $(wc -w <task/%d/children) -le %d ]",
                            server->pid, server->pid, *(const int *)number)) ==
           0;
}

static bool has_only_zombies(const void *unused)
{
    (void)unused;
    return system(formatted("cd /proc && for child in $(cat %d/task/%d/children"
                            "); do grep -q State:.Z $child/status || exit 1; "
                            "done",
                            server->pid, server->pid)) == 0;
}

/* One after another, at once, and some who reset their connection. Children who
 * have ended are zombies, all of them until the next client at most. */
SCENE(nothing_is_left_of_a_thousand_clients)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    for (int i = 0; i < SERVERS; i++) {
        server = start("%s", servers[i]);
        serve(1000, 1);
        for (int k = 0; k < 64; k++) {
            int fd = ask(k);
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            close(fd);
        }
        serve(1, 64);
        wait_until(has_only_zombies, NULL, "all have ended");
        serve(1, 1);
        wait_until(has_come_to, &(const int){1}, "the next client's child");
        end_server();
    }
}

/* While all places are taken, others wait: the server sleeps, though they have
 * asked. Each who leaves makes room for one of them. */
SCENE(no_more_than_256_are_served_at_a_time)
{
    enum { BOUND = 256, ALL = AT_ONCE_MOST };
    int fds[ALL];
    char answer;

    for (int i = 0; i < SERVERS; i++) {
        server = start("%s", servers[i]);
        for (int k = 0; k < ALL; k++)
            fds[k] = ask(k);
        for (int k = 0; k < ALL; k++) {
            if (k == BOUND || k == ALL - 1)
                wait_until(has_come_to, &(const int){BOUND}, "all places");
            if (k >= BOUND)
                expect_answer(fds[k - BOUND], k - BOUND);
            assert_int_equal(recv(fds[k], &answer, 1, MSG_PEEK), 1);
        }
        for (int k = ALL - BOUND; k < ALL; k++)
            expect_answer(fds[k], k);
        end_server();
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_left_of_a_thousand_clients),
        TEST(no_more_than_256_are_served_at_a_time),
    };

    if (!is_there("/proc/self/task")) {
        fprintf(stderr, "Skipped: it needs /proc, as Linux has it\n");
        return 77; /* CTest takes that for "skipped" */
    }
    return play_tests("load", tests, argc, argv);
}
