/*
 * test_fifo.c - fifo_writer and fifo_reader, end to end.
 *
 * Arguments: the paths of the two programs. In most dialogues the FIFO is
 * "pipe", in the folder of the test; the teardown finds what is left there.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SOMEBODY = 65534, /* a user id that is not root's */
};

static const char *writer;
static const char *reader;

/* ---- Helpers of the dialogues ---- */

/* Starts a program at a path; it has opened nothing yet, and waits. */
static struct terminal *start_reader(const char *path)
{
    struct terminal *r = start(reader, path, NULL);

    expect_said(r, "fifo_reader: open(*, O_RDONLY) waits for a writer");
    return r;
}

static struct terminal *start_writer(const char *path, const char *message)
{
    struct terminal *w = start(writer, path, message, NULL);

    expect_said(w, "fifo_writer: open(*, O_WRONLY) waits for a reader");
    return w;
}

/* A writer that types and a reader that has printed its first line. */
static void start_conversation(struct terminal **w, struct terminal **r)
{
    *w = start(writer, "pipe", "-", NULL);
    *r = start(reader, "pipe", NULL);
    type(*w, "first\n");
    expect_printed(*r, "first\n");
}

/* The writer says that nobody reads any more. */
static void assert_broken_pipe(struct terminal *w)
{
    finish_with(w, 1);
    assert_said_among(w, "fifo_writer: write pipe: Broken pipe",
                      "fifo_writer: hint: the other side has gone*", NULL);
}

static void assert_killed(struct terminal *t, int number)
{
    signal_program(t, number);
    assert_int_equal(wait_end(t), 128 + number);
}

static void make_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_file(const char *path)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs("precious\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The file of make_file() is as it was; removes it. */
static void assert_precious(const char *path)
{
    char content[32] = "";
    struct stat status;
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    assert_int_equal(fread(content, 1, sizeof content - 1, file), 9);
    fclose(file);
    assert_string_equal(content, "precious\n");
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(unlink(path), 0);
}

/* ---- Conversations ---- */

static void test_the_reader_may_start_first(void **state)
{
    (void)state;
    struct terminal *r = start_reader("pipe");
    struct terminal *w = start(writer, "pipe", NULL);

    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "Hello, reader!\n");
    expect_printed(w, "");
    assert_said(w, "fifo_writer: open(pipe, O_WRONLY) waits for a reader",
                "fifo_writer: open(pipe, O_WRONLY) = 3, a reader is there",
                "fifo_writer: write(3) = 15 \"Hello, reader!\\n\"",
                "fifo_writer: close(3) = 0; writes: 1, 15 bytes", NULL);
    assert_said(r, "fifo_reader: mkfifo(pipe, 0600) = 0",
                "fifo_reader: open(pipe, O_RDONLY) waits for a writer",
                "fifo_reader: open(pipe, O_RDONLY) = 3, a writer is there",
                "fifo_reader: read(3) = 15 \"Hello, reader!\\n\"",
                "fifo_reader: read(3) = 0, end of file: *",
                "fifo_reader: unlink(pipe) = 0",
                "fifo_reader: read(3) = 0, end of file: *",
                "fifo_reader: close(3) = 0; reads: 1, 15 bytes", NULL);
    assert_false(is_there("pipe"));
}

static void test_the_writer_may_start_first(void **state)
{
    (void)state;
    struct terminal *w = start_writer("pipe", NULL);
    struct terminal *r = start(reader, "pipe", NULL);

    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "Hello, reader!\n");
    assert_said(w, "fifo_writer: mkfifo(pipe, 0600) = 0",
                "fifo_writer: open(pipe, O_WRONLY) waits for a reader",
                "fifo_writer: open(pipe, O_WRONLY) = 3, a reader is there",
                "fifo_writer: write(3) = 15 \"Hello, reader!\\n\"",
                "fifo_writer: close(3) = 0; writes: 1, 15 bytes", NULL);
    assert_said(r, "fifo_reader: open(pipe, O_RDONLY) waits for a writer",
                "fifo_reader: open(pipe, O_RDONLY) = 3, a writer is there",
                "fifo_reader: read(3) = 15 \"Hello, reader!\\n\"",
                "fifo_reader: read(3) = 0, end of file: *",
                "fifo_reader: unlink(pipe) = 0",
                "fifo_reader: read(3) = 0, end of file: *",
                "fifo_reader: close(3) = 0; reads: 1, 15 bytes", NULL);
    assert_false(is_there("pipe"));
}

static void test_both_may_start_at_the_same_moment(void **state)
{
    (void)state;
    enum { PAIRS = 30 };
    struct terminal *w[PAIRS];
    struct terminal *r[PAIRS];

    for (int i = 0; i < PAIRS; i++) {
        w[i] = start(writer, formatted("pipe %d", i),
                     formatted("message %d", i), NULL);
        r[i] = start(reader, formatted("pipe %d", i), NULL);
    }
    for (int i = 0; i < PAIRS; i++) {
        finish_with(w[i], 0);
        finish_with(r[i], 0);
        expect_printed(r[i], formatted("message %d\n", i));
        assert_false(is_there(formatted("pipe %d", i)));
    }
}

