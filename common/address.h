/*
 * address.h - where the other side is: socket addresses and paths.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Bytes for any address as text: a path, or [IPv6%interface]:port. */
enum { ADDRESS_SIZE = sizeof(struct sockaddr_un) + 80 };

/*
 * Looks up the addresses of host, a name or a numeric address of IPv4 or
 * IPv6, with a port number and a type, SOCK_STREAM or SOCK_DGRAM. Returns 0
 * and stores a list, to be freed with freeaddrinfo(); or an error code of
 * getaddrinfo(), for die_resolver() (POSIX, freeaddrinfo).
 */
int resolve(const char *host, const char *port, int type,
            struct addrinfo **list);

/*
 * Writes an address as text of at most `size` bytes: 127.0.0.1:12345,
 * [::1]:12345, a path, or "unnamed" for a client of AF_UNIX that did not
 * bind. Always numeric: a name would have to be asked for on the network,
 * and the program would wait. Text that does not fit is cut. Returns text.
 */
const char *address_text(const struct sockaddr *address, socklen_t length,
                         char *text, size_t size);

/* The name of the constant: "AF_INET", "AF_INET6", "AF_UNIX" or "AF_?". */
const char *family_text(int family);

/*
 * Makes the address of an AF_UNIX socket. Returns 0; or -1 with errno
 * ENAMETOOLONG when the path and its final NUL do not fit into sun_path (108
 * bytes on Linux, 104 on BSD; never cut: that would be another path), or
 * ENOENT when the path is empty (POSIX, <sys/un.h>).
 */
int unix_address(const char *path, struct sockaddr_un *address);

/*
 * Looks whether *status, of lstat() or fstat(), is a FIFO of this user.
 * Returns 0; or -1 with errno EEXIST (it is something else) or EACCES (it
 * belongs to another user).
 */
int check_fifo(const struct stat *status);

#endif
