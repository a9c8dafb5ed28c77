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

enum { TRIES = 100 }; /* attempts, if others keep removing the FIFO */

/* Writes all of standard input, each piece as it comes. */
static int write_input(int fd)
{
    static char buffer[64 * 1024]; /* what a pipe holds on Linux */
    ssize_t size = 1;
    int result = 0;

    say("read(%d) waits for input (Ctrl-D ends it)", STDIN_FILENO);
    while (size != 0 && result == 0) {
        size = read(STDIN_FILENO, buffer, sizeof buffer);
        if (size == -1 && errno != EINTR)
            check(size, "read(%d)", STDIN_FILENO);
        if (size > 0)
            result = write_all(fd, buffer, (size_t)size);
    }
    return result;
}

static const char usage[] =
    "usage: fifo_writer [-hq] [PATH [MESSAGE]]\n"
    "  PATH      the FIFO, made if need be (default: /tmp/fifo_pair.fifo)\n"
    "  MESSAGE   the text to write, or - to write standard input\n"
    "            (default: Hello, reader!)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *operands[] = {"/tmp/fifo_pair.fifo", "Hello, reader!"};
    int fd = -1;

    start_program("fifo_writer");
    while (next_option(argc, argv, "hq", usage) != -1)
        continue;
    read_operands(argc, argv, operands, 2);
    const char *path = operands[0];
    const char *message = operands[1];

    /* Without this, a write to a reader that has gone would end the program
     * by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    for (int tries = 1; fd == -1; tries++) {
        /* mkfifo: makes the path, for the owner alone, and ours to remove.
         * EEXIST: the reader came first, and has made it. */
        int result = mkfifo(path, S_IRUSR | S_IWUSR);
        tell_mkfifo(result, path);

        /* open: waits until a reader opens it, too. O_NOFOLLOW: not through a
         * link. ENOENT: somebody has removed it in between; so try again. */
        say("open(%s, O_WRONLY) waits for a reader", path);
        fd = open(path, O_WRONLY | O_NOFOLLOW);
        if (fd == -1 && errno == ENOENT && tries < TRIES)
            say("open(%s, O_WRONLY) = -1 ENOENT, again", path);
        else
            check(fd, "open(%s, O_WRONLY)", path);
    }
    check_fifo(path, fd);
    (void)disown_path(); /* no matter who made it, its reader removes it */

    /* write: waits while the pipe is full; fails when no reader has it open. */
    int written =
        strcmp(message, "-") == 0 ? write_input(fd) : write_line(fd, message);

    /* close: when the last writer closes, the reader reads end of file. */
    tell_totals();
    int result = close(fd);
    tell(result, "close(%d)", fd);
    return written == 0 ? 0 : 1;
}
