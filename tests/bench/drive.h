/*
 * drive.h - the client that measures: it sends, receives, checks every byte,
 * and takes the time. Every contestant gets the same.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include <stddef.h>

/* How a driver writes to what it measures, and how it reads from it: one
 * socket, or two pipes. */
struct route {
    int write_fd;
    int read_fd;
};

/* The way to an address, "127.0.0.1:PORT" or a path; fails without a server.
 * SOCK_STREAM or SOCK_DGRAM. */
int connect_to(const char *address, int type);

/* Seconds on a clock that nobody sets. */
double now(void);

/*
 * Sends `volume` bytes in messages of `size` bytes, each by a write of its
 * own, and receives them back at the same time. Then closes the route and
 * waits for end of file. Returns the bytes per second, in one direction, from
 * the first write to the last byte that came back.
 */
double stream(struct route route, size_t size, unsigned long long volume);

/*
 * As stream(), with datagrams of `size` bytes, a few of them on their way at
 * a time. Returns the bytes per second. A datagram that is lost is an end
 * with status 1: so few of them fit into any socket's buffer.
 */
double datagrams(const char *address, size_t size, unsigned long long volume);

/*
 * Sends `size` bytes and waits until they are back, `count` times, on a socket
 * of the type, after some for warming up. Stores the seconds of each in
 * `times`, sorted.
 */
void round_trips(const char *address, int type, size_t size, size_t count,
                 double *times);

/*
 * Opens `count` connections one after another, or `at_once` of them at a
 * time; each sends a line, reads it back, half-closes, reads end of file and
 * closes. Returns connections per second.
 */
double connections(const char *address, size_t count, size_t at_once);

#endif
