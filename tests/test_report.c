/*
 * test_report.c - common/report.c: lines, payloads, errors and hints.
 *
 * Standard error is a pair of datagram sockets here, so that each write()
 * arrives as one datagram: what is heard is a list of writes, not of lines.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../common/report.h"

enum { WRITES_MAX = 16 };

static int ends[2];        /* [0] is the listener's, [1] standard error */
static int standard_error; /* the real one */
static char heard[WRITES_MAX][2 * LINE_SIZE];
static size_t heard_size[WRITES_MAX];
static size_t heard_count;

/* ---- Hearing what a call writes ---- */

/* Standard error goes to the listener from now on, until listen_to_end(). */
static void hear(void)
{
    fflush(stderr);
    dup2(ends[1], STDERR_FILENO);
    errno = 0;
}

/* Collects what was written; keeps errno. */
static void stop_hearing(void)
{
    int saved_errno = errno;
    ssize_t count;

    dup2(standard_error, STDERR_FILENO);
    heard_count = 0;
    while (heard_count < WRITES_MAX &&
           (count = recv(ends[0], heard[heard_count],
                         sizeof heard[heard_count] - 1, 0)) >= 0) {
        heard[heard_count][count] = '\0';
        heard_size[heard_count] = (size_t)count;
        heard_count++;
    }
    errno = saved_errno;
}

static void assert_heard_nothing(void)
{
    assert_int_equal(heard_count, 0);
}

/* One write was heard, and it was this line, fewer bytes than LINE_SIZE. */
static void assert_heard(const char *line)
{
    assert_int_equal(heard_count, 1);
    assert_string_equal(heard[0], line);
    assert_true(heard_size[0] < LINE_SIZE);
    assert_int_equal(strlen(heard[0]), heard_size[0]);
}

