/*
 * helper.h - what all programs share: they print their system calls and errors
 * as they happen, read their command lines, and make addresses of them.
 *
 * A call stands on a line of its own, and the next line tells its result:
 *
 *     result = listen(listen_fd, BACKLOG);
 *     check(result, "listen(%d, %d)", listen_fd, BACKLOG);
 *
 * prints "tcp_server: listen(3, 128) = 0", or "... = -1 EADDRINUSE (Address
 * already in use)", on standard error. Each line is one write() of less than
 * PIPE_BUF bytes, so the lines of several processes never mix (POSIX, write).
 * Bytes that could disturb a terminal are escaped. Nothing that tells changes
 * errno.
 */
#ifndef HELPER_H
#define HELPER_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

/* ---- What a program does, on standard error ---- */

/*
 * To be called first in main: name begins each line. Opens /dev/null for
 * those of the descriptors 0, 1 and 2 that are closed, so that no socket gets
 * their number.
 */
void start_program(const char *name);

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

/* Whether a result would not be told now, unless it is -1: then a text for it
 * need not be made. A pause ends what was a burst. */
bool is_silent(void);

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

/* As write_all(), for a text and a newline behind it, in one piece. */
int write_line(int fd, const char *text);

/* As write_all() on standard output; a failure ends the program, status 1. */
void print_data(const void *data, size_t size);

/* Waits; less than a second, and less when a signal comes. */
void wait_a_moment(long milliseconds);

/* ---- The command line ---- */

/* What is wrong with it ends the program with its usage and status 2, before
 * anything was opened (POSIX, XBD 12.2, Utility Syntax Guidelines). */

/* The lines about -q and -h, for every usage. */
#define COMMON_USAGE                                                           \
    "  -q        print only the ready line and errors, not the system calls\n" \
    "  -h        print this help\n"

/*
 * getopt(), which takes care of -h, --help and -q, and refuses what is not
 * among `letters`. Returns the next other option, its argument in optarg, or
 * -1. `usage` names the operands and the options.
 */
int next_option(int argc, char *argv[], const char *letters, const char *usage);

/* Stores the operands; those that were not given keep their defaults. More
 * than `most` are refused. */
void read_operands(int argc, char *argv[], const char *operands[], int most);

/* Returns a decimal number, digits alone. Refuses what is none, or not from
 * lowest to highest; `name` is what the usage calls it. */
long number(const char *text, long lowest, long highest, const char *name);

/* ---- Addresses and paths ---- */

/* Bytes for an address as text: [IPv6%interface]:port. */
enum { ADDRESS_SIZE = 80 };

/*
 * getaddrinfo(): the addresses of host, a name or a numeric address of IPv4
 * or IPv6, with a port number of at least `lowest_port`, for a type such as
 * SOCK_STREAM. Refuses a host or port that is not one: a C library may turn
 * port 99999 into 34463, and host 12345 into 0.0.48.57. Tells the result; a
 * failure ends the program. Returns a list of at least one, to be freed with
 * freeaddrinfo() (POSIX, freeaddrinfo).
 */
struct addrinfo *resolve(const char *host, const char *port, long lowest_port,
                         int type);

/* Writes an address as text: 127.0.0.1:12345 or [::1]:12345. Always numeric:
 * to ask the network for a name could take long. Keeps errno. */
void address_text(const struct sockaddr *address, socklen_t size,
                  char text[ADDRESS_SIZE]);

/* The name of the constant. */
#define family_text(family) ((family) == AF_INET6 ? "AF_INET6" : "AF_INET")

/* Prints the line that scripts wait for, with the address that the socket
 * really has: port 0 has become another one (POSIX, getsockname). */
void announce_ready(int fd);

/* Tells the result of mkfifo(path, 0600). A FIFO of this user may have been
 * there already; anything else ends the program. A new one is owned. */
void tell_mkfifo(int result, const char *path);

/* Ends the program if something is at the path that is not a FIFO of this
 * user; or, unless fd is -1, if fd is not one. */
void check_fifo(const char *path, int fd);

/*
 * The socket or FIFO at the path, which fd has open unless it is -1, is this
 * process's to remove: at exit(), and when SIGINT or SIGTERM ends the program.
 * A child disowns it, and ends with _exit(). The path must stay valid.
 */
void own_path(const char *path, int fd);

/* Ends that. Returns whether the same file is still at the path: then it may
 * be removed. */
bool disown_path(void);

#endif