static void test_the_fifo_is_the_owners_alone(void **state)
{
    (void)state;
    static const char *const calls[] = {"reader", "writer"};
    mode_t before = umask(0); /* of a user who hides nothing */
    struct stat status;

    for (size_t i = 0; i < 2; i++) {
        struct terminal *t =
            i == 0 ? start_reader(calls[i]) : start_writer(calls[i], "-");
        assert_int_equal(lstat(calls[i], &status), 0);
        assert_true(S_ISFIFO(status.st_mode));
        assert_int_equal(status.st_mode & 07777, 0600);
        assert_killed(t, SIGTERM);
    }
    umask(before);
}

static void test_a_message_passes_with_one_newline(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "Hello", "你好，世界", "", "two\nlines", "--", "-q", "a newline\n"};

    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct terminal *r = start(reader, "pipe", NULL);
        struct terminal *w = start(writer, "pipe", messages[i], NULL);
        finish_with(w, 0);
        finish_with(r, 0);
        expect_printed(r, formatted("%s\n", messages[i]));
    }
}

static void test_chinese_stays_legible(void **state)
{
    (void)state;
    struct terminal *r = start_reader("管道");
    struct terminal *w = start(writer, "管道", "你好", NULL);

    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "你好\n");
    assert_said_among(r, "fifo_reader: mkfifo(管道, 0600) = 0",
                      "fifo_reader: read(3) = 7 \"你好\\n\"", NULL);
    assert_said_among(w, "fifo_writer: write(3) = 7 \"你好\\n\"", NULL);
}

static void test_standard_input_passes_unchanged(void **state)
{
    (void)state;
    enum { SIZE = 5 * 1024 * 1024 + 7 }; /* every byte value, no newline */
    unsigned char *bytes = random_bytes(SIZE, 4);
    struct terminal *w = start(writer, "pipe", "-", NULL);
    struct terminal *r = start(reader, "pipe", NULL);

    type_bytes(w, bytes, SIZE);
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed_bytes(r, bytes, SIZE);
    free(bytes);
    /* The story stays short, and ends with the total. */
    assert_true(count_said(w, "*") < 20 && count_said(r, "*") < 20);
    assert_said_among(
        w, "fifo_writer: read(0) waits for input (Ctrl-D ends it)",
        "fifo_writer: write(3) = *; from now on only counted",
        formatted("fifo_writer: close(3) = 0; writes: *, %d bytes", SIZE),
        NULL);
    assert_said_among(
        r, "fifo_reader: read(3) = *; from now on only counted",
        formatted("fifo_reader: close(3) = 0; reads: *, %d bytes", SIZE), NULL);
    assert_clean(w, "fifo_writer: ");
    assert_clean(r, "fifo_reader: ");
}

static void test_conversation_on_a_terminal(void **state)
{
    (void)state;
    struct terminal *w = start_on_terminal(writer, "pipe", "-", NULL);
    struct terminal *r = start_on_terminal(reader, "pipe", NULL);

    type(w, "Hello\n");
    expect_printed(r, "Hello\n");
    type(w, "\n");
    expect_printed(r, "Hello\n\n");
    type(w, "你好\n");
    expect_printed(r, "Hello\n\n你好\n");
    finish_with(w, 0);
    assert_int_equal(wait_end(r), 0);
    assert_said_among(w, "fifo_writer: write(3) = 6 \"Hello\\n\"",
                      "fifo_writer: write(3) = 1 \"\\n\"",
                      "fifo_writer: write(3) = 7 \"你好\\n\"",
                      "fifo_writer: close(3) = 0; writes: 3, 14 bytes", NULL);
}

static void test_empty_input_is_an_empty_stream(void **state)
{
    (void)state;
    struct terminal *r = start_reader("pipe");
    struct terminal *w = start(writer, "pipe", "-", NULL);

    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "");
    assert_said_among(w, "fifo_writer: close(3) = 0; writes: 0, 0 bytes", NULL);
    assert_said_among(r, "fifo_reader: close(3) = 0; reads: 0, 0 bytes", NULL);
}

static void test_control_bytes_never_reach_the_terminal_raw(void **state)
{
    (void)state;
    static const char typed[] = "\0\1\33]0;title\a\177\302\233\377\r\"\\\n";
    static const char shown[] = "\"\\0\\x01\\x1b]0;title\\x07\\x7f\\xc2\\x9b"
                                "\\xff\\r\\\"\\\\\\n\"\n";
    struct terminal *r = start(reader, "pi\33[2Jpe\n", NULL);
    struct terminal *w = start(writer, "pi\33[2Jpe\n", "-", NULL);

    type_bytes(w, typed, sizeof typed - 1);
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed_bytes(r, typed, sizeof typed - 1);
    assert_non_null(strstr(r->said.data, shown));
    assert_non_null(strstr(w->said.data, shown));
    assert_non_null(strstr(r->said.data, "pi\\x1b[2Jpe\\n"));
    assert_clean(r, "fifo_reader: ");
    assert_clean(w, "fifo_writer: ");
}

/* ---- Several writers ---- */

