/*
 * cleanup.c - what must not outlive the program: a path, and children.
 *
 * What a handler calls must be async-signal-safe (POSIX 2.4.3): _exit, getpid,
 * kill, lstat, poll, sigaddset, sigemptyset, sigprocmask, unlink, waitpid and
 * write are.
 */
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"

static const int end_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
enum { END_SIGNALS = sizeof end_signals / sizeof end_signals[0] };

static sigset_t held;   /* what hold_signals() holds back */
static sigset_t before; /* the signal mask without it */

/* All below is the process's that started; a child inherits only a copy. */
static pid_t owner;

static const char *volatile own; /* the path, or NULL */
static struct stat own_status;
static char unlink_line[LINE_SIZE]; /* "unlink(path) = 0" */
static size_t unlink_line_size;
static char cut_line[LINE_SIZE]; /* that a client was cut off */
static size_t cut_line_size;

static pid_t children[CHILDREN_MAX]; /* 0: a free place */
static volatile sig_atomic_t running;
static volatile sig_atomic_t served;

/* Writes a prepared line. Not if it had to wait: nothing may keep a signal
 * from ending us. */
static void tell(const char *line, size_t size)
{
    struct pollfd error = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (size > 0 && poll(&error, 1, 0) == 1 && error.revents == POLLOUT) {
        ssize_t ignored = write(STDERR_FILENO, line, size);
        (void)ignored; /* there is nobody left to tell */
    }
}

/* Whether it is the file of own_path(). */
static bool is_own(const struct stat *status)
{
    return status->st_dev == own_status.st_dev &&
           status->st_ino == own_status.st_ino;
}

/* Removes the path if it is still the file that is ours. Returns 0, also
 * when there is nothing to remove, or -1 with errno. */
static int unlink_own(void)
{
    struct stat now;
    const char *path = own;

    own = NULL;
    if (path == NULL || getpid() != owner || lstat(path, &now) == -1 ||
        !is_own(&now)) {
        return 0;
    }
    if (unlink(path) == -1) {
        return -1;
    }
    tell(unlink_line, unlink_line_size);
    return 0;
}

static void on_end_signal(int number)
{
    sigset_t this_one;

    if (getpid() == owner) {
        for (size_t i = 0; i < CHILDREN_MAX; i++) {
            if (children[i] > 0) {
                kill(children[i], number);  /* it may have ended: no matter */
                kill(children[i], SIGCONT); /* if it is stopped */
                tell(cut_line, cut_line_size);
            }
        }
    }
    unlink_own(); /* a failure can't be told from here */
    /* SA_RESETHAND: now the signal ends the program, as soon as it may. */
    kill(getpid(), number);
    sigemptyset(&this_one);
    sigaddset(&this_one, number);
    sigprocmask(SIG_UNBLOCK, &this_one, NULL);
    /* Process 1, the first one of a container, no signal ends. */
    _exit(128 + number);
}

static void on_child_end(int number)
{
    int saved_errno = errno;
    int status;
    pid_t child;

    (void)number;
    while (running > 0 && (child = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < CHILDREN_MAX; i++) {
            if (children[i] == child) {
                children[i] = 0;
                running--;
                if (status == 0 && served < SIG_ATOMIC_MAX) {
                    served++;
                }
                if (WIFSIGNALED(status)) {
                    tell(cut_line, cut_line_size);
                }
            }
        }
    }
    errno = saved_errno;
}

void start_cleanup(void)
{
    struct sigaction action;
    struct sigaction inherited;

    owner = getpid();
    sigemptyset(&held);
    sigaddset(&held, SIGCHLD);
    for (size_t i = 0; i < END_SIGNALS; i++) {
        sigaddset(&held, end_signals[i]);
    }
    sigprocmask(SIG_UNBLOCK, &held, NULL);
    cut_line_size = prepare_line(cut_line, "a client was cut off: a signal "
                                           "ended the child that served it");

    memset(&action, 0, sizeof action);
    action.sa_mask = held;
    action.sa_handler = on_child_end;
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, NULL);

    action.sa_handler = on_end_signal;
    action.sa_flags = (int)SA_RESETHAND;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        sigaction(end_signals[i], NULL, &inherited);
        if (inherited.sa_handler != SIG_IGN) {
            sigaction(end_signals[i], &action, NULL);
        }
    }
    if (atexit(remove_path) != 0) {
        die("atexit");
    }
}

