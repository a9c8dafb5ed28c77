/*
 * harness.h - runs the programs as a user does, and reads what they say.
 *
 * A test is a dialogue between terminals:
 *
 *     SCENE(hello_comes_back)
 *     {
 *         struct program *server = start("tcp_server -n 1 127.0.0.1 0");
 *         struct program *client =
 *             start("tcp_client -q 127.0.0.1 %s 'Hello'", port_of(server));
 *
 *         expect_status(client, 0);
 *         expect_printed(client, "Hello\n");
 *         expect_status(server, 0);
 *     }
 *
 *     int main(int argc, char *argv[])
 *     {
 *         const struct CMUnitTest tests[] = {TEST(hello_comes_back)};
 *
 *         return play_tests("tcp", tests, argc, argv);
 *     }
 *
 * No function waits for time. Each waits for what it names; if nothing at all
 * happens until the deadline, or it can't come any more, the test fails, at
 * the line that called the harness, after all that the programs of the test
 * have said and printed. Whatever waits, also for a socket of the test, reads
 * the output of all programs and writes what was typed, so that no full pipe
 * can stop one.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* Seconds until a wait fails: only a hang takes so long. The environment's
 * TEST_DEADLINE changes it, for slow surroundings such as an emulator. */
enum { DEADLINE = 30 };

/* Bytes that grow. There is a NUL behind the last one; data is never NULL. */
struct bytes {
    char *data;
    size_t size;
};

/* Indexes of a program's pipes and bytes: its standard descriptors. */
enum { INPUT, OUTPUT, ERROR };

/* A program that was started. Tests may read it; bytes is what came so far,
 * and complete after expect_status(). */
struct program {
    pid_t pid;             /* the process, also after its end */
    int status;            /* exit status, or 128 + signal; -1: not known yet */
    const char *command;   /* as it was started */
    struct bytes bytes[3]; /* what was typed, printed and said */
    size_t written;        /* of what was typed: bytes that are in the pipe */
    size_t heard;          /* of what was said: behind expect_said()'s line */
    int fds[3];            /* our ends of the pipes; -1: closed */
    bool input_ends;       /* input is closed when all is written */
};

/* ---- The frame of a test program ---- */

/* Defines a test: SCENE(name) { ... }. */
#define SCENE(name)                                                            \
    static void play_##name(void);                                             \
    static void name(void **state)                                             \
    {                                                                          \
        (void)state;                                                           \
        play_##name();                                                         \
    }                                                                          \
    static void play_##name(void)

/* A test's entry in the array of tests. */
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

/*
 * Runs the tests of an array; main returns its result. Programs are looked for
 * in the folder that the environment's PROGRAMS names, or else argv[1], and
 * then in PATH. The environment's CMOCKA_TEST_FILTER limits the run to tests
 * whose name matches; * stands for anything.
 */
#define play_tests(name, tests, argc, argv)                                    \
    (prepare_tests(argc, argv),                                                \
     cmocka_run_group_tests_name(name, tests, NULL, NULL))
void prepare_tests(int argc, char *argv[]);

/*
 * Setup and teardown of each TEST(). Opening makes a new folder with a short
 * path and enters it: tests use relative paths. Closing ends all programs with
 * their children, closes every descriptor that the test has opened, and
 * removes the folder. The test fails if something was left in it, or if a
 * program has said a control character, or has ended with half a line.
 */
int open_stage(void **state);
int close_stage(void **state);

/* ---- Programs ---- */

/*
 * start(format, ...) returns a new program. The command line is a printf format
 * (a literal), and then a line for /bin/sh, which the program replaces (exec):
 * quotes and redirections work, and so do "env NAME=value tcp_server", "strace
 * -o trace tcp_server" and "sh -c 'ulimit -n 64; exec udp_client'". It leads a
 * process group of its own, and has three descriptors, each a pipe. A program
 * that is not there ends with status 127. It lives until the test ends.
 */
#define start(...) (HERE, launch(formatted("exec " __VA_ARGS__)))
struct program *launch(const char *command);

/* Types a text, or bytes: they are written now, as far as the pipe takes them,
 * and else while something is waited for. */
#define type(program, text) type_bytes(program, text, strlen(text))
void type_bytes(struct program *program, const void *data, size_t size);

/* Ends the input behind what was typed. */
void end_input(struct program *program);

/* Sends a signal to the program, not to its children. */
#define signal_program(...) (HERE, send_signal(__VA_ARGS__))
void send_signal(struct program *program, int number);

/* Stops a program and waits until it has stopped; lets it go on. */
#define suspend(program) (HERE, stop_program(program))
#define resume(program)  signal_program(program, SIGCONT)
void stop_program(struct program *program);

