/*
 * results.c - what the numbers say.
 */
#include "results.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { CELL_SIZE = 96 };

/* The tables: their titles, and the heads of their columns. */
static const struct heading {
    const char *title;
    const char *rows;
    const char *columns[COLUMNS];
} headings[GROUPS] = {
    {"Streams: both directions at once",
     "pair, message",
     {"ours", "bare loop", "known: Python threads; FIFO: `dd`"}},
    {"Client programs: 256 MiB from standard input to standard output",
     "client",
     {"ours", "bare loop", "known: `nc -N`"}},
    {"Round trips: median (99th percentile)",
     "pair, message",
     {"ours", "bare loop"}},
    {"Connections",
     "pair",
     {"ours", "bare fork per client", "known: Python fork per client",
      "bare event loop"}},
    {"The price of the story, told into a file",
     "what",
     {"with the story", "with `-q`"}},
    {"What things cost here", "what", {"time"}},
};

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

/* The value below which a part of the values lies: 0.5 for the median. */
static double quantile(const double *values, size_t count, double part)
{
    double sorted[ROUNDS_MAX];
    double place = part * (double)(count - 1);
    size_t below = (size_t)place;

    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, by_value);
    if (below + 1 == count) {
        return sorted[below];
    }
    return sorted[below] +
           (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

static double median(const double *values, size_t count)
{
    return quantile(values, count, 0.5);
}

/* Half of the rounds lie within the median and this, in per cent of it. */
static double spread(const double *values, size_t count)
{
    double range =
        quantile(values, count, 0.75) - quantile(values, count, 0.25);

    return 100 * range / 2 / median(values, count);
}

double ratio(const struct row *row, enum column column)
{
    const double *ours = row->contestants[OURS].values;
    const double *theirs = row->contestants[column].values;
    double ratios[ROUNDS_MAX];

    for (size_t i = 0; i < row->rounds; i++) {
        ratios[i] =
            row->unit == SECONDS ? theirs[i] / ours[i] : ours[i] / theirs[i];
    }
    return median(ratios, row->rounds);
}

/* A value with its unit, three digits or so. */
static void value_text(char text[CELL_SIZE], double value, enum unit unit)
{
    const char *name = "/s";

    if (unit == BYTES_PER_SECOND) {
        value /= 1e6;
        name = "MB/s";
    } else if (unit == SECONDS) {
        value *= 1e6;
        name = "µs";
    }
    snprintf(text, CELL_SIZE, "%.*f %s",
             value < 10    ? 2
             : value < 100 ? 1
                           : 0,
             value, name);
}

/* A contestant's cell: its median, its 99th percentile, its spread. */
static void write_value(FILE *file, const struct row *row, enum column column)
{
    const struct contestant *who = &row->contestants[column];
    char text[CELL_SIZE];

    value_text(text, median(who->values, row->rounds), row->unit);
    fprintf(file, " %s", text);
    if (who->percentile99[0] > 0) {
        value_text(text, median(who->percentile99, row->rounds), row->unit);
        fprintf(file, " (%s)", text);
    }
    fprintf(file, " ± %.0f %% |", spread(who->values, row->rounds));
}

/* The cell with the ratio, and the one that is wanted. */
static void write_ratio(FILE *file, const struct row *row, enum column column)
{
    double wanted = row->contestants[column].wanted;
    double reached = ratio(row, column);

    fprintf(file, " %.2f", reached);
    if (wanted > 0) {
        fprintf(file, " (wanted %.2f%s)", wanted,
                reached < wanted ? ": missed" : "");
    }
    fputs(" |", file);
}

static void write_row(FILE *file, const struct row *row)
{
    const char *const *columns = headings[row->group].columns;

    fprintf(file, "| %s |", row->label);
    for (enum column i = OURS; i < COLUMNS && columns[i] != NULL; i++) {
        if (takes_part(&row->contestants[i])) {
            write_value(file, row, i);
            if (i != OURS) {
                write_ratio(file, row, i);
            }
        } else {
            fputs(" | |", file);
        }
    }
    if (row->group != COSTS) {
        fprintf(file, " %llu |", row->verified);
    }
    fputc('\n', file);
}

static void write_heading(FILE *file, enum group group)
{
    const struct heading *heading = &headings[group];
    size_t columns = 1;

    fprintf(file, "\n### %s\n\n| %s |", heading->title, heading->rows);
    for (size_t i = 0; i < COLUMNS && heading->columns[i] != NULL; i++) {
        fprintf(file, " %s |%s", heading->columns[i], i > 0 ? " ratio |" : "");
        columns += i > 0 ? 2 : 1;
    }
    if (group != COSTS) {
        fputs(" bytes checked |", file);
        columns++;
    }
    fputs("\n|---|", file);
    for (size_t i = 1; i < columns; i++) {
        fputs("--:|", file);
    }
    fputc('\n', file);
}

/* The name of the processor, where the system tells it. */
static void processor_name(char name[CELL_SIZE])
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");

    snprintf(name, CELL_SIZE, "processor unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) == 0 &&
            colon != NULL) {
            snprintf(name, CELL_SIZE, "%.*s", (int)strcspn(colon + 2, "\n"),
                     colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void write_machine(FILE *file, const char *what)
{
    char processor[CELL_SIZE];
    char date[CELL_SIZE];
    struct utsname system;
    time_t today = time(NULL);

    processor_name(processor);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&today));
    if (uname(&system) < 0) {
        fail_errno("uname");
    }
    fprintf(file,
            "Measured on %s with %ld processors (%s), %s %s, compiled by "
            "%s %s; %s.\n",
            date, sysconf(_SC_NPROCESSORS_ONLN), processor, system.sysname,
            system.release,
#ifdef __clang__
            "Clang", __clang_version__,
#else
            "GCC", __VERSION__,
#endif
            what);
}

void write_tables(FILE *file, const struct row *rows, size_t count,
                  const char *what)
{
    write_machine(file, what);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || rows[i].group != rows[i - 1].group) {
            write_heading(file, rows[i].group);
        }
        write_row(file, &rows[i]);
    }
}

