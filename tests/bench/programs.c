/*
 * programs.c - starting the programs that are measured, and ending them.
 *
 * All that is started belongs to one process group, the guard's. The guard
 * reads from a pipe to which nobody ever writes: end of file comes when the
 * bench, the only one with the other end, is no more.
 */
#include "programs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 20 }; /* seconds for a server to get ready */

static const char *subject = "start";
static char folder[128];
static pid_t guard;
static int lifeline[2];

void name_subject(const char *name)
{
    subject = name;
}

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "bench: %s: ", subject);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

void fail_errno(const char *format, ...)
{
    const char *reason = strerror(errno);
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "bench: %s: ", subject);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, ": %s\n", reason);
    va_end(arguments);
    exit(EXIT_FAILURE);
}

/* Removes the folder and the files in it. What has gone already is no
 * failure: a server that ends removes its own socket. */
static void remove_folder(void)
{
    char path[ADDRESS_TEXT_SIZE];
    struct dirent *entry;
    DIR *files = opendir(folder);

    while (files != NULL && (entry = readdir(files)) != NULL) {
        folder_path(path, entry->d_name);
        unlink(path); /* fails for "." and "..", as it should */
    }
    if (files != NULL) {
        closedir(files);
    }
    if (rmdir(folder) == -1) {
        perror("bench: rmdir");
    }
}

/* What the guard does. SIGTERM first, for those that tidy up; SIGKILL takes
 * whoever is left, the guard itself among them. */
static _Noreturn void keep_guard(void)
{
    char none;

    setpgid(0, 0); /* a group of its own: Ctrl-C does not reach it */
    signal(SIGTERM, SIG_IGN);
    close(lifeline[1]);
    while (read(lifeline[0], &none, 1) == -1 && errno == EINTR) {
    }
    kill(0, SIGTERM);
    remove_folder();
    kill(0, SIGKILL);
    _exit(EXIT_FAILURE);
}

/* At exit: lets the guard do its work, and waits for it and all the others. */
static void end_guard(void)
{
    close(lifeline[1]);
    while (wait(NULL) != -1 || errno == EINTR) {
    }
}

void start_guard(void)
{
    const char *parent = getenv("TMPDIR");

    /* A long path would not fit into the address of an AF_UNIX socket. */
    if (parent == NULL || parent[0] == '\0' || strlen(parent) > 60) {
        parent = "/tmp";
    }
    snprintf(folder, sizeof folder, "%s/bench.XXXXXX", parent);
    if (mkdtemp(folder) == NULL) {
        fail_errno("mkdtemp %s", folder);
    }
    make_pipe(lifeline);
    guard = fork();
    if (guard == -1) {
        rmdir(folder);
        fail_errno("fork");
    }
    if (guard == 0) {
        keep_guard();
    }
    /* Both set it: whichever comes first, the group is there. */
    setpgid(guard, guard);
    close(lifeline[0]);
    atexit(end_guard);
}

void folder_path(char *path, const char *name)
{
    snprintf(path, ADDRESS_TEXT_SIZE, "%.127s/%.100s", folder, name);
}

/* In the child: makes fd, or /dev/null, its descriptor `number`. */
static void use_as(int fd, int number)
{
    if (fd == -1) {
        fd = open("/dev/null", O_RDWR);
    }
    if (fd == -1 || dup2(fd, number) == -1) {
        _exit(127);
    }
}

pid_t start_program(char *const arguments[], int in_fd, int out_fd, int err_fd)
{
    pid_t process = fork();

    if (process == -1) {
        fail_errno("fork");
    }
    if (process == 0) {
        if (setpgid(0, guard) == -1) {
            _exit(127); /* the guard has gone, and so will we */
        }
        use_as(in_fd, STDIN_FILENO);
        use_as(out_fd, STDOUT_FILENO);
        use_as(err_fd, STDERR_FILENO);
        execvp(arguments[0], arguments);
        _exit(127);
    }
    return process;
}

/* Looks for "ready on ADDRESS" and a newline; stores the address. */
static int find_address(const char *text, char *address)
{
    static const char marker[] = "ready on ";
    const char *found = strstr(text, marker);

    if (found == NULL || strchr(found, '\n') == NULL) {
        return -1;
    }
    found += sizeof marker - 1;
    snprintf(address, ADDRESS_TEXT_SIZE, "%.*s", (int)strcspn(found, "\n"),
             found);
    return 0;
}

pid_t start_server(char *const arguments[], const char *log, char *address)
{
    const struct timespec moment = {0, 1000000};
    char text[4096] = "";
    size_t size = 0;
    int ends[2];

    if (log == NULL) {
        make_pipe(ends);
    } else {
        ends[1] = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ends[0] = open(log, O_RDONLY | O_CLOEXEC);
    }
    if (ends[0] == -1 || ends[1] == -1) {
        fail_errno("open %s", log == NULL ? "pipe" : log);
    }
    pid_t process = start_program(arguments, -1, -1, ends[1]);
    close(ends[1]);
    alarm(PATIENCE); /* SIGALRM ends the bench, and the guard the rest */
    while (find_address(text, address) == -1) {
        ssize_t nread = read(ends[0], text + size, sizeof text - 1 - size);
        if (nread == -1 && errno != EINTR) {
            fail_errno("read the messages of %s", arguments[0]);
        }
        if (nread == 0 && (log == NULL || waitpid(process, NULL, WNOHANG))) {
            fail("%s is not ready: %s", arguments[0], text);
        }
        if (nread == 0) {
            nanosleep(&moment, NULL); /* nothing tells when a file grows */
        }
        size += nread > 0 ? (size_t)nread : 0;
        text[size] = '\0';
    }
    alarm(0);
    if (log != NULL) {
        close(ends[0]);
    } /* else it stays open: a server that warns must not meet EPIPE */
    return process;
}

void expect_success(pid_t process, const char *name)
{
    int status;

    while (waitpid(process, &status, 0) == -1) {
        if (errno != EINTR) {
            fail_errno("waitpid %s", name);
        }
    }
    if (status != 0) {
        fail("%s ended with status %d", name,
             WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
}

void make_pipe(int ends[2])
{
    if (pipe(ends) == -1 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) == -1 ||
        fcntl(ends[1], F_SETFD, FD_CLOEXEC) == -1) {
        fail_errno("pipe");
    }
}

void make_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
        fail_errno("fcntl");
    }
}
