/*
 * stream_tests.h - the tests that the TCP and the UNIX pair share, and what
 * their own tests need too.
 *
 * The two pairs differ in how an address is written: HOST PORT or PATH. Where
 * a test starts a program, PLACE stands for it. At first it is a new address;
 * a server that is ready, or a stranger that listens, makes it its own.
 */
#ifndef STREAM_TESTS_H
#define STREAM_TESTS_H

#include "harness.h"

/* The two programs under test. */
struct pair {
    const char *server;      /* the path of the program */
    const char *client;      /* the same */
    const char *server_name; /* as it begins its lines */
    const char *client_name;
    const char *server_operands; /* as the usage shows them */
    const char *client_operands;
    bool has_path; /* an address is a path, else a host and a port */
};

extern struct pair pair;

/* A test with its setup and teardown. */
#define STREAM_TEST(function_)                                                 \
    cmocka_unit_test_setup_teardown(function_, open_stream_stage, close_stage)
int open_stream_stage(void **state);

/* Runs the shared tests with the programs that the arguments name, and keeps
 * them in pair. Returns the number of tests that failed. */
int run_stream_tests(int argc, char *argv[]);

/* ---- The dialogue ---- */

/* In the arguments below: the operands of the address. */
#define PLACE ((const char *)place_mark)
extern const char place_mark[];

/* PLACE is this address from now on: HOST:PORT or a path. */
void use_place(const char *address);

/* PLACE as one text. */
const char *place(void);

/* Start a program with arguments, the last one NULL. open_server() waits
 * until it is ready, and makes PLACE its address. */
struct terminal *open_server(const char *argument, ...);
struct terminal *try_server(const char *argument, ...);
struct terminal *open_client(const char *argument, ...);
struct terminal *open_client_on_terminal(const char *argument, ...);
struct terminal *open_client_redirected(const char *redirections,
                                        const char *argument, ...);

/* Runs a program as another user, who owns nothing here. A test that wants it
 * begins with need_nobody(), which skips it where that is not possible. */
void need_nobody(const char *program);
struct terminal *start_as_nobody(const char *program, const char *argument,
                                 ...);

/* Runs a shell command, in which "$0" is the program, in a namespace of its
 * own: option -n, a network without addresses; -m, mounts that nobody else
 * sees. A test that wants it begins with need_apart(). */
void need_apart(const char *option);
struct terminal *start_apart(const char *option, const char *command,
                             const char *program, ...);

/* Ends a server that runs for ever. */
void stop(struct terminal *server);

/* A client with its default message is answered with it. */
void expect_echo(void);

/* A stranger's side at PLACE: a client; a server, and its end. */
int connect_here(void);
int listen_here(void);
void leave(int listen_fd);

/* ---- What was said ---- */

/* Waits until so many lines match the pattern, in any order with others. */
void expect_count_said(struct terminal *terminal, size_t count,
                       const char *pattern);

/* The lines with this beginning match the patterns, all and in this order;
 * NULL ends them; one that begins with ? need not be there. So each process of
 * a server is heard alone. */
void assert_story(struct terminal *terminal, const char *beginning, ...);

/* All lines are shorter than PIPE_BUF and hold nothing but printable ASCII. */
void assert_harmless(const struct terminal *terminal);

/* The process id of the last child that the server has told of. */
pid_t last_child(struct terminal *server);

/* Waits until there is no such process, not even one to be waited for. */
void expect_gone(pid_t process);

/* Whether the program still runs. */
bool is_running(const struct terminal *terminal);

/* -h prints the usage, with these texts in it and in this order, NULL at the
 * end. */
void expect_usage_text(const char *program, ...);

#endif
