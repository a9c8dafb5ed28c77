/*
 * fifo_writer.c - writes a message into a named pipe, a FIFO.
 *
 * Partner:  fifo_reader, or cat, or any program that reads files.
 * Calls:    mkfifo, open, write, close; fifo_reader unlinks.
 * Run:      build/fifo_writer       and, in a second terminal, before or after,
 *           build/fifo_reader
 *
 * A FIFO has one direction, and no connections: what all writers write is one
 * stream of bytes. A write of up to PIPE_BUF bytes stays in one piece.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

/* Returns the FIFO at the path, open for writing. */
static int open_fifo(const char *path)
{
    struct stat file;

    /* mkfifo: makes the path, for the owner alone. EEXIST is no failure: the
     * reader came first, or something was left there. */
    int result = mkfifo(path, S_IRUSR | S_IWUSR);
    if (result == -1 && errno == EEXIST)
        say("mkfifo(%s, 0600) = -1 EEXIST (File exists)", path);
    else
        check(result, "mkfifo(%s, 0600)", path);

    /* What is there may be another kind of file, or another user's: refuse it,
     * and also a link, which could lead there. */
    if (lstat(path, &file) == -1)
        fail("lstat(%s)", path);
    if (!S_ISFIFO(file.st_mode) || file.st_uid != geteuid()) {
        announce("%s is not a FIFO of this user", path);
        give_up_with("take another PATH: this one stays as it is");
    }

    /* open: waits until a reader opens it, too. */
    say("open(%s, O_WRONLY) waits for a reader", path);
    int fd = open(path, O_WRONLY);
    check(fd, "open(%s, O_WRONLY)", path);
    return fd;
}

/* Writes standard input, each piece as it comes. Returns 0 at its end, or -1
 * if not all was written. */
static int write_input(int fd)
{
    static char buffer[64 * 1024]; /* what a pipe holds on Linux */

    for (;;) {
        say("read(%d) waits for input (Ctrl-D ends it)", STDIN_FILENO);
        ssize_t size = read(STDIN_FILENO, buffer, sizeof buffer);
        tell_data(size, buffer, "read", STDIN_FILENO);
        /* EINTR: a signal handler ran first. This program has none; if you add
         * one, this loop goes on. */
        if (size == -1 && errno == EINTR)
            continue;
        if (size <= 0)
            return (int)size;
        if (write_all(fd, buffer, (size_t)size) == -1)
            return -1;
    }
}

static const char usage[] =
    "usage: fifo_writer [-hq] [PATH [MESSAGE]]\n"
    "  PATH      the FIFO, made if need be (default: /tmp/fifo_pair)\n"
    "  MESSAGE   the text to write, or - to write standard input\n"
    "            (default: Hello, reader!)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/fifo_pair", "Hello, reader!"};
    (void)read_command_line(argc, argv, usage, operands, 2);

    /* Without this, a write to a reader that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = open_fifo(operands[0]);

    /* write: waits while the pipe is full; fails when no reader has it open. */
    int written = strcmp(operands[1], "-") == 0 ? write_input(fd)
                                                : write_line(fd, operands[1]);

    /* close: when the last writer closes, the reader reads end of file. */
    int result = close(fd);
    tell(result, "close(%d)", fd);
    if (written == -1)
        give_up();
    return 0;
}
