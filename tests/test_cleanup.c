/*
 * test_cleanup.c - common/cleanup.c: what must not outlive a program.
 *
 * Signals and exit() end a process of its own, made by start_function().
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/address.h"
#include "../common/cleanup.h"
#include "../common/report.h"

enum { NOBODY = 65534 }; /* a user that is not root */

static const int end_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
enum { END_SIGNALS = sizeof end_signals / sizeof end_signals[0] };

/* ---- Files ---- */

static void make_file(const char *path)
{
    close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
}

/* A program's beginning, in a process of its own. */
static void begin(void)
{
    const struct rlimit none = {0, 0};

    setrlimit(RLIMIT_CORE, &none); /* SIGQUIT leaves no file then */
    start_program("test", PATHS);
    start_cleanup();
}

static void own_a_file(const char *path)
{
    struct stat status;

    hold_signals();
    make_file(path);
    lstat(path, &status);
    own_path(path, &status);
    release_signals();
}

/* ---- Removed by exit() ---- */

static void own_and_return(void)
{
    begin();
    own_a_file("file");
}

static void test_exit_removes(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_and_return);

    assert_int_equal(finish(t), 0);
    assert_said(t, "test: unlink(file) = 0", NULL);
    assert_false(is_there("file"));
}

static void own_and_die(void)
{
    begin();
    own_a_file("file");
    errno = EINVAL;
    die("open");
}

static void test_die_removes(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_and_die);

    assert_int_equal(finish(t), 1);
    assert_said(t, "test: open: *", "test: unlink(file) = 0", NULL);
    assert_false(is_there("file"));
}

static void own_and_exit_while_held(void)
{
    begin();
    own_a_file("file");
    hold_signals();
    exit(3);
}

static void test_exit_while_held_removes(void **state)
{
    (void)state;
    assert_int_equal(finish(start_function(own_and_exit_while_held)), 3);
    assert_false(is_there("file"));
}

static void own_quietly(void)
{
    begin();
    be_quiet();
    own_a_file("file");
}

static void test_exit_removes_quietly(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_quietly);

    assert_int_equal(finish(t), 0);
    assert_said(t, NULL);
    assert_false(is_there("file"));
}

static void disown(void)
{
    begin();
    own_a_file("file");
    disown_path();
    remove_path();
}

static void test_disowned_stays(void **state)
{
    (void)state;
    struct terminal *t = start_function(disown);

    assert_int_equal(finish(t), 0);
    assert_said(t, NULL);
    assert_true(is_there("file"));
    unlink("file");
}

static void own_with_errno(void)
{
    struct stat status;

    begin();
    make_file("file");
    lstat("file", &status);
    errno = ENOTDIR;
    own_path("file", &status);
    int error = errno;
    printf("errno kept: %d", error == ENOTDIR);
}

static void test_own_path_keeps_errno(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_with_errno);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "errno kept: 1");
}

static void own_two(void)
{
    begin();
    own_a_file("one");
    own_a_file("two"); /* only one at a time */
}

static void test_last_path_counts(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_two);

    assert_int_equal(finish(t), 0);
    assert_said(t, "test: unlink(two) = 0", NULL);
    assert_true(is_there("one"));
    assert_false(is_there("two"));
    unlink("one");
}

/* ---- remove_path() itself ---- */

static void remove_twice(void)
{
    begin();
    own_a_file("file");
    remove_path();
    printf("there: %d\n", is_there("file"));
    make_file("file"); /* a new one is not ours */
    remove_path();
    printf("there: %d\n", is_there("file"));
}

static void test_remove_path_once(void **state)
{
    (void)state;
    struct terminal *t = start_function(remove_twice);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "there: 0\nthere: 1\n");
    assert_said(t, "test: unlink(file) = 0", NULL);
    assert_true(is_there("file")); /* exit() does not take it, either */
    unlink("file");
}

static void remove_nothing(void)
{
    begin();
    remove_path(); /* nothing is owned yet */
    own_a_file("file");
    unlink("file");
    remove_path(); /* somebody was faster */
}

