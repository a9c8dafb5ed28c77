/*
 * test_arguments.c - common/arguments.c: options, operands and ports.
 */
#include "harness.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "../common/arguments.h"
#include "../common/report.h"

#define USAGE "usage: test [-hq] [-n COUNT] [ONE [TWO]]\n"

/* ---- parse_number ---- */

static void assert_number(const char *text, unsigned long lowest,
                          unsigned long highest, unsigned long expected)
{
    unsigned long value = 4711;

    assert_int_equal(parse_number(text, lowest, highest, &value), 0);
    assert_true(value == expected);
}

static void assert_no_number(const char *text, unsigned long lowest,
                             unsigned long highest)
{
    unsigned long value = 4711;

    assert_int_equal(parse_number(text, lowest, highest, &value), -1);
    assert_true(value == 4711); /* untouched */
}

static void test_numbers(void **state)
{
    (void)state;
    assert_number("0", 0, 65535, 0);
    assert_number("1", 0, 65535, 1);
    assert_number("65535", 0, 65535, 65535);
    assert_number("12345", 0, 65535, 12345);
    assert_number("0080", 0, 65535, 80); /* zeros in front: decimal still */
    assert_number("00000000000000000000000000000000080", 0, 65535, 80);
    assert_number("010", 0, 65535, 10);
}

static void test_limits_of_numbers(void **state)
{
    char text[32];

    (void)state;
    assert_number("7", 7, 7, 7);
    assert_number("7", 0, 7, 7);
    assert_no_number("8", 0, 7);
    assert_no_number("9", 0, 7);
    assert_number("0", 0, 0, 0);
    assert_no_number("1", 0, 0);
    assert_no_number("6", 7, 17);
    assert_number("17", 7, 17, 17);
    assert_no_number("18", 7, 17);
    assert_no_number("20", 7, 17);
    assert_no_number("0", 1, 65535);
    assert_no_number("65536", 0, 65535);
    assert_no_number("65540", 0, 65535);
    assert_no_number("655350", 0, 65535);
    assert_no_number("99999", 0, 65535);

    snprintf(text, sizeof text, "%lu", ULONG_MAX);
    assert_number(text, 0, ULONG_MAX, ULONG_MAX);
    assert_no_number(text, 0, ULONG_MAX - 1);
    text[strlen(text) - 1]++; /* ends in 5: one more */
    assert_no_number(text, 0, ULONG_MAX);
    assert_no_number("99999999999999999999", 0, ULONG_MAX);
    assert_no_number("184467440737095516150", 0, ULONG_MAX);
    /* 2 to the 64th and a little: small if it wraps. */
    assert_no_number("18446744073709551617", 0, 65535);
    assert_no_number("018446744073709551617", 0, 65535);
    assert_no_number("4294967297", 0, 65535);
}

static void test_no_numbers(void **state)
{
    const char *const texts[] = {
        "",     " ",        " 80",      "80 ", "\t80", "80\n", "+80",
        "-1",   "-0",       "0x50",     "80x", "x80",  "8 0",  "8,0",
        "80.0", "1e3",      "echo",     "/",   ":",    "80:",  "80/",
        "\xb2", "\xc2\xb2", "\xd9\xa3", /* other scripts have digits, too */
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_no_number(texts[i], 0, ULONG_MAX);
    }
}

/* ---- check_address ---- */

static const char *host = "127.0.0.1";
static const char *port;
static unsigned long lowest_port;

static void check_one_port(void)
{
    start_program("test", ADDRESSES);
    check_address(host, port, lowest_port, USAGE);
    printf("a port\n");
}

static void assert_port(const char *text, unsigned long lowest)
{
    port = text;
    lowest_port = lowest;
    struct terminal *t = start_function(check_one_port);
    assert_int_equal(finish(t), 0);
    expect_printed(t, "a port\n");
    assert_said(t, NULL);
}