static int open_ends(void **state)
{
    if (open_stage(state) != 0 ||
        socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == -1) {
        return -1;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    standard_error = dup(STDERR_FILENO);
    start_program("test", ADDRESSES);
    return standard_error == -1 ? -1 : 0;
}

static int close_ends(void **state)
{
    dup2(standard_error, STDERR_FILENO); /* a test may have failed before */
    close(standard_error);
    close(ends[0]);
    close(ends[1]);
    return close_stage(state);
}

/* ---- Lines ---- */

static void test_say(void **state)
{
    (void)state;
    hear();
    errno = ENOTDIR;
    say("socket(%s, %d) = %d", "AF_INET", 1, 3);
    assert_int_equal(errno, ENOTDIR);
    stop_hearing();
    assert_heard("test: socket(AF_INET, 1) = 3\n");
}

static void test_announce(void **state)
{
    (void)state;
    hear();
    errno = ENOTDIR;
    announce("ready on %s", "[::1]:80");
    assert_int_equal(errno, ENOTDIR);
    stop_hearing();
    assert_heard("test: ready on [::1]:80\n");
}

static void test_warn(void **state)
{
    char line[LINE_SIZE];

    (void)state;
    for (int error = 1; error < 140; error++) {
        hear();
        errno = error;
        warn("accept %d", 3);
        assert_int_equal(errno, error);
        stop_hearing();
        snprintf(line, sizeof line, "test: accept 3: %s\n", strerror(error));
        assert_heard(line); /* one line: a warning gives no hint */
    }
}

static void test_give_up(void **state)
{
    int fd = dup(STDIN_FILENO);
    char line[LINE_SIZE];

    (void)state;
    assert_int_not_equal(fd, -1);
    hear();
    errno = ECONNREFUSED;
    int result = give_up(fd, "connect", "[::1]:80");
    int error = errno;
    stop_hearing();
    assert_int_equal(result, -1);
    assert_int_equal(error, ECONNREFUSED);
    snprintf(line, sizeof line, "test: connect [::1]:80: %s\n",
             strerror(ECONNREFUSED));
    assert_int_equal(heard_count, 2);
    assert_string_equal(heard[0], line);
    snprintf(line, sizeof line, "test: close(%d) = 0\n", fd);
    assert_string_equal(heard[1], line);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was closed */

    hear();
    errno = EAFNOSUPPORT;
    result = give_up(-1, "socket", "AF_INET6");
    error = errno; /* not EBADF, of a close(-1) */
    stop_hearing();
    assert_int_equal(result, -1);
    assert_int_equal(error, EAFNOSUPPORT);
    snprintf(line, sizeof line, "test: socket AF_INET6: %s\n",
             strerror(EAFNOSUPPORT));
    assert_heard(line);
}

static void test_line_is_escaped(void **state)
{
    (void)state;
    hear();
    say("path %s", "a\033[2J\n\xff\xe5\xad\x97\"\\\x7f\xc2\x9b");
    stop_hearing();
    /* Quotes and backslashes stay: this is text, not a payload in quotes. */
    assert_heard("test: path "
                 "a\\x1b[2J\\n\\xff\xe5\xad\x97\"\\\\x7f\\xc2\\x9b\n");
}

/* `count` times the unit, as text, is told by `tell`: the line has all of it,
 * or as much as fits and "...", never a part of a unit. */
static void check_cutting(const char *unit, const char *shown,
                          const char *reason, void (*tell)(const char *text))
{
    static char text[4 * 701 + 1];
    static char expected[LINE_SIZE * 4];
    const char *prefix = "test: ";
    size_t whole = 0; /* units that fitted without being cut */
    bool was_cut = false;

    for (size_t count = 0; count <= 700; count++) {
        memcpy(text + count * strlen(unit), "", 1);
        hear();
        errno = ENOTDIR;
        tell(text);
        assert_int_equal(errno, ENOTDIR);
        stop_hearing();
        memcpy(text + count * strlen(unit), unit, strlen(unit));

        assert_int_equal(heard_count, 1);
        assert_true(heard_size[0] < LINE_SIZE);
        const char *next = heard[0];
        assert_memory_equal(next, prefix, strlen(prefix));
        next += strlen(prefix);
        size_t units = 0;
        while (strncmp(next, shown, strlen(shown)) == 0) {
            next += strlen(shown);
            units++;
        }
        bool cut = units < count;
        snprintf(expected, sizeof expected, "%s%s\n", cut ? "..." : "", reason);
        assert_string_equal(next, expected);
        assert_true(units <= count);
        assert_false(was_cut && !cut); /* what is longer is cut, too */
        was_cut = cut;
        if (cut) {
            assert_int_equal(units, whole); /* as much as ever fits */
        } else {
            whole = units;
        }
    }
    assert_true(was_cut);
    /* Only the dots, one unit and some bytes of the line may stay empty. */
    assert_true(strlen(prefix) + (whole + 1) * strlen(shown) + strlen(reason) +
                    sizeof "...: \n" >=
                LINE_SIZE - 1);
}

static void tell_by_say(const char *text)
{
    say("%s", text);
}

static void tell_by_announce(const char *text)
{
    announce("%s", text);
}

static void tell_by_warn(const char *text)
{
    warn("%s", text);
}

static void tell_by_prepared_line(const char *text)
{
    char line[LINE_SIZE];
    size_t size = prepare_line(line, "%s", text);
    int saved_errno = errno;

    if (write(STDERR_FILENO, line, size) == -1) {
        saved_errno = EIO;
    }
    errno = saved_errno;
}

static void test_long_lines_are_cut(void **state)
{
    char reason[LINE_SIZE];

    (void)state;
    snprintf(reason, sizeof reason, ": %s", strerror(ENOTDIR));
    check_cutting("x", "x", "", tell_by_say);
    check_cutting("\xe5\xad\x97", "\xe5\xad\x97", "", tell_by_say);
    check_cutting("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "", tell_by_say);
    check_cutting("\n", "\\n", "", tell_by_say);
    check_cutting("\x1b", "\\x1b", "", tell_by_say);
    check_cutting("\xff", "\\xff", "", tell_by_announce);
    check_cutting("x", "x", reason, tell_by_warn);
    check_cutting("\xe5\xad\x97", "\xe5\xad\x97", reason, tell_by_warn);
    check_cutting("\x07", "\\x07", reason, tell_by_warn);
    check_cutting("x", "x", "", tell_by_prepared_line);
    check_cutting("\xc3\xa4", "\xc3\xa4", "", tell_by_prepared_line);
}

static void test_prepare_line(void **state)
{
    char line[LINE_SIZE];

    (void)state;
    hear();
    errno = ENOTDIR;
    size_t size = prepare_line(line, "unlink(%s) = %d", "a\nb", 0);
    assert_int_equal(errno, ENOTDIR);
    stop_hearing();
    assert_heard_nothing(); /* it is for later */
    assert_int_equal(size, strlen("test: unlink(a\\nb) = 0\n"));
    assert_memory_equal(line, "test: unlink(a\\nb) = 0\n", size);
}

static void be_quiet_then_tell(void)
{
    struct tally tally = {.payload_shown = true};

    start_program("test", ADDRESSES);
    say("before");
    be_quiet();
    say("story");
    printf("quiet %d\n", is_quiet());
    say_data(&tally, "read", 4, "abc", 3);
    printf("to be told %d\n", count_data(&tally, 4));
    printf("told %d, calls %lu, bytes %llu\n", tally.told, tally.calls,
           tally.bytes);
    announce("ready on here");
    errno = EACCES;
    warn("trouble");
    give_hint(EPIPE);
    errno = ECONNRESET;
    die("the end");
}

static void test_quiet(void **state)
{
    (void)state;
    struct terminal *t = start_function(be_quiet_then_tell);

    assert_int_equal(finish(t), 1);
    assert_said(t, "test: before", "test: ready on here", "test: trouble: *",
                "test: hint: *", "test: the end: *", "test: hint: *", NULL);
    expect_printed(t, "quiet 1\nto be told 0\ntold 0, calls 2, bytes 7\n");
}

static void tell_with_process(void)
{
    char line[LINE_SIZE];

    start_program("test", ADDRESSES);
    name_process();
    say("one");
    announce("two");
    errno = EACCES;
    warn("three");
    size_t size = prepare_line(line, "four");
    fwrite(line, 1, size, stdout);
    give_hint(EPIPE);
    die_usage("usage: test\n", "five");
}

static void test_name_process(void **state)
{
    char expected[4 * LINE_SIZE];

    (void)state;
    struct terminal *t = start_function(tell_with_process);
    long id = (long)t->pid;
    assert_int_equal(finish(t), 2);
    snprintf(expected, sizeof expected,
             "test[%ld]: one\ntest[%ld]: two\ntest[%ld]: three: %s\n"
             "test[%ld]: hint: *\ntest[%ld]: five\nusage: test\n",
             id, id, id, strerror(EACCES), id, id);
    assert_true(matches(expected, t->said.data));
    snprintf(expected, sizeof expected, "test[%ld]: four\n", id);
    expect_printed(t, expected);
}

/* A standard error that takes nothing: nobody is told, nothing else happens. */
static void test_standard_error_gone(void **state)
{
    (void)state;
    fflush(stderr);
    close(STDERR_FILENO);
    errno = ENOTDIR;
    say("one");
    announce("two");
    warn("three");
    give_hint(EPIPE);
    int error = errno;
    dup2(standard_error, STDERR_FILENO);
    assert_int_equal(error, ENOTDIR);
}

/* ---- Standard error that does not wait ---- */

enum { MANY = 4000 }; /* lines: more than a pipe holds */

static void say_much(void)
{
    start_program("test", ADDRESSES);
    fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < MANY; i++) {
        announce("line %d of many, which nobody reads as fast as they come", i);
    }
}

/* No line is lost, and none comes in parts. */
static void test_standard_error_that_does_not_wait(void **state)
{
    (void)state;
    struct terminal *t = start_function(say_much);

    assert_int_equal(finish(t), 0);
    assert_int_equal(count_said(t, "test: line * of many, *come"), MANY);
    assert_int_equal(count_said(t, "*"), MANY);
}

/* ---- A line that a signal interrupts ---- */

static int pipe_ends[2];
static volatile sig_atomic_t ticks;
static char drained[LINE_SIZE];

/* First only interrupts, so that write() fails with EINTR; then makes room. */
static void on_tick(int number)
{
    int saved_errno = errno;
    static char piece[4096];

    (void)number;
    if (++ticks == 2) { /* not what was written since then */
        while (read(pipe_ends[0], piece, sizeof piece) > 0) {
        }
    }
    errno = saved_errno;
}

static void test_line_interrupted(void **state)
{
    struct sigaction action;
    struct sigaction before;
    const struct itimerval fast = {{0, 2000}, {0, 2000}};
    const struct itimerval off = {{0, 0}, {0, 0}};

    (void)state;
    assert_int_equal(pipe(pipe_ends), 0);
    fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK);
    fcntl(pipe_ends[1], F_SETFL, O_NONBLOCK);
    while (write(pipe_ends[1], "x", 1) == 1) {
    }
    fcntl(pipe_ends[1], F_SETFL, 0); /* now it is full, and waits */

    memset(&action, 0, sizeof action);
    action.sa_handler = on_tick; /* without SA_RESTART */
    sigaction(SIGALRM, &action, &before);
    fflush(stderr);
    dup2(pipe_ends[1], STDERR_FILENO);
    setitimer(ITIMER_REAL, &fast, NULL);
    errno = ENOTDIR;
    announce("in one piece");
    int error = errno;
    setitimer(ITIMER_REAL, &off, NULL);
    dup2(standard_error, STDERR_FILENO);
    sigaction(SIGALRM, &before, NULL);

    assert_int_equal(error, ENOTDIR);
    assert_true(ticks > 1);
    ssize_t count = read(pipe_ends[0], drained, sizeof drained - 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    assert_int_equal(count, strlen("test: in one piece\n"));
    assert_string_equal(drained, "test: in one piece\n");
}

/* ---- Payloads ---- */

static void assert_quoted(const char *data, size_t size, const char *expected)
{
    /* A copy of exactly its size: a sanitizer sees what reads beyond it. */
    char *copy = malloc(size + (size == 0));

    assert_non_null(copy);
    memcpy(copy, data, size);
    struct quoted quoted = quote(copy, size);
    free(copy);
    assert_string_equal(quoted.text, expected);
}

/* For literals: the size of the text, which may have a NUL inside. */
#define ASSERT_QUOTED(data_, expected_)                                        \
    assert_quoted((data_), sizeof(data_) - 1, (expected_))

static void test_quote_plain(void **state)
{
    (void)state;
    ASSERT_QUOTED("", "\"\"");
    ASSERT_QUOTED("Hello, server!\n", "\"Hello, server!\\n\"");
    ASSERT_QUOTED(" ~azAZ09'%$`?", "\" ~azAZ09'%$`?\"");
    ASSERT_QUOTED("say \"hi\" \\ bye", "\"say \\\"hi\\\" \\\\ bye\"");
    ASSERT_QUOTED("\t\r\n", "\"\\t\\r\\n\"");
    ASSERT_QUOTED("a\0b\0", "\"a\\0b\\0\"");
}

static void test_quote_every_byte(void **state)
{
    char expected[16];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        const char data = (char)byte;
        switch (byte) {
        case '\0':
            strcpy(expected, "\"\\0\"");
            break;
        case '\n':
            strcpy(expected, "\"\\n\"");
            break;
        case '\t':
            strcpy(expected, "\"\\t\"");
            break;
        case '\r':
            strcpy(expected, "\"\\r\"");
            break;
        case '"':
        case '\\':
            snprintf(expected, sizeof expected, "\"\\%c\"", (int)byte);
            break;
        default:
            snprintf(expected, sizeof expected,
                     byte >= 0x20 && byte < 0x7f ? "\"%c\"" : "\"\\x%02x\"",
                     byte);
        }
        assert_quoted(&data, 1, expected);
    }
}

