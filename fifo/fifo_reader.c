/*
 * fifo_reader.c - prints what is written into a named pipe, a FIFO.
 *
 * Partner:  fifo_writer, or echo, or any program that writes files.
 * Calls:    mkfifo, open, read, unlink, close.
 * Run:      build/fifo_reader       and, in a second terminal, later or first,
 *           build/fifo_writer
 *
 * A FIFO has one direction, and no connections: end of file comes when the
 * last of the writers has closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/arguments.h"
#include "../common/cleanup.h"
#include "../common/report.h"
#include "../common/transfer.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* bytes per read: all that a pipe holds */
    LOOK = 1,                /* seconds until we look what has become of it */
    GONE_MAX = 100,          /* how often others may remove what we found */
};

static const char usage[] =
    "usage: fifo_reader [-hq] [PATH]\n"
    "  PATH  the FIFO, made if it is not there (/tmp/fifo_pair.fifo)\n"
    "  -q    quiet: do not tell the system calls\n"
    "  -h    show this help\n"
    "In parentheses: what is taken when it is left out.\n";

/* Being called is enough: it interrupts a call that waits, which fails with
 * EINTR. Should it come just before that call, the next alarm does. */
static void on_alarm(int number)
{
    (void)number;
    alarm(LOOK);
}

/* mkfifo: makes the path, for the owner alone, or finds it made; stores its
 * identity in *status. Returns 0; 1 if somebody has just removed it; or -1. */
static int make_fifo(const char *path, struct stat *status)
{
    /* Ctrl-C before own_path() notes that the FIFO is ours would leave it
     * behind: until then the signal waits. */
    hold_signals();
    int made = mkfifo(path, S_IRUSR | S_IWUSR);
    bool is_there = made == 0 || errno == EEXIST;
    int found = is_there ? lstat(path, status) : -1;
    if (made == 0 && found == 0) {
        own_path(path, status);
    }
    release_signals();

    if (made == 0) {
        say("mkfifo(%s, 0600) = 0", path);
    }
    if (found == -1) {
        return is_there && errno == ENOENT ? 1 : -1;
    }
    return check_fifo(status);
}

/* Returns the FIFO, open for reading, and ours to remove. Makes it if nobody
 * has: writer and reader may start in any order. */
static int open_fifo(const char *path)
{
    struct stat status;
    const struct sigaction interrupt = {.sa_handler = on_alarm};
    bool told = false;
    int gone = 0;

    sigaction(SIGALRM, &interrupt, NULL); /* without SA_RESTART */
    for (;;) {
        int made = make_fifo(path, &status);
        if (made == -1 || (made == 1 && ++gone == GONE_MAX)) {
            die("mkfifo %s", path);
        }
        if (made == 1) {
            continue;
        }

        /* open: waits until a writer opens the FIFO too. */
        if (!told) {
            say("open(%s, O_RDONLY) waits for a writer", path);
            told = true;
        }
        /* Should somebody remove the path, no writer could ever find us: an
         * alarm interrupts open, and we look again. */
        alarm(LOOK);
        int fifo_fd = open(path, O_RDONLY | O_NOFOLLOW);
        int error = errno;
        alarm(0);
        if (fifo_fd == -1 && error != EINTR && error != ENOENT) {
            errno = error;
            die("open %s", path);
        }
        if (fifo_fd != -1) {
            if (fstat(fifo_fd, &status) == -1 || check_fifo(&status) == -1) {
                die("open %s", path);
            }
            own_path(path, &status); /* who reads it removes it */
            say("open(%s, O_RDONLY) = %d, a writer is there", path, fifo_fd);
            return fifo_fd;
        }
    }
}

/* Prints all that comes, until the last writer has closed. */
static void print_all(int fifo_fd, const char *path, struct tally *reads)
{
    static char buffer[BUFFER_SIZE];
    ssize_t nread;

    /* read: waits while the pipe is empty and a writer has it open. */
    while ((nread = read(fifo_fd, buffer, sizeof buffer)) != 0) {
        if (nread == -1) {
            if (errno == EINTR) {
                continue;
            }
            die("read %s", path);
        }
        say_data(reads, "read", fifo_fd, buffer, (size_t)nread);
        if (write_all(STDOUT_FILENO, buffer, (size_t)nread, NULL) == -1) {
            die("write standard output");
        }
    }
    say("read(%d) = 0, end of file: no writer has it open", fifo_fd);
}

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/fifo_pair.fifo"};
    struct tally reads = {.payload_shown = true};

    start_program("fifo_reader", PATHS);
    read_arguments(argc, argv, usage, operands, 1, NULL);
    start_cleanup();

    const char *path = operands[0];
    int fifo_fd = open_fifo(path);
    print_all(fifo_fd, path, &reads);

    /* unlink: from now on no writer can find the FIFO. One who opened it just
     * before still writes to us, so read to the end once more. */
    remove_path();
    print_all(fifo_fd, path, &reads);

    close(fifo_fd); /* can fail for a wrong descriptor only */
    say("close(%d) = 0; reads: %lu, %llu bytes", fifo_fd, reads.calls,
        reads.bytes);
    return EXIT_SUCCESS;
}