static void assert_host(const char *text, bool good)
{
    host = text;
    port = "12345";
    struct terminal *t = start_function(check_one_port);
    assert_int_equal(finish(t), good ? 0 : 2);
    expect_printed(t, good ? "a port\n" : "");
    if (!good) {
        assert_said_among(
            t, formatted("test: HOST comes before PORT*: %s", text), NULL);
    }
    host = "127.0.0.1";
}

/* A number alone is a PORT in the wrong place. */
static void test_hosts(void **state)
{
    (void)state;
    assert_host("127.0.0.1", true);
    assert_host("::1", true);
    assert_host("localhost", true);
    assert_host("1and1", true);
    assert_host("1.2", true);
    assert_host("", true); /* getaddrinfo refuses it */
    assert_host("0", false);
    assert_host("12345", false);
    assert_host("99999999999999999999999", false);
}

static void assert_no_port(const char *text, unsigned long lowest)
{
    char expected[LINE_SIZE];

    port = text;
    lowest_port = lowest;
    struct terminal *t = start_function(check_one_port);
    assert_int_equal(finish(t), 2);
    expect_printed(t, "");
    snprintf(expected, sizeof expected,
             "test: PORT * number from %lu to 65535*: %s\n" USAGE, lowest,
             text);
    if (!matches(expected, t->said.data)) {
        assert_string_equal(t->said.data, expected); /* shows both */
    }
}

static void test_ports(void **state)
{
    const char *const good[] = {"1", "80", "12345", "65535", "00080"};
    const char *const bad[] = {
        "",
        " 80",
        "80 ",
        "+80",
        "-1",
        "0x50",
        "65536",
        "99999",
        "80x",
        "echo",
        "655350",
        "018446744073709551617",
        "http",
        "1.5",
        "12 34",
        "-0",
        "18446744073709551696",
    };

    (void)state;
    for (unsigned long lowest = 0; lowest <= 1; lowest++) {
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
            assert_port(good[i], lowest);
        }
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
            assert_no_port(bad[i], lowest);
        }
    }
    assert_port("0", 0);
    assert_port("000", 0);
    assert_no_port("0", 1);
    assert_no_port("000", 1);
}

static void test_long_port(void **state)
{
    static char text[4096];

    (void)state;
    memset(text, '9', sizeof text - 1);
    port = text;
    lowest_port = 1;
    struct terminal *t = start_function(check_one_port);
    assert_int_equal(finish(t), 2);
    assert_true(matches("test: PORT * number from 1 to 65535*: 9999*\n"
                        "usage: *",
                        t->said.data));
    assert_true(strcspn(t->said.data, "\n") + 1 < LINE_SIZE);
}

/* ---- read_arguments ---- */

enum { OPERANDS = 2 };

static char *command_line[16]; /* of the next read_all(), the last one NULL */
static bool has_count;

static void read_all(void)
{
    const char *operands[OPERANDS] = {"default one", "default two"};
    unsigned long count = 0;
    int size = 0;

    start_program("test", ADDRESSES);
    while (command_line[size] != NULL) {
        size++;
    }
    read_arguments(size, command_line, USAGE, operands, OPERANDS,
                   has_count ? &count : NULL);
    printf("%s|%s|%lu", operands[0], operands[1], count);
    say("story");
}

/* Reads a command line that is written as a text, with | between arguments.
 * With -n, if there is an N before it. */
static struct terminal *read_line(const char *line)
{
    static char text[LINE_SIZE * 2];
    size_t count = 0;

    has_count = line[0] == 'N';
    assert_true(strlen(line) < sizeof text);
    strcpy(text, line);
    memset(command_line, 0, sizeof command_line);
    for (char *next = text; next != NULL; count++) {
        assert_true(count < sizeof command_line / sizeof command_line[0] - 1);
        command_line[count] = next;
        next = strchr(next, '|');
        if (next != NULL) {
            *next++ = '\0';
        }
    }
    struct terminal *t = start_function(read_all);
    finish(t);
    return t;
}

