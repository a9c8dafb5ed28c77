/*
 * test_unix.c - unix_server and unix_client, end to end.
 *
 * Arguments: the paths of the two programs.
 */
#include "stream_tests.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct pair pair = {
    .server_name = "unix_server",
    .client_name = "unix_client",
    .server_operands = "[PATH [REPLY]]",
    .client_operands = "[PATH [MESSAGE]]",
    .has_path = true,
};

/* The longest path that fits sun_path with its final NUL. */
enum { PATH_LIMIT = sizeof((struct sockaddr_un *)NULL)->sun_path - 1 };

#define NOT_SOCKET_HINT                                                        \
    "unix_server: hint: something else is at this path, and stays untouched: " \
    "take another path"
#define TAKEN_HINT                                                             \
    "unix_server: hint: a server has this path, perhaps suspended with "       \
    "Ctrl-Z*take another path"

/* The socket file of a server that was killed. */
static void leave_stale_socket(const char *path)
{
    assert_int_equal(close(listen_on(path)), 0);
    assert_true(is_there(path));
}

/* Both sides' whole story, line by line. */
static void test_conversation(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", "socket", NULL);
    struct terminal *c = open_client("socket", NULL);

    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    assert_said(
        c, "unix_client: socket(AF_UNIX, SOCK_STREAM) = 3",
        "unix_client: connect(3, socket) waits for the server",
        "unix_client: connect(3, socket) = 0",
        "unix_client: write(3) = 15 \"Hello, server!\\n\"",
        "unix_client: shutdown(3, SHUT_WR) = 0, *",
        "unix_client: read(3) = 15 \"Hello, server!\\n\"",
        "unix_client: read(3) = 0, end of file: the server has closed",
        "unix_client: close(3) = 0; writes: 1, 15 bytes; reads: 1, 15 bytes",
        NULL);
    finish_with(s, 0);
    expect_printed(s, "");
    assert_story(
        s, "unix_server: ", "socket(AF_UNIX, SOCK_STREAM) = 3",
        "bind(3, socket) = 0", "listen(3, 128) = 0", "ready on socket",
        "accept(3) waits for a client", "accept(3) = 4, client unnamed",
        "fork() = *, a child that serves it", "close(4) = 0, the child serves",
        "?sigsuspend* waits for the end of a child", "unlink(socket) = 0",
        "close(3) = 0; clients served: 1", NULL);
    assert_story(s, "unix_server[", "*]: close(3) = 0, the parent accepts",
                 "*]: read(4) = 15 \"Hello, server!\\n\"", "*]: write(4) = 15",
                 "*]: read(4) = 0, end of file: the client has finished "
                 "sending",
                 "*]: close(4) = 0; reads: 1, 15 bytes; writes: 1, 15 bytes",
                 NULL);
}

/* With a /tmp of their own: the real one stays alone. */
static void test_defaults(void **state)
{
    (void)state;
    need_apart("-m");
    struct terminal *probe =
        start_apart("-m",
                    "exec 8<\"$0\" 9<\"$1\" && mount -t tmpfs none /tmp &&\n"
                    "/proc/self/fd/8 -h && /proc/self/fd/9 -h",
                    pair.server, pair.client, NULL);
    if (finish(probe) != 0) {
        skip(); /* the program needs something that is in /tmp */
    }
    struct terminal *s = start_apart(
        "-m",
        "exec 8<\"$0\" 9<\"$1\" && mount -t tmpfs none /tmp || exit\n"
        "/proc/self/fd/8 -n 1 2>&1 |\n"
        "while read -r line; do\n"
        "  echo \"$line\" >&2\n"
        "  case $line in *ready*) /proc/self/fd/9 ;; esac\n"
        "done",
        pair.server, pair.client, NULL);

    finish_with(s, 0);
    expect_printed(s, "Hello, server!\n");
    assert_said_among(s, "unix_server: ready on /tmp/unix_pair.socket",
                      "unix_client: connect(3, /tmp/unix_pair.socket) = 0",
                      "unix_server: close(3) = 0; clients served: 1", NULL);
}

static void test_usage_tells_the_defaults(void **state)
{
    (void)state;

    expect_usage_text(pair.server, "\n  PATH ", "(/tmp/unix_pair.socket)\n",
                      "\n  REPLY ", "echo", "\n  -n COUNT ", NULL);
    expect_usage_text(pair.client, "\n  PATH ", "(/tmp/unix_pair.socket)\n",
                      "\n  MESSAGE ", "(Hello, server!)\n", NULL);
}

