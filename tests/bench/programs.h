/*
 * programs.h - starting the programs that are measured, and ending them,
 * whatever becomes of the bench.
 */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include <stddef.h>
#include <sys/types.h>

/* Bytes for a server's address as text: a path, or a host and port. */
enum { ADDRESS_TEXT_SIZE = 256 };

#ifdef __GNUC__
#define LIKE_PRINTF(format_, first_)                                           \
    __attribute__((format(printf, format_, first_)))
#else
#define LIKE_PRINTF(format_, first_)
#endif

/* What fail() names before its text from now on; must stay valid. */
void name_subject(const char *name);

/* Writes "bench: subject: text" and ends the program with status 1. */
_Noreturn void fail(const char *format, ...) LIKE_PRINTF(1, 2);

/* As fail(), with ": strerror(errno)" behind the text. */
_Noreturn void fail_errno(const char *format, ...) LIKE_PRINTF(1, 2);

/*
 * Makes a fresh folder for sockets and FIFOs, and starts the guard: a process
 * that waits for the end of this one, be it by exit, by a signal or by
 * SIGKILL, then ends all that start_program() has started, and removes the
 * folder. exit() waits until it has done so.
 */
void start_guard(void);

/* Writes the path of a name in the folder; `path` has ADDRESS_TEXT_SIZE. */
void folder_path(char *path, const char *name);

/*
 * Starts a program, found by PATH unless it has a slash. Its standard input,
 * output and error are the three descriptors, -1: /dev/null. Returns its
 * process id. Whatever the bench itself has open must be close-on-exec.
 */
pid_t start_program(char *const arguments[], int in_fd, int out_fd, int err_fd);

/*
 * Starts a server and waits until its standard error says "ready on ADDRESS".
 * Stores the address. If log is not NULL, standard error goes to that file,
 * and the bench reads it there; if it is NULL, to a pipe. Returns its process
 * id. Fails if the server ends, or says nothing for a long time.
 */
pid_t start_server(char *const arguments[], const char *log, char *address);

/* Waits for a program's end, and fails if its status is not 0. */
void expect_success(pid_t process, const char *name);

/* A pipe, both ends close-on-exec. */
void make_pipe(int ends[2]);

/* fcntl with O_NONBLOCK. */
void make_nonblocking(int fd);

#endif
