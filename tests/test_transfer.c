/*
 * test_transfer.c - common/transfer.c: writing all, and waiting for it.
 *
 * A timer's signal, caught without SA_RESTART, interrupts what waits; its
 * handler is the reader at the other end, and reads little by little. So the
 * process that writes is the same as the one that reads, and what happens
 * does not depend on who runs first.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../common/report.h"
#include "../common/transfer.h"

enum {
    SIZE = 1024 * 1024, /* more than any pipe or socket takes at once */
    READ_SIZE = 50000,  /* what the reader takes: no round number */
};

static int ends[2]; /* [0] is the reader's, [1] the writer's */

/* ---- The reader ---- */

static volatile sig_atomic_t ticks;
static volatile size_t closes_behind; /* as many bytes; 0: never */
static unsigned char *collected;      /* what was read, room for 2 * SIZE */
static volatile size_t collected_size;

/* Each second tick reads; the others only interrupt, so that a write or a
 * select that waits fails with EINTR, and not another byte has moved. */
static void on_tick(int number)
{
    int saved_errno = errno;

    (void)number;
    ticks++;
    if (closes_behind != 0 && collected_size >= closes_behind &&
        ends[0] != -1) {
        close(ends[0]);
        ends[0] = -1;
    } else if (ticks % 2 == 0 && ends[0] != -1) {
        ssize_t count = read(ends[0], collected + collected_size, READ_SIZE);
        if (count > 0) {
            collected_size += (size_t)count;
        }
    }
    errno = saved_errno;
}

static void start_timer(void (*handler)(int number))
{
    struct sigaction action;
    const struct itimerval fast = {{0, 1000}, {0, 1000}};

    ticks = 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &fast, NULL);
}

static void start_ticks(size_t close_behind)
{
    closes_behind = close_behind;
    start_timer(on_tick);
}

static void stop_ticks(void)
{
    const struct itimerval off = {{0, 0}, {0, 0}};

    setitimer(ITIMER_REAL, &off, NULL);
    signal(SIGALRM, SIG_IGN);
}

/* What the timer has not read yet. */
static void collect_rest(void)
{
    ssize_t count;

    while (collected_size < 2 * SIZE &&
           (count = read(ends[0], collected + collected_size, READ_SIZE)) > 0) {
        collected_size += (size_t)count;
    }
}

/* Fills what the writer writes into, until it takes nothing more. Returns
 * how many bytes it took. */
static size_t fill(void)
{
    size_t size = 0;
    int flags = fcntl(ends[1], F_GETFL);

    fcntl(ends[1], F_SETFL, flags | O_NONBLOCK);
    while (write(ends[1], "#", 1) == 1) {
        size++;
    }
    assert_int_equal(errno, EAGAIN);
    fcntl(ends[1], F_SETFL, flags);
    return size;
}

static int open_ends(void **state)
{
    collected = malloc(2 * SIZE + READ_SIZE);
    collected_size = 0;
    signal(SIGPIPE, SIG_IGN);
    return collected == NULL || open_stage(state) != 0 ? -1 : 0;
}

static int close_ends(void **state)
{
    stop_ticks();
    for (int i = 0; i < 2; i++) {
        if (ends[i] > STDERR_FILENO) {
            close(ends[i]);
        }
        ends[i] = -1;
    }
    free(collected);
    return close_stage(state);
}

static void make_pipe(bool writer_waits)
{
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, writer_waits ? 0 : O_NONBLOCK);
}

static void make_sockets(bool writer_waits)
{
    const int small = 16384;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, writer_waits ? 0 : O_NONBLOCK);
}

/* ---- write_all ---- */

/* Into what is full at the start: the first write has to wait. */
static void check_write_all(void)
{
    unsigned char *data = random_bytes(SIZE, 1);
    struct tally tally = {.told = TOLD}; /* counted, not told */
    size_t before = fill();

    assert_true(before < SIZE);
    start_ticks(0);
    errno = ENOTDIR;
    int result = write_all(ends[1], data, SIZE, &tally);
    stop_ticks();
    assert_int_equal(result, 0);
    assert_true(ticks > 1);
    assert_true(tally.bytes == SIZE);
    assert_true(tally.calls > 1); /* or no write was short: no test */
    collect_rest();
    assert_int_equal(collected_size, before + SIZE);
    assert_memory_equal(collected + before, data, SIZE);
    free(data);
}

static void test_write_pipe_interrupted(void **state)
{
    (void)state;
    make_pipe(true);
    check_write_all();
}

static void test_write_socket_interrupted(void **state)
{
    (void)state;
    make_sockets(true);
    check_write_all();
}

static void test_write_pipe_that_does_not_wait(void **state)
{
    (void)state;
    make_pipe(false);
    check_write_all();
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}

