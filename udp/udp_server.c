/*
 * udp_server.c - answers UDP datagrams, each by itself.
 *
 * Partner:  udp_client, or nc -u, or any program that speaks UDP.
 * Calls:    socket, bind, recvfrom, sendto, close.
 * Run:      build/udp_server       and, in a second terminal,
 *           build/udp_client
 *
 * There are no connections: every datagram says whom it comes from, and that
 * is whom the answer goes to. It is an echo service (RFC 862); given a REPLY,
 * it answers with that text.
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/arguments.h"
#include "../common/report.h"

enum {
    DATAGRAM_MAX = 65507,        /* bytes in one datagram of IPv4 */
    BUFFER_SIZE = 64 * 1024,     /* more than that: none is ever cut */
    RETRY_PAUSE = 200 * 1000000, /* nanoseconds until recvfrom is tried again */
    NEWS = 1, /* whole seconds of silence, then all is told again */
};

static const char usage[] =
    "usage: udp_server [-hq] [-n COUNT] [HOST [PORT [REPLY]]]\n"
    "  HOST      the address to receive at (127.0.0.1)\n"
    "  PORT      its port; 0 lets the kernel choose (12345)\n"
    "  REPLY     the answer to every datagram (echo: what it carried)\n"
    "  -n COUNT  end when COUNT datagrams have been answered\n"
    "  -q        quiet: do not tell the system calls\n"
    "  -h        show this help\n"
    "In parentheses: what is taken when it is left out.\n";

/* Returns a socket that is bound to the address, whose text goes to `name`; or
 * -1 after a warning. */
static int bind_to(const struct addrinfo *address, char *name, size_t name_size)
{
    const int size = 2 * BUFFER_SIZE;
    struct sockaddr_storage real;
    socklen_t real_size = sizeof real;

    address_text(address->ai_addr, address->ai_addrlen, name, name_size);

    /* socket: an endpoint of this family, so far without an address. */
    int sock_fd = socket(address->ai_family, SOCK_DGRAM, 0);
    if (sock_fd == -1) {
        return give_up(-1, "socket", name);
    }
    say("socket(%s, SOCK_DGRAM) = %d", family_text(address->ai_family),
        sock_fd);

    /* Some systems (macOS) send no large datagrams unless they are asked. */
    if (setsockopt(sock_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == -1) {
        return give_up(sock_fd, "setsockopt", name);
    }

    /* bind: gives it the address that clients send to. From now on the kernel
     * queues datagrams for it; there is no listen and no accept. */
    if (bind(sock_fd, address->ai_addr, address->ai_addrlen) == -1) {
        return give_up(sock_fd, "bind", name);
    }
    say("bind(%d, %s) = 0", sock_fd, name);

    /* Port 0 has become a real one. */
    if (getsockname(sock_fd, (struct sockaddr *)&real, &real_size) == -1) {
        return give_up(sock_fd, "getsockname", name);
    }
    address_text((struct sockaddr *)&real, real_size, name, name_size);
    announce("ready on %s", name);
    return sock_fd;
}

/* A burst of datagrams is only counted after the first few. When it is over,
 * the story begins anew. */
static void begin_anew(struct tally *received)
{
    static struct timespec last;
    struct timespec now = {0, 0};

    /* Without such a clock a burst never ends, which does no harm. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - last.tv_sec > NEWS) {
        received->told = 0;
    }
    last = now;
}

/* Waits for a datagram and answers it. Returns whether it did. */
static bool answer_next(int sock_fd, const char *name, const char *reply,
                        struct tally *received, struct tally *sent)
{
    static char buffer[BUFFER_SIZE];
    const struct timespec retry_pause = {0, RETRY_PAUSE};
    struct sockaddr_storage client;
    socklen_t client_size = sizeof client;
    char peer[ADDRESS_SIZE];

    /* recvfrom: waits for a datagram and takes all of it, and its sender's
     * address. 0 bytes are an empty datagram, not an end. */
    if (received->told < TOLD) {
        say("recvfrom(%d) waits for a datagram", sock_fd);
    }
    ssize_t nread = recvfrom(sock_fd, buffer, sizeof buffer, 0,
                             (struct sockaddr *)&client, &client_size);
    if (nread == -1) {
        if (errno != EINTR) {
            warn("recvfrom %s", name);     /* such as: memory is short */
            nanosleep(&retry_pause, NULL); /* so it is no busy loop */
        }
        return false;
    }
    begin_anew(received);
    bool told = count_data(received, (size_t)nread);
    if (told) {
        say("recvfrom(%d) = %zd %s from %s", sock_fd, nread,
            quote(buffer, (size_t)nread).text,
            address_text((struct sockaddr *)&client, client_size, peer,
                         sizeof peer));
    }

    /* sendto: the datagram goes as a whole, or not at all. Whether it arrives
     * is not known here: UDP does not say. */
    const char *answer = reply == NULL ? buffer : reply;
    size_t size = reply == NULL ? (size_t)nread : strlen(reply);
    ssize_t nsent;
    do {
        nsent = sendto(sock_fd, answer, size, 0, (struct sockaddr *)&client,
                       client_size);
    } while (nsent == -1 && errno == EINTR);
    if (nsent == -1) {
        int error = errno;
        address_text((struct sockaddr *)&client, client_size, peer,
                     sizeof peer);
        errno = error;
        warn("sendto %s", peer); /* this client's trouble alone */
        return false;
    }
    (void)count_data(sent, size); /* told with the question */
    if (told) {
        say("sendto(%d, %s) = %zd%s", sock_fd, peer, nsent,
            received->told < TOLD ? ""
                                  : "; the rest of this burst is only counted");
    }
    return true;
}

int main(int argc, char *argv[])
{
    const char *operands[] = {"127.0.0.1", "12345", NULL};
    unsigned long count = 0;
    struct tally received = {.calls = 0};
    struct tally sent = {.calls = 0};
    char name[ADDRESS_SIZE];
    struct addrinfo *list;
    int sock_fd = -1;

    start_program("udp_server", ADDRESSES);
    read_arguments(argc, argv, usage, operands, 3, &count);
    check_address(operands[0], operands[1], 0, usage);
    const char *reply = operands[2];
    if (reply != NULL && strlen(reply) > DATAGRAM_MAX) {
        errno = EMSGSIZE;
        die("REPLY of %zu bytes", strlen(reply));
    }

    /* A name may have several addresses: the first that works will do. */
    int code = resolve(operands[0], operands[1], SOCK_DGRAM, &list);
    if (code != 0) {
        die_resolver(code, operands[0]);
    }
    for (struct addrinfo *address = list; address != NULL && sock_fd == -1;
         address = address->ai_next) {
        sock_fd = bind_to(address, name, sizeof name);
    }
    int error = errno;
    freeaddrinfo(list);
    if (sock_fd == -1) {
        give_hint(error);
        return EXIT_FAILURE;
    }

    for (unsigned long answered = 0; count == 0 || answered < count;) {
        if (answer_next(sock_fd, name, reply, &received, &sent)) {
            answered++;
        }
    }

    close(sock_fd); /* can fail for a wrong descriptor only */
    say("close(%d) = 0; received: %lu, %llu bytes; sent: %lu, %llu bytes",
        sock_fd, received.calls, received.bytes, sent.calls, sent.bytes);
    return EXIT_SUCCESS;
}