/* The line is right, and is read as this: the operands and COUNT. */
static void assert_read(const char *line, const char *printed)
{
    struct terminal *t = read_line(line);

    assert_int_equal(t->status, 0);
    expect_printed(t, printed);
    assert_said(t, "test: story", NULL);
}

/* The same, and -q was read. */
static void assert_read_quiet(const char *line, const char *printed)
{
    struct terminal *t = read_line(line);

    assert_int_equal(t->status, 0);
    expect_printed(t, printed);
    assert_said(t, NULL);
}

/* The problem is a pattern: how the limit of COUNT is put may change. */
static void assert_refused(const char *line, const char *problem)
{
    char expected[LINE_SIZE];
    struct terminal *t = read_line(line);

    assert_int_equal(t->status, 2);
    expect_printed(t, "");
    snprintf(expected, sizeof expected, "test: %s\n" USAGE, problem);
    if (!matches(expected, t->said.data)) {
        assert_string_equal(t->said.data, expected); /* shows both */
    }
}

static void test_operands(void **state)
{
    (void)state;
    assert_read("test", "default one|default two|0");
    assert_read("test|a", "a|default two|0");
    assert_read("test|a|b", "a|b|0");
    assert_read("test|", "|default two|0"); /* an empty one is one */
    assert_read("test|-", "-|default two|0");
    assert_read("test|a|-", "a|-|0");
    assert_refused("test|a|b|c", "one operand too many: c");
    assert_refused("test|a|b|c|d", "one operand too many: c");
    assert_refused("test|a|b|", "one operand too many: ");
}

static void test_end_of_options(void **state)
{
    (void)state;
    assert_read("test|--", "default one|default two|0");
    assert_read("test|--|-q", "-q|default two|0");
    assert_read("test|--|-x|--help", "-x|--help|0");
    assert_read("test|--|--", "--|default two|0");
    assert_read_quiet("test|-q|--|-h", "-h|default two|0");
    /* The first operand ends them, too (Utility Syntax Guideline 9). */
    assert_read("test|a|-q", "a|-q|0");
    assert_read("test|a|--help", "a|--help|0");
    assert_read("test|a|--", "a|--|0");
    assert_read("test|-|-q", "-|-q|0");
}

static void test_quiet_option(void **state)
{
    (void)state;
    assert_read_quiet("test|-q", "default one|default two|0");
    assert_read_quiet("test|-q|a|b", "a|b|0");
    assert_read_quiet("test|-q|-q|a", "a|default two|0");
    assert_read_quiet("test|-qq", "default one|default two|0");
    assert_read_quiet("N|-qn|3|a", "a|default two|3");
    assert_read_quiet("N|-n|3|-q|a", "a|default two|3");
}

static void test_count_option(void **state)
{
    (void)state;
    assert_read("N", "default one|default two|0"); /* as it was */
    assert_read("N|-n|1", "default one|default two|1");
    assert_read("N|-n3|a|b", "a|b|3");
    assert_read("N|-n|1|-n|20", "default one|default two|20"); /* the last */
    assert_read("N|-n|1000000000", "default one|default two|1000000000");

    assert_refused("N|-n|0", "COUNT * number from 1 *: 0");
    assert_refused("N|-n|", "COUNT * number from 1 *: ");
    assert_refused("N|-n|-1", "COUNT * number from 1 *: -1");
    assert_refused("N|-n|+1", "COUNT * number from 1 *: +1");
    assert_refused("N|-n| 1", "COUNT * number from 1 *:  1");
    assert_refused("N|-n|1x", "COUNT * number from 1 *: 1x");
    assert_refused("N|-n|-q", "COUNT * number from 1 *: -q");
    assert_refused("N|-nq", "COUNT * number from 1 *: q");
    assert_refused("N|-n|--help", "COUNT * number from 1 *: --help");
    assert_refused("N|-n|1000000001", "COUNT * number from 1 *: 1000000001");
    assert_refused("N|-n|18446744073709551617",
                   "COUNT * number from 1 *: 18446744073709551617");
    assert_refused("N|-n", "option needs a COUNT: -n");
    assert_refused("N|-qn", "option needs a COUNT: -n");
}

