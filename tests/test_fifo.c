/*
 * test_fifo.c - proves what fifo_writer and fifo_reader promise: every byte of
 * every writer arrives; what is no FIFO of the user stays as it is; and a
 * signal or a full disk disturbs no more than it must. What the pages show
 * (docs/) is proven there: the stories of both sides, either first, and a
 * writer whose reader has gone.
 *
 * In most scenes the FIFO is "pipe", in the folder of the test; what is left
 * there fails the test.
 */
#include "harness.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

enum side { READER, WRITER };
static const char *const names[] = {"fifo_reader", "fifo_writer"};
static struct program *sides[2]; /* of the conversation that is tested */

/* Starts one side, without a partner so far; it is about to wait in open. */
static struct program *start_waiting(int side, const char *operands)
{
    sides[side] = start("%s %s", names[side], operands);
    expect_said(sides[side], "*: open(*) waits for a *");
    return sides[side];
}

/* A writer that types, which has made the FIFO, and its reader. */
static void start_conversation(void)
{
    start_waiting(WRITER, "pipe -");
    sides[READER] = start("fifo_reader pipe");
    type(sides[WRITER], "first\n");
    expect_printed(sides[READER], "first\n");
}

/* ---- Conversations ---- */

/* Each line that is typed appears on the other side at once. To be stopped and
 * continued, while it waits or later, disturbs neither. */
SCENE(conversation_in_spite_of_stops)
{
    struct program *writer = start_waiting(WRITER, "pipe -");
    suspend(writer);
    struct program *reader = start_waiting(READER, "pipe");
    suspend(reader);
    resume(reader);
    resume(writer);
    type(writer, "Hello\n");
    expect_printed(reader, "Hello\n");
    suspend(reader);
    suspend(writer);
    type(writer, "你好\n");
    resume(writer);
    expect_said(writer, "fifo_writer: write(3) = 7 \"你好\\n\"");
    resume(reader);
    expect_printed(reader, "Hello\n你好\n");
    expect_status(writer, 0);
    expect_status(reader, 0);
}

/* Both sides in a shell, the reader in the background. Whatever comes, the
 * shell prints the statuses of writer and reader behind it. */
SCENE(what_the_sides_make_of_each_other)
{
    static const struct {
        const char *command, *printed, *told;
    } rows[] = {
        /* A MESSAGE gets one newline; input passes as it is. */
        {"fifo_reader pipe & fifo_writer pipe \"\"", "\n0 0\n",
         "fifo_reader: read(3) = 1 \"\\n\""},
        {"fifo_reader \"管\033\" & fifo_writer \"管\033\" 你好", "你好\n0 0\n",
         "fifo_reader: open(管\\x1b, O_RDONLY) = 3"},
        {"fifo_reader pipe | od -An -tx1 & "
         "printf \"\\000\\302\\233\\377\" | fifo_writer pipe -",
         " 00 c2 9b ff\n0 0\n", "*: read(3) = 4 \"\\x00\\xc2\\x9b\\xff\""},
        {"fifo_reader pipe & : | fifo_writer pipe -", "0 0\n",
         "fifo_reader: read(3) = 0, end of file"},
        /* 23 MB. */
        {"seq 3000000 >data; fifo_reader -q pipe | cmp - data &"
         "fifo_writer -q pipe - <data; rm data",
         "0 0\n", ""},
        /* The user has made the FIFO. */
        {"mkfifo pipe; fifo_reader pipe & fifo_writer pipe",
         "Hello, reader!\n0 0\n", "fifo_reader: unlink(pipe) = 0"},
        /* Input, output and errors that fail. */
        {"fifo_reader pipe <&- & fifo_writer pipe <&- >&- 2>&-",
         "Hello, reader!\n0 0\n", "fifo_reader: open(pipe, O_RDONLY) = 3"},
        {"fifo_reader pipe & fifo_writer pipe - </", "1 0\n",
         "fifo_writer: read(0) = -1 EISDIR (*"},
        {"fifo_reader pipe >&- & fifo_writer pipe", "0 1\n",
         "fifo_reader: write(1) = -1 EBADF (*"},
        {"mkfifo gone; fifo_reader pipe >gone & : <gone; rm gone; "
         "fifo_writer pipe",
         "0 1\n", "fifo_reader: write(1) = -1 EPIPE (*"},
    };

    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct program *both = start(
            "sh -c '%s; status=$?; wait $!; echo $status $?'", rows[i].command);
        expect_status(both, 0);
        expect_printed(both, rows[i].printed);
        expect_lines(both, rows[i].told);
        unlink("pipe"); /* a reader that fails leaves it */
    }
}

