/*
 * address.h - from the command line to addresses, and to paths that a program
 * makes and removes.
 *
 * A wrong command line ends the program with its usage and status 2, before
 * anything was opened (POSIX, XBD 12.2, Utility Syntax Guidelines).
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Bytes for an address as text: [IPv6%interface]:port. */
enum { ADDRESS_SIZE = 80 };

/*
 * getopt(), which takes care of -h, --help and -q, and refuses what is not
 * among `letters`. Returns the next other option, its argument in optarg, or
 * -1. `usage` names the operands and these options; -q and -h are added.
 */
int next_option(int argc, char *argv[], const char *letters, const char *usage);

/* Stores the operands; those that were not given keep their defaults. More
 * than `most` are refused. */
void read_operands(int argc, char *argv[], const char *operands[], int most);

/* Returns a decimal number, digits alone. Refuses what is none, or not from
 * lowest to highest; `name` is what the usage calls it. */
unsigned long number(const char *text, unsigned long lowest,
                     unsigned long highest, const char *name);

/*
 * getaddrinfo(): the addresses of host, a name or a numeric address of IPv4
 * or IPv6, with a port number of at least `lowest_port`, for a type such as
 * SOCK_STREAM. Refuses a host or port that is not one: a C library may turn
 * port 99999 into 34463, and host 12345 into 0.0.48.57. Tells the result; a
 * failure ends the program. Returns a list of at least one, to be freed with
 * freeaddrinfo() (POSIX, freeaddrinfo).
 */
struct addrinfo *resolve(const char *host, const char *port,
                         unsigned long lowest_port, int type);

/* Writes an address as text: 127.0.0.1:12345 or [::1]:12345. Always numeric:
 * to ask the network for a name could take long. */
void address_text(const struct sockaddr *address, socklen_t size,
                  char text[ADDRESS_SIZE]);

/* The name of the constant: "AF_INET" or "AF_INET6". */
const char *family_text(int family);

/* Prints the line that scripts wait for, with the address that the socket
 * really has: port 0 has become another one (POSIX, getsockname). */
void announce_ready(int fd);

/*
 * Makes the address of an AF_UNIX socket. Ends the program when the path is
 * empty or, with its final NUL, does not fit into sun_path (108 bytes on
 * Linux, 104 on BSD): if it were cut, it would be another path (POSIX,
 * <sys/un.h>).
 */
void set_path(struct sockaddr_un *address, const char *path);

/* Tells the result of mkfifo(path, 0600). A FIFO of this user may have been
 * there already; anything else ends the program. A new one is owned. */
void tell_mkfifo(int result, const char *path);

/* Ends the program if something is at the path that is not a FIFO of this
 * user; or, unless fd is -1, if fd is not one. */
void check_fifo(const char *path, int fd);

/*
 * The socket or FIFO at the path, which fd has open unless it is -1, is this
 * process's to remove: at exit(), and when SIGINT or SIGTERM ends the program.
 * Its children don't remove it. The path must stay valid.
 */
void own_path(const char *path, int fd);

/* Ends that. Returns whether the same file is still at the path. */
bool disown_path(void);

#endif