/* ---- The path ---- */

static void test_longest_path_works(void **state)
{
    (void)state;
    char path[PATH_LIMIT + 1] = "";

    memset(path, 'p', PATH_LIMIT);
    struct terminal *s = open_server("-n", "1", path, NULL);
    assert_string_equal(place(), path);
    assert_true(is_there(path));
    expect_echo();
    finish_with(s, 0);
}

static void test_longest_path_of_a_stale_socket_works(void **state)
{
    (void)state;
    char path[PATH_LIMIT + 1] = "";

    memset(path, 'p', PATH_LIMIT);
    leave_stale_socket(path);
    struct terminal *s = open_server("-n", "1", path, NULL);
    expect_echo();
    finish_with(s, 0);
}

/* Never cut: that would be another path. */
static void test_longer_paths_are_refused_with_the_limit(void **state)
{
    static const size_t lengths[] = {PATH_LIMIT + 1, PATH_LIMIT + 2, 5000};
    static char path[5001];
    char hint[100];

    (void)state;
    snprintf(hint, sizeof hint,
             "*: hint: take a shorter path*a socket holds at most %d bytes",
             PATH_LIMIT);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memset(path, 'p', lengths[i]);
        path[lengths[i]] = '\0';
        struct terminal *s = try_server(path, NULL);
        struct terminal *c = open_client(path, NULL);
        expect_failure(s, "unix_server: bind ppp*: File name too long", hint);
        expect_failure(c, "unix_client: connect ppp*: File name too long",
                       hint);
        assert_harmless(s);
        assert_harmless(c);
    }
    /* The teardown finds no file. */
}

static void test_empty_path_is_refused(void **state)
{
    (void)state;

    expect_failure(try_server("", NULL),
                   "unix_server: bind : No such file or directory",
                   "*: hint: *");
    expect_failure(open_client("", NULL),
                   "unix_client: connect : No such file or directory",
                   "*: hint: *");
}

static void test_path_with_control_bytes_is_shown_escaped(void **state)
{
    (void)state;
    static const char path[] = "a\033[31m\n\177\377b";
    struct terminal *s = try_server(path, NULL);

    expect_said(s, "unix_server: ready on a\\x1b[31m\\n\\x7f\\xffb");
    use_place(path);
    struct terminal *c = open_client(PLACE, NULL);
    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    stop(s);
    assert_said_among(s, "unix_server: unlink(a\\x1b[31m\\n\\x7f\\xffb) = 0",
                      NULL);
    struct terminal *late = open_client(PLACE, NULL);
    expect_failure(late, "*: connect a\\x1b[31m\\n\\x7f\\xffb: *",
                   "*: hint: *");
    assert_harmless(s);
    assert_harmless(c);
    assert_harmless(late);
}

static void test_absolute_path_works(void **state)
{
    (void)state;
    char path[100];

    snprintf(path, sizeof path, "%s/socket", stage());
    struct terminal *s = open_server("-n", "1", path, NULL);
    assert_string_equal(place(), path);
    expect_echo();
    finish_with(s, 0);
}

/* ---- What else may be at the path ---- */