static void test_quote_utf8(void **state)
{
    (void)state;
    /* The first and the last character of each length, and around gaps. */
    ASSERT_QUOTED("\xc2\xa0\xdf\xbf", "\"\xc2\xa0\xdf\xbf\"");
    ASSERT_QUOTED("\xe0\xa0\x80\xef\xbf\xbf", "\"\xe0\xa0\x80\xef\xbf\xbf\"");
    ASSERT_QUOTED("\xed\x9f\xbf\xee\x80\x80", "\"\xed\x9f\xbf\xee\x80\x80\"");
    ASSERT_QUOTED("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                  "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
    ASSERT_QUOTED("\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x81\n", /* Chinese */
                  "\"\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x81\\n\"");
}

static void test_quote_controls_of_two_bytes(void **state)
{
    char expected[16];

    (void)state;
    for (unsigned second = 0x80; second < 0xa0; second++) {
        const char data[] = {(char)0xc2, (char)second};
        snprintf(expected, sizeof expected, "\"\\xc2\\x%02x\"", second);
        assert_quoted(data, sizeof data, expected);
    }
}

static void test_quote_broken_utf8(void **state)
{
    (void)state;
    /* Longer than needed. */
    ASSERT_QUOTED("\xc0\x80", "\"\\xc0\\x80\"");
    ASSERT_QUOTED("\xc1\xbf", "\"\\xc1\\xbf\"");
    ASSERT_QUOTED("\xe0\x9f\xbf", "\"\\xe0\\x9f\\xbf\"");
    ASSERT_QUOTED("\xf0\x8f\xbf\xbf", "\"\\xf0\\x8f\\xbf\\xbf\"");
    /* Halves of surrogate pairs. */
    ASSERT_QUOTED("\xed\xa0\x80", "\"\\xed\\xa0\\x80\"");
    ASSERT_QUOTED("\xed\xbf\xbf", "\"\\xed\\xbf\\xbf\"");
    /* Beyond Unicode; lengths that are no more. */
    ASSERT_QUOTED("\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"");
    ASSERT_QUOTED("\xf5\x80\x80\x80", "\"\\xf5\\x80\\x80\\x80\"");
    ASSERT_QUOTED("\xf8\x88\x80\x80\x80", "\"\\xf8\\x88\\x80\\x80\\x80\"");
    ASSERT_QUOTED("\xfe\xff", "\"\\xfe\\xff\"");
    /* A following byte that does not follow. */
    ASSERT_QUOTED("\x80", "\"\\x80\"");
    ASSERT_QUOTED("\xbf\xbf", "\"\\xbf\\xbf\"");
    /* Cut off by the end, or by another character, which is kept. */
    ASSERT_QUOTED("\xc3", "\"\\xc3\"");
    ASSERT_QUOTED("\xe5\xad", "\"\\xe5\\xad\"");
    ASSERT_QUOTED("\xf0\x9f\x98", "\"\\xf0\\x9f\\x98\"");
    ASSERT_QUOTED("\xc3(", "\"\\xc3(\"");
    ASSERT_QUOTED("\xe5\xad(", "\"\\xe5\\xad(\"");
    ASSERT_QUOTED("\xf0\x9f\x98(", "\"\\xf0\\x9f\\x98(\"");
    ASSERT_QUOTED("\xe5\xc3\xa4", "\"\\xe5\xc3\xa4\"");
    ASSERT_QUOTED("\xe5\xad\xe5\xad\x97", "\"\\xe5\\xad\xe5\xad\x97\"");
}

/* `start` bytes and then units: all that is whole and fits is shown. */
static void check_quote_cutting(const char *unit, const char *shown,
                                size_t start)
{
    char data[256];
    char expected[512];

    for (size_t count = 0; count <= 40; count++) {
        size_t size = 0;
        size_t length = 1 + start;
        size_t units = 0;
        memset(data, 'x', start);
        memset(expected, 'x', sizeof expected);
        expected[0] = '"';
        for (size = start; units < count; units++) {
            memcpy(data + size, unit, strlen(unit));
            size += strlen(unit);
        }
        for (units = 0; units < count; units++) {
            if (length - 1 + strlen(shown) > SHOWN_SIZE) {
                break;
            }
            memcpy(expected + length, shown, strlen(shown));
            length += strlen(shown);
        }
        strcpy(expected + length, units < count ? "\"..." : "\"");
        assert_quoted(data, size, expected);
    }
}

static void test_quote_is_cut(void **state)
{
    static char many[100000];

    (void)state;
    for (size_t start = 0; start <= 8; start++) {
        check_quote_cutting("y", "y", start);
        check_quote_cutting("yyy", "yyy", 3 * start); /* as 48 is whole */
        check_quote_cutting("\n", "\\n", start);
        check_quote_cutting("\"", "\\\"", start);
        check_quote_cutting("\x01", "\\x01", start);
        check_quote_cutting("\xff", "\\xff", start);
        check_quote_cutting("\xc3\xa4", "\xc3\xa4", start);
        check_quote_cutting("\xe5\xad\x97", "\xe5\xad\x97", start);
        check_quote_cutting("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", start);
    }
    memset(many, 0xff, sizeof many);
    assert_int_equal(strlen(quote(many, sizeof many).text),
                     SHOWN_SIZE + strlen("\"\"..."));
}

static void test_quote_keeps_errno(void **state)
{
    (void)state;
    errno = ENOTDIR;
    struct quoted quoted = quote("\xff\n", 2);
    assert_int_equal(errno, ENOTDIR);
    assert_string_equal(quoted.text, "\"\\xff\\n\"");
}

/* ---- Counting ---- */

static void test_count_data(void **state)
{
    struct tally tally;

    (void)state;
    memset(&tally, 0, sizeof tally);
    for (int i = 1; i <= 3 * TOLD; i++) {
        assert_int_equal(count_data(&tally, 1000), i <= TOLD);
        assert_int_equal(tally.told, i < TOLD ? i : TOLD);
        assert_int_equal(tally.calls, i);
        assert_int_equal(tally.bytes, 1000 * i);
    }
    count_data(&tally, 0);
    assert_int_equal(tally.calls, 3 * TOLD + 1);
    assert_int_equal(tally.bytes, 3000 * TOLD);
}

static void test_say_data(void **state)
{
    struct tally tally;
    char line[LINE_SIZE];

    (void)state;
    memset(&tally, 0, sizeof tally);
    for (int i = 1; i <= TOLD + 2; i++) {
        tally.payload_shown = i % 2 == 1;
        hear();
        errno = ENOTDIR;
        say_data(&tally, "read", 4, "a\"\0\n", 4);
        assert_int_equal(errno, ENOTDIR);
        stop_hearing();
        if (i > TOLD) {
            assert_heard_nothing();
            continue;
        }
        snprintf(line, sizeof line, "test: read(4) = 4%s%s\n",
                 tally.payload_shown ? " \"a\\\"\\0\\n\"" : "",
                 i == TOLD ? "; from now on only counted" : "");
        assert_heard(line);
    }
    assert_int_equal(tally.calls, TOLD + 2);
    assert_int_equal(tally.bytes, 4 * (TOLD + 2));

    memset(&tally, 0, sizeof tally);
    tally.payload_shown = true;
    hear();
    say_data(&tally, "recvfrom", 3, "", 0);
    stop_hearing();
    assert_heard("test: recvfrom(3) = 0 \"\"\n");
}

/* ---- Hints ---- */

/* Words that the hint has, or NULL if there is none for the subject. */
static const struct expected_hint {
    int error;
    const char *for_addresses;
    const char *for_paths;
} hints[] = {
    {EADDRINUSE, "another program has this port", "a server has this path"},
    {ECONNREFUSED, "127.0.0.1 or ::1", "start the server"},
    {ETIMEDOUT, "firewall", NULL},
    {EHOSTUNREACH, "no way leads to this address", NULL},
    {ENETUNREACH, "no way leads to this address", NULL},
    {EADDRNOTAVAIL, "does not have this address", NULL},
    {EAFNOSUPPORT, "does not speak IPv6", NULL},
    {EINVAL, "fe80::1%eth0", NULL},
    {EACCES, "ports below 1024", "belongs to another user"},
    {EPERM, "forbids it", "take a path under /tmp"},
    {EOPNOTSUPP, NULL, "does not hold sockets or FIFOs"},
    {ENOENT, NULL, "started first"},
    {ENOTDIR, NULL, "a folder is none"},
    {EROFS, NULL, "nothing can be made on this file system"},
    {EPROTOTYPE, NULL, "a socket of another type"},
    {EEXIST, NULL, "something else is at this path"},
    {EPIPE, "the other side has gone", "the other side has gone"},
    {ECONNRESET, "broke the connection off", "broke the connection off"},
    {EMSGSIZE, "65507", NULL},
    {ENAMETOOLONG, "a socket holds at most", "a socket holds at most"},
};

/* The words of the hint for the error, or NULL. */
static const char *words_for(int error, enum subject subject)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (hints[i].error == error) {
            return subject == ADDRESSES ? hints[i].for_addresses
                                        : hints[i].for_paths;
        }
    }
    return NULL;
}

