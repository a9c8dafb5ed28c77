/*
 * fifo_reader.c - prints what is written into a named pipe, a FIFO.
 *
 * Partner:  fifo_writer, or echo, or any program that writes files.
 * Calls:    mkfifo, open, read, unlink, close.
 * Run:      build/fifo_reader       and, in a second terminal, before or after,
 *           build/fifo_writer
 *
 * A FIFO has one direction, and no connections: end of file comes when the
 * last of the writers has closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* tell prints a call's result; check also ends the program if it failed. */
#include "../common/helper.h"

enum { TRIES = 100 }; /* attempts, if others keep removing the FIFO */

/* Prints all that comes, until the last writer has closed. */
static void print_all(int fd)
{
    static char buffer[64 * 1024]; /* what a pipe holds on Linux */
    ssize_t size;

    do {
        /* read: waits while the pipe is empty and a writer has it open. 0 is
         * the end of file: no writer has it open any more. */
        size = read(fd, buffer, sizeof buffer);
        if (size == -1 && errno == EINTR)
            continue;
        tell_data("read", fd, NULL, size, buffer);
        if (size == -1)
            give_up(errno);
        print_data(buffer, (size_t)size);
    } while (size != 0);
}

static const char usage[] = "usage: fifo_reader [-hq] [PATH]\n"
                            "  PATH      the FIFO, made if need be (default: "
                            "/tmp/fifo_pair.fifo)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *path = "/tmp/fifo_pair.fifo";
    int fd = -1;

    start_program("fifo_reader");
    while (next_option(argc, argv, "hq", usage) != -1)
        continue;
    read_operands(argc, argv, &path, 1);

    /* Without this, a standard output that nobody reads any more would end
     * the program by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    for (int tries = 1; fd == -1; tries++) {
        /* mkfifo: makes the path, for the owner alone, and ours to remove.
         * EEXIST: the writer came first, and has made it. */
        int result = mkfifo(path, S_IRUSR | S_IWUSR);
        tell_mkfifo(result, path);

        /* open: waits until a writer opens it, too. O_NOFOLLOW: not through a
         * link. ENOENT: somebody has removed it in between; so try again. */
        say("open(%s, O_RDONLY) waits for a writer", path);
        fd = open(path, O_RDONLY | O_NOFOLLOW);
        if (fd == -1 && errno == ENOENT && tries < TRIES)
            say("open(%s, O_RDONLY) = -1 ENOENT, again", path);
        else
            check(fd, "open(%s, O_RDONLY)", path);
    }
    check_fifo(path, fd);
    own_path(path, fd); /* no matter who made it, its reader removes it */
    say("read(%d) waits for the writer", fd);
    print_all(fd);

    /* unlink: now no writer finds the FIFO any more. One that found it just
     * before gets a moment to open it, and then writes to us: so read to the
     * end again. */
    if (disown_path()) {
        int result = unlink(path);
        tell(result, "unlink(%s)", path);
    }
    wait_a_moment(20);
    print_all(fd);

    tell_totals();
    int result = close(fd);
    tell(result, "close(%d)", fd);
    return 0;
}
