/*
 * test_usage.c - proves what all eight programs make of their command lines:
 * help on standard output, with status 0; anything wrong refused, with the
 * usage on standard error and status 2, before the first system call that is
 * told. (The pages start each program with its defaults.) And what signals do
 * to all of them.
 */
#include "harness.h"

#include <fnmatch.h>
#include <signal.h>
#include <sys/un.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* Each with its usage, and the defaults that this names in the last operand and
 * those before. */
#define INET  "*: 127.0.0.1)*: 12345)*"
#define LOCAL "*: /tmp/unix_pair)*"
#define FIFO  "*: /tmp/fifo_pair)*"
static const struct {
    const char *name, *usage, *last, *others;
} programs[] = {
    {"tcp_server", "[-hq] [-n COUNT] [HOST [PORT [REPLY]]]", "was read)", INET},
    {"tcp_client", "[-hq] [HOST [PORT [MESSAGE]]]", "Hello, server!)", INET},
    {"udp_server", "[-hq] [-n COUNT] [HOST [PORT [REPLY]]]", "came)", INET},
    {"udp_client", "[-hq] [HOST [PORT [MESSAGE]]]", "Hello, server!)", INET},
    {"unix_server", "[-hq] [-n COUNT] [PATH [REPLY]]", "was read)", LOCAL},
    {"unix_client", "[-hq] [PATH [MESSAGE]]", "Hello, server!)", LOCAL},
    {"fifo_writer", "[-hq] [PATH [MESSAGE]]", "Hello, reader!)", FIFO},
    {"fifo_reader", "[-hq] [PATH]", "", FIFO},
};

/* What programs whose name matches are started with, and how they refuse it:
 * with what they say, and a status. */
#define NO_OPTION "unknown option, or its argument is missing: "
#define NO_COUNT  "COUNT must be a number from 1 to 1000000000, not: "
#define NO_PORT   "PORT must be a number from * to 65535, not: "
static const struct {
    const char *who, *arguments, *said;
    int status;
} wrong[] = {
    {"*", "-qx", NO_OPTION "-x", 2},
    {"*", "--quiet", NO_OPTION "--", 2},
    {"*", "'-\033'", NO_OPTION "-\\x1b", 2},
    {"*", "-h >&-", "write(1) = -1 EBADF (*", 1},
    {"*_[!s]*", "-n 1", NO_OPTION "-n", 2},
    {"*_server", "-n", NO_OPTION "-n", 2},
    {"*_server", "-n ''", NO_COUNT, 2},
    {"*_server", "-n 0", NO_COUNT "0", 2},
    {"*_server", "-n -1", NO_COUNT "-1", 2},
    {"*_server", "-n 1x", NO_COUNT "1x", 2},
    {"*_server", "-n 1000000001", NO_COUNT "1000000001", 2},
    {"*p_*", "127.0.0.1 ''", NO_PORT, 2},
    {"*p_*", "127.0.0.1 99999", NO_PORT "99999", 2},
    {"*p_*", "127.0.0.1 65536", NO_PORT "65536", 2},
    {"*p_*", "127.0.0.1 '1\033'", NO_PORT "1\\x1b", 2},
    {"*p_*", "127.0.0.1 ' 80'", NO_PORT " 80", 2},
    {"*p_*", "12345 80", "HOST must be a name or an address, *: 12345", 2},
    {"*p_client", "127.0.0.1 0", NO_PORT "0", 2},
    {"*p_*", "fe80::1%no 80", /* can't be a name: no name server is asked */
     "getaddrinfo(fe80::1%no, 80) = EAI_NONAME (*\n*: hint: check HOST *", 1},
    /* The first operand ends the options, and so does --. */
    {"*p_*", "127.0.0.1 -1", NO_PORT "-1", 2},
    {"*p_*", "-- -q -h", NO_PORT "-h", 2},
    {"[uf]*[ox]_*", "-- -h/x", "*(*-h/x*) = -1 ENOENT (*", 1},
    /* A path is never cut: that would be another path. */
    {"unix_*", "-q ''", "PATH must have 1 to *, not 0\n*: hint: take a *", 1},
    {"unix_*", "-q \"$(printf %0${SIZE}d 0)\"", /* longer by one */
     "PATH must have 1 to *, not *\n*: hint: take a *", 1},
    {"fifo_*", "''", "mkfifo(, 0600) = -1 ENOENT (*\n*: hint: *empty*", 1},
    {"fifo_*", "\"$(printf %0300d 0)\"",
     "mkfifo(000*... = -1 ENAMETOOLONG (*\n*: hint: take a shorter *", 1},
};