static void test_lines_of_several_writers_are_never_torn(void **state)
{
    (void)state;
    enum { WRITERS = 48, SHORT = 100 };
    struct terminal *writers[WRITERS];
    char line[PIPE_BUF]; /* with its newline, or NUL, all that is atomic */
    int seen[WRITERS] = {0};

    /* The reader stands still, until all writers press into the full pipe. */
    struct terminal *holder = start_writer("pipe", "-");
    struct terminal *r = start(reader, "pipe", NULL);
    type(holder, "first\n");
    expect_printed(r, "first\n");
    suspend(r);
    for (int i = 0; i < WRITERS; i++) {
        size_t size = i % 3 == 0 ? SHORT : sizeof line;
        memset(line, '0' + i, size - 1);
        line[size - 1] = '\0';
        writers[i] = start(writer, "pipe", line, NULL);
    }
    for (int i = 0; i < WRITERS; i++) {
        expect_said(writers[i], "fifo_writer: open(*) = 3, a reader is there");
    }
    resume(r);
    for (int i = 0; i < WRITERS; i++) {
        finish_with(writers[i], 0);
    }
    finish_with(holder, 0);
    finish_with(r, 0);

    const char *next = r->printed.data + strlen("first\n");
    for (const char *end; (end = strchr(next, '\n')) != NULL; next = end + 1) {
        int i = *next - '0';
        assert_true(i >= 0 && i < WRITERS);
        size_t size = i % 3 == 0 ? SHORT : sizeof line;
        assert_int_equal(end - next, size - 1);
        for (const char *byte = next; byte < end; byte++) {
            assert_int_equal(*byte, *next);
        }
        seen[i]++;
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void test_lines_that_are_typed_are_never_torn(void **state)
{
    (void)state;
    enum { OTHERS = 10 };
    struct terminal *w;
    struct terminal *r;
    struct terminal *others[OTHERS];
    char printed[512] = "first\none line, in parts\n";

    start_conversation(&w, &r);
    type(w, "one line, ");
    expect_printed(r, "first\none line, ");
    for (int i = 0; i < OTHERS; i++) {
        others[i] = start(writer, "pipe", "another line", NULL);
        strcat(printed, "another line\n");
    }
    for (int i = 0; i < OTHERS; i++) {
        expect_said(others[i], "fifo_writer: fcntl(3, F_SETLKW) waits for "
                               "another writer to end its line");
    }
    type(w, "in parts\n");
    for (int i = 0; i < OTHERS; i++) {
        finish_with(others[i], 0);
    }
    expect_printed(r, printed);
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, printed);
}

/* Longer ones than the kernel keeps in one piece. */
static void test_long_lines_are_never_torn(void **state)
{
    (void)state;
    enum { WRITERS = 4, LINES = 40, SIZE = 3 * PIPE_BUF };
    struct terminal *holder = start_writer("pipe", "-");
    struct terminal *r = start(reader, "pipe", NULL);
    struct terminal *writers[WRITERS];
    static char line[SIZE];
    int seen[WRITERS] = {0};

    type(holder, "first\n");
    expect_printed(r, "first\n");
    for (int i = 0; i < WRITERS; i++) {
        memset(line, 'a' + i, SIZE - 1);
        line[SIZE - 1] = '\n';
        writers[i] = start(writer, "pipe", "-", NULL);
        for (int k = 0; k < LINES; k++) {
            type_bytes(writers[i], line, SIZE);
        }
        end_input(writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        finish_with(writers[i], 0);
    }
    finish_with(holder, 0);
    finish_with(r, 0);
    const char *next = r->printed.data + strlen("first\n");
    for (const char *end; (end = strchr(next, '\n')) != NULL; next = end + 1) {
        assert_int_equal(end - next, SIZE - 1);
        for (const char *byte = next; byte < end; byte++) {
            assert_int_equal(*byte, *next);
        }
        seen[*next - 'a']++;
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(seen[i], LINES);
    }
}

/* One writer is in the middle of a line, and stays there. */
static void test_a_writer_that_waits_for_its_turn_sees_the_end(void **state)
{
    (void)state;
    struct terminal *w;
    struct terminal *r;

    start_conversation(&w, &r);
    type(w, "half a line");
    expect_printed(r, "first\nhalf a line");
    struct terminal *other = start(writer, "pipe", "other", NULL);
    expect_said(other, "fifo_writer: fcntl(3, F_SETLKW) waits for another *");
    assert_killed(r, SIGKILL);
    assert_broken_pipe(other);
    type(w, "\n");
    assert_broken_pipe(w);
    assert_false(is_there("pipe"));
}

static void test_the_reader_reads_until_the_last_writer_has_closed(void **state)
{
    (void)state;
    struct terminal *w;
    struct terminal *r;

    start_conversation(&w, &r);
    struct terminal *other = start(writer, "pipe", "other", NULL);
    finish_with(other, 0);
    expect_printed(r, "first\nother\n");
    type(w, "last\n");
    expect_printed(r, "first\nother\nlast\n");
    assert_not_said(r, "*end of file*");
    assert_true(is_there("pipe"));
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "first\nother\nlast\n");
}

static void test_strangers_read_and_write(void **state)
{
    (void)state;
    struct terminal *r = start_reader("pipe");
    struct terminal *shell =
        start("/bin/sh", "-c", "printf 'one\\ntwo' >pipe", NULL);
    finish_with(shell, 0);
    finish_with(r, 0);
    expect_printed(r, "one\ntwo");

    r = start_reader("pipe");
    shell = start("/bin/sh", "-c", "echo hello >pipe", NULL);
    finish_with(shell, 0);
    finish_with(r, 0);
    expect_printed(r, "hello\n");

    struct terminal *w = start_writer("pipe", "你好");
    shell = start("/bin/sh", "-c", "cat pipe && rm -f pipe", NULL);
    finish_with(w, 0);
    finish_with(shell, 0);
    expect_printed(shell, "你好\n");

    /* Our reader, between strangers. */
    make_fifo("pipe");
    shell = start("/bin/sh", "-c", "(echo a; exec cat) >pipe", NULL);
    r = start(reader, "pipe", NULL);
    type(shell, "b\n");
    expect_printed(r, "a\nb\n");
    finish_with(shell, 0);
    finish_with(r, 0);
}

/* ---- What is at the path ---- */

static void test_a_fifo_of_the_user_is_used_and_removed(void **state)
{
    (void)state;
    make_fifo("pipe");
    struct terminal *r = start(reader, "pipe", NULL);
    struct terminal *w = start(writer, "pipe", "Hello", NULL);

    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "Hello\n");
    assert_not_said(r, "*mkfifo*");
    assert_not_said(w, "*mkfifo*");
    assert_said_among(r, "fifo_reader: unlink(pipe) = 0", NULL);
    assert_false(is_there("pipe"));
}