/* ---- Several writers ---- */

/* The end of the writer who made the FIFO is not the end. */
SCENE(reader_reads_until_the_last_writer_has_closed)
{
    start_conversation();
    struct program *last = start("fifo_writer pipe -");
    type(last, "second\n");
    expect_printed(sides[READER], "first\nsecond\n");
    expect_status(sides[WRITER], 0);
    type(last, "third\n");
    expect_printed(sides[READER], "first\nsecond\nthird\n");
    assert_true(is_there("pipe"));
    assert_int_equal(count_said(sides[READER], "*end of file"), 0);
    expect_status(last, 0);
    expect_status(sides[READER], 0);
}

/* Nothing is lost by pairs that start at the same moment. */
SCENE(a_crowd)
{
    struct program *pairs =
        start("sh -c '{ for i in $(seq 50); do fifo_writer -q pipe$i & "
              "fifo_reader -q pipe$i & fifo_reader -q other$i & fifo_writer -q "
              "other$i & done; wait; } | grep -c \"^Hello, reader!$\"'");

    expect_status(pairs, 0);
    expect_printed(pairs, "100\n");
}

/* ---- What is at the path ---- */

/* It stays as it is, to the inode number. */
SCENE(what_is_no_fifo_of_the_user_is_refused)
{
    static const char *const makes[] = {
        "echo precious >pipe",
        "mkdir pipe",
        "echo precious >file; ln -s file pipe",
        "mkfifo fifo; ln -s fifo pipe",
        "ln -s nowhere pipe",
        "unix_server -q ./pipe & until [ -S pipe ]; do :; done; kill -9 $!",
        /* Only root can give it away; for others it is a file. */
        "mkfifo pipe; chown 65533 pipe || { rm pipe; : >pipe; }",
    };

    for (size_t i = 0; i < 2 * LENGTH(makes); i++) {
        const char *name = names[i % 2];
        struct program *shell =
            start("sh -c 'exec 3>&2 2>/dev/null; %s; before=$(ls -lAiR); "
                  "%s -q pipe 2>&3; echo $?; "
                  "[ \"$before\" = \"$(ls -lAiR)\" ] && rm -rf *'",
                  makes[i / 2], name);
        expect_status(shell, 0);
        expect_printed(shell, "1\n");
        expect_story(shell, formatted("%s: pipe is not a FIFO of this user\n"
                                      "%s: hint: take another PATH: *\n",
                                      name, name));
    }
}

/* ---- One side goes ---- */

/* Whoever comes first makes it, for the owner alone; it stays when a signal
 * ends the wait, and the next pair uses it. */
SCENE(a_fifo_outlives_a_wait)
{
    struct stat made;

    umask(0); /* of a user who hides nothing */
    for (int side = READER; side <= WRITER; side++) {
        struct program *p = start_waiting(side, "pipe");
        assert_int_equal(lstat("pipe", &made), 0);
        assert_true(S_ISFIFO(made.st_mode));
        assert_int_equal(made.st_mode & 07777, 0600);
        signal_program(p, SIGINT);
        ends_with(p, 128 + SIGINT);
        assert_true(is_there("pipe"));
        start_conversation();
        expect_status(sides[WRITER], 0);
        expect_status(sides[READER], 0);
        expect_lines(sides[WRITER], "*: mkfifo(pipe, 0600) = -1 EEXIST (*");
    }
}

/* For the reader a writer that was killed has closed. A writer whose reader was
 * killed says so. */
SCENE(a_signal_ends_one_side)
{
    for (int side = READER; side <= WRITER; side++) {
        start_conversation();
        signal_program(sides[side], SIGTERM);
        ends_with(sides[side], 128 + SIGTERM);
        type(sides[WRITER], "second\n");
        ends_with(sides[1 - side], side == WRITER ? 0 : 1);
        expect_printed(sides[READER], "first\n");
        if (side == READER)
            expect_lines(sides[WRITER], "*: write(3) = -1 EPIPE (*\n"
                                        "*: close(3) = 0\n"
                                        "*: hint: look at the other side: *");
        unlink("pipe");
    }
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(conversation_in_spite_of_stops),
        TEST(what_the_sides_make_of_each_other),
        TEST(reader_reads_until_the_last_writer_has_closed),
        TEST(a_crowd),
        TEST(what_is_no_fifo_of_the_user_is_refused),
        TEST(a_fifo_outlives_a_wait),
        TEST(a_signal_ends_one_side),
    };

    return play_tests("fifo", tests, argc, argv);
}
