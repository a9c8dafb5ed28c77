/*
 * udp_client.c - sends datagrams to a UDP server and prints the answers.
 *
 * Partner:  udp_server, or nc -u -l, or any program that speaks UDP.
 * Calls:    socket, connect, sendto, recvfrom, close.
 * Run:      build/udp_server                       in another terminal, then
 *           build/udp_client
 *           build/udp_client 127.0.0.1 12345 -     to type, until Ctrl-D
 *
 * UDP loses datagrams, doubles them, and changes their order. So the client
 * asks again when no answer comes, and asks each question over a socket of
 * its own: a late answer finds nobody who could take it for another one.
 */
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/arguments.h"
#include "../common/report.h"
#include "../common/transfer.h"

enum {
    DATAGRAM_MAX = 65507,    /* bytes in one datagram of IPv4 */
    BUFFER_SIZE = 64 * 1024, /* more than that: no answer is ever cut */
    TRIES = 3,               /* how often a question is sent */
    PATIENCE = 1,            /* seconds to wait for the answer to each */
    KEPT = 16,               /* sockets that keep their ports for a while */
};

static const char usage[] =
    "usage: udp_client [-hq] [HOST [PORT [MESSAGE]]]\n"
    "  HOST     the server's name or address (127.0.0.1)\n"
    "  PORT     its port (12345)\n"
    "  MESSAGE  the datagram to send, - for a datagram from each line of\n"
    "           standard input (Hello, server!)\n"
    "  -q       quiet: do not tell the system calls\n"
    "  -h       show this help\n"
    "In parentheses: what is taken when it is left out.\n";

/* The server, and what was said to it. */
struct conversation {
    const struct addrinfo *address; /* the one that is tried, or answers */
    char server[ADDRESS_SIZE];      /* the same as text, for messages */
    int kept[KEPT];                 /* sockets of the last questions, or -1 */
    struct tally sent;
    struct tally received;
};

/* Closes a socket, if there is one; told tells whether to tell it. */
static void close_socket(int sock_fd, bool told)
{
    if (sock_fd != -1) {
        close(sock_fd); /* can fail for a wrong descriptor only */
        if (told) {
            say("close(%d) = 0", sock_fd);
        }
    }
}

/* Returns a socket that exchanges datagrams with the server and nobody else,
 * or -1 after a warning. */
