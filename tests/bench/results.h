/*
 * results.h - what the numbers say: medians, spread and ratios, as a table
 * for the page and as data for the figures.
 */
#ifndef RESULTS_H
#define RESULTS_H

#include <stdio.h>

#include "contest.h"

/* How many times faster ours was than the contestant: the median of the
 * ratios of each round, so what slows down a whole round does no harm. */
double ratio(const struct row *row, enum column column);

/* Writes a table in Markdown for each group, with the machine. `what` tells
 * what run this was. */
void write_tables(FILE *file, const struct row *rows, size_t count,
                  const char *what);

/* Writes the data of the two figures for gnuplot. */
void write_throughput(FILE *file, const struct row *rows, size_t count);
void write_round_trips(FILE *file, const struct row *rows, size_t count);

/* Tells on standard error which targets were missed. */
void tell_targets(const struct row *rows, size_t count);

#endif
