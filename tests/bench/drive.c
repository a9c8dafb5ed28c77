/*
 * drive.c - the client that measures.
 */
#include "drive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"
#include "programs.h"

enum {
    BUFFER_SIZE = 64 * 1024,  /* bytes per read */
    BURST = 64 * 1024,        /* bytes to write before reading again */
    IN_FLIGHT = 64 * 1024,    /* bytes of datagrams on their way, or */
    DATAGRAMS_IN_FLIGHT = 16, /* datagrams, whichever is less */
    PATIENCE = 20,            /* seconds of silence: then it hangs */
    LINE_SIZE = 16,           /* bytes that a short connection echoes */
    CLIENTS_MAX = 64,         /* connections at once */
};

static char buffer[BUFFER_SIZE];

double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int connect_to(const char *address, int type)
{
    struct sockaddr_in port;
    struct sockaddr_un path;
    bool local = address[0] == '/';
    const char *colon = strrchr(address, ':');

    memset(&port, 0, sizeof port);
    memset(&path, 0, sizeof path);
    port.sin_family = AF_INET;
    port.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    port.sin_port = htons((in_port_t)(colon == NULL ? 0 : atoi(colon + 1)));
    path.sun_family = AF_UNIX;
    strncpy(path.sun_path, address, sizeof path.sun_path - 1);

    int sock_fd = socket(local ? AF_UNIX : AF_INET, type, 0);
    if (sock_fd == -1 ||
        connect(sock_fd,
                local ? (struct sockaddr *)&path : (struct sockaddr *)&port,
                local ? sizeof path : sizeof port) == -1) {
        fail_errno("connect %s", address);
    }
    return sock_fd;
}

/* Waits until the route can be read or, if there is more to send, written. */
static void wait_for(struct route route, bool sending)
{
    struct pollfd watched[] = {
        {.fd = route.read_fd, .events = POLLIN},
        {.fd = sending ? route.write_fd : -1, .events = POLLOUT}};

    int ready = poll(watched, 2, PATIENCE * 1000);
    if (ready == 0) {
        fail("no byte moved for %d seconds", PATIENCE);
    }
    if (ready == -1 && errno != EINTR) {
        fail_errno("poll");
    }
}

/* Writes messages, the first of which starts at `begin`, from byte `sent` of
 * the stream on, until BURST bytes have gone or nothing more fits. Returns how
 * many bytes have gone. */
static size_t send_some(int fd, size_t size, unsigned long long begin,
                        unsigned long long sent, unsigned long long end)
{
    size_t done = 0;

    while (done < BURST && sent + done < end) {
        /* A message of which a part has gone is finished first. */
        size_t piece = size - (size_t)((sent - begin + done) % size);
        if (piece > end - sent - done) {
            piece = (size_t)(end - sent - done);
        }
        ssize_t nwritten = write(fd, pattern_at(sent + done), piece);
        if (nwritten == -1) {
            if (errno != EAGAIN && errno != EINTR) {
                fail_errno("write");
            }
            break;
        }
        done += (size_t)nwritten;
    }
    return done;
}

/* Reads and checks what has come, from byte `received` of the stream on.
 * Returns how many bytes it was: 0 when none has come, or at end of file. */
static size_t receive_some(int fd, unsigned long long received, bool *open)
{
    ssize_t nread = read(fd, buffer, sizeof buffer);

    if (nread == -1) {
        if (errno != EAGAIN && errno != EINTR) {
            fail_errno("read");
        }
        return 0;
    }
    *open = nread > 0;
    verify(buffer, (size_t)nread, received);
    return (size_t)nread;
}

/* Says that all was sent. */
static void end_sending(struct route route)
{
    if (route.write_fd == route.read_fd) {
        shutdown(route.write_fd, SHUT_WR); /* fails when the peer has gone */
    } else {
        close(route.write_fd);
    }
}

/* Sends the stream's bytes from `begin` to `end`, and gets them back. After
 * the last of all it says so at once: TCP may hold back a last small segment
 * for 40 ms otherwise (Nagle's algorithm), on both sides. */
static void move(struct route route, size_t size, unsigned long long begin,
                 unsigned long long end, bool last)
{
    unsigned long long sent = begin;
    unsigned long long received = begin;
    bool open = true;

    while (received < end) {
        size_t out = 0;
        if (sent < end) {
            out = send_some(route.write_fd, size, begin, sent, end);
            sent += out;
            if (last && sent == end) {
                end_sending(route);
            }
        }
        size_t in = receive_some(route.read_fd, received, &open);
        received += in;
        if (!open) {
            fail("end of file after %llu of %llu bytes", received, end);
        }
        if (in == 0 && out == 0) {
            wait_for(route, sent < end);
        }
    }
}

/* Waits until the other side has closed, too. */
static void finish(struct route route, unsigned long long received)
{
    bool open = true;

    while (open) {
        if (receive_some(route.read_fd, received, &open) > 0) {
            fail("more bytes came back than were sent");
        }
        if (open) {
            wait_for(route, false);
        }
    }
    close(route.read_fd);
}