/* ---- What programs say, print and return ---- */

/*
 * expect_said(program, pattern) waits for a whole line on standard error that
 * matches the pattern, in which * stands for anything, beginning behind the
 * line that was found last. Returns the line without its newline; it lives
 * until the test ends. Patterns don't name the C library's words for an error
 * ("* = -1 ECONNREFUSED (*"): musl has others.
 */
#define expect_said(...) (HERE, wait_for_line(__VA_ARGS__))
const char *wait_for_line(struct program *program, const char *pattern);

/* Counts the lines so far that match the pattern: for what must not be said,
 * after expect_status(). */
size_t count_said(const struct program *program, const char *pattern);

/*
 * expect_lines(program, text) waits until standard error has lines that match
 * those of the text, in this order, perhaps with others before, between and
 * behind them; * in the text stands for anything. expect_story(program, text)
 * waits until the program has ended, and these lines, each with its newline,
 * are all of standard error. Processes speak at the same time: the order of
 * their lines is that of one process each.
 */
#define expect_story(program, text) (HERE, compare_story(program, text, true))
#define expect_lines(program, text) (HERE, compare_story(program, text, false))
void compare_story(struct program *program, const char *text, bool is_whole);

/* Wait until at least so much is on standard output, and compare all of it;
 * after expect_status(), nothing can follow any more. */
#define expect_printed(program, text)                                          \
    expect_printed_bytes(program, text, strlen(text))
#define expect_printed_bytes(...) (HERE, compare_printed(__VA_ARGS__))
void compare_printed(struct program *program, const void *data, size_t size);

/* Waits for the end of the program and its children (of all who have its
 * output), and compares its status: exit status, or 128 + number of the
 * signal. expect_status() ends the input before, ends_with() leaves it open. */
#define expect_status(program, status)                                         \
    (HERE, compare_end(program, status, true))
#define ends_with(program, status) (HERE, compare_end(program, status, false))
void compare_end(struct program *program, int status, bool input_ends);

/* Waits for the line "NAME: ready on ADDRESS", and returns the address, or its
 * port; the text lives until the test ends. May be called again. */
#define address_of(server) (HERE, ready_address(server))
#define port_of(server)    (strrchr(address_of(server), ':') + 1)
const char *ready_address(struct program *server);

/* wait_until(condition, argument, "what") waits until condition(argument) is
 * true, for what no program says: it is tried every 10 milliseconds. One such
 * condition: there is something at the path, be it a link to nowhere. */
#define wait_until(...) (HERE, wait_for_condition(__VA_ARGS__))
void wait_for_condition(bool (*condition)(const void *argument),
                        const void *argument, const char *what);
bool is_there(const void *path);

/* Whether this machine has ::1. */
bool has_ipv6(void);

/* ---- Sockets of the test itself: a stranger's side ---- */

/*
 * Each returns a socket, and fails the test on an error. The address is
 * HOST:PORT or [HOST]:PORT, numeric (port 0 takes a free one), or a path:
 * anything with a slash or without a colon. The sockets block, until the
 * deadline at most, and are closed at the end of the test, if not before.
 */
#define connect_to(address)     (HERE, open_socket(address, SOCK_STREAM, connect))
#define listen_on(address)      (HERE, open_socket(address, SOCK_STREAM, bind))
#define bound_datagram(address) (HERE, open_socket(address, SOCK_DGRAM, bind))
#define accept_from(listen_fd)  (HERE, accept_socket(listen_fd))
int open_socket(const char *address, int type,
                int (*join)(int, const struct sockaddr *, socklen_t));
int accept_socket(int listen_fd);

/* The port that a socket has; the text lives until the test ends. */
const char *own_port(int fd);

/* Receives `size` bytes, or fewer if the end of file comes first, or one
 * datagram. Returns their number. */
#define receive(fd, data, size) (HERE, receive_bytes(fd, data, size))
size_t receive_bytes(int fd, void *data, size_t size);

/* Sends all of the bytes; as one datagram to the sender of the datagram that
 * was received last. */
#define transmit(fd, data, size) (HERE, transmit_bytes(fd, data, size))
void transmit_bytes(int fd, const void *data, size_t size);

/* Sends as much as the buffers on the way take now. Returns its size. */
size_t send_what_fits(int fd, const void *data, size_t size);

/* ---- Small helpers ---- */

/* The text of a printf, of any length; lives until the test ends. */
char *formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Notes the line of the test, for a failure. */
#define HERE note_place(__FILE__, __LINE__)
void note_place(const char *file, int line);

#endif