static void check_hints(enum subject subject)
{
    start_program("test", subject);
    for (int error = 0; error < 200; error++) {
        const char *words = words_for(error, subject);

        hear();
        errno = ENOTDIR;
        give_hint(error);
        assert_int_equal(errno, ENOTDIR);
        stop_hearing();
        if (words == NULL && heard_count > 0) {
            fail_msg("%s has a hint that is not tested: %s", strerror(error),
                     heard[0]);
        }
        if (words == NULL) {
            continue;
        }
        assert_int_equal(heard_count, 1);
        assert_memory_equal(heard[0], "test: hint: ", strlen("test: hint: "));
        assert_true(heard_size[0] < LINE_SIZE);
        assert_int_equal(heard[0][heard_size[0] - 1], '\n');
        assert_null(strstr(heard[0], "...")); /* nothing is cut off */
        if (strstr(heard[0], words) == NULL) {
            fail_msg("not the hint for %s: %s", strerror(error), heard[0]);
        }
    }
}

static void test_hints_for_addresses(void **state)
{
    (void)state;
    check_hints(ADDRESSES);
}

static void test_hints_for_paths(void **state)
{
    (void)state;
    check_hints(PATHS);
}

static void test_hint_names_the_limit(void **state)
{
    char limit[32];

    (void)state;
    snprintf(limit, sizeof limit, "at most %zu bytes",
             sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    hear();
    give_hint(ENAMETOOLONG);
    stop_hearing();
    assert_int_equal(heard_count, 1);
    assert_non_null(strstr(heard[0], limit));
}

/* ---- The ends of a program ---- */

static int error_to_die_of;
static enum subject subject_to_die_with;

static void die_of_error(void)
{
    dup2(ends[1], STDERR_FILENO); /* each write is a datagram there, too */
    start_program("test", subject_to_die_with);
    errno = error_to_die_of;
    die("bind %s:%d", "127.0.0.1", 80);
}

static void check_die(int error, enum subject subject)
{
    const char *words = words_for(error, subject);
    char line[LINE_SIZE];

    error_to_die_of = error;
    subject_to_die_with = subject;
    assert_int_equal(finish(start_function(die_of_error)), 1);
    stop_hearing();
    assert_int_equal(heard_count, words == NULL ? 1 : 2);
    snprintf(line, sizeof line, "test: bind 127.0.0.1:80: %s\n",
             strerror(error));
    assert_string_equal(heard[0], line);
    if (words != NULL) {
        assert_non_null(strstr(heard[1], "test: hint: "));
        assert_non_null(strstr(heard[1], words));
    }
}

static void test_die(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        check_die(hints[i].error, ADDRESSES);
        check_die(hints[i].error, PATHS);
    }
    check_die(EIO, ADDRESSES);
    check_die(EINTR, PATHS);
}