static void test_write_socket_that_does_not_wait(void **state)
{
    (void)state;
    make_sockets(false);
    check_write_all();
}

static void test_write_at_once(void **state)
{
    struct tally tally = {.told = TOLD};

    (void)state;
    make_pipe(true);
    assert_int_equal(write_all(ends[1], "abc\0def", 7, &tally), 0);
    assert_int_equal(write_all(ends[1], "g", 1, NULL), 0); /* not counted */
    assert_true(tally.bytes == 7 && tally.calls == 1);
    collect_rest();
    assert_int_equal(collected_size, 8);
    assert_memory_equal(collected, "abc\0defg", 8);
}

/* No byte is no write: not even an error of the descriptor is seen. */
static void test_write_nothing(void **state)
{
    struct tally tally = {.told = 0};

    (void)state;
    assert_int_equal(write_all(-1, "", 0, &tally), 0);
    assert_true(tally.bytes == 0 && tally.calls == 0);
}

static void test_write_errors(void **state)
{
    struct tally tally = {.told = TOLD};

    (void)state;
    errno = 0;
    assert_int_equal(write_all(-1, "abc", 3, &tally), -1);
    assert_int_equal(errno, EBADF);

    make_pipe(true);
    assert_int_equal(write_all(ends[0], "abc", 3, &tally), -1);
    assert_int_equal(errno, EBADF);
    close(ends[0]);
    ends[0] = -1;
    errno = 0;
    assert_int_equal(write_all(ends[1], "abc", 3, &tally), -1);
    assert_int_equal(errno, EPIPE);
    assert_true(tally.bytes == 0 && tally.calls == 0);
}

/* The reader takes some, and goes. */
static void check_reader_goes(void)
{
    unsigned char *data = random_bytes(SIZE, 2);
    struct tally tally = {.told = TOLD};

    start_ticks(100000);
    errno = 0;
    int result = write_all(ends[1], data, SIZE, &tally);
    int error = errno;
    stop_ticks();
    free(data);
    assert_int_equal(result, -1);
    assert_int_equal(error, EPIPE);
    assert_true(tally.bytes > 0 && tally.bytes < SIZE);
}

static void test_write_pipe_breaks(void **state)
{
    (void)state;
    make_pipe(true);
    check_reader_goes();
}

static void test_write_pipe_breaks_while_selecting(void **state)
{
    (void)state;
    make_pipe(false);
    check_reader_goes();
}

/* A file that may hold 1000 bytes takes them, and then no more. */
static void test_write_error_part_way(void **state)
{
    struct tally tally = {.told = TOLD};
    struct rlimit before;
    unsigned char *data = random_bytes(1500, 3);
    unsigned char written[1500];

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {1000, before.rlim_max};
    ends[1] = open("file", O_RDWR | O_CREAT, 0600);
    assert_int_not_equal(ends[1], -1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    errno = 0;
    int result = write_all(ends[1], data, 1500, &tally);
    int error = errno;
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    unlink("file");

    assert_int_equal(result, -1);
    assert_int_equal(error, EFBIG);
    assert_true(tally.bytes == 1000 && tally.calls == 1);
    assert_int_equal(pread(ends[1], written, sizeof written, 0), 1000);
    assert_memory_equal(written, data, 1000);
    free(data);
}

static void write_and_tell(void)
{
    struct tally tally = {.payload_shown = true};
    struct tally silent = {.told = TOLD};

    start_program("test", ADDRESSES);
    write_all(STDOUT_FILENO, "one\n", 4, &tally);
    tally.payload_shown = false;
    write_all(STDOUT_FILENO, "two\n", 4, &tally);
    write_all(STDOUT_FILENO, "three\n", 6, NULL);
    write_all(STDOUT_FILENO, "four\n", 5, &silent);
}

static void test_write_is_told(void **state)
{
    (void)state;
    struct terminal *t = start_function(write_and_tell);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "one\ntwo\nthree\nfour\n");
    assert_said(t, "test: write(1) = 4 \"one\\n\"", "test: write(1) = 4", NULL);
}

/* The lines show what each single write took, not what was left of it. */
static void write_in_two(void)
{
    struct tally tally = {.payload_shown = true};
    const struct rlimit small = {3, 3};
    int fd = open("file", O_WRONLY | O_CREAT, 0600);

    start_program("test", PATHS);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    printf("%d\n", write_all(fd, "abcdef", 6, &tally));
}

static void test_short_write_is_told(void **state)
{
    (void)state;
    struct terminal *t = start_function(write_in_two);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "-1\n");
    assert_said(t, "test: write(*) = 3 \"abc\"", NULL);
    unlink("file");
}

