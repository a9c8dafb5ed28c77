/*
 * udp_server.c - answers UDP datagrams, each on its own.
 *
 * Partner:  udp_client, or nc -u, or any program that speaks UDP.
 * Calls:    getaddrinfo, socket, bind; then for each datagram recvfrom,
 *           sendto; at the end close.
 * Run:      build/udp_server       and, in a second terminal,
 *           build/udp_client
 *
 * There are no connections: every datagram carries its sender's address, and
 * the answer goes there. It is an echo service (RFC 862); given a REPLY,
 * it answers with that text.
 */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

enum { BUFFER_SIZE = 64 * 1024 }; /* a datagram is smaller: none is cut */

/* Returns a socket that is bound to the first address that works. */
static int bind_to(const struct addrinfo *address)
{
    char name[ADDRESS_SIZE];

    for (; address != NULL; address = address->ai_next) {
        address_text(address->ai_addr, address->ai_addrlen, name);

        /* socket: an endpoint of this family, so far without an address. */
        int fd = socket(address->ai_family, SOCK_DGRAM, 0);
        tell(fd, "socket(%s, SOCK_DGRAM)", family_text(address->ai_family));
        if (fd == -1)
            continue;

        /* bind: gives it the address that clients send to. From now on the
         * kernel queues datagrams for it; there is no listen and no accept. */
        int result = bind(fd, address->ai_addr, address->ai_addrlen);
        tell(result, "bind(%d, %s)", fd, name);
        if (result == 0)
            return fd;
        result = close(fd); /* the next address needs another socket */
        tell(result, "close(%d)", fd);
    }
    give_up();
}

static const char usage[] =
    "usage: udp_server [-hq] [-n COUNT] [HOST [PORT [REPLY]]]\n"
    "  HOST      the address to receive at (default: 127.0.0.1)\n"
    "  PORT      its port; 0: the kernel chooses one (default: 12345)\n"
    "  REPLY     the answer to every datagram (default: what came)\n"
    "  -n COUNT  exit after COUNT datagrams\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"127.0.0.1", "12345", NULL};
    static char buffer[BUFFER_SIZE];
    long count = read_command_line(argc, argv, usage, operands, 3);
    const char *reply = operands[2];
    long answered = 0; /* datagrams so far */

    /* Without this, to write to a standard error that nobody reads any more
     * would end the program by SIGPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    /* resolve calls getaddrinfo: a name may have several addresses. */
    struct addrinfo *list = resolve(operands[0], operands[1], 0, SOCK_DGRAM);
    int fd = bind_to(list);
    freeaddrinfo(list);
    announce_ready(fd);

    while (count == 0 || answered < count) {
        struct sockaddr_storage client;
        struct sockaddr *address = (struct sockaddr *)&client;
        socklen_t address_size = sizeof client;
        char peer[ADDRESS_SIZE];

        /* recvfrom: waits for a datagram and takes all of it, and its
         * sender's address. 0 bytes are an empty datagram, not an end. */
        say("recvfrom(%d) waits for a datagram", fd);
        ssize_t size =
            recvfrom(fd, buffer, sizeof buffer, 0, address, &address_size);
        if (size == -1) {
            tell(size, "recvfrom(%d)", fd);
            (void)sleep(1); /* memory is short, perhaps for a while */
            continue;
        }
        tell_datagram(size, buffer, "recvfrom", fd,
                      address_text(address, address_size, peer));

        /* sendto: the datagram goes as a whole, or not at all. Whether it
         * arrives is not known here: UDP does not say. A failure concerns
         * only this client. */
        const char *answer = reply == NULL ? buffer : reply;
        size_t answer_size = reply == NULL ? (size_t)size : strlen(reply);
        do {
            size = sendto(fd, answer, answer_size, 0, address, address_size);
            tell_datagram(size, answer, "sendto", fd,
                          address_text(address, address_size, peer));
        } while (size == -1 && errno == EINTR);
        if (size != -1)
            answered++;
    }

    int result = close(fd);
    tell(result, "close(%d)", fd);
    return 0;
}