static void test_remove_path_gone(void **state)
{
    (void)state;
    struct terminal *t = start_function(remove_nothing);

    assert_int_equal(finish(t), 0);
    assert_said(t, NULL);
}

static void own_and_replace(void)
{
    begin();
    own_a_file("file");
    make_file("other"); /* while the first is there: another inode */
    rename("other", "file");
}

static void test_other_file_stays(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_and_replace);

    assert_int_equal(finish(t), 0);
    assert_said(t, NULL);
    assert_true(is_there("file"));
    unlink("file");
}

static void own_and_link(void)
{
    begin();
    own_a_file("file");
    rename("file", "moved");
    if (symlink("moved", "file") == -1) {
        _exit(99);
    }
}

/* A link is another file, even if it leads to ours. */
static void test_link_stays(void **state)
{
    (void)state;
    assert_int_equal(finish(start_function(own_and_link)), 0);
    assert_true(is_there("file"));
    assert_true(is_there("moved"));
    unlink("file");
    unlink("moved");
}

static void own_a_folder(void)
{
    struct stat status;

    begin();
    mkdir("folder", 0700);
    lstat("folder", &status);
    own_path("folder", &status);
    remove_path();
}

static void test_remove_path_fails(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_a_folder);

    assert_int_equal(finish(t), 0);
    assert_said(t, "test: unlink folder: *", NULL);
    assert_int_equal(rmdir("folder"), 0);
}

/* ---- Removed by signals ---- */

static void own_and_wait(void)
{
    begin();
    own_a_file("file");
    announce("waits");
    for (;;) {
        pause();
    }
}

static void test_signals_remove(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        struct terminal *t = start_function(own_and_wait);
        expect_said(t, "test: waits");
        assert_true(is_there("file"));
        signal_program(t, end_signals[i]);
        assert_int_equal(wait_end(t), 128 + end_signals[i]);
        assert_false(is_there("file"));
        assert_said(t, "test: waits", "test: unlink(file) = 0", NULL);
    }
}

/* Standard error that is full and that nobody reads stops nothing. */
static void own_with_full_error(void)
{
    int ends[2];

    begin();
    own_a_file("file");
    if (pipe(ends) == -1) {
        _exit(99);
    }
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], "x", 1) == 1) {
    }
    fcntl(ends[1], F_SETFL, 0);
    dup2(ends[1], STDERR_FILENO);
    raise(SIGTERM);
}

static void test_full_standard_error(void **state)
{
    (void)state;
    assert_int_equal(finish(start_function(own_with_full_error)),
                     128 + SIGTERM);
    assert_false(is_there("file"));
}

static void own_with_closed_error(void)
{
    begin();
    own_a_file("file");
    close(STDERR_FILENO);
    raise(SIGTERM);
}

static void test_closed_standard_error(void **state)
{
    (void)state;
    assert_int_equal(finish(start_function(own_with_closed_error)),
                     128 + SIGTERM);
    assert_false(is_there("file"));
}

static void own_nothing_and_wait(void)
{
    begin();
    announce("waits");
    for (;;) {
        pause();
    }
}

static void test_signals_end_without_a_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        struct terminal *t = start_function(own_nothing_and_wait);
        expect_said(t, "test: waits");
        signal_program(t, end_signals[i]);
        assert_int_equal(wait_end(t), 128 + end_signals[i]);
        assert_said(t, "test: waits", NULL);
    }
}

static void own_replace_and_wait(void)
{
    own_and_replace();
    announce("waits");
    for (;;) {
        pause();
    }
}

static void test_signal_leaves_other_file(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_replace_and_wait);

    expect_said(t, "test: waits");
    signal_program(t, SIGTERM);
    assert_int_equal(wait_end(t), 128 + SIGTERM);
    assert_true(is_there("file"));
    unlink("file");
}

/* One of the signals, for the function that is started. */
static int number;

static void ignore_and_raise(void)
{
    struct sigaction now;

    signal(number, SIG_IGN); /* as nohup does */
    begin();
    own_a_file("file");
    raise(number);
    sigaction(number, NULL, &now);
    printf("ignored: %d, there: %d\n", now.sa_handler == SIG_IGN,
           is_there("file"));
}

