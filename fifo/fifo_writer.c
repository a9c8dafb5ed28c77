/*
 * fifo_writer.c - writes a message into a named pipe, a FIFO.
 *
 * Partner:  fifo_reader, or cat, or any program that reads files.
 * Calls:    mkfifo, open, fcntl, write, poll, close; the reader unlinks.
 * Run:      build/fifo_writer       and, in a second terminal, later or first,
 *           build/fifo_reader
 *
 * A FIFO has one direction, and no connections: what all writers write is one
 * stream of bytes. A write of up to PIPE_BUF bytes stays in one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
    BUFFER_SIZE = 64 * 1024, /* bytes per write: what a pipe holds on Linux */
    LOOK = 1,                /* seconds until we look what has become of it */
    GONE_MAX = 100,          /* how often others may remove what we found */
};

static const char usage[] =
    "usage: fifo_writer [-hq] [PATH [MESSAGE]]\n"
    "  PATH     the FIFO, made if it is not there (/tmp/fifo_pair.fifo)\n"
    "  MESSAGE  the text to write, - for standard input (Hello, reader!)\n"
    "  -q       quiet: do not tell the system calls\n"
    "  -h       show this help\n"
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

/* Returns the FIFO, open for writing, and its identity in *status. Makes it
 * if nobody has: writer and reader may start in any order. */
static int open_fifo(const char *path, struct stat *status)
{
    const struct sigaction interrupt = {.sa_handler = on_alarm};
    bool told = false;
    int gone = 0;

    sigaction(SIGALRM, &interrupt, NULL); /* without SA_RESTART */
    for (;;) {
        int made = make_fifo(path, status);
        if (made == -1 || (made == 1 && ++gone == GONE_MAX)) {
            die("mkfifo %s", path);
        }
        if (made == 1) {
            continue;
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

/* Whether no reader has the FIFO open any more. */
static bool is_unread(int fifo_fd)
{
    struct pollfd end = {.fd = fifo_fd, .events = POLLOUT};

    return poll(&end, 1, 0) == 1 && (end.revents & (POLLERR | POLLHUP)) != 0;
}

/* fcntl: takes this writer's turn, or waits for it. The kernel keeps up to
 * PIPE_BUF bytes in one piece; so that longer lines stay whole, too, writers
 * lock each other out. Where a FIFO has no locks, the kernel's promise is all
 * there is. Returns 0, or -1 with errno EPIPE. */
static int take_turn(int fifo_fd)
{
    struct flock turn = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result = fcntl(fifo_fd, F_SETLK, &turn);

    if (result == -1 && (errno == EACCES || errno == EAGAIN)) {
        say("fcntl(%d, F_SETLKW) waits for another writer to end its line",
            fifo_fd);
        do {
            if (is_unread(fifo_fd)) {
                errno = EPIPE;
                return -1;
            }
            alarm(LOOK);
            result = fcntl(fifo_fd, F_SETLKW, &turn);
        } while (result == -1 && errno == EINTR);
        alarm(0);
    }
    return 0;
}

/* write: waits while the pipe is full, until the reader reads. Ends the
 * program when no reader has the FIFO open any more. */
static void write_piece(int fifo_fd, const char *path,
                        const struct stat *status, const char *piece,
                        size_t size, struct tally *writes)
{
    struct flock turn = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

    if (take_turn(fifo_fd) == -1 ||
        write_all(fifo_fd, piece, size, writes) == -1) {
        own_path(path, status); /* in place of the reader, who has gone */
        die("write %s", path);
    }
    /* In the middle of a line it stays our turn. */
    if (piece[size - 1] == '\n') {
        (void)fcntl(fifo_fd, F_SETLK, &turn); /* fails if there are no locks */
    }
}

/* Writes all of standard input, each piece as it comes. */
static void write_input(int fifo_fd, const char *path,
                        const struct stat *status, struct tally *writes)
{
    static char buffer[BUFFER_SIZE];
    ssize_t nread;

    say("read(%d) waits for input (Ctrl-D ends it)", STDIN_FILENO);
    while ((nread = read(STDIN_FILENO, buffer, sizeof buffer)) != 0) {
        if (nread != -1) {
            write_piece(fifo_fd, path, status, buffer, (size_t)nread, writes);
        } else if (!try_again(STDIN_FILENO, false)) {
            die("read standard input");
        }
    }
}

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/fifo_pair.fifo", "Hello, reader!"};
    struct tally writes = {.payload_shown = true};
    struct stat status;

    start_program("fifo_writer", PATHS);
    read_arguments(argc, argv, usage, operands, 2, NULL);
    start_cleanup();

    const char *path = operands[0];
    const char *message = operands[1];
    int fifo_fd = open_fifo(path, &status);

    if (strcmp(message, "-") == 0) {
        write_input(fifo_fd, path, &status, &writes);
    } else {
        char *line = make_line(message);
        write_piece(fifo_fd, path, &status, line, strlen(line), &writes);
        free(line);
    }

    /* If the reader has gone already, what the pipe still holds is lost. */
    if (is_unread(fifo_fd)) {
        own_path(path, &status);
        errno = EPIPE;
        die("write %s", path);
    }

    /* close: when the last writer closes, the reader reads end of file. */
    disown_path();  /* the reader removes it, when it has read all */
    close(fifo_fd); /* can fail for a wrong descriptor only */
    say("close(%d) = 0; writes: %lu, %llu bytes", fifo_fd, writes.calls,
        writes.bytes);
    return EXIT_SUCCESS;
}