/* ---- A descriptor that select can't wait for ---- */

static void test_descriptor_too_high(void **state)
{
    struct rlimit before;
    struct tally tally = {.told = TOLD};

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    if (before.rlim_max != RLIM_INFINITY && before.rlim_max <= FD_SETSIZE) {
        skip(); /* there can't be one */
    }
    struct rlimit more = {FD_SETSIZE + 1, before.rlim_max};
    make_pipe(false);
    fill();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    int too_high = fcntl(ends[1], F_DUPFD, FD_SETSIZE);
    errno = 0;
    int written = write_all(too_high, "abc", 3, &tally);
    int write_error = errno;
    errno = 0;
    int finished = finish_connect(too_high);
    int finish_error = errno;
    close(too_high);
    setrlimit(RLIMIT_NOFILE, &before);

    assert_int_equal(too_high, FD_SETSIZE);
    assert_int_equal(written, -1);
    assert_int_equal(write_error, EMFILE);
    assert_int_equal(finished, -1);
    assert_int_equal(finish_error, EMFILE);
}

/* ---- must_repeat and try_again ---- */

static bool is_passing(int error)
{
    return error == EINTR || error == EAGAIN || error == EWOULDBLOCK;
}

static void test_must_repeat(void **state)
{
    (void)state;
    for (int error = 0; error < 200; error++) {
        errno = error;
        bool again = must_repeat();
        assert_int_equal(errno, error);
        assert_int_equal(again, is_passing(error));
    }
}

static void test_try_again(void **state)
{
    (void)state;
    make_pipe(false); /* it can be written, and has something to read */
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int error = 0; error < 200; error++) {
        errno = error;
        bool again = try_again(ends[1], true);
        assert_int_equal(again, is_passing(error));
        assert_true(again || errno == error);
        errno = error;
        again = try_again(ends[0], false);
        assert_int_equal(again, is_passing(error));
        assert_true(again || errno == error);
    }
    /* After EINTR there is nothing to wait for, not even a descriptor. */
    errno = EINTR;
    assert_true(try_again(-1, true));
}

static void test_try_again_closed(void **state)
{
    (void)state;
    make_pipe(false);
    int closed = ends[1];
    close(ends[1]);
    ends[1] = -1;
    errno = EAGAIN;
    assert_false(try_again(closed, true));
    assert_int_equal(errno, EBADF);
    errno = EAGAIN;
    assert_false(try_again(closed, false));
    assert_int_equal(errno, EBADF);
}

/* The pipe is full until the handler reads. */
static void test_try_again_waits_to_write(void **state)
{
    (void)state;
    make_pipe(false);
    fill();
    start_ticks(0);
    errno = EAGAIN;
    bool again = try_again(ends[1], true);
    stop_ticks();
    assert_true(again);
    assert_true(collected_size > 0);
}

/* The pipe is empty until the handler writes, which only interrupts before. */
static void on_tick_write(int number)
{
    int saved_errno = errno;

    (void)number;
    if (++ticks == 2) {
        ssize_t ignored = write(ends[1], "x", 1);
        (void)ignored;
    }
    errno = saved_errno;
}

static void test_try_again_waits_to_read(void **state)
{
    char byte;

    (void)state;
    make_pipe(false);
    start_timer(on_tick_write);
    errno = EAGAIN;
    bool again = try_again(ends[0], false);
    stop_ticks();
    assert_true(again);
    assert_int_equal(read(ends[0], &byte, 1), 1);
}

/* ---- make_line ---- */

static void assert_line(const char *text, const char *expected)
{
    char *line = make_line(text);

    assert_string_equal(line, expected);
    free(line);
}

static void test_make_line(void **state)
{
    (void)state;
    assert_line("", "\n");
    assert_line("Hello, server!", "Hello, server!\n");
    assert_line("a\nb", "a\nb\n");
    assert_line("a\n", "a\n\n"); /* one more, always */
    assert_line("\xe4\xbd\xa0\xe5\xa5\xbd", "\xe4\xbd\xa0\xe5\xa5\xbd\n");

    unsigned char *text = random_bytes(SIZE, 4);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] |= 1; /* no NUL inside */
    }
    text[SIZE - 1] = '\0';
    char *line = make_line((const char *)text);
    assert_int_equal(strlen(line), SIZE);
    assert_memory_equal(line, text, SIZE - 1);
    assert_int_equal(line[SIZE - 1], '\n');
    free(line);
    free(text);
}

#if defined __SANITIZE_ADDRESS__
#define HAS_ADDRESS_SANITIZER 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef HAS_ADDRESS_SANITIZER
#define HAS_ADDRESS_SANITIZER 0
#endif

