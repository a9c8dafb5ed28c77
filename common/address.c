/*
 * address.c - where the other side is: socket addresses and paths.
 */
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

int resolve(const char *host, const char *port, int type,
            struct addrinfo **list)
{
    struct addrinfo wanted;

    memset(&wanted, 0, sizeof wanted);
    wanted.ai_family = AF_UNSPEC; /* IPv4 and IPv6 */
    wanted.ai_socktype = type;
    wanted.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
    int code = getaddrinfo(host, port, &wanted, list);
    if (code == EAI_NONAME) {
        say("getaddrinfo(%s) may wait for a name service", host);
        wanted.ai_flags = AI_NUMERICSERV; /* no names of ports: "echo" */
        code = getaddrinfo(host, port, &wanted, list);
    }
    return code;
}

/* The path, which needs no final NUL when it fills sun_path. */
static const char *path_text(const struct sockaddr *address, socklen_t length,
                             char *text, size_t size)
{
    struct sockaddr_un path;
    size_t start = offsetof(struct sockaddr_un, sun_path);
    size_t room = length > start ? length - start : 0;

    memset(&path, 0, sizeof path);
    memcpy(&path, address, length < sizeof path ? length : sizeof path);
    if (room > sizeof path.sun_path) {
        room = sizeof path.sun_path;
    }
    if (room == 0 || path.sun_path[0] == '\0') {
        (void)snprintf(text, size, "unnamed");
    } else {
        (void)snprintf(text, size, "%.*s", (int)room, path.sun_path);
    }
    return text;
}

const char *address_text(const struct sockaddr *address, socklen_t length,
                         char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    char port[sizeof "65535"];

    if (address->sa_family == AF_UNIX) {
        return path_text(address, length, text, size);
    }
    if (getnameinfo(address, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(text, size, "address of family %d", address->sa_family);
    } else if (address->sa_family == AF_INET6) {
        (void)snprintf(text, size, "[%s]:%s", host, port);
    } else {
        (void)snprintf(text, size, "%s:%s", host, port);
    }
    return text;
}

const char *family_text(int family)
{
    return family == AF_INET    ? "AF_INET"
           : family == AF_INET6 ? "AF_INET6"
           : family == AF_UNIX  ? "AF_UNIX"
                                : "AF_?";
}

int unix_address(const char *path, struct sockaddr_un *address)
{
    size_t length = strlen(path);

    if (length == 0) {
        errno = ENOENT;
        return -1;
    }
    if (length >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    return 0;
}

int check_fifo(const struct stat *status)
{
    if (!S_ISFIFO(status->st_mode)) {
        errno = EEXIST;
        return -1;
    }
    if (status->st_uid != geteuid()) {
        errno = EACCES;
        return -1;
    }
    return 0;
}