static void test_ignored_signals_stay_ignored(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        number = end_signals[i];
        struct terminal *t = start_function(ignore_and_raise);
        assert_int_equal(finish(t), 0);
        expect_printed(t, "ignored: 1, there: 1\n");
    }
}

static void inherit_blocked(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    begin();
    own_a_file("file");
    raise(number);
    printf("alive\n"); /* not reached */
}

/* Who starts the program may have blocked its signals. */
static void test_blocked_signals_are_unblocked(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        number = end_signals[i];
        struct terminal *t = start_function(inherit_blocked);
        assert_int_equal(finish(t), 128 + number);
        expect_printed(t, "");
        assert_false(is_there("file"));
    }
}

/* ---- Held signals ---- */

static void raise_while_held(void)
{
    struct stat status;

    begin();
    hold_signals();
    make_file("file");
    raise(number);
    announce("alive"); /* it waits until the file has an owner */
    lstat("file", &status);
    own_path("file", &status);
    release_signals();
    announce("alive still"); /* not reached */
}

static void test_held_signals_wait(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        number = end_signals[i];
        struct terminal *t = start_function(raise_while_held);
        assert_int_equal(finish(t), 128 + number);
        assert_said(t, "test: alive", "test: unlink(file) = 0", NULL);
        assert_false(is_there("file"));
    }
}

static void compare_masks(void)
{
    sigset_t before;
    sigset_t held;
    sigset_t after;

    begin();
    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    sigprocmask(SIG_SETMASK, &before, NULL);
    hold_signals();
    sigprocmask(SIG_BLOCK, NULL, &held);
    release_signals();
    sigprocmask(SIG_BLOCK, NULL, &after);
    for (int signal_number = 1; signal_number < 32; signal_number++) {
        printf("%d", sigismember(&held, signal_number));
        if (sigismember(&before, signal_number) !=
            sigismember(&after, signal_number)) {
            printf("<%d differs>", signal_number);
        }
    }
}

static void test_mask_is_restored(void **state)
{
    char expected[32] = {0};

    (void)state;
    memset(expected, '0', 31);
    expected[SIGHUP - 1] = '1';
    expected[SIGINT - 1] = '1';
    expected[SIGQUIT - 1] = '1';
    expected[SIGTERM - 1] = '1';
    expected[SIGCHLD - 1] = '1';
    expected[SIGUSR1 - 1] = '1'; /* was blocked before */
    struct terminal *t = start_function(compare_masks);
    assert_int_equal(finish(t), 0);
    expect_printed(t, expected);
}

/* ---- Children ---- */

/* Forks as a server does. Returns 0 in the child. */
static pid_t fork_child(void)
{
    hold_signals();
    fflush(stdout);
    pid_t child = fork();
    if (child > 0) {
        own_child(child);
    }
    release_signals();
    return child;
}

/* Forks a child that is not to be reaped by the handler, and waits for it;
 * it runs the function. Returns its status. */
static int run_child(void (*function)(void))
{
    int status = -1;

    hold_signals();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        release_signals();
        function();
        exit(0);
    }
    waitpid(child, &status, 0);
    release_signals();
    return status;
}

static void raise_it(void)
{
    raise(number);
}

static void do_nothing(void)
{
}

static void remove_as_child(void)
{
    remove_path();
}

static void own_and_run_children(void)
{
    int status;

    begin();
    own_a_file("file");
    status = run_child(do_nothing);
    printf("exit %d, there: %d\n", WEXITSTATUS(status), is_there("file"));
    status = run_child(remove_as_child);
    printf("exit %d, there: %d\n", WEXITSTATUS(status), is_there("file"));
    for (size_t i = 0; i < END_SIGNALS; i++) {
        number = end_signals[i];
        status = run_child(raise_it);
        printf("by its signal: %d, there: %d\n",
               WIFSIGNALED(status) && WTERMSIG(status) == number,
               is_there("file"));
    }
}