/* Both programs refuse what is at the path, and leave it as it is. */
static void assert_untouched(const char *path, const char *reason,
                             const char *hint)
{
    struct stat before;
    struct stat after;

    assert_int_equal(lstat(path, &before), 0);
    expect_failure(start(reader, path, NULL),
                   formatted("fifo_reader: * %s: %s", path, reason),
                   formatted("fifo_reader: hint: %s", hint));
    expect_failure(start(writer, path, NULL),
                   formatted("fifo_writer: * %s: %s", path, reason),
                   formatted("fifo_writer: hint: %s", hint));
    expect_failure(start(writer, path, "-", NULL),
                   formatted("fifo_writer: * %s: %s", path, reason),
                   formatted("fifo_writer: hint: %s", hint));
    assert_int_equal(lstat(path, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_mtime, before.st_mtime);
}

static const char else_hint[] = "something else is at this path*";

static void test_a_file_at_the_path_stays(void **state)
{
    (void)state;
    make_file("pipe");
    assert_untouched("pipe", "File exists", else_hint);
    assert_precious("pipe");
}

static void test_a_folder_at_the_path_stays(void **state)
{
    (void)state;
    assert_int_equal(mkdir("pipe", 0700), 0);
    assert_untouched("pipe", "File exists", else_hint);
    assert_int_equal(rmdir("pipe"), 0);
}

static void test_links_at_the_path_stay(void **state)
{
    (void)state;
    static const char *const targets[] = {"fifo", "file", "nothing", "pipe"};

    make_fifo("fifo"); /* even to a FIFO: who knows whose it will be */
    make_file("file");
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(symlink(targets[i], "pipe"), 0);
        assert_untouched("pipe", "File exists", else_hint);
        assert_int_equal(unlink("pipe"), 0);
    }
    assert_false(is_there("nothing"));
    assert_precious("file");
    assert_int_equal(unlink("fifo"), 0);
}

static void test_a_socket_at_the_path_stays(void **state)
{
    (void)state;
    int fd = listen_on("./pipe");

    assert_untouched("pipe", "File exists", else_hint);
    close(fd);
    assert_int_equal(unlink("pipe"), 0);
}

static void test_a_device_at_the_path_stays(void **state)
{
    (void)state;
    struct stat null;

    assert_int_equal(stat("/dev/null", &null), 0);
    if (mknod("pipe", S_IFCHR | 0600, null.st_rdev) == -1) {
        skip(); /* only root may make one, and not everywhere */
    }
    assert_untouched("pipe", "File exists", else_hint);
    assert_int_equal(unlink("pipe"), 0);
}

static void test_a_fifo_of_another_user_stays(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* only root can make one */
    }
    make_fifo("pipe");
    assert_int_equal(chown("pipe", SOMEBODY, SOMEBODY), 0);
    assert_untouched("pipe", "Permission denied", "*belongs to another user*");
    assert_int_equal(unlink("pipe"), 0);
}

static void test_paths_that_can_not_be(void **state)
{
    (void)state;
    static const char *const names[] = {"fifo_reader", "fifo_writer"};
    char too_long[301];

    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    make_file("file");
    for (size_t i = 0; i < 2; i++) {
        const char *program = i == 0 ? reader : writer;
        expect_failure(
            start(program, too_long, NULL),
            formatted("%s: mkfifo xxx*: File name too long", names[i]),
            formatted("%s: hint: take a shorter path*", names[i]));
        expect_failure(
            start(program, "missing/pipe", NULL),
            formatted("%s: mkfifo missing/pipe: No such file or directory",
                      names[i]),
            formatted("%s: hint: *folder*", names[i]));
        expect_failure(
            start(program, "", NULL),
            formatted("%s: mkfifo : No such file or directory", names[i]),
            formatted("%s: hint: *", names[i]));
        finish_with(start(program, "file/pipe", NULL), 1);
        /* mkfifo says that something is there, and lstat that nothing is. */
        assert_int_equal(symlink("nowhere", "link"), 0);
        expect_failure(
            start(program, "link/", NULL),
            formatted("%s: mkfifo link/: No such file or directory", names[i]),
            formatted("%s: hint: *folder*", names[i]));
        assert_int_equal(unlink("link"), 0);
    }
    assert_precious("file");
}

static const char *run_as_somebody; /* "./reader" or "./writer" */
static const char *operand_of_somebody;