static void expect_untouched(const char *path)
{
    struct stat before;
    struct stat after;

    assert_int_equal(lstat(path, &before), 0);
    expect_failure(try_server(path, NULL), "unix_server: bind *: File exists",
                   NOT_SOCKET_HINT);
    assert_int_equal(lstat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
    assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void write_notes(const char *path)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs("my notes\n", file);
    assert_int_equal(fclose(file), 0);
}

static void expect_notes(const char *path)
{
    char content[20] = "";
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    assert_int_equal(fread(content, 1, sizeof content - 1, file), 9);
    assert_string_equal(content, "my notes\n");
    fclose(file);
}

static void test_regular_file_is_untouched(void **state)
{
    (void)state;

    write_notes("notes");
    expect_untouched("notes");
    expect_notes("notes");
    unlink("notes");
}

static void test_empty_file_is_untouched(void **state)
{
    (void)state;

    close(open("empty", O_WRONLY | O_CREAT, 0600));
    expect_untouched("empty");
    unlink("empty");
}

static void test_directory_is_untouched(void **state)
{
    (void)state;

    assert_int_equal(mkdir("folder", 0700), 0);
    expect_untouched("folder");
    rmdir("folder");
}

static void test_fifo_is_untouched(void **state)
{
    (void)state;

    assert_int_equal(mkfifo("fifo", 0600), 0);
    expect_untouched("fifo");
    unlink("fifo");
}

static void test_links_are_untouched(void **state)
{
    (void)state;

    write_notes("notes");
    leave_stale_socket("stale");
    assert_int_equal(symlink("notes", "to_notes"), 0);
    assert_int_equal(symlink("stale", "to_stale"), 0);
    assert_int_equal(symlink("nowhere", "to_nowhere"), 0);
    expect_untouched("to_notes");
    expect_untouched("to_stale");
    expect_untouched("to_nowhere");
    expect_notes("notes");
    assert_true(is_there("stale"));
    assert_false(is_there("nowhere"));
    unlink("to_notes");
    unlink("to_stale");
    unlink("to_nowhere");
    unlink("notes");
    unlink("stale");
}

static void test_stale_socket_is_replaced(void **state)
{
    (void)state;
    struct terminal *killed = open_server("socket", NULL);

    signal_program(killed, SIGKILL);
    ends_with(killed, 128 + SIGKILL);
    assert_true(is_there("socket"));
    struct terminal *s = open_server("-n", "1", "socket", NULL);
    expect_echo();
    finish_with(s, 0);
    assert_said_among(
        s, "unix_server: socket(*) = 3",
        "unix_server: bind(3, socket) = -1, it is taken: *",
        "unix_server: unlink(socket) = 0, left behind by a server that was "
        "killed",
        "unix_server: bind(3, socket) = 0", NULL);
}

static void test_live_server_is_not_replaced(void **state)
{
    (void)state;
    struct terminal *first = open_server("socket", NULL);
    struct stat before;
    struct stat after;

    assert_int_equal(lstat("socket", &before), 0);
    expect_failure(try_server("socket", NULL),
                   "unix_server: bind socket: Address already in use",
                   TAKEN_HINT);
    assert_int_equal(lstat("socket", &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    /* The second has left without a trace: no client has been accepted. */
    assert_int_equal(count_said(first, "*: accept(3) = *"), 0);
    expect_echo();
    stop(first);
    assert_int_equal(count_said(first, "*: accept(3) = *"), 1);
}

/* One that does not listen yet, and one that never will. */
static void test_socket_that_is_open_is_not_replaced(void **state)
{
    (void)state;
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "starting"};
    int starting = socket(AF_UNIX, SOCK_STREAM, 0);
    int datagrams = bound_datagram("datagrams");

    assert_int_equal(bind(starting, (struct sockaddr *)&path, sizeof path), 0);
    expect_failure(try_server("starting", NULL),
                   "unix_server: bind starting: Address already in use",
                   TAKEN_HINT);
    expect_failure(try_server("datagrams", NULL),
                   "unix_server: bind datagrams: Address already in use",
                   TAKEN_HINT);
    assert_true(is_there("starting"));
    assert_true(is_there("datagrams"));
    close(starting);
    close(datagrams);
    unlink("starting");
    unlink("datagrams");
}

/* ---- Whose the path is ---- */

static void test_socket_file_is_the_owners_alone(void **state)
{
    (void)state;
    struct stat status;
    struct terminal *s = start("/bin/sh", "-c", "umask 0; exec \"$0\" socket",
                               pair.server, NULL);

    ready_address(s);
    assert_int_equal(lstat("socket", &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_uid, geteuid());
    assert_int_equal(status.st_mode & (S_IRWXG | S_IRWXO), 0);
    assert_int_equal(status.st_mode & (S_IRUSR | S_IWUSR), S_IRUSR | S_IWUSR);
    stop(s);
}

static void test_path_is_removed_at_the_end(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct terminal *s = open_server("-n", "1", "socket", NULL);

    assert_true(is_there("socket"));
    expect_echo();
    finish_with(s, 0);
    assert_false(is_there("socket"));

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        s = open_server("socket", NULL);
        assert_true(is_there("socket"));
        signal_program(s, numbers[i]);
        ends_with(s, 128 + numbers[i]);
        assert_false(is_there("socket"));
        assert_int_equal(count_said(s, "unix_server: unlink(socket) = 0"), 1);
    }
}

static void test_path_is_removed_quietly_with_q(void **state)
{
    (void)state;
    struct terminal *s = open_server("-q", "socket", NULL);

    stop(s);
    assert_false(is_there("socket"));
    assert_said(s, "unix_server: ready on socket", NULL);
}

static void test_child_does_not_remove_the_path(void **state)
{
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT, SIGKILL};
    struct terminal *s = open_server("socket", NULL);

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct terminal *c = open_client(PLACE, "-", NULL);
        type(c, "hello\n");
        expect_printed(c, "hello\n");
        pid_t child = last_child(s);
        assert_int_equal(kill(child, numbers[i]), 0);
        ends_with(c, 1);
        expect_gone(child);
        assert_true(is_there("socket"));
    }
    expect_echo(); /* nor one that ends by itself */
    expect_gone(last_child(s));
    assert_true(is_there("socket"));
    assert_not_said(s, "*: unlink(*");
    stop(s);
}

