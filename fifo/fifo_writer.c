/*
 * fifo_writer.c - writes a message into a named pipe, a FIFO.
 *
 * Partner:  fifo_reader, or cat, or any program that reads files.
 * Calls:    mkfifo, open, write, close; the reader unlinks.
 * Run:      build/fifo_writer       and, in a second terminal, later or first,
 *           build/fifo_reader
 *
 * A FIFO has one direction, and no connections: what all writers write is one
 * stream of bytes. A write of up to PIPE_BUF bytes stays in one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/arguments.h"
#include "../common/cleanup.h"
#include "../common/report.h"
#include "../common/transfer.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* bytes per write: all that a pipe holds */
    LOOK = 1,                /* seconds until open looks at the path again */
};

static const char usage[] =
    "usage: fifo_writer [-hq] [PATH [MESSAGE]]\n"
    "  PATH     the FIFO, made if it is not there (/tmp/fifo_pair.fifo)\n"
    "  MESSAGE  the text to write, - for standard input (Hello, reader!)\n"
    "  -q       leave out the story\n"
    "  -h       show this help\n";

/* Being called is enough: it interrupts open, which fails with EINTR. */
static void on_alarm(int number)
{
    (void)number;
}

/* Returns the FIFO, open for writing, and its identity in *status. Makes it
 * if nobody has: writer and reader may start in any order. */
static int open_fifo(const char *path, struct stat *status)
{
    const struct sigaction interrupt = {.sa_handler = on_alarm};
    bool told = false;

    sigaction(SIGALRM, &interrupt, NULL); /* without SA_RESTART */
    for (;;) {
        /* mkfifo: makes the path, for the owner alone, or finds it made. */
        hold_signals();
        int made = mkfifo(path, S_IRUSR | S_IWUSR);
        if (made == -1 && errno != EEXIST) {
            die("mkfifo %s", path);
        }
        int found = lstat(path, status);
        if (made == 0 && found == 0) {
            own_path(path, status);
            say("mkfifo(%s, 0600) = 0", path);
        }
        release_signals();
        if (found == -1) {
            continue; /* the other side has just removed it */
        }
        if (check_fifo(status) == -1) {
            die("mkfifo %s", path);
        }

        /* open: waits until a reader opens the FIFO too. */
        if (!told) {
            say("open(%s, O_WRONLY) waits for a reader", path);
            told = true;
        }
        /* Should somebody remove the path, no reader could ever find us: an
         * alarm interrupts open, and we look again. */
        alarm(LOOK);
        int fifo_fd = open(path, O_WRONLY | O_NOFOLLOW);
        int error = errno;
        alarm(0);
        if (fifo_fd == -1 && error != EINTR && error != ENOENT) {
            errno = error;
            die("open %s", path);
        }
        if (fifo_fd != -1) {
            if (fstat(fifo_fd, status) == -1 || check_fifo(status) == -1) {
                die("open %s", path);
            }
            say("open(%s, O_WRONLY) = %d, a reader is there", path, fifo_fd);
            return fifo_fd;
        }
    }
}

/* Takes the next piece of standard input; from a terminal that is a line.
 * Returns its size in bytes, 0 at end of file. */
static size_t read_input(char *buffer, size_t size)
{
    ssize_t nread;

    while ((nread = read(STDIN_FILENO, buffer, size)) == -1) {
        if (errno != EINTR) {
            die("read standard input");
        }
    }
    return (size_t)nread;
}

int main(int argc, char *argv[])
{
    static char buffer[BUFFER_SIZE];
    const char *operands[] = {"/tmp/fifo_pair.fifo", "Hello, reader!"};
    struct tally writes = {.payload_shown = true};
    struct stat status;
    char *message = NULL;

    start_program("fifo_writer", PATHS);
    read_arguments(argc, argv, usage, operands, 2, NULL);
    start_cleanup();
    if (strcmp(operands[1], "-") != 0) {
        message = make_line(operands[1]);
    }
    const char *path = operands[0];
    int fifo_fd = open_fifo(path, &status);

    /* write: waits while the pipe is full, until the reader reads. */
    const char *piece = message != NULL ? message : buffer;
    size_t size =
        message != NULL ? strlen(message) : read_input(buffer, sizeof buffer);
    while (size > 0) {
        if (write_all(fifo_fd, piece, size, &writes) == -1) {
            /* The reader would have removed the path, and has gone. */
            int error = errno;
            own_path(path, &status);
            errno = error;
            die("write %s", path);
        }
        size = message != NULL ? 0 : read_input(buffer, sizeof buffer);
    }

    /* close: when the last writer closes, the reader reads end of file. */
    disown_path();  /* the reader removes it, when it has read all */
    close(fifo_fd); /* can fail for a wrong descriptor only */
    say("close(%d) = 0; writes: %lu, %llu bytes", fifo_fd, writes.calls,
        writes.bytes);
    free(message);
    return EXIT_SUCCESS;
}