void write_throughput(FILE *file, const struct row *rows, size_t count)
{
    const char *pair = NULL;

    fputs("# message (bytes), ours, bare loop (MB/s)", file);
    for (size_t i = 0; i < count && rows[i].group == STREAMS; i++) {
        const struct contestant *all = rows[i].contestants;
        if (pair == NULL || strcmp(pair, rows[i].pair) != 0) {
            pair = rows[i].pair; /* two empty lines begin a data set */
            fprintf(file, "\n\n\"%s\"\n", pair);
        }
        fprintf(file, "%zu %.3f %.3f\n", rows[i].size,
                median(all[OURS].values, rows[i].rounds) / 1e6,
                median(all[LIMIT].values, rows[i].rounds) / 1e6);
    }
}

void write_round_trips(FILE *file, const struct row *rows, size_t count)
{
    fputs("# pair, ours, bare loop: median, 99th percentile (µs)\n", file);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].group == TRIPS) {
            fprintf(file, "\"%s\"", rows[i].label);
            for (enum column j = OURS; j <= LIMIT; j++) {
                const struct contestant *who = &rows[i].contestants[j];
                fprintf(file, " %.3f %.3f",
                        median(who->values, rows[i].rounds) * 1e6,
                        median(who->percentile99, rows[i].rounds) * 1e6);
            }
            fputc('\n', file);
        }
    }
}

void tell_targets(const struct row *rows, size_t count)
{
    size_t all = 0;
    size_t missed = 0;

    for (size_t i = 0; i < count; i++) {
        for (enum column j = LIMIT; j < COLUMNS; j++) {
            const struct contestant *who = &rows[i].contestants[j];
            double wanted = takes_part(who) ? who->wanted : 0;
            all += wanted > 0;
            if (wanted > 0 && ratio(&rows[i], j) < wanted) {
                missed++;
                fprintf(stderr, "bench: %s: %s: %.2f of %s, wanted %.2f\n",
                        headings[rows[i].group].title, rows[i].label,
                        ratio(&rows[i], j), headings[rows[i].group].columns[j],
                        wanted);
            }
        }
    }
    fprintf(stderr, "bench: %zu of %zu targets reached\n", all - missed, all);
}