static void test_unknown_options(void **state)
{
    (void)state;
    assert_refused("test|-x", "unknown option: -x");
    assert_refused("test|-qx", "unknown option: -x");
    assert_refused("test|-x|-h", "unknown option: -x");
    assert_refused("test|-:", "unknown option: -:");
    assert_refused("test|-\033", "unknown option: -\\x1b");
    /* A program without COUNT has no -n. */
    assert_refused("test|-n|1", "unknown option: -n");
    assert_refused("test|-n", "unknown option: -n");
    assert_refused("test|-qn3", "unknown option: -n");
    /* No long option but --help. */
    assert_refused("test|--quiet", "unknown option: --quiet");
    assert_refused("test|--helpme", "unknown option: --helpme");
    assert_refused("test|--hel|a", "unknown option: --hel");
    assert_refused("test|-q|--hel", "unknown option: --hel");
    assert_refused("test|---", "unknown option: ---");
    /* A - behind other letters is not one; nor is what follows meant. */
    assert_refused("test|-q-", "unknown option: -*");
    assert_refused("test|-q-|a", "unknown option: -*");
}

static void test_help(void **state)
{
    const char *const lines[] = {
        "test|-h",       "test|--help",    "test|-q|--help", "test|-qh",
        "test|-h|-x",    "test|-h|a|b|c",  "N|-n|3|--help",  "N|-n3|-h",
        "test|--help|a", "test|-h|--help", "N|-h|-n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct terminal *t = read_line(lines[i]);
        assert_int_equal(t->status, 0);
        expect_printed(t, USAGE);
        assert_said(t, NULL);
    }
}

static const char *broken_output;

static void read_help_for_nobody(void)
{
    char name[] = "test";
    char option[] = "-h";
    char *arguments[] = {name, option, NULL};

    start_program("test", ADDRESSES);
    if (broken_output != NULL) {
        int fd = open(broken_output, O_WRONLY);
        dup2(fd, STDOUT_FILENO);
        close(fd);
    } else {
        close(STDOUT_FILENO);
    }
    read_arguments(2, arguments, USAGE, NULL, 0, NULL);
}

static void test_help_that_nobody_takes(void **state)
{
    (void)state;
    broken_output = NULL;
    struct terminal *t = start_function(read_help_for_nobody);
    assert_int_equal(finish(t), 1);
    assert_said(t, "test: write standard output: *", NULL);

    if (access("/dev/full", W_OK) == 0) { /* not everywhere */
        broken_output = "/dev/full";
        t = start_function(read_help_for_nobody);
        assert_int_equal(finish(t), 1);
        assert_said(t, "test: write standard output: *", NULL);
    }
}

static void test_long_arguments(void **state)
{
    static char line[LINE_SIZE + 100];

    (void)state;
    memset(line, 'x', sizeof line - 1);
    memcpy(line, "test|a|b|", strlen("test|a|b|"));
    struct terminal *t = read_line(line);
    assert_int_equal(t->status, 2);
    assert_true(
        matches("test: one operand too many: xxx*xxx*\n" USAGE, t->said.data));
    assert_true(strcspn(t->said.data, "\n") + 1 < LINE_SIZE);
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_numbers),        TEST(test_limits_of_numbers),
        TEST(test_no_numbers),     TEST(test_ports),
        TEST(test_long_port),      TEST(test_operands),
        TEST(test_hosts),          TEST(test_operands),
        TEST(test_end_of_options), TEST(test_quiet_option),
        TEST(test_count_option),   TEST(test_unknown_options),
        TEST(test_help),           TEST(test_help_that_nobody_takes),
        TEST(test_long_arguments),
    };

    return cmocka_run_group_tests_name("arguments", tests, NULL, NULL);
}