static int resolver_code;

static void die_of_resolver(void)
{
    dup2(ends[1], STDERR_FILENO);
    start_program("test", ADDRESSES);
    errno = EMFILE;
    die_resolver(resolver_code, "no.such\nhost");
}

static void check_die_resolver(int code, const char *reason)
{
    char line[LINE_SIZE];

    resolver_code = code;
    assert_int_equal(finish(start_function(die_of_resolver)), 1);
    stop_hearing();
    assert_int_equal(heard_count, 2);
    snprintf(line, sizeof line, "test: getaddrinfo no.such\\nhost: %s\n",
             reason);
    assert_string_equal(heard[0], line);
    assert_memory_equal(heard[1], "test: hint: ", strlen("test: hint: "));
    assert_non_null(strstr(heard[1], "numeric address"));
}

static void test_die_resolver(void **state)
{
    (void)state;
    check_die_resolver(EAI_NONAME, gai_strerror(EAI_NONAME));
    check_die_resolver(EAI_AGAIN, gai_strerror(EAI_AGAIN));
    check_die_resolver(EAI_SYSTEM, strerror(EMFILE));
}

static void die_of_usage(void)
{
    start_program("test", ADDRESSES);
    die_usage("usage: test [-q] [100%]\n\n  -q  quiet\n", "50%% wrong: \033");
}

