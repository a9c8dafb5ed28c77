/*
 * bench.c - measures the four pairs beside what the machine can do.
 *
 * It starts the real programs, plays rounds in which each contestant is
 * measured once, in turn, and writes what it has found into a folder:
 * performance.md, and the two figures if gnuplot is there.
 *
 * usage: bench OUTPUT SOURCES bench_limit tcp_server tcp_client udp_server
 *              unix_server unix_client fifo_writer fifo_reader
 * BENCH_QUICK=1     a few seconds: to see that all works, not to compare
 * BENCH_DOCS=DOCS   writes the figures, and the tables between two marks of
 *                   performance.md, into that folder, too
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drive.h"
#include "pattern.h"
#include "results.h"
#include "rows.h"

enum {
    PATH_SIZE = 1024,
    ROUNDS_TRIED = 15,
    QUICK_ROUNDS_TRIED = 3,
    BUDGET = 100, /* seconds for all rounds, with what comes before */
    QUICK_BUDGET = 8,
    PAGE_MAX = 256 * 1024, /* bytes of docs/performance.md */
};

static const char begin_mark[] = "<!-- measured: begin -->\n";
static const char end_mark[] = "<!-- measured: end -->\n";

/* Opens a file in a folder for writing. */
static FILE *create(const char *folder, const char *name)
{
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fail_errno("open %s", path);
    }
    return file;
}

static void finish_file(FILE *file, const char *name)
{
    int failed = ferror(file);

    if (fclose(file) != 0 || failed) {
        fail_errno("write %s", name);
    }
}

/* Plays as many rounds as there is time for. Returns how many. */
static size_t play_rounds(struct row *rows, size_t count, bool quick)
{
    double begin = now();
    double budget = quick ? QUICK_BUDGET : BUDGET;
    size_t most = quick ? QUICK_ROUNDS_TRIED : ROUNDS_TRIED;
    double before = begin;
    double after = begin;
    size_t round = 0;

    for (size_t i = 0; i < count; i++) {
        calibrate(&rows[i], quick);
    }
    while (round < most && after + (after - before) < begin + budget) {
        before = now();
        for (size_t i = 0; i < count; i++) {
            play(&rows[i], quick);
        }
        round++;
        after = now();
        fprintf(stderr, "bench: round %zu of at most %zu, %.0f s\n", round,
                most, after - begin);
    }
    return round;
}

/* Draws a figure into a folder: gnuplot -c NAME.gnuplot NAME.dat NAME.svg. */
static void draw(const char *sources, const char *output, const char *folder,
                 const char *name)
{
    char script[PATH_SIZE];
    char data[PATH_SIZE];
    char figure[PATH_SIZE];
    char *arguments[] = {"gnuplot", "-c", script, data, figure, NULL};

    snprintf(script, sizeof script, "%s/%s.gnuplot", sources, name);
    snprintf(data, sizeof data, "%s/%s.dat", output, name);
    snprintf(figure, sizeof figure, "%s/%s.svg", folder, name);
    expect_success(start_program(arguments, -1, -1, STDERR_FILENO), "gnuplot");
}

/* Replaces what is between the marks in DOCS/performance.md. */
static void write_page(const char *docs, const struct row *rows, size_t count,
                       const char *what)
{
    static char page[PAGE_MAX];
    char path[PATH_SIZE];

    snprintf(path, sizeof path, "%s/performance.md", docs);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_errno("open %s", path);
    }
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    char *begin = strstr(page, begin_mark);
    char *end = strstr(page, end_mark);
    if (begin == NULL || end == NULL || end < begin) {
        fail("%s has no place for the tables: %s%s", path, begin_mark,
             end_mark);
    }
    file = create(docs, "performance.md");
    fwrite(page, 1, (size_t)(begin - page) + strlen(begin_mark), file);
    write_tables(file, rows, count, what);
    fputs(end, file);
    finish_file(file, path);
}

static void write_results(const char *output, const char *sources,
                          const struct row *rows, size_t count,
                          const char *what)
{
    const char *docs = getenv("BENCH_DOCS");
    bool gnuplot = available("command -v gnuplot");
    FILE *file;

    file = create(output, "performance.md");
    write_tables(file, rows, count, what);
    finish_file(file, "performance.md");
    file = create(output, "throughput.dat");
    write_throughput(file, rows, count);
    finish_file(file, "throughput.dat");
    file = create(output, "round_trips.dat");
    write_round_trips(file, rows, count);
    finish_file(file, "round_trips.dat");
    if (gnuplot) {
        draw(sources, output, output, "throughput");
        draw(sources, output, output, "round_trips");
    } else {
        fputs("bench: no figures without gnuplot (Debian: gnuplot-nox)\n",
              stderr);
    }
    fprintf(stderr, "bench: see %s/performance.md\n", output);
    if (docs != NULL && docs[0] != '\0') {
        write_page(docs, rows, count, what);
        if (gnuplot) {
            draw(sources, output, docs, "throughput");
            draw(sources, output, docs, "round_trips");
        }
    }
}

int main(int argc, char *argv[])
{
    static struct row rows[ROWS_MAX];
    char what[64];
    const char *wish = getenv("BENCH_QUICK");
    bool quick = wish != NULL && wish[0] != '\0' && strcmp(wish, "0") != 0;

    if (argc != 11) {
        fputs("usage: bench OUTPUT SOURCES bench_limit tcp_server tcp_client "
              "udp_server\n"
              "             unix_server unix_client fifo_writer fifo_reader\n",
              stderr);
        return 2;
    }
    const char *output = argv[1];
    const struct places places = {argv[2], argv[3], argv[4], argv[5], argv[6],
                                  argv[7], argv[8], argv[9], argv[10]};
    if (mkdir(output, 0777) == -1 && errno != EEXIST) {
        fail_errno("mkdir %s", output);
    }
    signal(SIGPIPE, SIG_IGN); /* then write fails with EPIPE, and we tell it */
    start_guard();
    make_pattern();
    size_t count = make_rows(&places, rows);
    fprintf(stderr, "bench: %zu rows\n", count);
    size_t rounds = play_rounds(rows, count, quick);
    snprintf(what, sizeof what, "a %s of %zu rounds",
             quick ? "quick run, not to be compared," : "full run", rounds);
    name_subject("results");
    write_results(output, places.sources, rows, count, what);
    tell_targets(rows, count);
    return EXIT_SUCCESS;
}