void hold_signals(void)
{
    sigprocmask(SIG_BLOCK, &held, &before);
}

void release_signals(void)
{
    int saved_errno = errno;

    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
}

void own_path(const char *path, const struct stat *status)
{
    int saved_errno = errno;

    if (own != NULL && strcmp(path, own) == 0 && is_own(status)) {
        return; /* it is ours already */
    }
    own = NULL; /* no handler shall see half of it */
    own_status = *status;
    unlink_line_size =
        is_quiet() ? 0 : prepare_line(unlink_line, "unlink(%s) = 0", path);
    own = path;
    errno = saved_errno;
}

void disown_path(void)
{
    own = NULL;
}

void remove_path(void)
{
    const char *path = own;

    hold_signals();
    int result = unlink_own();
    release_signals();
    if (result == -1) {
        warn("unlink %s", path);
    }
}

/* Returns 0 when the socket file at the path is ours and nobody has it open,
 * not even a server that does not listen yet; else -1 with errno. */
static int check_stale(const struct sockaddr_un *address)
{
    struct stat status;

    if (lstat(address->sun_path, &status) == -1) {
        return -1;
    }
    if (!S_ISSOCK(status.st_mode)) {
        errno = EEXIST;
        return -1;
    }
    if (status.st_uid != geteuid()) {
        errno = EACCES;
        return -1;
    }
    /* A datagram socket finds out, and no server sees a client: a stream
     * socket that is open has another type than it (EPROTOTYPE). */
    int probe_fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (probe_fd == -1) {
        return -1;
    }
    int result =
        connect(probe_fd, (const struct sockaddr *)address, sizeof *address);
    bool refused = result == -1 && errno == ECONNREFUSED;
    close(probe_fd);
    errno = EADDRINUSE;
    return refused ? 0 : -1;
}

int remove_stale_socket(const struct sockaddr_un *address)
{
    char lock[sizeof address->sun_path + sizeof ".lock"];

    if (check_stale(address) == -1) {
        return errno == ENOENT ? 0 : -1;
    }
    /* When two servers start at once, only one may look and remove: the other
     * would remove the socket that the first has bound in between. O_EXCL
     * lets one of them in. */
    (void)snprintf(lock, sizeof lock, "%s.lock", address->sun_path);
    hold_signals();
    int lock_fd = open(lock, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
    int result = lock_fd == -1 ? -1 : check_stale(address);
    if (result == 0) {
        result = unlink(address->sun_path);
    }
    int error = errno;
    if (lock_fd != -1) {
        close(lock_fd);
        unlink(lock); /* a failure shows itself at the next start: EEXIST */
    }
    release_signals();

    if (result == 0) {
        say("unlink(%s) = 0, left behind by a server that was killed",
            address->sun_path);
    } else if (lock_fd == -1 && error == EEXIST) {
        announce("%s is in the way: if no other server is just starting, "
                 "remove it",
                 lock);
        error = EADDRINUSE;
    }
    errno = error;
    return result == -1 && error == ENOENT ? 0 : result;
}

void own_child(pid_t child)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] == 0) {
            children[i] = child;
            running++;
            return;
        }
    }
}

/* Whether no more children may be started now. */
static bool is_full(unsigned long count)
{
    return running == CHILDREN_MAX ||
           (count > 0 && running > 0 &&
            (unsigned long)served + (unsigned long)running >= count);
}

bool wait_for_place(unsigned long count)
{
    if (is_full(count)) {
        say("sigsuspend waits for the end of a child");
    }
    hold_signals();
    while (is_full(count)) {
        sigsuspend(&before); /* until a signal comes, such as SIGCHLD */
    }
    release_signals();
    return count == 0 || (unsigned long)served < count;
}