/* The program refuses the arguments; before it has opened anything, if the
 * status is 2. */
static struct program *expect_refusal(const char *name, const char *arguments,
                                      const char *said, int status)
{
    struct program *program = start("%s %s", name, arguments);

    expect_status(program, status);
    expect_printed(program, "");
    expect_lines(program, formatted("%s: %s", name, said));
    assert_true(status == 1 ||
                count_said(program, formatted("%s: *", name)) == 1);
    return program;
}

SCENE(wrong_command_lines_are_refused)
{
    setenv("SIZE", formatted("%zu", sizeof((struct sockaddr_un *)0)->sun_path),
           1);
    for (size_t i = 0; i < LENGTH(programs); i++)
        for (size_t j = 0; j < LENGTH(wrong); j++)
            if (fnmatch(wrong[j].who, programs[i].name, 0) == 0)
                (void)expect_refusal(programs[i].name, wrong[j].arguments,
                                     wrong[j].said, wrong[j].status);
}

/* The same text for those who err and for those who ask. */
SCENE(usage_is_printed_whole)
{
    for (size_t i = 0; i < LENGTH(programs); i++) {
        const char *name = programs[i].name;
        const char *words = strstr(programs[i].usage, "PORT") ? "m m m more"
                            : strstr(name, "reader")          ? "m more"
                                                              : "m m more";
        struct program *refused =
            expect_refusal(name, words, "one operand too many: more", 2);
        struct program *help = start("sh -c '%s -qh && %s --help'", name, name);
        const char *usage = strchr(refused->bytes[ERROR].data, '\n') + 1;
        const char *pattern = formatted("usage: %s*%s*\n  -q *\n  -h *\n",
                                        programs[i].others, programs[i].last);

        expect_lines(refused,
                     formatted("usage: %s %s", name, programs[i].usage));
        assert_int_equal(fnmatch(pattern, usage, 0), 0);
        expect_status(help, 0);
        expect_printed(help, formatted("%s%s", usage, usage));
        expect_story(help, "");
    }
}

/* What each program waits in, and may be told to end, by the shell's Ctrl-C. In
 * the background (sh, 2.11) the same signal is ignored, as are others after
 * nohup; then they don't end it. */
SCENE(signals_keep_their_action)
{
    static const char *const commands[] = {
        "tcp_server 127.0.0.1 0", "tcp_client 127.0.0.1 $PORT -",
        "udp_server 127.0.0.1 0", "udp_client 127.0.0.1 $PORT -",
        "unix_server path",       "unix_client socket -",
        "fifo_writer fifo",       "fifo_reader fifo",
    };
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM};

    setenv("PORT", own_port(listen_on("127.0.0.1:0")), 1);
    (void)listen_on("socket");
    for (size_t i = 0; i < LENGTH(commands); i++) {
        for (size_t j = 0; j < LENGTH(numbers); j++) {
            struct program *program = start("%s", commands[i]);
            expect_said(program, "*(*) waits for *");
            signal_program(program, numbers[j]);
            expect_status(program, 128 + numbers[j]);
        }
        struct program *program =
            start("sh -c 'trap \"\" HUP INT TERM; exec %s'", commands[i]);
        expect_said(program, "*(*) waits for *");
        for (size_t j = 0; j < LENGTH(numbers); j++)
            signal_program(program, numbers[j]);
        suspend(program); /* it could not if it had ended */
    }
    assert_int_equal(unlink("path") + unlink("socket") + unlink("fifo"), 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_command_lines_are_refused),
        TEST(usage_is_printed_whole),
        TEST(signals_keep_their_action),
    };

    return play_tests("usage", tests, argc, argv);
}