static void test_file_that_has_taken_the_path_stays(void **state)
{
    (void)state;
    struct terminal *s = open_server("socket", NULL);

    unlink("socket");
    write_notes("socket");
    stop(s);
    expect_notes("socket");
    assert_not_said(s, "*: unlink(*");
    unlink("socket");
}

static void test_server_that_has_taken_the_path_stays(void **state)
{
    (void)state;
    struct terminal *first = open_server("-n", "1", "socket", NULL);
    int fd = connect_here();
    char byte;

    transmit(fd, "x", 1);
    assert_int_equal(receive(fd, &byte, 1), 1);
    unlink("socket");
    struct terminal *second = open_server("socket", NULL);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    finish_with(first, 0);
    assert_not_said(first, "*: unlink(*");
    close(fd);
    expect_echo();
    stop(second);
}

static bool has_decided(const void *argument)
{
    const struct terminal *t = *(const struct terminal *const *)argument;

    return t->error == -1 || count_said(t, "*: ready on *") == 1;
}

/* Servers start on one path at the same moment: exactly one serves. */
static void start_at_once(bool stale)
{
    enum { TIMES = 50, SLOW_TIMES = 5, SERVERS = 4 };
    /* Where the programs run slowly, fewer times will do. */
    int times = getenv("TEST_DEADLINE") == NULL ? TIMES : SLOW_TIMES;

    for (int time = 0; time < times; time++) {
        struct terminal *all[SERVERS];
        struct terminal *winner = NULL;

        if (stale) {
            leave_stale_socket("socket");
        }
        for (int i = 0; i < SERVERS; i++) {
            all[i] = start("/bin/sh", "-c",
                           "echo waits >&2; read -r go; exec \"$0\" \"$@\"",
                           pair.server, "socket", NULL);
        }
        for (int i = 0; i < SERVERS; i++) {
            expect_said(all[i], "waits");
        }
        for (int i = 0; i < SERVERS; i++) {
            type(all[i], "go\n"); /* written to all of them at once */
        }
        for (int i = 0; i < SERVERS; i++) {
            expect_true(has_decided, &all[i], "a server's start or end");
            if (count_said(all[i], "*: ready on *") == 0) {
                expect_failure(
                    all[i], "unix_server: bind socket: Address already in use",
                    TAKEN_HINT);
            } else {
                assert_null(winner);
                winner = all[i];
            }
        }
        assert_non_null(winner);
        use_place(ready_address(winner));
        expect_echo();
        assert_int_equal(count_said(winner, "*: accept(3) = *"), 1);
        stop(winner);
        assert_false(is_there("socket"));
    }
}

static void test_one_of_several_servers_that_start_at_once_serves(void **state)
{
    (void)state;

    start_at_once(false);
}

static void test_one_of_several_servers_replaces_a_stale_socket(void **state)
{
    (void)state;

    start_at_once(true);
}

/* Between its look at a stale socket and its bind, the file beside it keeps
 * the others out: the race in slow motion. */