static void test_children_do_not_remove(void **state)
{
    (void)state;
    struct terminal *t = start_function(own_and_run_children);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "exit 0, there: 1\nexit 0, there: 1\n"
                      "by its signal: 1, there: 1\n"
                      "by its signal: 1, there: 1\n"
                      "by its signal: 1, there: 1\n"
                      "by its signal: 1, there: 1\n");
    assert_said(t, "test: unlink(file) = 0", NULL); /* by the parent, once */
}

static void serve_two_and_wait(void)
{
    begin();
    own_a_file("file");
    for (int i = 0; i < 2; i++) {
        if (fork_child() == 0) {
            announce("child waits");
            for (;;) {
                pause();
            }
        }
    }
    announce("parent waits");
    for (;;) {
        pause();
    }
}

/* Waiting for the end waits for the children's, too: they have the same
 * standard error. */
static void test_children_end_with_the_parent(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        struct terminal *t = start_function(serve_two_and_wait);
        size_t waiting = 0;
        while (waiting < 3) {
            expect_said(t, "test: * waits");
            waiting++;
        }
        signal_program(t, end_signals[i]);
        assert_int_equal(wait_end(t), 128 + end_signals[i]);
        assert_false(is_there("file"));
        assert_said_among(t, "test: unlink(file) = 0", NULL);
    }
}

static void on_hang_up(int ignored)
{
    (void)ignored;
    announce("hung up"); /* safe here: the child does nothing but stop */
}

static void serve_a_stopped_child(void)
{
    struct sigaction hang_up;
    int status;

    memset(&hang_up, 0, sizeof hang_up);
    hang_up.sa_handler = on_hang_up;
    sigfillset(&hang_up.sa_mask); /* before SIGTERM, which waits, too */
    begin();
    hold_signals();
    pid_t child = fork();
    if (child == 0) {
        release_signals();
        sigaction(SIGHUP, &hang_up, NULL);
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(child, &status, WUNTRACED);
    own_child(child);
    release_signals();
    announce(WIFSTOPPED(status) ? "child is stopped" : "child has ended");
    for (;;) {
        pause();
    }
}

/* As one that somebody has stopped with Ctrl-Z: it ends, too. Not only by the
 * SIGHUP that the kernel sends to what is stopped and has lost its parent. */
static void test_stopped_child_ends_with_the_parent(void **state)
{
    (void)state;
    struct terminal *t = start_function(serve_a_stopped_child);

    expect_said(t, "test: child is stopped");
    signal_program(t, SIGTERM);
    assert_int_equal(wait_end(t), 128 + SIGTERM);
    assert_not_said(t, "test: hung up");
}

/* A child that is signalled does not signal the other children of its
 * parent: it has only a copy of the list, and it is not the owner. */
static void signal_the_last_child(void)
{
    int status = 0;

    begin();
    pid_t first = fork_child();
    if (first == 0) {
        for (;;) {
            pause();
        }
    }
    number = SIGTERM;
    status = run_child(raise_it);
    hold_signals();
    printf("by its signal: %d, first one: %d\n", WIFSIGNALED(status),
           (int)waitpid(first, &status, WNOHANG));
    kill(first, SIGUSR1); /* ends it: nothing catches this one */
    waitpid(first, &status, 0);
    printf("ended by SIGUSR1: %d\n",
           WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    release_signals();
}

static void test_child_signals_no_other(void **state)
{
    (void)state;
    struct terminal *t = start_function(signal_the_last_child);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "by its signal: 1, first one: 0\n"
                      "ended by SIGUSR1: 1\n");
}

static void signal_a_child(void)
{
    begin();
    pid_t first = fork_child();
    if (first == 0) {
        for (;;) {
            pause();
        }
    }
    pid_t second = fork_child();
    if (second == 0) {
        kill(first, SIGTERM); /* one child's end is nobody else's */
        raise(SIGTERM);
    }
    int waited = wait_for_place(1);
    printf("wait_for_place: %d\n", waited);
}

static void test_killed_children_are_not_served(void **state)
{
    (void)state;
    struct terminal *t = start_function(signal_a_child);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "wait_for_place: 1\n");
}

