/*
 * harness.h - runs the programs as a user does, and reads what they say.
 *
 * A test is a dialogue between terminals: start() opens one, type() writes
 * into it, expect_said() and expect_printed() wait until the program has said
 * or printed something, finish() waits for its end. No function waits for
 * time: each waits for what it names, and fails the test with all that was
 * said if that does not come within DEADLINE.
 *
 * While any of them waits, the output of all programs is read, and what was
 * typed is written, so that no full pipe can stop a program.
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
#include <sys/types.h>

#include <cmocka.h>

/* Seconds until a wait fails: only a hang takes so long. The environment's
 * TEST_DEADLINE changes it, for slow surroundings such as an emulator. */
enum { DEADLINE = 30 };

/* Bytes for a line that a program has said, and a NUL. */
enum { LINE_BYTES = 4096 };

/* Bytes that a program has written. There is a NUL behind the last. */
struct bytes {
    char *data;
    size_t size;
};

/* A program that was started. */
struct terminal {
    pid_t pid;
    int input;            /* its standard input, or -1 */
    int output;           /* its standard output, or -1 */
    int error;            /* its standard error, or -1 */
    bool is_terminal;     /* input and output are a pseudo-terminal */
    bool input_ends;      /* input is closed when all is written */
    struct bytes typed;   /* for input, not yet written */
    struct bytes printed; /* all of standard output so far */
    struct bytes said;    /* all of standard error so far */
    size_t heard;         /* how much of it expect_said() has passed */
    int status;           /* after finish(): exit status, or 128 + signal */
    struct terminal *next;
};

/*
 * Setup and teardown of every test (cmocka_unit_test_setup_teardown). The
 * setup makes a new folder and enters it, so that a test can use short names
 * for its paths. The teardown ends all programs and processes that were left,
 * and fails the test if it left a file in the folder. Both return 0, or -1.
 */
int open_stage(void **state);
int close_stage(void **state);

/* Limits the run to tests whose name matches the environment's
 * CMOCKA_TEST_FILTER, in which * stands for anything. CMocka 2 does it by
 * itself. To be called first in main. */
void choose_tests(void);

/* The absolute path of a program that was given to the test, which may be
 * relative: a test changes its folder. Never freed. Ends the test program if
 * there is no such file. */
const char *absolute(const char *path);

/* Whether there is something at the path, be it a link to nowhere; as a
 * condition for expect_true(), too. */
bool is_there(const void *path);

/* Makes a copy of a program, which everybody may run. */
void copy_program(const char *from_path, const char *to_path);

/* The folder of this test, an absolute path. */
const char *stage(void);

/* Starts the program at path with these arguments, the last one NULL. Its
 * input is a pipe; nothing is typed yet. The test fails if it can't start. */
struct terminal *start(const char *path, ...);

/* As start(), with standard input and output on a pseudo-terminal that does
 * not echo, and standard error on a pipe. */
struct terminal *start_on_terminal(const char *path, ...);

/* As start(), with `redirections` of a shell, such as ">/dev/full" or "<&-",
 * for the program's descriptors. */
struct terminal *start_redirected(const char *redirections, const char *path,
                                  ...);

/*
 * As start(), but the new process runs a function of the test, and ends with
 * status 0 when that returns. For functions of common/ that end the process,
 * or change it for good. The function can't fail the test: no assertion works
 * in it. It says and prints what it finds; the test compares that. It has the
 * descriptors of the test that an exec would keep.
 */
struct terminal *start_function(void (*body)(void));

/* Types a text, or bytes; they are written whenever something is waited for. */
void type(struct terminal *terminal, const char *text);
void type_bytes(struct terminal *terminal, const void *data, size_t size);

/* Waits until all that was typed is written; before the test's own receive(),
 * which doesn't write it. type_now() types and waits. */
void wait_typed(struct terminal *terminal);
void type_now(struct terminal *terminal, const char *text);

/* Ends the input when all is written: closes the pipe, or types Ctrl-D. */
void end_input(struct terminal *terminal);

/*
 * Waits for a line on standard error that matches the pattern, in which *
 * stands for anything, beginning behind the line that was found last. Returns
 * the line, to be freed by nobody: it lives as long as the test.
 */