static int open_socket(const struct conversation *talk, bool told)
{
    const struct addrinfo *address = talk->address;
    const int size = 2 * BUFFER_SIZE;
    const struct timeval patience = {PATIENCE, 0};

    /* socket: an endpoint of this family; it will get a port of its own. */
    int sock_fd = socket(address->ai_family, SOCK_DGRAM, 0);
    if (sock_fd == -1) {
        return give_up(-1, "socket", talk->server);
    }
    if (told) {
        say("socket(%s, SOCK_DGRAM) = %d", family_text(address->ai_family),
            sock_fd);
    }

    /* An answer may be lost: recvfrom shall not wait for ever. And some
     * systems (macOS) send no large datagrams unless they are asked. */
    if (setsockopt(sock_fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof patience) == -1 ||
        setsockopt(sock_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == -1) {
        return give_up(sock_fd, "setsockopt", talk->server);
    }

    /* connect: sends nothing. It names the server, once for all: the kernel
     * drops what comes from others, and says when nobody listens there. */
    if (connect(sock_fd, address->ai_addr, address->ai_addrlen) == -1) {
        return give_up(sock_fd, "connect", talk->server);
    }
    if (told) {
        say("connect(%d, %s) = 0, nothing is sent yet", sock_fd, talk->server);
    }
    return sock_fd;
}

/* Sends the question and waits for the answer, again if need be. Returns the
 * answer's size in bytes, or -1 after a warning. */
static ssize_t exchange(struct conversation *talk, int sock_fd,
                        const char *question, size_t size, char *answer)
{
    for (int try = 1; try <= TRIES; try++) {
        ssize_t nsent;
        ssize_t nread;

        /* sendto: the datagram goes as a whole, or not at all. */
        do {
            nsent = sendto(sock_fd, question, size, 0, NULL, 0);
        } while (nsent == -1 && errno == EINTR);
        if (nsent == -1) {
            return give_up(-1, "sendto", talk->server);
        }
        bool told = count_data(&talk->sent, size);
        if (told || try > 1) {
            say("sendto(%d, %s) = %zd %s", sock_fd, talk->server, nsent,
                quote(question, size).text);
            say("recvfrom(%d) waits for the answer, try %d of %d", sock_fd, try,
                TRIES);
        }

        /* recvfrom: waits, PATIENCE at most, and takes a whole datagram. */
        do {
            nread = recvfrom(sock_fd, answer, BUFFER_SIZE, 0, NULL, NULL);
        } while (nread == -1 && errno == EINTR);
        if (nread == -1 && errno != EAGAIN && errno != EWOULDBLOCK) {
            return give_up(-1, "recvfrom", talk->server);
        }
        if (nread != -1) {
            if (count_data(&talk->received, (size_t)nread)) {
                say("recvfrom(%d) = %zd %s%s", sock_fd, nread,
                    quote(answer, (size_t)nread).text,
                    talk->received.told < TOLD ? ""
                                               : "; from now on only counted");
            }
            return nread;
        }
        say("recvfrom(%d) = -1, no answer for %d second", sock_fd, PATIENCE);
    }
    errno = ETIMEDOUT;
    return give_up(-1, "recvfrom", talk->server);
}

/* Asks one question, over a socket of its own: a late or doubled answer comes
 * to the old port, where nobody takes it for the answer to this question. */
static ssize_t ask(struct conversation *talk, const char *question, size_t size,
                   char *answer)
{
    bool told = talk->sent.told < TOLD;
    int *oldest = &talk->kept[talk->sent.calls % KEPT];

    address_text(talk->address->ai_addr, talk->address->ai_addrlen,
                 talk->server, sizeof talk->server);
    /* Open sockets keep their ports from being given out again too soon. */
    close_socket(*oldest, told);
    *oldest = open_socket(talk, told);
    if (*oldest == -1) {
        return -1;
    }
    return exchange(talk, *oldest, question, size, answer);
}

/* Returns a byte of standard input, or EOF at its end. */
static int next_byte(void)
{
    int byte;

    while ((byte = getchar()) == EOF && ferror(stdin)) {
        if (!try_again(STDIN_FILENO, false)) {
            die("read standard input");
        }
        clearerr(stdin);
    }
    return byte;
}

/* Reads a line from standard input, without its newline, and its size in
 * bytes. Returns false at end of file. */
static bool read_line(char *line, size_t *size)
{
    int byte = next_byte();

    if (byte == EOF) {
        return false;
    }
    for (*size = 0; byte != EOF && byte != '\n'; byte = next_byte()) {
        if (*size == DATAGRAM_MAX) {
            errno = EMSGSIZE;
            die("sendto of a line over %d bytes", DATAGRAM_MAX);
        }
        line[(*size)++] = (char)byte;
    }
    return true;
}

/* Asks a question and prints the answer. */
static void ask_and_print(struct conversation *talk, const char *question,
                          size_t size)
{
    static char answer[BUFFER_SIZE + 1]; /* and a newline */
    ssize_t nread = ask(talk, question, size, answer);

    /* A name may have several addresses: the first that answers will do. */
    while (nread == -1 && talk->received.calls == 0 &&
           talk->address->ai_next != NULL) {
        talk->address = talk->address->ai_next;
        nread = ask(talk, question, size, answer);
    }
    if (nread == -1) {
        give_hint(errno);
        exit(EXIT_FAILURE);
    }
    answer[nread] = '\n';
    if (write_all(STDOUT_FILENO, answer, (size_t)nread + 1, NULL) == -1) {
        die("write standard output");
    }
}

int main(int argc, char *argv[])
{
    const char *operands[] = {"127.0.0.1", "12345", "Hello, server!"};
    struct conversation talk = {.address = NULL};
    struct addrinfo *list;
    size_t size;

    start_program("udp_client", ADDRESSES);
    read_arguments(argc, argv, usage, operands, 3, NULL);
    check_address(operands[0], operands[1], 1, usage);
    const char *message = operands[2];
    if (strlen(message) > DATAGRAM_MAX) {
        errno = EMSGSIZE;
        die("sendto of %zu bytes", strlen(message));
    }

    int code = resolve(operands[0], operands[1], SOCK_DGRAM, &list);
    if (code != 0) {
        die_resolver(code, operands[0]);
    }
    talk.address = list;
    for (size_t i = 0; i < KEPT; i++) {
        talk.kept[i] = -1;
    }

    if (strcmp(message, "-") != 0) {
        ask_and_print(&talk, message, strlen(message));
    } else {
        static char line[DATAGRAM_MAX];
        say("read(%d) waits for input (Ctrl-D ends it)", STDIN_FILENO);
        while (read_line(line, &size)) {
            ask_and_print(&talk, line, size);
        }
    }

    freeaddrinfo(list);
    for (size_t i = 0; i < KEPT; i++) {
        close_socket(talk.kept[i], talk.sent.told < TOLD);
    }
    say("done; sent: %lu, %llu bytes; received: %lu, %llu bytes",
        talk.sent.calls, talk.sent.bytes, talk.received.calls,
        talk.received.bytes);
    return EXIT_SUCCESS;
}