static void reap_many(void)
{
    begin();
    for (int i = 0; i < 40; i++) {
        if (fork_child() == 0) {
            _exit(0);
        }
    }
    printf("more: %d\n", wait_for_place(40));
    errno = 0;
    pid_t left = waitpid(-1, NULL, WNOHANG);
    printf("left: %d, none: %d\n", (int)left, errno == ECHILD);
}

static void test_children_are_reaped(void **state)
{
    (void)state;
    struct terminal *t = start_function(reap_many);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "more: 0\nleft: -1, none: 1\n");
}

static void reap_while_reading(void)
{
    int gate[2];
    char byte;

    begin();
    if (pipe(gate) == -1) {
        _exit(99);
    }
    pid_t first = fork_child();
    if (first == 0) {
        _exit(0);
    }
    if (fork_child() == 0) {
        while (kill(first, 0) == 0) { /* a zombie is there, too */
        }
        _exit(write(gate[1], "x", 1) != 1);
    }
    /* It is interrupted by the first child's end, and goes on (SA_RESTART). */
    printf("read: %d\n", (int)read(gate[0], &byte, 1));
    printf("more: %d\n", wait_for_place(2));
}

static void test_child_is_reaped_at_once(void **state)
{
    (void)state;
    struct terminal *t = start_function(reap_while_reading);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "read: 1\nmore: 0\n");
}

static void reap_with_errno(void)
{
    sigset_t pending;

    begin();
    hold_signals();
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    own_child(child);
    do {
        sigpending(&pending);
    } while (!sigismember(&pending, SIGCHLD));
    errno = ENOTDIR;
    release_signals(); /* here the handler runs */
    int error = errno;
    printf("errno kept: %d, ", error == ENOTDIR);
    printf("reaped: %d", kill(child, 0) == -1);
}

static void test_handler_keeps_errno(void **state)
{
    (void)state;
    struct terminal *t = start_function(reap_with_errno);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "errno kept: 1, reaped: 1");
}

/* ---- wait_for_place ---- */

static void serve_until_two(void)
{
    int forks = 0;

    begin();
    while (wait_for_place(2)) {
        pid_t child = fork_child();
        forks++;
        if (child == 0) {
            if (forks == 2) {
                raise(SIGKILL);
            }
            _exit(forks <= 4 ? forks : 0); /* four fail, each in its way */
        }
    }
    printf("%d", forks);
}

static void test_only_successes_count(void **state)
{
    (void)state;
    struct terminal *t = start_function(serve_until_two);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "6"); /* never more at a time than are missing */
}

static void wait_without_children(void)
{
    begin();
    printf("%d %d %d", wait_for_place(0), wait_for_place(1),
           wait_for_place(CHILDREN_MAX + 1));
}

static void test_place_without_children(void **state)
{
    (void)state;
    struct terminal *t = start_function(wait_without_children);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "1 1 1");
}

static void serve_without_end(void)
{
    begin();
    for (int i = 0; i < 10; i++) {
        if (!wait_for_place(0)) {
            printf("an end\n");
        }
        if (fork_child() == 0) {
            _exit(0);
        }
    }
    printf("%d", wait_for_place(0));
}

static void test_no_count_no_end(void **state)
{
    (void)state;
    struct terminal *t = start_function(serve_without_end);

    assert_int_equal(finish(t), 0);
    expect_printed(t, "1");
}

static void serve_all_places(void)
{
    char byte;

    begin();
    for (int i = 0; i < CHILDREN_MAX; i++) {
        wait_for_place(0);
        if (fork_child() == 0) {
            if (read(STDIN_FILENO, &byte, 1) == 1) {
                announce("a child leaves");
            }
            _exit(0);
        }
    }
    announce("full");
    for (int i = 0;; i++) {
        wait_for_place(0);
        announce(i < 3 ? "a place" : "a fourth place");
        if (fork_child() == 0) {
            if (read(STDIN_FILENO, &byte, 1) == 1) {
                announce("a child leaves");
            }
            _exit(0);
        }
    }
}