/* Becomes a program of a user without privileges. */
static void become_somebody(void)
{
    char *arguments[] = {(char *)(uintptr_t)run_as_somebody,
                         (char *)(uintptr_t)operand_of_somebody, NULL};

    if (geteuid() == 0 && (setgid(SOMEBODY) == -1 || setuid(SOMEBODY) == -1)) {
        _exit(126);
    }
    execv(run_as_somebody, arguments);
    _exit(127);
}

static void test_a_folder_without_permission(void **state)
{
    (void)state;
    static const char *const names[] = {"reader", "writer"};
    bool can_run = true;

    assert_int_equal(chmod(".", 0755), 0);
    assert_int_equal(mkdir("closed", 0555), 0);
    copy_program(reader, "reader");
    copy_program(writer, "writer");
    for (size_t i = 0; i < 2; i++) {
        run_as_somebody = formatted("./%s", names[i]);
        operand_of_somebody = "-h";
        can_run = can_run && finish(start_function(become_somebody)) == 0;
        if (can_run) {
            operand_of_somebody = "closed/pipe";
            expect_failure(
                start_function(become_somebody),
                formatted("fifo_%s: mkfifo closed/pipe: Permission denied",
                          names[i]),
                formatted("fifo_%s: hint: *belongs to another user*",
                          names[i]));
        }
        assert_int_equal(unlink(names[i]), 0);
    }
    assert_int_equal(rmdir("closed"), 0);
    if (!can_run) {
        skip(); /* not even a copy is for everybody, such as a stand-in's */
    }
}

/* ---- One side goes ---- */

static void test_the_reader_is_killed_and_the_writer_writes_on(void **state)
{
    (void)state;
    static const int numbers[] = {SIGKILL, SIGTERM, SIGINT};
    struct terminal *w;
    struct terminal *r;

    for (size_t i = 0; i < 3; i++) {
        for (int order = 0; order < 3; order++) {
            if (order == 0) {
                w = start_writer("pipe", "-");
                r = start(reader, "pipe", NULL);
            } else if (order == 1) {
                r = start_reader("pipe");
                w = start(writer, "pipe", "-", NULL);
            } else { /* the user has made the FIFO */
                make_fifo("pipe");
                r = start(reader, "pipe", NULL);
                w = start(writer, "pipe", "-", NULL);
            }
            type(w, "first\n");
            expect_printed(r, "first\n");
            assert_killed(r, numbers[i]);
            type(w, "second\n");
            assert_broken_pipe(w);
            assert_false(is_there("pipe"));
        }
    }
}

static void test_the_reader_is_killed_while_the_pipe_is_full(void **state)
{
    (void)state;
    enum { SIZE = 4 * 1024 * 1024 };
    unsigned char *bytes = random_bytes(SIZE, 5);
    struct terminal *w;
    struct terminal *r;

    start_conversation(&w, &r);
    suspend(r);
    type_bytes(w, bytes, SIZE);
    free(bytes);
    expect_said(w, "fifo_writer: write(3) = 6 \"first\\n\"");
    expect_said(w, "fifo_writer: write(3) = *"); /* some of it */
    assert_killed(r, SIGKILL);
    assert_broken_pipe(w);
    assert_false(is_there("pipe"));
}

static void test_the_reader_is_killed_and_the_input_ends(void **state)
{
    (void)state;
    struct terminal *w;
    struct terminal *r;

    /* What it had not read is lost: the writer must not end as if all went
     * well. */
    start_conversation(&w, &r);
    suspend(r);
    type_now(w, "lost\n");
    expect_said(w, "fifo_writer: write(3) = 5 \"lost\\n\"");
    assert_killed(r, SIGKILL);
    assert_broken_pipe(w);
    assert_false(is_there("pipe"));
}

/* Whoever reads it removes it, also when the writer who made it has ended. */
static void test_the_reader_is_ended_behind_its_writer(void **state)
{
    (void)state;
    static char
        much[PIPE_BUF * 8]; /* room in the FIFO, not in standard output */
    struct terminal *w = start_writer("pipe", "-");

    make_fifo("output");
    int reading = open("output", O_RDONLY | O_NONBLOCK);
    int writing = open("output", O_WRONLY | O_NONBLOCK);
    while (write(writing, much, 1) == 1) {
    }
    struct terminal *r = start_redirected(">output", reader, "pipe", NULL);
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 2] = '\n';
    type(w, much);
    finish_with(w, 0);
    expect_said(r, "fifo_reader: read(3) = *");
    assert_true(is_there("pipe"));
    assert_killed(r, SIGTERM);
    assert_false(is_there("pipe"));
    close(reading);
    close(writing);
    assert_int_equal(unlink("output"), 0);
}

/* A file that may not grow: no signal ends the reader. */
static void test_a_file_size_limit_is_told(void **state)
{
    (void)state;
    enum { SIZE = 64 * 1024 }; /* bytes: more than the limit's one block */
    unsigned char *bytes = random_bytes(SIZE, 3);
    struct terminal *r = start(
        "/bin/sh", "-c", "ulimit -f 1 && exec \"$0\" pipe >file", reader, NULL);
    struct terminal *w = start(writer, "pipe", "-", NULL);

    type_bytes(w, bytes, SIZE);
    finish_with(r, 1);
    assert_said_among(r, "fifo_reader: write standard output: File too large",
                      NULL);
    finish(w);
    free(bytes);
    assert_false(is_there("pipe"));
    assert_int_equal(unlink("file"), 0);
}

