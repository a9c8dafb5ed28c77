/*
 * test_fifo.c - proves what fifo_writer and fifo_reader promise: every byte of
 * every writer arrives; a FIFO is removed by whom it belongs to; what else is
 * at the path stays as it is; and a signal or a full disk disturbs no more than
 * it must. What the pages show (docs/) is proven there: the stories of both
 * sides, either first, and a writer whose reader has gone.
 *
 * In most scenes the FIFO is "pipe", in the folder of the test; what is left
 * there fails the test.
 */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
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

/* Each line that is typed appears on the other side at once, and is told. To
 * be stopped and continued, while it waits or later, disturbs neither. */
SCENE(conversation_on_a_terminal)
{
    struct program *writer = start_on_terminal("fifo_writer pipe -");
    expect_said(writer, "*waits for a reader");
    suspend(writer);
    struct program *reader = start_waiting(READER, "pipe");
    suspend(reader);
    resume(reader);
    resume(writer);

    type(writer, "Hello\n");
    expect_printed(reader, "Hello\n");
    type(writer, "\n");
    expect_printed(reader, "Hello\n\n");
    suspend(reader);
    suspend(writer);
    type(writer, "你好\n");
    resume(writer);
    expect_said(writer, "fifo_writer: write(3) = 7 \"你好\\n\"");
    resume(reader);
    expect_printed(reader, "Hello\n\n你好\n");
    expect_status(writer, 0);
    expect_lines(writer, "fifo_writer: read(0) waits for input (Ctrl-D *)\n"
                         "fifo_writer: write(3) = 6 \"Hello\\n\"\n"
                         "fifo_writer: write(3) = 1 \"\\n\"\n");
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
        /* The user has made the FIFO. */
        {"mkfifo pipe; fifo_reader pipe & fifo_writer pipe",
         "Hello, reader!\n0 0\n", "fifo_reader: unlink(pipe) = 0"},
        /* Input, output and errors that fail. */
        {"fifo_reader pipe <&- & fifo_writer pipe <&- >&- 2>&-",
         "Hello, reader!\n0 0\n", "fifo_reader: open(pipe, O_RDONLY) = 3"},
        {"fifo_reader pipe & fifo_writer pipe - </", "1 0\n",
         "fifo_writer: read(0) = -1 EISDIR (*"},
        {"fifo_reader pipe >/dev/full & fifo_writer pipe", "0 1\n",
         "fifo_reader: write(1) = -1 ENOSPC (*"},
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
    }
}

/* Each side tells eight calls of a long transfer, counts the others, tells
 * again after a pause, and at the end how many bytes there were. */
