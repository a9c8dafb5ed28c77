/*
 * udp_client.c - sends datagrams to a UDP server and prints the answers.
 *
 * Partner:  udp_server, or nc -ul, or any program that speaks UDP.
 * Calls:    getaddrinfo, socket, setsockopt, connect, sendto, recvfrom, close.
 * Run:      build/udp_server                       in another terminal, then
 *           build/udp_client
 *           build/udp_client 127.0.0.1 12345 -     to type, until Ctrl-D
 *
 * UDP may lose or double datagrams. So a question without an answer is sent
 * again; and each has a port of its own, so that a late answer is not taken
 * for the next one.
 */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* a datagram is smaller: none is cut */
    TRIES = 3,               /* how many times a question is sent at most */
    PATIENCE = 1,            /* seconds to wait after each */
};

/* Asks at one address. Returns the answer's size in bytes, or -1. */
static ssize_t ask(const struct addrinfo *address, const char *question,
                   size_t size, char answer[BUFFER_SIZE])
{
    const struct timeval patience = {PATIENCE, 0};
    char server[ADDRESS_SIZE];
    ssize_t received = -1;

    /* socket: an endpoint of this family; it will get a port of its own. */
    int fd = socket(address->ai_family, SOCK_DGRAM, 0);
    tell(fd, "socket(%s, SOCK_DGRAM)", family_text(address->ai_family));
    if (fd == -1)
        return -1;

    /* The answer may be lost: recvfrom must not wait for ever. */
    int result =
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    check(result, "setsockopt(%d, SO_RCVTIMEO)", fd);

    /* connect: sends nothing. It names the server, once and for all: the kernel
     * drops what comes from others; and a later call fails, with ECONNREFUSED,
     * if nobody listens there. */
    address_text(address->ai_addr, address->ai_addrlen, server);
    result = connect(fd, address->ai_addr, address->ai_addrlen);
    tell(result, "connect(%d, %s)", fd, server);

    /* Only if that worked; an answer, or an error, is the end. */
    for (int turn = 1; result == 0 && turn <= TRIES; turn++) {
        /* sendto: the datagram goes as a whole, or not at all. It needs no
         * address here (NULL, 0): connect has named the server. */
        ssize_t sent;
        do {
            sent = sendto(fd, question, size, 0, NULL, 0);
            tell_data(sent, question, "sendto", fd);
        } while (sent == -1 && errno == EINTR);
        if (sent == -1)
            break;

        /* recvfrom: waits, and takes a whole datagram; or fails with EAGAIN
         * when PATIENCE is over. Any other result ends the loop. */
        say("recvfrom(%d) waits for the answer, try %d of %d", fd, turn, TRIES);
        do {
            received = recvfrom(fd, answer, BUFFER_SIZE, 0, NULL, NULL);
            tell_data(received, answer, "recvfrom", fd);
        } while (received == -1 && errno == EINTR);
        if (received != -1 || (errno != EAGAIN && errno != EWOULDBLOCK))
            break;
    }

    /* close: the port is free; a late answer to it is dropped. */
    result = close(fd);
    tell(result, "close(%d)", fd);
    return received;
}

/* Asks a question, at each address until one answers, and prints the answer.
 * Returns the address that did. */
static const struct addrinfo *ask_around(const struct addrinfo *address,
                                         const char *question, size_t size)
{
    static char answer[BUFFER_SIZE + 1]; /* and a newline */
    ssize_t received;

    while ((received = ask(address, question, size, answer)) == -1) {
        address = address->ai_next;
        if (address == NULL)
            give_up();
    }
    answer[received] = '\n';
    if (write_all(STDOUT_FILENO, answer, (size_t)received + 1) == -1)
        give_up();
    return address;
}

/* Sends each line of standard input as a question, without its newline. */
static void ask_each_line(const struct addrinfo *address)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;

    say("read(%d) waits for input (Ctrl-D ends it)", STDIN_FILENO);
    /* What getline returns before an error may be half of a line. */
    while ((size = getline(&line, &capacity, stdin)) != -1 && !ferror(stdin)) {
        if (line[size - 1] == '\n')
            size--;
        address = ask_around(address, line, (size_t)size);
    }
    if (!feof(stdin))
        fail("read(%d)", STDIN_FILENO);
    free(line);
}

static const char usage[] =
    "usage: udp_client [-hq] [HOST [PORT [MESSAGE]]]\n"
    "  HOST      the server's name or address (default: 127.0.0.1)\n"
    "  PORT      its port (default: 12345)\n"
    "  MESSAGE   the datagram to send, or - to send each line of standard\n"
    "            input as one (default: Hello, server!)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"127.0.0.1", "12345", "Hello, server!"};
    (void)read_command_line(argc, argv, usage, operands, 3);

    /* Without this, a standard output that nobody reads any more would end
     * the program by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    /* resolve calls getaddrinfo: a name may have several addresses. */
    struct addrinfo *list = resolve(operands[0], operands[1], 1, SOCK_DGRAM);

    if (strcmp(operands[2], "-") == 0)
        ask_each_line(list);
    else
        (void)ask_around(list, operands[2], strlen(operands[2]));

    freeaddrinfo(list);
    return 0;
}
