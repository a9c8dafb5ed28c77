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

/* Returns the FIFO at the path, open for reading. */
static int open_fifo(const char *path)
{
    struct stat file;

    /* mkfifo: makes the path, for the owner alone. EEXIST is no failure: the
     * writer came first, or something was left there. */
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

    /* open: waits until a writer opens it, too. */
    say("open(%s, O_RDONLY) waits for a writer", path);
    int fd = open(path, O_RDONLY);
    check(fd, "open(%s, O_RDONLY)", path);
    return fd;
}

/* Prints all that comes, until the last writer has closed. */
static void print_all(int fd)
{
    static char buffer[64 * 1024]; /* what a pipe holds on Linux */

    for (;;) {
        /* read: waits while the pipe is empty and a writer has it open. 0 is
         * the end of file: no writer has it open any more. */
        say("read(%d) waits for the writer", fd);
        ssize_t size = read(fd, buffer, sizeof buffer);
        tell_data(size, buffer, "read", fd);
        /* EINTR: a signal handler ran first. This program has none; if you add
         * one, this loop goes on. */
        if (size == -1 && errno == EINTR)
            continue;
        if (size == 0)
            return;
        if (size == -1 || write_all(STDOUT_FILENO, buffer, (size_t)size) == -1)
            give_up();
    }
}

static const char usage[] = "usage: fifo_reader [-hq] [PATH]\n"
                            "  PATH      the FIFO, made if need be (default: "
                            "/tmp/fifo_pair)\n" COMMON_USAGE;

int main(int argc, char *argv[])
{
    const char *path = "/tmp/fifo_pair";
    (void)read_command_line(argc, argv, usage, &path, 1);

    /* Without this, a standard output that nobody reads any more would end
     * the program by SIGPIPE; now the write fails, with EPIPE. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = open_fifo(path);
    print_all(fd);

    /* unlink: now no writer finds the FIFO any more. One that opened it just
     * before writes to us: so read to the end again. */
    int removed = unlink(path);
    tell(removed, "unlink(%s)", path);
    print_all(fd);

    int result = close(fd);
    tell(result, "close(%d)", fd);
    if (removed == -1)
        give_up();
    return 0;
}