SCENE(conversation_of_16_mebibytes)
{
    enum { SIZE = 16 * 1024 * 1024 };
    static const char *const calls[] = {"*: read(3) = *", "*: write(3) = *"};
    unsigned char *bytes = random_bytes(SIZE, 4);
    bool is_told = false;

    /* Once more if the machine, being busy, has made a pause. */
    for (int tries = 0; !is_told && tries < 20; tries++) {
        sides[WRITER] = start("fifo_writer pipe -");
        sides[READER] = start("fifo_reader pipe");
        type_bytes(sides[WRITER], bytes, SIZE - 1);
        expect_printed_bytes(sides[READER], bytes, SIZE - 1);
        is_told = count_said(sides[READER], calls[READER]) == 8 &&
                  count_said(sides[WRITER], calls[WRITER]) == 8;
        poll(NULL, 0, 300); /* milliseconds: a pause is more than 200 */
        type_bytes(sides[WRITER], bytes + SIZE - 1, 1);
        for (int i = WRITER; i >= READER; i--) {
            expect_said(sides[i], "*: calls that follow are only counted, *");
            expect_said(sides[i], calls[i]);
            expect_status(sides[i], 0);
        }
        expect_printed_bytes(sides[READER], bytes, SIZE);
    }
    free(bytes);
    assert_true(is_told);
    expect_said(sides[READER], "*: so far received 16777216 bytes, sent 0");
    expect_said(sides[WRITER], "*: so far received 0 bytes, sent 16777216");
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

/* Nothing is lost, and without the story nothing is said: by pairs that start
 * at the same moment; and by writers that come at any moment of a reader's
 * life, also while it ends and removes the FIFO that they have found. */
SCENE(a_crowd)
{
    char lines[100 * sizeof "Hello, reader!\n"] = "";

    for (int i = 0; i < 100; i++)
        strcat(lines, "Hello, reader!\n");
    struct program *pairs =
        start("sh -c 'for i in $(seq 50); do"
              " fifo_writer -q pipe$i & fifo_reader -q pipe$i &"
              " fifo_reader -q other$i & fifo_writer -q other$i & done; wait'");
    expect_status(pairs, 0);
    expect_story(pairs, "");
    expect_printed(pairs, lines);

    struct program *readers =
        start("sh -c 'while fifo_reader -q pipe; do :; done'");
    struct program *writers =
        start("sh -c 'for wave in 1 2 3 4 5; do for i in $(seq 20); do"
              " fifo_writer -q pipe & done; wait; done'");
    expect_status(writers, 0);
    expect_story(writers, "");
    expect_printed(readers, lines);
    kill(-readers->pid, SIGTERM); /* the shell, and the reader that waits */
    ends_with(readers, 128 + SIGTERM);
    unlink("pipe"); /* may be left: the reader may just have made it */
}

/* A writer who has found the FIFO before the reader removed it is read. */
SCENE(a_writer_comes_while_the_reader_ends)
{
    bool is_read = false;

    /* Once more if it came too late, the machine being busy. */
    for (int tries = 0; !is_read && tries < 50; tries++) {
        struct program *reader = start_waiting(READER, "pipe");
        close(open("pipe", O_WRONLY));
        expect_said(reader, "fifo_reader: unlink(pipe) = 0");
        poll(NULL, 0, 2); /* milliseconds: the reader gives it ten times that */
        int fd = open(formatted("/proc/%ld/fd/3", (long)reader->pid),
                      O_WRONLY | O_NONBLOCK);
        dprintf(fd, "late");
        close(fd);
        expect_status(reader, 0);
        is_read = strcmp(reader->bytes[OUTPUT].data, "late") == 0;
    }
    assert_true(is_read);
}

/* ---- What is at the path ---- */

/* It stays as it is, to the inode number and the time. */
SCENE(what_is_no_fifo_of_the_user_is_refused)
{
#define FOREIGN                                                                \
    "pipe", "lstat(pipe) = 0, not a FIFO of this user",                        \
        "take another PATH: what is there is no FIFO of yours"
#define NO_FOLDER "make the folder of PATH first: it does not exist"
    static const struct {
        const char *make, *path, *failure, *hint;
    } rows[] = {
        {"mkdir pipe", FOREIGN},
        {"unix_server -q ./pipe & until [ -S pipe ]; do :; done; kill -9 $!",
         FOREIGN},
        {"echo precious >file; ln -s file pipe", FOREIGN},
        {"mkfifo fifo; ln -s fifo pipe", FOREIGN},
        {"ln -s nowhere pipe", FOREIGN},
        /* Only root can give it away; for others it is a folder again. */
        {"mkfifo pipe; chown 65533 pipe || { rm pipe; mkdir pipe; }", FOREIGN},
        /* Paths where none can be made. */
        {":", "", "mkfifo(, 0600) = -1 ENOENT (*", NO_FOLDER},
        {"ln -s nowhere pipe", "pipe/", "open(pipe/, O_*) = -1 ENOENT (*",
         NO_FOLDER},
    };

    for (size_t i = 0; i < 2 * LENGTH(rows); i++) {
        const char *name = names[i % 2];
        struct program *shell =
            start("sh -c 'exec 3>&2 2>/dev/null; %s; before=$(ls -lAiR "
                  "--full-time); %s -q \"%s\" 2>&3; echo $?; "
                  "[ \"$before\" = \"$(ls -lAiR --full-time)\" ] && rm -rf *'",
                  rows[i / 2].make, name, rows[i / 2].path);
        expect_status(shell, 0);
        expect_printed(shell, "1\n");
        expect_lines(shell,
                     formatted("%s: %s\n%s: hint: %s", name,
                               rows[i / 2].failure, name, rows[i / 2].hint));
    }
}

/* ---- One side goes ---- */

/* A program that is stopped while it waits removes the FIFO that it made, for
 * its owner alone: not one that was there before, and not one that somebody put
 * there since. */
SCENE(a_signal_ends_the_wait)
{
    enum { MADE, WAS_THERE, REPLACED, SITUATIONS };
    struct stat made;

    umask(0); /* of a user who hides nothing */
    for (int i = 0; i < 2 * 2 * SITUATIONS; i++) {
        int situation = i % SITUATIONS;
        int number = i / SITUATIONS % 2 == 0 ? SIGINT : SIGTERM;
        if (situation == WAS_THERE)
            assert_int_equal(mkfifo("pipe", 0600), 0);
        struct program *p = start_waiting(i / SITUATIONS / 2, "pipe");
        assert_int_equal(lstat("pipe", &made), 0);
        assert_int_equal(made.st_mode, S_IFIFO | 0600);
        if (situation == REPLACED)
            assert_int_equal(mkfifo("new", 0600) + rename("new", "pipe"), 0);
        signal_program(p, number);
        ends_with(p, 128 + number);
        assert_int_equal(is_there("pipe"), situation != MADE);
        unlink("pipe");
    }
}

/* That is as if it had closed. What somebody else has put at the path since
 * they talk, the reader leaves there. */
SCENE(a_signal_ends_the_writer)
{
    start_conversation();
    assert_int_equal(mkfifo("new", 0600) + rename("new", "pipe"), 0);
    signal_program(sides[WRITER], SIGTERM);
    ends_with(sides[WRITER], 128 + SIGTERM);
    ends_with(sides[READER], 0);
    expect_printed(sides[READER], "first\n");
    assert_int_equal(count_said(sides[READER], "*unlink*"), 0);
    assert_int_equal(unlink("pipe"), 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(conversation_on_a_terminal),
        TEST(what_the_sides_make_of_each_other),
        TEST(conversation_of_16_mebibytes),
        TEST(reader_reads_until_the_last_writer_has_closed),
        TEST(a_crowd),
        TEST(a_writer_comes_while_the_reader_ends),
        TEST(what_is_no_fifo_of_the_user_is_refused),
        TEST(a_signal_ends_the_wait),
        TEST(a_signal_ends_the_writer),
    };

    return play_tests("fifo", tests, argc, argv);
}