static void test_die_usage(void **state)
{
    (void)state;
    struct terminal *t = start_function(die_of_usage);

    assert_int_equal(finish(t), 2);
    assert_string_equal(t->said.data, "test: 50%% wrong: \\x1b\n"
                                      "usage: test [-q] [100%]\n\n"
                                      "  -q  quiet\n");
    expect_printed(t, "");
}

/* ---- The beginning of a program ---- */

static void write_to_nobody(void)
{
    int gone[2];

    start_program("test", ADDRESSES);
    if (pipe(gone) == -1) {
        return;
    }
    close(gone[0]);
    if (write(gone[1], "x", 1) == -1 && errno == EPIPE) {
        printf("EPIPE\n");
    }
}

static void test_sigpipe_is_ignored(void **state)
{
    (void)state;
    struct terminal *t = start_function(write_to_nobody);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "EPIPE\n");
}

static unsigned closed_set; /* bit n: descriptor n is closed at the start */

static void start_with_closed(void)
{
    char byte;
    int out = fcntl(STDOUT_FILENO, F_DUPFD, 10);
    struct stat null;
    struct stat before[3];
    struct stat now;

    stat("/dev/null", &null);
    for (int fd = 0; fd < 3; fd++) {
        fstat(fd, &before[fd]);
        if ((closed_set & 1U << fd) != 0) {
            close(fd);
        }
    }
    start_program("test", ADDRESSES);
    for (int fd = 0; fd < 3; fd++) {
        const char *what = "something else";
        if (fstat(fd, &now) == -1) {
            what = "closed";
        } else if (now.st_rdev == null.st_rdev && now.st_ino == null.st_ino) {
            what = "nothing";
        } else if (now.st_ino == before[fd].st_ino) {
            what = "as before";
        }
        dprintf(out, "%d %s", fd, what);
        if (strcmp(what, "nothing") == 0) {
            ssize_t count = fd == 0 ? read(fd, &byte, 1) : write(fd, "x", 1);
            dprintf(out, count == -1 && errno == EBADF ? ", fails" : ", works");
        }
        dprintf(out, "\n");
    }
    _exit(0);
}