static void test_places_are_bounded(void **state)
{
    (void)state;
    struct terminal *t = start_function(serve_all_places);

    expect_said(t, "test: full");
    for (int i = 0; i < 3; i++) {
        expect_said(t, "test: *waits for the end of a child");
        type(t, "x");
        expect_said(t, "test: a place");
    }
    expect_said(t, "test: *waits for the end of a child");
    signal_program(t, SIGTERM); /* ends them all */
    assert_int_equal(wait_end(t), 128 + SIGTERM);
    /* Each place is there only when a child has left. */
    assert_said_among(t, "test: full", "test: a child leaves", "test: a place",
                      "test: a child leaves", "test: a place",
                      "test: a child leaves", "test: a place", NULL);
    assert_not_said(t, "test: a fourth place");
}

static void overfill(void)
{
    char byte;

    begin();
    for (int i = 0; i <= CHILDREN_MAX; i++) { /* one too many */
        if (fork_child() == 0) {
            _exit(read(STDIN_FILENO, &byte, 1) == -1);
        }
    }
    announce("full");
    printf("%d", wait_for_place(CHILDREN_MAX));
}

static void test_one_child_too_many(void **state)
{
    (void)state;
    struct terminal *t = start_function(overfill);

    expect_said(t, "test: full");
    assert_int_equal(finish(t), 0);
    expect_printed(t, "0");
}

/* ---- remove_stale_socket ---- */

static int remove_socket(const char *path)
{
    struct sockaddr_un address;

    assert_int_equal(unix_address(path, &address), 0);
    errno = 0;
    return remove_stale_socket(&address);
}

/* A socket of the type, bound to the path. */
static int bind_socket(const char *path, int type)
{
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, type, 0);

    assert_int_not_equal(fd, -1);
    assert_int_equal(unix_address(path, &address), 0);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void leave_socket(const char *path)
{
    close(bind_socket(path, SOCK_STREAM));
}

static void test_no_socket(void **state)
{
    (void)state;
    assert_int_equal(remove_socket("socket"), 0);
    assert_int_equal(remove_socket("./no/such/socket"), 0); /* bind says it */
}

static void test_stale_socket(void **state)
{
    (void)state;
    leave_socket("socket");
    assert_int_equal(remove_socket("socket"), 0);
    assert_false(is_there("socket"));
    assert_false(is_there("socket.lock"));
    close(listen_on("./socket")); /* the path is free */
    assert_int_equal(remove_socket("socket"), 0);
    assert_false(is_there("socket"));
}

static void test_stale_socket_with_longest_path(void **state)
{
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    leave_socket(path);
    assert_int_equal(remove_socket(path), 0);
    assert_false(is_there(path));
    /* Neither it, nor a lock with another name: the folder is empty. */
}

/* Such a path is somebody's: it stays, and no lock is left. */
static void assert_kept(const char *path, int error)
{
    struct stat before;
    struct stat after;

    assert_int_equal(lstat(path, &before), 0);
    assert_int_equal(remove_socket(path), -1);
    assert_int_equal(errno, error);
    assert_int_equal(lstat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino);
    assert_false(is_there("socket.lock"));
}

