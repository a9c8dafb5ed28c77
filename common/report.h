/*
 * report.h - what a program says on standard error: the story of its system
 * calls, its errors, and hints what to do about them.
 *
 * Every line is a single write() of fewer than PIPE_BUF bytes, so the lines
 * of several processes never mix (POSIX, write: "atomic"). Bytes that could
 * disturb a terminal are shown escaped. None of the functions that return
 * changes errno.
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stddef.h>

/* Lets the compiler, where it can, compare a format with its arguments. */
#ifdef __GNUC__
#define LIKE_PRINTF(format_, first_)                                           \
    __attribute__((format(printf, format_, first_)))
#else
#define LIKE_PRINTF(format_, first_)
#endif

/* What a program's addresses are; it decides which hints fit its errors. */
enum subject { ADDRESSES, PATHS };

/* Bytes in one line with its newline: the least PIPE_BUF of POSIX, so that
 * any system writes it in one piece. */
enum { LINE_SIZE = 512 };

/* Reads or writes of one conversation that are told one by one. */
enum { TOLD = 8 };

/* Bytes that a payload may take in a line, escapes included. */
enum { SHOWN_SIZE = 48 };

/* A payload in double quotes, with "..." behind them if it was cut. */
struct quoted {
    char text[SHOWN_SIZE + sizeof "\"\"..."];
};

/* How often a call carried data, and how many bytes in all. */
struct tally {
    bool payload_shown; /* in the lines about it */
    int told;           /* calls that got a line, up to TOLD */
    unsigned long calls;
    unsigned long long bytes;
};

/*
 * To be called first in main. Lines begin with "name: " from now on; hints
 * suit the subject. Ignores SIGPIPE: a write to a peer that has gone fails
 * with EPIPE then, and the program can say so, instead of being killed
 * without a word; and SIGXFSZ, so that a file that may not grow fails with
 * EFBIG. Makes sure that descriptors 0, 1 and 2 are taken, so that
 * no socket becomes somebody's standard output.
 */
void start_program(const char *name, enum subject subject);

/* Leaves out the story (-q); announce(), warnings and errors stay. */
void be_quiet(void);
bool is_quiet(void);

/* Lines begin with "name[process id]: " from now on: for a child. */
void name_process(void);

/* Tells one line of the story; the arguments are those of printf. */
void say(const char *format, ...) LIKE_PRINTF(1, 2);

/* As say(), but not left out by be_quiet(): for the ready line. */
void announce(const char *format, ...) LIKE_PRINTF(1, 2);

/*
 * Counts a call that carried `size` bytes. Returns true while it is to be
 * told: for the first few, so that a long story stays readable and fast.
 */
bool count_data(struct tally *tally, size_t size);

/*
 * Counts a read or write in *tally, and tells it while it is to be told.
 *   call  the name of the system call, and fd its descriptor
 *   data  the payload, and size its bytes, as the call returned them
 */
void say_data(struct tally *tally, const char *call, int fd, const void *data,
              size_t size);

/*
 * Puts data into double quotes. Control bytes, quotes, backslashes and all
 * that is not UTF-8 (RFC 3629) become escapes as in C. What would take more
 * than SHOWN_SIZE bytes is cut, between two characters, and "..." says so.
 */
struct quoted quote(const void *data, size_t size);

/*
 * Formats a line as say() does, into `line`, for a signal handler to write
 * later: a handler may call write(), but not printf() (POSIX 2.4.3).
 * Returns the line's length in bytes.
 */
size_t prepare_line(char line[LINE_SIZE], const char *format, ...)
    LIKE_PRINTF(2, 3);

/* Writes "name: text: strerror(errno)"; for trouble that is not the end. */
void warn(const char *format, ...) LIKE_PRINTF(1, 2);

/* As warn(), then a line "name: hint: ..." if errno has one; exit status 1. */
_Noreturn void die(const char *format, ...) LIKE_PRINTF(1, 2);

/*
 * For a try that failed, when another address may do: warns "call name:
 * strerror(errno)" and closes fd, unless it is -1. Returns -1, errno kept.
 */
int give_up(int fd, const char *call, const char *name);

/* Writes the hint for an error number, if there is one for the subject. */
void give_hint(int error);

/*
 * Ends the program because getaddrinfo() failed for host; code is what it
 * returned (gai_strerror, or errno if it is EAI_SYSTEM). Exit status 1.
 */
_Noreturn void die_resolver(int code, const char *host);

/* Writes "name: text" and the usage; exit status 2. */
_Noreturn void die_usage(const char *usage, const char *text);

#endif