enum { MEGABYTE = 1024 * 1024 };

static void make_line_without_memory(void)
{
    const struct rlimit little = {96 * MEGABYTE, 96 * MEGABYTE};
    char *text = malloc(64 * MEGABYTE);

    start_program("test", ADDRESSES);
    if (text == NULL) {
        return;
    }
    memset(text, 'x', 64 * MEGABYTE - 1);
    text[64 * MEGABYTE - 1] = '\0';
    setrlimit(RLIMIT_AS, &little);
    printf("%zu\n", strlen(make_line(text)));
}

static void test_make_line_without_memory(void **state)
{
    char expected[LINE_SIZE];

    (void)state;
    if (HAS_ADDRESS_SANITIZER) {
        skip(); /* it needs terabytes of addresses, and ends by itself */
    }
    struct terminal *t = start_function(make_line_without_memory);
    assert_int_equal(finish(t), 1);
    snprintf(expected, sizeof expected, "test: malloc*%d*: %s",
             64 * MEGABYTE + 1, strerror(ENOMEM));
    assert_said(t, expected, NULL);
    expect_printed(t, "");
}

/* ---- finish_connect ---- */

/* Begins to connect, as a call that was interrupted has begun, to a socket
 * that is bound to 127.0.0.1. Stores the socket in ends[1]. Returns whether
 * the connection goes on in the background. */
static bool begin_connect(int bound_fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    assert_int_equal(getsockname(bound_fd, (struct sockaddr *)&address, &size),
                     0);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(ends[1], -1);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    return connect(ends[1], (struct sockaddr *)&address, size) == -1 &&
           errno == EINPROGRESS;
}

static void test_finish_connect(void **state)
{
    char text[4];

    (void)state;
    int listen_fd = listen_on("127.0.0.1:0");
    bool goes_on = begin_connect(listen_fd);
    errno = 0;
    int result = goes_on ? finish_connect(ends[1]) : 0;
    int conn_fd = accept_from(listen_fd);
    close(listen_fd);
    if (!goes_on) {
        close(conn_fd);
        skip(); /* a system that connects at once */
    }
    assert_int_equal(result, 0);
    assert_int_equal(write_all(ends[1], "abc", 3, NULL), 0);
    assert_int_equal(receive(conn_fd, text, 3), 3);
    assert_memory_equal(text, "abc", 3);
    close(conn_fd);
}

static void test_finish_connect_refused(void **state)
{
    (void)state;
    struct sockaddr_in loopback = {.sin_family = AF_INET};
    int bound_fd = socket(AF_INET, SOCK_STREAM, 0);

    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(
        bind(bound_fd, (struct sockaddr *)&loopback, sizeof loopback), 0);
    bool goes_on = begin_connect(bound_fd); /* nobody listens */
    errno = 0;
    int result = goes_on ? finish_connect(ends[1]) : 0;
    int error = errno;
    close(bound_fd);
    if (!goes_on) {
        skip(); /* a system that refuses at once */
    }
    assert_int_equal(result, -1);
    assert_int_equal(error, ECONNREFUSED);
}

static void test_finish_connect_errors(void **state)
{
    (void)state;
    make_pipe(true);
    errno = 0;
    assert_int_equal(finish_connect(ends[1]), -1);
    assert_int_equal(errno, ENOTSOCK);

    close(ends[0]);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0); /* never connected */
    errno = 0;
    assert_int_equal(finish_connect(ends[0]), -1);
    assert_int_equal(errno, ENOTCONN);

    int closed = ends[1];
    close(ends[1]);
    ends[1] = -1;
    errno = 0;
    assert_int_equal(finish_connect(closed), -1);
    assert_int_equal(errno, EBADF);
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_ends, close_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_write_pipe_interrupted),
        TEST(test_write_socket_interrupted),
        TEST(test_write_pipe_that_does_not_wait),
        TEST(test_write_socket_that_does_not_wait),
        TEST(test_write_at_once),
        TEST(test_write_nothing),
        TEST(test_write_errors),
        TEST(test_write_pipe_breaks),
        TEST(test_write_pipe_breaks_while_selecting),
        TEST(test_write_error_part_way),
        TEST(test_write_is_told),
        TEST(test_short_write_is_told),
        TEST(test_descriptor_too_high),
        TEST(test_must_repeat),
        TEST(test_try_again),
        TEST(test_try_again_closed),
        TEST(test_try_again_waits_to_write),
        TEST(test_try_again_waits_to_read),
        TEST(test_make_line),
        TEST(test_make_line_without_memory),
        TEST(test_finish_connect),
        TEST(test_finish_connect_refused),
        TEST(test_finish_connect_errors),
    };

    ends[0] = ends[1] = -1;
    return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
