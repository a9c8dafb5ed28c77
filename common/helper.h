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
 * PIPE_BUF bytes, so the lines of several processes don't mix (POSIX, write);
 * those of a child show its number. Bytes that could disturb a terminal are
 * escaped. Nothing that prints changes errno.
 */
#ifndef HELPER_H
#define HELPER_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- What a program does, on standard error ---- */

/* Whether the story is left out (-q). */
extern bool quiet;

/* tell(result, format, ...): a call's result; for -1 with the symbol of errno,
 * as the manual pages have it, and also with -q. The program goes on. */
#define tell(result, ...) print_line(TELL, result, NULL, __VA_ARGS__)

/* tell_data(result, data, "read", fd): the same for a read or write, with the
 * first of its bytes; the result is their number. Of standard input and output
 * only failures are told. */
#define tell_data(result, data, call, fd)                                      \
    print_line((fd) > STDERR_FILENO ? TELL : FAILURE, result, data,            \
               call "(%d)", fd)

/* The same for a recvfrom or sendto, with the peer's address. The expression
 * for it is evaluated only if it is printed: to make its text takes time. */
#define tell_datagram(result, data, call, fd, peer)                            \
    ((result) != -1 && quiet                                                   \
         ? (void)0                                                             \
         : print_line(TELL, result, data, call "(%d, %s)", fd, peer))

/* fail(format, ...): tells that a call has failed, and ends the program as
 * give_up() does. */
#define fail(...) (tell(-1, __VA_ARGS__), give_up())

/* check(result, format, ...): as tell; but as fail if the result is -1. */
#define check(result, ...)                                                     \
    ((result) == -1 ? fail(__VA_ARGS__) : tell(result, __VA_ARGS__))

/* say(format, ...): a line that has no result: what the next call waits for. */
#define say(...) print_line(SAY, 0, NULL, __VA_ARGS__)

/* announce(format, ...): the same, also with -q: the ready line, an error
 * that no call reported. */
#define announce(...) print_line(ANNOUNCE, 0, NULL, __VA_ARGS__)

enum kind { TELL, FAILURE, SAY, ANNOUNCE };
void print_line(enum kind kind, long result, const void *data,
                const char *format, ...)
#ifdef __GNUC__
    __attribute__((format(printf, 4, 5)))
#endif
    ;

/* Ends the program with status 1, after a hint: what to do about the failure
 * that was told last, if there is something to say. */
#define give_up() give_up_with(NULL)

/* The same with this hint, about what no call reported. */
_Noreturn void give_up_with(const char *hint);

/*
 * Writes all of the bytes, and tells each write. One write() may take fewer
 * bytes than it is given, or be interrupted by a signal handler (EINTR).
 * Returns 0; or -1 with errno of write(), and some bytes may have been written.
 */
int write_all(int fd, const void *data, size_t size);

/* As write_all(), for a text and a newline behind it, in one piece. */
int write_line(int fd, const char *text);

/* ---- The command line ---- */

/* The lines about -q and -h, for every usage. */
#define COMMON_USAGE                                                           \
    "  -q        print only the ready line and errors, not the system calls\n" \
    "  -h        print this help\n"

/*
 * To be called first in main. Reads the options -h, --help, -q and, if the
 * usage has it, -n COUNT, and stores up to `most` operands; those that were
 * not given keep their defaults. What is wrong ends the program with its usage
 * and status 2 (POSIX, XBD 12.2, Utility Syntax Guidelines). Returns COUNT, or
 * 0. `usage` begins with "usage: ", the program's name and a blank.
 */
long read_command_line(int argc, char *argv[], const char *usage,
                       const char *operands[], int most);

/* ---- Addresses ---- */

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

/* Returns `text`, with an address in it: 127.0.0.1:12345 or [::1]:12345. Always
 * numeric: to ask the network for a name could take long. Keeps errno. */
char *address_text(const struct sockaddr *address, socklen_t size,
                   char text[ADDRESS_SIZE]);

/* The name of the constant. */
#define family_text(family) ((family) == AF_INET6 ? "AF_INET6" : "AF_INET")

/* Prints the line that scripts wait for, with the address that the socket
 * really has: port 0 has become another one (POSIX, getsockname). Ends the
 * program if nobody can reach a server there. */
void announce_ready(int fd);

#endif
