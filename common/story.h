/*
 * story.h - what a program says on standard error: its system calls with
 * their results, its errors, and hints what to do about them.
 *
 * A call stands on a line of its own, and the next line tells its result:
 *
 *     result = listen(listen_fd, BACKLOG);
 *     check(result, "listen(%d, %d)", listen_fd, BACKLOG);
 *
 * prints "tcp_server: listen(3, 128) = 0", or "... = -1 EADDRINUSE (Address
 * already in use)". Each line is one write() of less than PIPE_BUF bytes, so
 * the lines of several processes never mix (POSIX, write). Bytes that could
 * disturb a terminal are escaped. Nothing here changes errno.
 */
#ifndef STORY_H
#define STORY_H

#include <stddef.h>
#include <sys/types.h>

/*
 * To be called first in main: name begins each line. Opens /dev/null for
 * those of the descriptors 0, 1 and 2 that are closed, so that no socket gets
 * their number.
 */
void start_program(const char *name);

/* From now on only failures and announcements are printed (-q). */
void be_quiet(void);

/* tell(result, format, ...): a call's result; for -1 with the symbol of errno,
 * as the manual pages have it, and also with -q. The program goes on. */
#define tell(result, ...) print_line(TELL, result, __VA_ARGS__)

/* The same; but for -1 it ends the program as give_up(errno) does. */
#define check(result, ...) print_line(CHECK, result, __VA_ARGS__)

/* say(format, ...): a line of the story that has no result, such as what the
 * next call waits for. */
#define say(...) print_line(SAY, 0, __VA_ARGS__)

/* The same, also with -q: the ready line, an error that no call reported. */
#define announce(...) print_line(ANNOUNCE, 0, __VA_ARGS__)

enum kind { TELL, CHECK, SAY, ANNOUNCE };
void print_line(enum kind kind, long result, const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/*
 * Tells "call(fd) = result" or, with a peer, "call(fd, peer) = result" of a
 * read, recvfrom, write or sendto, and shows its data; not once more if they
 * are sent from the buffer to which they came. After the first calls in a row
 * they are only counted, and tell() and say() are silent, until there is a
 * pause, an end of file or tell_totals(), which tells how many bytes came and
 * went, if some were only counted.
 */
void tell_data(const char *call, int fd, const char *peer, ssize_t result,
               const void *data);
void tell_totals(void);

/* Prints the hint for an error of errno.h, if this program has one. */
void give_hint(int error);

/* Prints the hint, and ends the program with status 1. */
_Noreturn void give_up(int error);

/*
 * Writes all of the bytes, and tells each write (on standard output, failures
 * alone). One write() may take fewer bytes than it is given, or be
 * interrupted (EINTR). Returns 0; or -1 with errno of write(), after its line
 * and hint, and some bytes may have been written.
 */
int write_all(int fd, const void *data, size_t size);

/* The same for a text and a newline behind it, in one piece. */
int write_line(int fd, const char *text);

/* The same on standard output; a failure ends the program with status 1. */
void print_data(const void *data, size_t size);

/* Waits for some milliseconds, so that a call that fails again and again does
 * not keep a processor busy. */
void wait_a_moment(void);

#endif
