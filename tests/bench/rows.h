/*
 * rows.h - the list of all that is measured.
 */
#ifndef ROWS_H
#define ROWS_H

#include "contest.h"

/* Where the programs are, and the folder of this source. */
struct places {
    const char *sources;
    const char *limit; /* bench_limit, the bare loops */
    const char *tcp_server, *tcp_client;
    const char *udp_server;
    const char *unix_server, *unix_client;
    const char *fifo_writer, *fifo_reader;
};

/* Starts all servers and fills the rows. Returns how many there are. */
size_t make_rows(const struct places *places, struct row rows[ROWS_MAX]);

/* Whether the shell runs this command with success. */
bool available(const char *command);

#endif