static void test_descriptors_are_taken(void **state)
{
    char expected[128];

    (void)state;
    for (closed_set = 0; closed_set < 8; closed_set++) {
        struct terminal *t = start_function(start_with_closed);
        int size = 0;
        for (int fd = 0; fd < 3; fd++) {
            size += snprintf(
                expected + size, sizeof expected - (size_t)size, "%d %s\n", fd,
                (closed_set & 1U << fd) != 0 ? "nothing, fails" : "as before");
        }
        assert_int_equal(finish(t), 0);
        expect_printed(t, expected);
    }
}

static void start_without_descriptors(void)
{
    const struct rlimit none = {0, 0};

    close(STDIN_FILENO);
    setrlimit(RLIMIT_NOFILE, &none);
    start_program("test", ADDRESSES);
    _exit(0); /* not reached */
}

static void test_no_descriptor_to_take(void **state)
{
    (void)state;
    struct terminal *t = start_function(start_without_descriptors);

    assert_int_equal(finish(t), 1);
    /* A sanitizer may have something to say then, too. */
    assert_said_among(t, "test: open /dev/null: Too many open files", NULL);
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_ends, close_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_say),
        TEST(test_announce),
        TEST(test_warn),
        TEST(test_give_up),
        TEST(test_line_is_escaped),
        TEST(test_long_lines_are_cut),
        TEST(test_prepare_line),
        TEST(test_quiet),
        TEST(test_name_process),
        TEST(test_standard_error_gone),
        TEST(test_standard_error_that_does_not_wait),
        TEST(test_line_interrupted),
        TEST(test_quote_plain),
        TEST(test_quote_every_byte),
        TEST(test_quote_utf8),
        TEST(test_quote_controls_of_two_bytes),
        TEST(test_quote_broken_utf8),
        TEST(test_quote_is_cut),
        TEST(test_quote_keeps_errno),
        TEST(test_count_data),
        TEST(test_say_data),
        TEST(test_hints_for_addresses),
        TEST(test_hints_for_paths),
        TEST(test_hint_names_the_limit),
        TEST(test_die),
        TEST(test_die_resolver),
        TEST(test_die_usage),
        TEST(test_sigpipe_is_ignored),
        TEST(test_descriptors_are_taken),
        TEST(test_no_descriptor_to_take),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