static void test_the_writer_is_killed(void **state)
{
    (void)state;
    static const int numbers[] = {SIGKILL, SIGTERM, SIGINT};
    struct terminal *w;
    struct terminal *r;

    for (size_t i = 0; i < 3; i++) {
        for (int order = 0; order < 2; order++) {
            if (order == 0) {
                w = start_writer("pipe", "-");
                r = start(reader, "pipe", NULL);
            } else {
                r = start_reader("pipe");
                w = start(writer, "pipe", "-", NULL);
            }
            type(w, "first\n");
            expect_printed(r, "first\n");
            assert_killed(w, numbers[i]);
            assert_int_equal(wait_end(r), 0);
            expect_printed(r, "first\n");
            assert_said_among(r, "fifo_reader: read(3) = 0, end of file: *",
                              NULL);
            assert_false(is_there("pipe"));
        }
    }
}

static void test_stopped_while_it_waits_it_removes_what_it_made(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < 3; i++) {
        struct terminal *r = start_reader("pipe");
        assert_killed(r, numbers[i]);
        assert_false(is_there("pipe"));
        assert_said_among(r, "fifo_reader: unlink(pipe) = 0", NULL);

        struct terminal *w = start_writer("pipe", NULL);
        assert_killed(w, numbers[i]);
        assert_false(is_there("pipe"));
        assert_said_among(w, "fifo_writer: unlink(pipe) = 0", NULL);
    }
}

static void test_stopped_while_it_waits_it_leaves_what_was_there(void **state)
{
    (void)state;
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};

    make_fifo("pipe");
    for (size_t i = 0; i < 3; i++) {
        assert_killed(start_reader("pipe"), numbers[i]);
        assert_true(is_there("pipe"));
        assert_killed(start_writer("pipe", "-"), numbers[i]);
        assert_true(is_there("pipe"));
    }
    assert_int_equal(unlink("pipe"), 0);

    /* Also when it is the partner's. */
    struct terminal *first = start_reader("pipe");
    struct terminal *second = start_reader("pipe");
    assert_killed(second, SIGTERM);
    assert_true(is_there("pipe"));
    finish_with(start(writer, "pipe", "Hello", NULL), 0);
    finish_with(first, 0);
    expect_printed(first, "Hello\n");
}

static void test_a_path_that_was_removed_is_made_again(void **state)
{
    (void)state;
    struct terminal *r = start_reader("first");
    struct terminal *w = start_writer("second", "-");

    assert_int_equal(unlink("first"), 0);
    assert_int_equal(unlink("second"), 0);
    expect_true(is_there, "first", "the reader makes its FIFO again");
    expect_true(is_there, "second", "the writer makes its FIFO again");
    finish_with(start(writer, "first", "Hello", NULL), 0);
    finish_with(r, 0);
    expect_printed(r, "Hello\n");
    r = start(reader, "second", NULL);
    type(w, "Hello again\n");
    expect_printed(r, "Hello again\n");
    finish_with(w, 0);
    finish_with(r, 0);
    assert_said_among(w, "fifo_writer: mkfifo(second, 0600) = 0",
                      "fifo_writer: open(second, O_WRONLY) waits *",
                      "fifo_writer: mkfifo(second, 0600) = 0",
                      "fifo_writer: open(second, O_WRONLY) = 3, *", NULL);
}

static void test_what_others_put_at_the_path_stays(void **state)
{
    (void)state;
    struct terminal *waits[2] = {start_reader("0"), start_writer("1", NULL)};
    struct terminal *killed[4] = {start_reader("2"), start_writer("3", NULL),
                                  start_reader("4"), start_writer("5", NULL)};
    struct terminal *w;
    struct terminal *r;

    /* While they wait: at their next look they refuse it. The FIFO goes on
     * under another name, so that its inode number is not given away again;
     * and the path is never empty, else they would make the FIFO again. */
    for (int i = 0; i < 6; i++) {
        assert_int_equal(link(formatted("%d", i), formatted("old %d", i)), 0);
        if (i < 4) {
            make_file("new");
        } else {
            make_fifo("new"); /* a FIFO, but not theirs */
        }
        assert_int_equal(rename("new", formatted("%d", i)), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_killed(killed[i], SIGTERM);
    }
    for (int i = 0; i < 2; i++) {
        finish_with(waits[i], 1);
        assert_said_among(waits[i], formatted("*: mkfifo %d: File exists", i),
                          formatted("*: hint: %s", else_hint), NULL);
    }
    for (int i = 0; i < 4; i++) {
        assert_precious(formatted("%d", i));
    }
    assert_int_equal(unlink("4"), 0);
    assert_int_equal(unlink("5"), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(unlink(formatted("old %d", i)), 0);
    }

    /* While they talk. */
    start_conversation(&w, &r);
    assert_int_equal(unlink("pipe"), 0);
    make_file("pipe");
    type(w, "second\n");
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "first\nsecond\n");
    assert_precious("pipe");

    start_conversation(&w, &r);
    assert_int_equal(unlink("pipe"), 0);
    make_file("pipe");
    assert_killed(r, SIGTERM);
    type(w, "second\n");
    assert_broken_pipe(w);
    assert_precious("pipe");
}