double stream(struct route route, size_t size, unsigned long long volume)
{
    make_nonblocking(route.read_fd);
    make_nonblocking(route.write_fd);

    /* A line there and back: then all have started. */
    move(route, FIRST_LINE, 0, FIRST_LINE, false);
    double start = now();
    move(route, size, FIRST_LINE, FIRST_LINE + volume, true);
    double end = now();
    finish(route, FIRST_LINE + volume);
    return (double)volume / (end - start);
}

/* Reads one datagram, the next one of the stream. */
static void receive_datagram(int sock_fd, size_t size,
                             unsigned long long received)
{
    ssize_t nread = recv(sock_fd, buffer, sizeof buffer, 0);

    if (nread == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        fail("a datagram was lost");
    }
    if (nread == -1) {
        fail_errno("recv");
    }
    if ((size_t)nread != size) {
        fail("a datagram of %zu bytes came back with %zd", size, nread);
    }
    verify(buffer, size, received);
}

double datagrams(const char *address, size_t size, unsigned long long volume)
{
    const struct timeval patience = {PATIENCE, 0};
    size_t window = IN_FLIGHT / size;
    unsigned long long sent = 0;

    if (window > DATAGRAMS_IN_FLIGHT) {
        window = DATAGRAMS_IN_FLIGHT;
    }
    int sock_fd = connect_to(address, SOCK_DGRAM);
    if (setsockopt(sock_fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof patience) == -1) {
        fail_errno("setsockopt");
    }
    double start = now();
    for (unsigned long long received = 0; received < volume; received += size) {
        while (sent < volume && sent < received + window * size) {
            if (send(sock_fd, pattern_at(sent), size, 0) == -1) {
                fail_errno("send %s", address);
            }
            sent += size;
        }
        receive_datagram(sock_fd, size, received);
    }
    double end = now();
    close(sock_fd);
    return (double)sent / (end - start);
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Sends `size` bytes and gets them back. Returns the seconds that it took. */
static double round_trip(int sock_fd, size_t size, unsigned long long offset)
{
    double start = now();

    if (send(sock_fd, pattern_at(offset), size, 0) != (ssize_t)size) {
        fail_errno("send");
    }
    for (size_t received = 0; received < size;) {
        ssize_t nread = recv(sock_fd, buffer, sizeof buffer, 0);
        if (nread <= 0 || (size_t)nread > size - received) {
            fail("a wrong answer, of %zd bytes", nread);
        }
        verify(buffer, (size_t)nread, offset + received);
        received += (size_t)nread;
    }
    return now() - start;
}

void round_trips(const char *address, int type, size_t size, size_t count,
                 double *times)
{
    const size_t warm_up = count / 4;
    const struct timeval patience = {PATIENCE, 0};
    int sock_fd = connect_to(address, type);

    if (setsockopt(sock_fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof patience) == -1) {
        fail_errno("setsockopt");
    }
    /* The first ones find a child that was just born, and the two processes
     * on processors where they will not stay. They don't count. */
    for (size_t i = 0; i < warm_up; i++) {
        (void)round_trip(sock_fd, size, i * size);
    }
    for (size_t i = 0; i < count; i++) {
        times[i] = round_trip(sock_fd, size, (warm_up + i) * size);
    }
    close(sock_fd);
    qsort(times, count, sizeof *times, by_value);
}

/* Opens a connection and sends its line. */
static int begin_connection(const char *address)
{
    int sock_fd = connect_to(address, SOCK_STREAM);

    if (write(sock_fd, pattern_at(0), LINE_SIZE) != LINE_SIZE) {
        fail_errno("write %s", address);
    }
    return sock_fd;
}

/* Goes on with a connection that can be read, and of whose line `received`
 * bytes are back. Returns whether it is still open. */
static bool continue_connection(int sock_fd, size_t *received)
{
    ssize_t nread = read(sock_fd, buffer, sizeof buffer);

    if (nread == -1) {
        fail_errno("read");
    }
    if (nread == 0) {
        if (*received != LINE_SIZE) {
            fail("a connection lost bytes");
        }
        close(sock_fd);
        return false;
    }
    verify(buffer, (size_t)nread, *received);
    *received += (size_t)nread;
    if (*received == LINE_SIZE) {
        shutdown(sock_fd, SHUT_WR);
    }
    return true;
}

double connections(const char *address, size_t count, size_t at_once)
{
    struct pollfd watched[CLIENTS_MAX];
    size_t received[CLIENTS_MAX];
    size_t begun = 0;
    size_t ended = 0;
    double start = now();

    for (size_t i = 0; i < at_once; i++) {
        watched[i].fd = -1; /* a free place */
        watched[i].events = POLLIN;
        watched[i].revents = 0;
    }
    while (ended < count) {
        for (size_t i = 0; i < at_once; i++) {
            if (watched[i].fd == -1 && begun < count) {
                watched[i].fd = begin_connection(address);
                received[i] = 0;
                begun++;
            }
        }
        if (poll(watched, (nfds_t)at_once, PATIENCE * 1000) < 1) {
            fail("no answer from %s", address);
        }
        for (size_t i = 0; i < at_once; i++) {
            if (watched[i].fd != -1 && watched[i].revents != 0 &&
                !continue_connection(watched[i].fd, &received[i])) {
                watched[i].fd = -1;
                ended++;
            }
        }
    }
    return (double)count / (now() - start);
}