static void test_live_socket(void **state)
{
    (void)state;
    int listen_fd = listen_on("./socket");

    assert_kept("socket", EADDRINUSE);
    /* The server has not seen a client by that. */
    fcntl(listen_fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(accept(listen_fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    close(listen_fd);
    unlink("socket");
}

static void test_socket_that_does_not_listen_yet(void **state)
{
    (void)state;
    int fd = bind_socket("socket", SOCK_STREAM);

    assert_kept("socket", EADDRINUSE);
    close(fd);
    unlink("socket");
}

static void test_datagram_socket(void **state)
{
    (void)state;
    int fd = bind_socket("socket", SOCK_DGRAM);

    assert_kept("socket", EADDRINUSE);
    close(fd);
    unlink("socket");
}

static void test_not_a_socket(void **state)
{
    (void)state;
    make_file("socket");
    assert_kept("socket", EEXIST);
    unlink("socket");
    mkdir("socket", 0700);
    assert_kept("socket", EEXIST);
    rmdir("socket");
    mkfifo("socket", 0600);
    assert_kept("socket", EEXIST);
    unlink("socket");
    leave_socket("stale"); /* a link to a stale one is not one */
    assert_int_equal(symlink("stale", "socket"), 0);
    assert_kept("socket", EEXIST);
    assert_true(is_there("stale"));
    unlink("stale");
    assert_kept("socket", EEXIST); /* now it leads nowhere */
    unlink("socket");
}

static void test_path_through_a_file(void **state)
{
    (void)state;
    make_file("file");
    assert_int_equal(remove_socket("file/socket"), -1);
    assert_int_equal(errno, ENOTDIR);
    unlink("file");
}

static void test_socket_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can give a file away */
    }
    leave_socket("socket");
    assert_int_equal(chown("socket", NOBODY, NOBODY), 0);
    assert_kept("socket", EACCES);
    unlink("socket");
}

static void test_lock_is_there(void **state)
{
    (void)state;
    leave_socket("socket");
    make_file("socket.lock");
    assert_int_equal(remove_socket("socket"), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_true(is_there("socket")); /* the other one removes it */
    assert_true(is_there("socket.lock"));
    unlink("socket.lock");
    assert_int_equal(remove_socket("socket"), 0);
}

/* remove_socket(), in a process of its own: prints the result. Ends without
 * what a sanitizer does in exit(): it may have too few rights for that. */
static _Noreturn void print_removal(void)
{
    struct sockaddr_un address;

    unix_address("socket", &address);
    errno = 0;
    int result = remove_stale_socket(&address);
    printf("%d %s", result, strerror(errno));
    fflush(stdout);
    _exit(0);
}

static void assert_printed_error(struct terminal *t, int error)
{
    char expected[128];

    snprintf(expected, sizeof expected, "-1 %s", strerror(error));
    expect_printed(t, expected);
}

static void remove_with_lock_there(void)
{
    begin();
    be_quiet(); /* it is told all the same */
    print_removal();
}

static void test_lock_is_told(void **state)
{
    (void)state;
    leave_socket("socket");
    make_file("socket.lock");
    struct terminal *t = start_function(remove_with_lock_there);
    assert_int_equal(finish(t), 0);
    assert_said(t, "test: socket.lock is in the way: *remove it", NULL);
    assert_printed_error(t, EADDRINUSE);
    unlink("socket.lock");
    unlink("socket");
}

static void remove_in_a_folder_that_stays(void)
{
    if (geteuid() == 0 && seteuid(NOBODY) == -1) {
        _exit(99);
    }
    start_program("test", PATHS);
    print_removal();
}

/* A stale socket of ours, in a folder where no file can be made. */
static void test_no_lock_can_be_made(void **state)
{
    (void)state;
    leave_socket("socket");
    if (geteuid() == 0) {
        assert_int_equal(chown("socket", NOBODY, NOBODY), 0);
    }
    assert_int_equal(chmod(stage(), 0555), 0);
    struct terminal *t = start_function(remove_in_a_folder_that_stays);
    int status = finish(t);
    chmod(stage(), 0700);
    assert_int_equal(status, 0);
    assert_printed_error(t, EACCES);
    assert_said(t, NULL);
    assert_true(is_there("socket"));
    unlink("socket");
}

/* A folder that hides what is in it. */
static void test_folder_can_not_be_searched(void **state)
{
    (void)state;
    leave_socket("socket");
    assert_int_equal(chmod(stage(), 0600), 0);
    struct terminal *t = start_function(remove_in_a_folder_that_stays);
    int status = finish(t);
    chmod(stage(), 0700);
    assert_int_equal(status, 0);
    assert_printed_error(t, EACCES);
    unlink("socket");
}

static void remove_without_descriptors(void)
{
    const struct rlimit none = {3, 3}; /* 0, 1 and 2 are all */

    setrlimit(RLIMIT_NOFILE, &none);
    print_removal();
}

static void test_no_descriptor_to_probe(void **state)
{
    (void)state;
    leave_socket("socket");
    struct terminal *t = start_function(remove_without_descriptors);
    assert_int_equal(finish(t), 0);
    assert_printed_error(t, EMFILE);
    assert_true(is_there("socket"));
    unlink("socket");
}

/* Several servers that start at once, on a stale socket. */
static void start_serving(void)
{
    struct sockaddr_un address;
    char byte;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    start_program("test", PATHS);
    unix_address("socket", &address);
    announce("at the start");
    if (read(STDIN_FILENO, &byte, 1) != 1) {
        return;
    }
    if (remove_stale_socket(&address) == 0 &&
        bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        listen(fd, 1) == 0) {
        announce("result: serves");
    } else {
        announce("result: %s", strerror(errno));
    }
    while (read(STDIN_FILENO, &byte, 1) > 0) { /* until all have tried */
    }
}

static void test_only_one_server_starts(void **state)
{
    enum { SERVERS = 6 };
    struct terminal *servers[SERVERS];
    int serving = 0;

    (void)state;
    leave_socket("socket");
    for (int i = 0; i < SERVERS; i++) {
        servers[i] = start_function(start_serving);
    }
    for (int i = 0; i < SERVERS; i++) {
        expect_said(servers[i], "test: at the start");
        type(servers[i], "x");
    }
    for (int i = 0; i < SERVERS; i++) {
        expect_said(servers[i], "test: result: *");
    }
    for (int i = 0; i < SERVERS; i++) {
        assert_int_equal(finish(servers[i]), 0);
        serving +=
            strstr(servers[i]->said.data, "test: result: serves\n") != NULL;
    }
    assert_int_equal(serving, 1);
    assert_false(is_there("socket.lock"));
    unlink("socket");
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_exit_removes),
        TEST(test_die_removes),
        TEST(test_exit_while_held_removes),
        TEST(test_exit_removes_quietly),
        TEST(test_disowned_stays),
        TEST(test_own_path_keeps_errno),
        TEST(test_last_path_counts),
        TEST(test_remove_path_once),
        TEST(test_remove_path_gone),
        TEST(test_other_file_stays),
        TEST(test_link_stays),
        TEST(test_remove_path_fails),
        TEST(test_signals_remove),
        TEST(test_full_standard_error),
        TEST(test_closed_standard_error),
        TEST(test_signals_end_without_a_path),
        TEST(test_signal_leaves_other_file),
        TEST(test_ignored_signals_stay_ignored),
        TEST(test_blocked_signals_are_unblocked),
        TEST(test_held_signals_wait),
        TEST(test_mask_is_restored),
        TEST(test_children_do_not_remove),
        TEST(test_children_end_with_the_parent),
        TEST(test_stopped_child_ends_with_the_parent),
        TEST(test_child_signals_no_other),
        TEST(test_killed_children_are_not_served),
        TEST(test_children_are_reaped),
        TEST(test_child_is_reaped_at_once),
        TEST(test_handler_keeps_errno),
        TEST(test_only_successes_count),
        TEST(test_place_without_children),
        TEST(test_no_count_no_end),
        TEST(test_places_are_bounded),
        TEST(test_one_child_too_many),
        TEST(test_no_socket),
        TEST(test_stale_socket),
        TEST(test_stale_socket_with_longest_path),
        TEST(test_live_socket),
        TEST(test_socket_that_does_not_listen_yet),
        TEST(test_datagram_socket),
        TEST(test_not_a_socket),
        TEST(test_path_through_a_file),
        TEST(test_socket_of_another_user),
        TEST(test_lock_is_there),
        TEST(test_lock_is_told),
        TEST(test_no_lock_can_be_made),
        TEST(test_folder_can_not_be_searched),
        TEST(test_no_descriptor_to_probe),
        TEST(test_only_one_server_starts),
    };

    start_program("test", PATHS);
    return cmocka_run_group_tests_name("cleanup", tests, NULL, NULL);
}