static void test_being_stopped_and_continued_disturbs_none(void **state)
{
    (void)state;
    struct terminal *r = start_reader("pipe");
    suspend(r);
    resume(r);
    struct terminal *w = start(writer, "pipe", "-", NULL);
    type(w, "one\n");
    expect_printed(r, "one\n");
    suspend(r);
    suspend(w);
    type_now(w, "two\n");
    resume(w);
    expect_said(w, "fifo_writer: write(3) = 4 \"two\\n\"");
    resume(r);
    expect_printed(r, "one\ntwo\n");
    finish_with(w, 0);
    finish_with(r, 0);

    w = start_writer("pipe", "Hello");
    suspend(w);
    r = start_reader("pipe");
    resume(w);
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "Hello\n");
}

/* ---- Output and input ---- */

static void test_output_that_fails_is_told(void **state)
{
    (void)state;
    static const char *const redirections[] = {">/dev/full", ">&-"};
    static const char *const reasons[] = {"No space left on device",
                                          "Bad file descriptor"};

    if (access("/dev/full", W_OK) == -1) {
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        struct terminal *r =
            start_redirected(redirections[i], reader, "pipe", NULL);
        struct terminal *w = start(writer, "pipe", "-", NULL);
        type(w, "first\n");
        assert_int_equal(wait_end(r), 1);
        assert_said_among(
            r, formatted("fifo_reader: write standard output: %s", reasons[i]),
            NULL);
        type(w, "second\n");
        assert_broken_pipe(w);
        assert_false(is_there("pipe"));

        r = start_redirected(redirections[i], reader, "-h", NULL);
        w = start_redirected(redirections[i], writer, "-h", NULL);
        finish_with(r, 1);
        finish_with(w, 1);
        assert_said(
            w, formatted("fifo_writer: write standard output: %s", reasons[i]),
            NULL);
    }

    struct terminal *r = start(reader, "pipe", NULL);
    struct terminal *w = start(writer, "pipe", "-", NULL);
    close(r->output); /* whoever read it has gone */
    r->output = -1;
    type(w, "first\n");
    assert_int_equal(wait_end(r), 1);
    assert_said_among(r, "fifo_reader: write standard output: Broken pipe",
                      "fifo_reader: hint: *", NULL);
    type(w, "second\n");
    assert_broken_pipe(w);
}

static void test_input_that_fails_is_told(void **state)
{
    (void)state;
    static const char *const redirections[] = {"<&-", "</"};
    static const char *const reasons[] = {"Bad file descriptor",
                                          "Is a directory"};

    for (size_t i = 0; i < 2; i++) {
        struct terminal *w =
            start_redirected(redirections[i], writer, "pipe", "-", NULL);
        struct terminal *r = start(reader, "pipe", NULL);
        finish_with(w, 1);
        assert_said_among(
            w, formatted("fifo_writer: read standard input: %s", reasons[i]),
            NULL);
        finish_with(r, 0);
        expect_printed(r, "");
        assert_false(is_there("pipe"));
    }

    /* It needs no input of its own for a MESSAGE. */
    struct terminal *w = start_redirected("<&- >&-", writer, "pipe", NULL);
    struct terminal *r = start_redirected("<&-", reader, "pipe", NULL);
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "Hello, reader!\n");
}

static void test_the_conversation_needs_no_story(void **state)
{
    (void)state;
    static const char *const redirections[] = {"2>&-", "2>/dev/full"};

    for (size_t i = 0; i < 2; i++) {
        struct terminal *r =
            start_redirected(redirections[i], reader, "pipe", NULL);
        struct terminal *w =
            start_redirected(redirections[i], writer, "pipe", NULL);
        finish_with(w, 0);
        finish_with(r, 0);
        expect_printed(r, "Hello, reader!\n");
    }
}

/* ---- Options and operands ---- */

static void test_help_names_the_defaults(void **state)
{
    (void)state;
    static const char *const options[] = {"-h", "--help", "-qh"};

    for (size_t i = 0; i < 3; i++) {
        struct terminal *r = start(reader, options[i], NULL);
        struct terminal *w = start(writer, options[i], "pipe", NULL);
        finish_with(r, 0);
        finish_with(w, 0);
        assert_said(r, NULL);
        assert_said(w, NULL);
        assert_non_null(strstr(r->printed.data, "usage: fifo_reader "));
        assert_non_null(strstr(w->printed.data, "usage: fifo_writer "));
        assert_non_null(strstr(r->printed.data, "(/tmp/fifo_pair.fifo)"));
        assert_non_null(strstr(w->printed.data, "(/tmp/fifo_pair.fifo)"));
        assert_non_null(strstr(w->printed.data, "(Hello, reader!)"));
        assert_non_null(strstr(r->printed.data, "  -q "));
        assert_non_null(strstr(w->printed.data, "  -q "));
    }
    assert_false(is_there("pipe"));
}

static void test_the_default_paths_meet(void **state)
{
    (void)state;
    /* In a /tmp of their own, so that nobody's default FIFO is disturbed. */
    copy_program(reader, "reader");
    copy_program(writer, "writer");
    struct terminal *probe =
        start("/bin/sh", "-c",
              "exec unshare -m sh -c 'mount -t tmpfs tmpfs /tmp && "
              "./reader -h && ./writer -h'",
              NULL);
    if (finish(probe) != 0) {
        assert_int_equal(unlink("reader"), 0);
        assert_int_equal(unlink("writer"), 0);
        skip(); /* it takes root, and Linux */
    }
    struct terminal *both =
        start("/bin/sh", "-c",
              "exec unshare -m sh -c 'mount -t tmpfs tmpfs /tmp; "
              "./writer & ./reader && wait $! && ls -A /tmp'",
              NULL);
    finish_with(both, 0);
    expect_printed(both, "Hello, reader!\n");
    assert_said_among(
        both, "fifo_*: open(/tmp/fifo_pair.fifo, O_*) = 3, a * is there",
        "fifo_*: open(/tmp/fifo_pair.fifo, O_*) = 3, a * is there", NULL);
    assert_int_equal(unlink("reader"), 0);
    assert_int_equal(unlink("writer"), 0);
}