static void test_server_that_is_just_starting_is_respected(void **state)
{
    (void)state;
    struct stat before;
    struct stat after;

    leave_stale_socket("socket");
    write_notes("socket.lock");
    assert_int_equal(lstat("socket", &before), 0);
    struct terminal *s = try_server("socket", NULL);
    expect_failure(s, "unix_server: bind socket: Address already in use",
                   TAKEN_HINT);
    assert_said_among(s, "unix_server: socket.lock *", NULL);
    assert_int_equal(lstat("socket", &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    expect_notes("socket.lock");
    unlink("socket");
    unlink("socket.lock");
}

/* ---- Failures ---- */

static void test_server_is_not_started(void **state)
{
    (void)state;

    expect_failure(
        open_client("socket", NULL),
        "unix_client: connect socket: No such file or directory",
        "unix_client: hint: nothing is there: *folder*server*started*");
    /* Quietly too: only the story is left out. */
    struct terminal *quiet = open_client("-q", "socket", NULL);
    ends_with(quiet, 1);
    assert_said(quiet, "unix_client: connect socket: No such file or directory",
                "unix_client: hint: *", NULL);
}

static void test_nobody_listens(void **state)
{
    (void)state;

    leave_stale_socket("stale");
    write_notes("notes");
    expect_failure(open_client("stale", NULL),
                   "unix_client: connect stale: Connection refused",
                   "unix_client: hint: nobody listens on this path: *");
    expect_failure(open_client("notes", NULL),
                   "unix_client: connect notes: Connection refused",
                   "unix_client: hint: nobody listens on this path: *");
    unlink("stale");
    unlink("notes");
}

static void test_folder_is_not_there(void **state)
{
    (void)state;

    write_notes("notes");
    expect_failure(try_server("notes/socket", NULL),
                   "unix_server: bind notes/socket: Not a directory",
                   "unix_server: hint: what the path names as a folder is "
                   "none");
    unlink("notes");
    expect_failure(try_server("no/socket", NULL),
                   "unix_server: bind no/socket: No such file or directory",
                   "unix_server: hint: nothing is there: *folder*");
}

static void test_folder_of_another_user(void **state)
{
    (void)state;
    need_nobody(pair.client);
    need_nobody(pair.server);
    struct terminal *s = open_server("socket", NULL);

    expect_failure(start_as_nobody(pair.client, PLACE, NULL),
                   "unix_client: connect socket: Permission denied",
                   "unix_client: hint: the path, or its folder, belongs to "
                   "another user*take a path of your own");
    expect_failure(start_as_nobody(pair.server, "another", NULL),
                   "unix_server: bind another: Permission denied",
                   "unix_server: hint: the path, or its folder, belongs to "
                   "another user*take a path of your own");
    stop(s);
}

/* In a folder that is everybody's. */
static void test_socket_of_another_user(void **state)
{
    (void)state;
    need_nobody(pair.client);
    need_nobody(pair.server);
    assert_int_equal(chmod(stage(), 0777), 0);
    struct terminal *s = open_server("socket", NULL);

    expect_failure(start_as_nobody(pair.client, PLACE, NULL),
                   "unix_client: connect socket: Permission denied",
                   "unix_client: hint: *belongs to another user*");
    stop(s);

    leave_stale_socket("stale");
    expect_failure(start_as_nobody(pair.server, "stale", NULL),
                   "unix_server: bind stale: Permission denied",
                   "unix_server: hint: *belongs to another user*");
    assert_true(is_there("stale"));
    unlink("stale");
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_conversation),
        STREAM_TEST(test_defaults),
        STREAM_TEST(test_usage_tells_the_defaults),
        STREAM_TEST(test_longest_path_works),
        STREAM_TEST(test_longest_path_of_a_stale_socket_works),
        STREAM_TEST(test_longer_paths_are_refused_with_the_limit),
        STREAM_TEST(test_empty_path_is_refused),
        STREAM_TEST(test_path_with_control_bytes_is_shown_escaped),
        STREAM_TEST(test_absolute_path_works),
        STREAM_TEST(test_regular_file_is_untouched),
        STREAM_TEST(test_empty_file_is_untouched),
        STREAM_TEST(test_directory_is_untouched),
        STREAM_TEST(test_fifo_is_untouched),
        STREAM_TEST(test_links_are_untouched),
        STREAM_TEST(test_stale_socket_is_replaced),
        STREAM_TEST(test_live_server_is_not_replaced),
        STREAM_TEST(test_socket_that_is_open_is_not_replaced),
        STREAM_TEST(test_socket_file_is_the_owners_alone),
        STREAM_TEST(test_path_is_removed_at_the_end),
        STREAM_TEST(test_path_is_removed_quietly_with_q),
        STREAM_TEST(test_child_does_not_remove_the_path),
        STREAM_TEST(test_file_that_has_taken_the_path_stays),
        STREAM_TEST(test_server_that_has_taken_the_path_stays),
        STREAM_TEST(test_one_of_several_servers_that_start_at_once_serves),
        STREAM_TEST(test_one_of_several_servers_replaces_a_stale_socket),
        STREAM_TEST(test_server_that_is_just_starting_is_respected),
        STREAM_TEST(test_server_is_not_started),
        STREAM_TEST(test_nobody_listens),
        STREAM_TEST(test_folder_is_not_there),
        STREAM_TEST(test_folder_of_another_user),
        STREAM_TEST(test_socket_of_another_user),
    };

    int failed = run_stream_tests(argc, argv);
    failed += cmocka_run_group_tests_name("unix pair", tests, NULL, NULL);
    return failed == 0 ? 0 : 1;
}