const char *expect_said(struct terminal *terminal, const char *pattern);

/* Waits until standard output is exactly this text, or these bytes. */
void expect_printed(struct terminal *terminal, const char *text);
void expect_printed_bytes(struct terminal *terminal, const void *data,
                          size_t size);

/* Waits until at least `size` bytes were printed. */
void expect_printed_size(struct terminal *terminal, size_t size);

/* Ends the input and waits for the program's end. Returns its exit status, or
 * 128 + the number of the signal that ended it. */
int finish(struct terminal *terminal);

/* As finish(), but leaves the input as it is. */
int wait_end(struct terminal *terminal);

/* As finish(); the test fails, with all that was said, if the status is
 * another one. */
void finish_with(struct terminal *terminal, int status);

/* As finish_with(), but the program has to end by itself: its input stays as
 * it is until then. */
void ends_with(struct terminal *terminal, int status);

/* Sends a signal to the program. */
void signal_program(struct terminal *terminal, int number);

/* Stops a program, as Ctrl-Z does, and waits until it is; lets it go on, as fg
 * does, in a window of another size. */
void suspend(struct terminal *terminal);
void resume(struct terminal *terminal);

/* Waits for the ready line. Returns the address in it, and its port. */
const char *ready_address(struct terminal *server);
const char *ready_port(struct terminal *server);

/* Whether the lines match the patterns, all of them and in this order; the
 * last pattern is NULL. The test fails if not. */
void assert_said(struct terminal *terminal, ...);

/* As assert_said(), but there may be other lines between them. */
void assert_said_among(struct terminal *terminal, ...);

/* The test fails if a line matches the pattern. */
void assert_not_said(struct terminal *terminal, const char *pattern);

/* How many lines match the pattern. */
size_t count_said(const struct terminal *terminal, const char *pattern);

/* Goes through the lines: stores the next whole one behind *position, without
 * its newline, and moves *position. Returns false behind the last. The test
 * fails if the line is longer than any that a program may say. */
bool take_line(const struct terminal *terminal, size_t *position,
               char line[LINE_BYTES]);

/* Every line is whole, begins with this name, is short enough to be written in
 * one piece anywhere, and harmless to a terminal. */
void assert_clean(const struct terminal *terminal, const char *name);

/* Wrong usage: status 2, this problem, the usage, and nothing was opened. */
void expect_usage(struct terminal *terminal, const char *problem);

/* A failure: status 1, this reason, and a hint (NULL: none). */
void expect_failure(struct terminal *terminal, const char *reason,
                    const char *hint);

/* Whether text matches the pattern, in which * stands for anything. Patterns
 * have glibc's words for an error; those of musl are taken for the same. */
bool matches(const char *pattern, const char *text);

/* Waits until the condition holds, for what no program says: a process that
 * has gone, a path that appears. `what` names it, for the failure. */
void expect_true(bool (*condition)(const void *argument), const void *argument,
                 const char *what);

/* The text of a printf; it lives until 16 later ones were made. */
const char *formatted(const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Random bytes, each value among them if size is at least 256; from the same
 * seed the same. To be freed by the caller. */
unsigned char *random_bytes(size_t size, unsigned seed);

/*
 * Sockets of the test itself, a stranger's side of the conversation. All of
 * them fail the test on an error, and give up after DEADLINE.
 *   connect_to       connects to HOST:PORT of ready_address(), or to a path
 *   listen_on        listens on the address; "127.0.0.1:0" takes a free port
 *   accept_from      waits for a client
 *   bound_datagram   a datagram socket, bound to the address
 *   own_port         the port that a socket has, as text
 *   receive          receives exactly `size` bytes, or fewer at end of file;
 *                    returns their number
 *   transmit         sends all of the bytes
 */
int connect_to(const char *address);
int listen_on(const char *address);
int accept_from(int listen_fd);
int bound_datagram(const char *address);
const char *own_port(int fd);
size_t receive(int fd, void *data, size_t size);
void transmit(int fd, const void *data, size_t size);

/* Whether this machine has ::1. */
bool has_ipv6(void);

#endif