static void test_quiet_leaves_the_errors(void **state)
{
    (void)state;
    struct terminal *w = start(writer, "-q", "pipe", "-", NULL);
    struct terminal *r = start(reader, "-q", "pipe", NULL);

    type(w, "Hello\n");
    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "Hello\n");
    assert_said(w, NULL);
    assert_said(r, NULL);

    r = start(reader, "-q", "missing/pipe", NULL);
    finish_with(r, 1);
    assert_said(r, "fifo_reader: mkfifo missing/pipe: No such file *",
                "fifo_reader: hint: *", NULL);

    r = start(reader, "-q", "pipe", NULL);
    expect_true(is_there, "pipe", "the reader makes its FIFO");
    assert_killed(r, SIGTERM);
    assert_said(r, NULL);
    assert_false(is_there("pipe"));
}

static void test_two_dashes_end_the_options(void **state)
{
    (void)state;
    struct terminal *r = start(reader, "-q", "--", "-q", NULL);
    struct terminal *w = start(writer, "--", "-q", "--help", NULL);

    finish_with(w, 0);
    finish_with(r, 0);
    expect_printed(r, "--help\n");
}

static void test_bad_options_are_refused(void **state)
{
    (void)state;
    expect_usage(start(reader, "-x", "pipe", NULL),
                 "fifo_reader: unknown option: -x");
    expect_usage(start(writer, "-x", "pipe", NULL),
                 "fifo_writer: unknown option: -x");
    expect_usage(start(writer, "--quiet", "pipe", NULL),
                 "fifo_writer: unknown option: --quiet");
    expect_usage(start(reader, "-n", "1", "pipe", NULL),
                 "fifo_reader: unknown option: -n");
    expect_usage(start(writer, "-n", "1", "pipe", NULL),
                 "fifo_writer: unknown option: -n");
    expect_usage(start(reader, "pipe", "more", NULL),
                 "fifo_reader: one operand too many: more");
    expect_usage(start(writer, "pipe", "message", "more", NULL),
                 "fifo_writer: one operand too many: more");
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_stage, close_stage)

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_reader_may_start_first),
        TEST(test_the_writer_may_start_first),
        TEST(test_both_may_start_at_the_same_moment),
        TEST(test_the_fifo_is_the_owners_alone),
        TEST(test_a_message_passes_with_one_newline),
        TEST(test_chinese_stays_legible),
        TEST(test_standard_input_passes_unchanged),
        TEST(test_conversation_on_a_terminal),
        TEST(test_empty_input_is_an_empty_stream),
        TEST(test_control_bytes_never_reach_the_terminal_raw),
        TEST(test_lines_of_several_writers_are_never_torn),
        TEST(test_lines_that_are_typed_are_never_torn),
        TEST(test_long_lines_are_never_torn),
        TEST(test_a_writer_that_waits_for_its_turn_sees_the_end),
        TEST(test_the_reader_reads_until_the_last_writer_has_closed),
        TEST(test_strangers_read_and_write),
        TEST(test_a_fifo_of_the_user_is_used_and_removed),
        TEST(test_a_file_at_the_path_stays),
        TEST(test_a_folder_at_the_path_stays),
        TEST(test_links_at_the_path_stay),
        TEST(test_a_socket_at_the_path_stays),
        TEST(test_a_device_at_the_path_stays),
        TEST(test_a_fifo_of_another_user_stays),
        TEST(test_paths_that_can_not_be),
        TEST(test_a_folder_without_permission),
        TEST(test_the_reader_is_killed_and_the_writer_writes_on),
        TEST(test_the_reader_is_killed_while_the_pipe_is_full),
        TEST(test_the_reader_is_killed_and_the_input_ends),
        TEST(test_the_reader_is_ended_behind_its_writer),
        TEST(test_a_file_size_limit_is_told),
        TEST(test_the_writer_is_killed),
        TEST(test_stopped_while_it_waits_it_removes_what_it_made),
        TEST(test_stopped_while_it_waits_it_leaves_what_was_there),
        TEST(test_a_path_that_was_removed_is_made_again),
        TEST(test_what_others_put_at_the_path_stays),
        TEST(test_being_stopped_and_continued_disturbs_none),
        TEST(test_output_that_fails_is_told),
        TEST(test_input_that_fails_is_told),
        TEST(test_the_conversation_needs_no_story),
        TEST(test_help_names_the_defaults),
        TEST(test_the_default_paths_meet),
        TEST(test_quiet_leaves_the_errors),
        TEST(test_two_dashes_end_the_options),
        TEST(test_bad_options_are_refused),
    };

    choose_tests();
    if (argc != 3) {
        fprintf(stderr, "usage: test_fifo WRITER READER\n");
        return 2;
    }
    writer = absolute(argv[1]);
    reader = absolute(argv[2]);
    return cmocka_run_group_tests_name("fifo", tests, NULL, NULL);
}
