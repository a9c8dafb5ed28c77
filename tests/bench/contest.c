/*
 * contest.c - how the contestants of a row are measured.
 */
#include "contest.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drive.h"
#include "pattern.h"
#include "processor.h"

enum {
    MEBIBYTE = 1024 * 1024,
    VOLUME_MAX = 256 * MEBIBYTE, /* bytes in a stream */
    TRIPS_MAX = 1000,            /* round trips in a measurement */
    REPEATS = 3,                 /* in each round, of what is short or vital */
};

bool takes_part(const struct contestant *who)
{
    return who->address != NULL || who->arguments != NULL;
}

const char *fifo_path(void)
{
    static char path[ADDRESS_TEXT_SIZE];

    folder_path(path, "fifo");
    return path;
}

void measure_stream(const struct row *row, struct contestant *who)
{
    int sock_fd = connect_to(who->address, SOCK_STREAM);

    who->values[row->rounds] =
        stream((struct route){sock_fd, sock_fd}, row->size, row->volume);
}

void measure_datagrams(const struct row *row, struct contestant *who)
{
    who->values[row->rounds] = datagrams(who->address, row->size, row->volume);
}

/* A client program, or two programs with a FIFO between them: into the first,
 * and out of the last, through pipes. */
void measure_pipeline(const struct row *row, struct contestant *who)
{
    int input[2];
    int output[2];
    pid_t reader = -1;

    make_pipe(input);
    make_pipe(output);
    if (who->reader != NULL) {
        if (mkfifo(fifo_path(), S_IRUSR | S_IWUSR) == -1) {
            fail_errno("mkfifo %s", fifo_path());
        }
        reader = start_program(who->reader, -1, output[1], -1);
    }
    pid_t first = start_program(who->arguments, input[0],
                                reader == -1 ? output[1] : -1, -1);
    close(input[0]);
    close(output[1]);
    who->values[row->rounds] =
        stream((struct route){input[1], output[0]}, row->size, row->volume);
    expect_success(first, who->arguments[0]);
    if (reader != -1) {
        expect_success(reader, who->reader[0]);
        unlink(fifo_path()); /* our own reader has done so already */
    }
}

void measure_trips(const struct row *row, struct contestant *who)
{
    static double times[TRIPS_MAX];
    size_t count = (size_t)row->volume;

    use_one_processor(true); /* as the servers of these rows do */
    round_trips(who->address, row->type, row->size, count, times);
    use_one_processor(false);
    who->values[row->rounds] = times[count / 2];
    who->percentile99[row->rounds] = times[count * 99 / 100];
}

void measure_connections(const struct row *row, struct contestant *who)
{
    who->values[row->rounds] =
        connections(who->address, (size_t)row->volume, row->size);
}

/* A program that measures for itself and prints nanoseconds. */
void measure_cost(const struct row *row, struct contestant *who)
{
    char text[64] = "";
    int output[2];

    make_pipe(output);
    pid_t process = start_program(who->arguments, -1, output[1], -1);
    close(output[1]);
    expect_success(process, who->arguments[0]); /* one line fits a pipe */
    if (read(output[0], text, sizeof text - 1) < 1) {
        fail("%s: no answer", row->label);
    }
    close(output[0]);
    who->values[row->rounds] = strtod(text, NULL) / 1e9;
}

/* Sets the bytes of a stream: about as many as the bare loop moves in the
 * time. Whole messages of at most VOLUME_MAX. */
static void calibrate_volume(struct row *row, double seconds)
{
    struct contestant probe = row->contestants[LIMIT];

    row->volume = row->size * (1 + MEBIBYTE / 4 / row->size);
    row->measure(row, &probe);
    double bytes = probe.values[row->rounds] * seconds;
    if (bytes > VOLUME_MAX) {
        bytes = VOLUME_MAX;
    }
    row->volume = row->size * (1 + (unsigned long long)bytes / row->size);
}

void calibrate(struct row *row, bool quick)
{
    name_subject(row->label);
    if (row->group == CLIENTS) {
        row->volume = (quick ? 4ULL : 256ULL) * MEBIBYTE;
    } else if (row->measure == measure_stream ||
               row->measure == measure_datagrams ||
               row->measure == measure_pipeline) {
        calibrate_volume(row, quick ? 0.004 : 0.06);
    } else if (row->measure == measure_trips) {
        row->volume = quick ? TRIPS_MAX / 4 : TRIPS_MAX;
    } else if (row->measure == measure_connections) {
        row->volume = quick ? 32 : 96;
    }
}

void play(struct row *row, bool quick)
{
    bool often = row->measure == measure_trips ||
                 row->measure == measure_connections ||
                 (row->group == STREAMS && row->contestants[LIMIT].wanted > 0);
    size_t end = row->rounds + (often && !quick ? REPEATS : 1);
    unsigned long long before = bytes_verified();

    name_subject(row->label);
    for (; row->rounds < end; row->rounds++) {
        for (size_t i = 0; i < COLUMNS; i++) {
            struct contestant *who =
                &row->contestants[(row->rounds + i) % COLUMNS];
            if (takes_part(who)) {
                row->measure(row, who);
            }
        }
    }
    row->verified += bytes_verified() - before;
}
