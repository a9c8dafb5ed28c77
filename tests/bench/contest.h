/*
 * contest.h - a row of the tables: who competes, and how it is measured.
 */
#ifndef CONTEST_H
#define CONTEST_H

#include <stdbool.h>
#include <stddef.h>

#include "programs.h"

enum { ROUNDS_MAX = 45, ROWS_MAX = 64, LABEL_SIZE = 64 };

/* The tables, in their order on the page. */
enum group { STREAMS, CLIENTS, TRIPS, CONNECTIONS, STORY, COSTS, GROUPS };

/* The columns of a table: what is measured, and what it is compared with, of
 * which a row need not have all. */
enum column { OURS, LIMIT, KNOWN, EVENTS, COLUMNS };

enum unit { BYTES_PER_SECOND, SECONDS, PER_SECOND };

/* One of those that compete in a row: a server, or programs to be started. */
struct contestant {
    const char *address;             /* of a server, or */
    char *const *arguments;          /* of a program that is fed, */
    char *const *reader;             /* and of one behind a FIFO */
    double wanted;                   /* the ratio that ours shall reach, or 0 */
    double values[ROUNDS_MAX];       /* what was measured each time */
    double percentile99[ROUNDS_MAX]; /* of round trips */
};

struct row {
    enum group group;
    char label[LABEL_SIZE];
    enum unit unit;
    const char *pair;          /* "TCP" and so on */
    int type;                  /* of the socket: SOCK_STREAM or SOCK_DGRAM */
    size_t size;               /* bytes in a message, or connections at once */
    unsigned long long volume; /* bytes, or how often, in a measurement */
    unsigned long long verified; /* bytes, of all contestants */
    size_t rounds;               /* how often each of them was measured */
    void (*measure)(const struct row *row, struct contestant *who);
    struct contestant contestants[COLUMNS];
};

/* The ways to measure. They store what they find in values[row->rounds]. */
void measure_stream(const struct row *row, struct contestant *who);
void measure_datagrams(const struct row *row, struct contestant *who);
void measure_pipeline(const struct row *row, struct contestant *who);
void measure_trips(const struct row *row, struct contestant *who);
void measure_connections(const struct row *row, struct contestant *who);
void measure_cost(const struct row *row, struct contestant *who);

/* The FIFO that measure_pipeline() makes for a writer and a reader. */
const char *fifo_path(void);

/* Whether the row has the contestant. */
bool takes_part(const struct contestant *who);

/* Sets how much the row has to move, so that a measurement takes long enough
 * to mean something; in a quick run, long enough to be one. */
void calibrate(struct row *row, bool quick);

/* Measures all contestants of a row, in turn, once or a few times. Who is
 * first changes each time. */
void play(struct row *row, bool quick);

#endif
