/*
 * stream_tests.c - what tcp_server and unix_server promise, and their clients.
 */
#include "stream_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGUMENTS = 10,          /* of a program, with the final NULL */
    LARGE = 3 * 1024 * 1024, /* bytes */
    HUGE = 16 * 1024 * 1024, /* bytes: more than all socket buffers hold */
    SERVED_AT_A_TIME = 256,  /* clients of one server */
    STORY_LINES = 40,        /* that any conversation may have */
};

/* ---- The address ---- */

const char place_mark[] = "(place)";
static char place_text[256];
static char place_parts[2][256]; /* host and port, or the path */

void use_place(const char *address)
{
    const char *colon = strrchr(address, ':');
    int size = snprintf(place_text, sizeof place_text, "%s", address);

    assert_in_range(size, 1, (int)sizeof place_text - 1);
    if (pair.has_path) {
        snprintf(place_parts[0], sizeof place_parts[0], "%s", address);
    } else {
        int brackets = address[0] == '[';
        snprintf(place_parts[0], sizeof place_parts[0], "%.*s",
                 (int)(colon - address) - 2 * brackets, address + brackets);
        snprintf(place_parts[1], sizeof place_parts[1], "%s", colon + 1);
    }
}

const char *place(void)
{
    return place_text;
}

int open_stream_stage(void **state)
{
    use_place(pair.has_path ? "socket" : "127.0.0.1:0");
    return open_stage(state);
}

/* ---- Starting programs ---- */

static void collect(const char *into[], const char *argument, va_list list)
{
    size_t count = 0;

    for (; argument != NULL; argument = va_arg(list, const char *)) {
        assert_in_range(count, 0, ARGUMENTS - 3);
        if (argument == place_mark) {
            into[count++] = place_parts[0];
            if (!pair.has_path) {
                into[count++] = place_parts[1];
            }
        } else {
            into[count++] = argument;
        }
    }
    for (; count < ARGUMENTS; count++) {
        into[count] = NULL;
    }
}

/* start() stops at the first NULL. */
#define EACH(list_)                                                            \
    (list_)[0], (list_)[1], (list_)[2], (list_)[3], (list_)[4], (list_)[5],    \
        (list_)[6], (list_)[7], (list_)[8], (list_)[9]

#define COLLECT(into_, argument_)                                              \
    do {                                                                       \
        va_list list_;                                                         \
        va_start(list_, argument_);                                            \
        collect(into_, argument_, list_);                                      \
        va_end(list_);                                                         \
    } while (0)

struct terminal *open_server(const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    struct terminal *server = start(pair.server, EACH(all));
    use_place(ready_address(server));
    return server;
}

struct terminal *try_server(const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    return start(pair.server, EACH(all));
}

static struct terminal *open_server_redirected(const char *redirections,
                                               const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    return start_redirected(redirections, pair.server, EACH(all));
}

struct terminal *open_client(const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    return start(pair.client, EACH(all));
}

struct terminal *open_client_on_terminal(const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    return start_on_terminal(pair.client, EACH(all));
}

struct terminal *open_client_redirected(const char *redirections,
                                        const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    return start_redirected(redirections, pair.client, EACH(all));
}

/* The arguments with which setpriv becomes somebody who owns nothing. */
#define NOBODY "--reuid=65534", "--regid=65534", "--clear-groups"

void need_nobody(const char *program)
{
    if (geteuid() != 0) {
        print_message("only root can become somebody else\n");
        skip();
    }
    /* A program in a folder of root's can't be tested so. */
    if (finish(start("/usr/bin/setpriv", NOBODY, program, "-h", NULL)) != 0) {
        print_message("another user can't run %s\n", program);
        skip();
    }
}

struct terminal *start_as_nobody(const char *program, const char *argument, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, argument);
    return start("/usr/bin/setpriv", NOBODY, program, EACH(all));
}

void need_apart(const char *option)
{
    if (finish(start("/usr/bin/unshare", "-r", option, "/bin/true", NULL)) !=
        0) {
        print_message("unshare %s is not allowed here\n", option);
        skip();
    }
}

struct terminal *start_apart(const char *option, const char *command,
                             const char *program, ...)
{
    const char *all[ARGUMENTS];

    COLLECT(all, program);
    return start("/usr/bin/unshare", "-r", option, "/bin/sh", "-c", command,
                 EACH(all));
}

void stop(struct terminal *server)
{
    signal_program(server, SIGTERM);
    ends_with(server, 128 + SIGTERM);
}

void expect_echo(void)
{
    struct terminal *c = open_client(PLACE, NULL);

    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
}

/* ---- Strangers ---- */

int connect_here(void)
{
    return connect_to(place_text);
}

int listen_here(void)
{
    char address[sizeof "127.0.0.1:65535"];
    int fd = listen_on(pair.has_path ? "stranger" : "127.0.0.1:0");

    snprintf(address, sizeof address, "127.0.0.1:%s",
             pair.has_path ? "" : own_port(fd));
    use_place(pair.has_path ? "stranger" : address);
    return fd;
}

void leave(int listen_fd)
{
    assert_int_equal(close(listen_fd), 0);
    if (pair.has_path) {
        assert_int_equal(unlink(place_text), 0);
    }
}

/* Sends a text, and receives this answer. */
static void ask(int fd, const char *question, const char *answer)
{
    char received[256] = "";

    assert_in_range(strlen(answer), 0, sizeof received - 1);
    transmit(fd, question, strlen(question));
    assert_int_equal(receive(fd, received, strlen(answer)), strlen(answer));
    assert_string_equal(received, answer);
}

static void half_close(int fd)
{
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

static void expect_end_of_file(int fd)
{
    char more;

    assert_int_equal(receive(fd, &more, 1), 0);
}

/* ---- What was said ---- */

struct wish {
    const struct terminal *terminal;
    const char *pattern;
    size_t count;
};

static bool is_granted(const void *argument)
{
    const struct wish *wish = argument;

    return count_said(wish->terminal, wish->pattern) >= wish->count;
}

void expect_count_said(struct terminal *terminal, size_t count,
                       const char *pattern)
{
    const struct wish wish = {terminal, pattern, count};

    expect_true(is_granted, &wish, pattern);
}

void assert_story(struct terminal *terminal, const char *beginning, ...)
{
    size_t position = 0;
    char line[LINE_BYTES];
    va_list list;

    va_start(list, beginning);
    while (take_line(terminal, &position, line)) {
        if (strncmp(line, beginning, strlen(beginning)) == 0) {
            const char *pattern = va_arg(list, const char *);
            const char *rest = line + strlen(beginning);
            if (pattern != NULL && pattern[0] == '?' &&
                !matches(pattern + 1, rest)) {
                pattern = va_arg(list, const char *);
            }
            if (pattern != NULL && pattern[0] == '?') {
                pattern++;
            }
            if (pattern == NULL || !matches(pattern, rest)) {
                fail_msg("%s%s\ninstead of: %s", beginning, rest,
                         pattern == NULL ? "the end" : pattern);
            }
        }
    }
    const char *missing = va_arg(list, const char *);
    if (missing != NULL) {
        fail_msg("was not said: %s%s", beginning, missing);
    }
    va_end(list);
}

void assert_harmless(const struct terminal *terminal)
{
    size_t position = 0;
    char line[LINE_BYTES];

    assert_true(terminal->said.size > 0);
    for (size_t i = 0; i < terminal->said.size; i++) {
        unsigned char byte = (unsigned char)terminal->said.data[i];
        if (byte != '\n' && (byte < 0x20 || byte > 0x7e)) {
            fail_msg("byte 0x%02x in: %s", byte, terminal->said.data);
        }
    }
    while (take_line(terminal, &position, line)) {
        assert_in_range(strlen(line) + 1, 1, _POSIX_PIPE_BUF);
    }
}

pid_t last_child(struct terminal *server)
{
    const char *line = expect_said(server, "*: fork() = *");

    return (pid_t)strtol(strstr(line, "= ") + 2, NULL, 10);
}

struct passing {
    pid_t process;
    bool gone;
};

/* True at the second look: what it said at last has been read in between. */
static bool is_gone(const void *argument)
{
    struct passing *passing = *(struct passing *const *)argument;

    if (passing->gone) {
        return true;
    }
    passing->gone = kill(passing->process, 0) == -1 && errno == ESRCH;
    return false;
}

void expect_gone(pid_t process)
{
    struct passing passing = {.process = process};
    struct passing *argument = &passing;

    expect_true(is_gone, &argument, "the end of a process");
}

bool is_running(const struct terminal *terminal)
{
    return waitpid(terminal->pid, NULL, WNOHANG) == 0;
}

void expect_usage_text(const char *program, ...)
{
    struct terminal *t = start(program, "-h", NULL);
    va_list list;

    finish_with(t, 0);
    const char *rest = t->printed.data;
    va_start(list, program);
    for (const char *text = va_arg(list, const char *); text != NULL;
         text = va_arg(list, const char *)) {
        const char *found = rest == NULL ? NULL : strstr(rest, text);
        if (found == NULL) {
            fail_msg("no \"%s\" in its place in:\n%s", text, t->printed.data);
        } else {
            rest = found + strlen(text) - 1; /* a newline may begin the next */
        }
    }
    va_end(list);
}

/* ---- The conversation ---- */

static void test_echo_without_message_and_reply(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);

    expect_echo();
    finish_with(s, 0);
    expect_printed(s, ""); /* a server prints nothing */
    assert_int_equal(count_said(s, "*: ready on *"), 1);
}

static void test_reply_answers_instead_of_the_echo(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, "Hello, client!", NULL);
    struct terminal *c = open_client(PLACE, NULL);

    finish_with(c, 0);
    expect_printed(c, "Hello, client!\n");
    finish_with(s, 0);
    assert_said_among(s, "*]: read(4) = 15 \"Hello, server!\\n\"",
                      "*]: write(4) = 15 \"Hello, client!\\n\"", NULL);
}

static void test_reply_answers_every_read(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, "yes", NULL);
    int fd = connect_here();

    ask(fd, "one", "yes\n");
    ask(fd, "two\nthree\n", "yes\n"); /* one read is not one message */
    ask(fd, "four", "yes\n");
    half_close(fd);
    expect_end_of_file(fd);
    finish_with(s, 0);
    close(fd);
}

static void test_message_is_sent_with_one_newline(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    struct terminal *text = open_client(PLACE, "two words", NULL);
    struct terminal *empty = open_client(PLACE, "", NULL);
    struct terminal *line = open_client(PLACE, "a line\n", NULL);

    finish_with(text, 0);
    expect_printed(text, "two words\n");
    finish_with(empty, 0);
    expect_printed(empty, "\n");
    finish_with(line, 0);
    expect_printed(line, "a line\n\n");
    stop(s);
}

static void test_empty_reply_is_a_newline(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, "", NULL);
    struct terminal *c = open_client(PLACE, NULL);

    finish_with(c, 0);
    expect_printed(c, "\n");
    finish_with(s, 0);
}

static void test_input_passes_unchanged(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    type_bytes(c, "no newline, a \0 byte", 20);
    finish_with(c, 0);
    expect_printed_bytes(c, "no newline, a \0 byte", 20);
    stop(s);
}

static void test_empty_input(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    finish_with(c, 0);
    expect_printed(c, "");
    assert_said_among(
        c, "*: shutdown(3, SHUT_WR) = 0*", "*: read(3) = 0, end of file*",
        "*: close(3) = 0; writes: 0, 0 bytes; reads: 0, 0 bytes", NULL);
    finish_with(s, 0);
}

/* Some MiB with every byte value; the story stays short and tells the sum. */
static void test_large_input_comes_back_intact(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);
    unsigned char *data = random_bytes(LARGE, 1);

    type_bytes(c, data, LARGE);
    finish_with(c, 0);
    expect_printed_bytes(c, data, LARGE);
    assert_in_range(count_said(c, "*"), 1, STORY_LINES);
    assert_said_among(c, "*: write(3) = *; from now on only counted",
                      "*: close(3) = 0; writes: *, 3145728 bytes; "
                      "reads: *, 3145728 bytes",
                      NULL);
    finish_with(s, 0);
    assert_in_range(count_said(s, "*"), 1, STORY_LINES);
    assert_said_among(s, "*]: read(4) = *; from now on only counted",
                      "*]: close(4) = 0; reads: *, 3145728 bytes; "
                      "writes: *, 3145728 bytes",
                      NULL);
    free(data);
}

struct slow_reader {
    struct terminal *writer;
    int fd;
    unsigned char *data;
    size_t size;
};

/* Takes one piece, and stops the writer for a moment: an interrupted write may
 * have written a part. Returns whether the piece was the last. */
static bool read_slowly(const void *argument)
{
    struct slow_reader *reader = *(struct slow_reader *const *)argument;
    ssize_t count = read(reader->fd, reader->data + reader->size, 32 * 1024);

    if (count > 0) {
        reader->size += (size_t)count;
        suspend(reader->writer);
        signal_program(reader->writer, SIGCONT);
    }
    return reader->size == LARGE;
}

static void test_large_input_with_a_slow_reader_of_the_answer(void **state)
{
    (void)state;
    struct slow_reader reader = {.data = malloc(LARGE + 32 * 1024)};
    struct slow_reader *argument = &reader;
    unsigned char *data = random_bytes(LARGE, 2);

    assert_int_equal(mkfifo("slow", 0600), 0);
    reader.fd = open("slow", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client_redirected(">slow", PLACE, "-", NULL);
    reader.writer = c;
    type_bytes(c, data, LARGE); /* the input does not end yet, nor does c */
    expect_count_said(c, 1, "*: read(3) = *");
    expect_true(read_slowly, &argument, "the whole answer");
    finish_with(c, 0);
    finish_with(s, 0);
    assert_memory_equal(reader.data, data, LARGE);
    close(reader.fd);
    free(reader.data);
    free(data);
    assert_int_equal(unlink("slow"), 0);
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "r");
    char *content = malloc(size + 1);

    assert_non_null(file);
    assert_int_equal(fread(content, 1, size + 1, file), size);
    assert_memory_equal(content, data, size);
    fclose(file);
    free(content);
}

/* A client that wrote all before it read would wait here for ever. */
static void test_client_reads_while_it_writes(void **state)
{
    (void)state;
    unsigned char *question = random_bytes(HUGE, 3);
    unsigned char *answer = random_bytes(HUGE, 4);
    unsigned char *received = malloc(HUGE);
    int listener = listen_here();

    write_file("question", question, HUGE);
    struct terminal *c =
        open_client_redirected("<question >answer", PLACE, "-", NULL);
    int fd = accept_from(listener);
    transmit(fd, answer, HUGE); /* before it receives anything */
    assert_int_equal(receive(fd, received, HUGE), HUGE);
    expect_end_of_file(fd);
    close(fd);
    finish_with(c, 0);
    assert_memory_equal(received, question, HUGE);
    assert_file("answer", answer, HUGE);
    leave(listener);
    unlink("question");
    unlink("answer");
    free(question);
    free(answer);
    free(received);
}

static void test_interactive_conversation_line_by_line(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client_on_terminal(PLACE, "-", NULL);

    type(c, "Good morning!\n");
    expect_printed(c, "Good morning!\n"); /* while the user goes on typing */
    signal_program(c, SIGWINCH);          /* the window changes its size */
    suspend(c);
    signal_program(c, SIGCONT);
    type(c, "How are you?\n");
    expect_printed(c, "Good morning!\nHow are you?\n");
    type(c, "bye\004"); /* Ctrl-D in a line sends what there is of it */
    expect_printed(c, "Good morning!\nHow are you?\nbye");
    end_input(c);
    ends_with(c, 0);
    assert_said_among(c, "*: write(3) = 14 \"Good morning!\\n\"",
                      "*: read(3) = 14 \"Good morning!\\n\"",
                      "*: write(3) = 13 \"How are you?\\n\"",
                      "*: read(3) = 13 \"How are you?\\n\"",
                      "*: write(3) = 3 \"bye\"", "*: read(3) = 3 \"bye\"",
                      "*: shutdown(3, SHUT_WR) = 0*", NULL);
    finish_with(s, 0);
}

static void test_chinese_stays_legible(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, "你好，世界！", NULL);

    finish_with(c, 0);
    expect_printed(c, "你好，世界！\n");
    assert_said_among(c, "*: write(3) = 19 \"你好，世界！\\n\"",
                      "*: read(3) = 19 \"你好，世界！\\n\"", NULL);
    finish_with(s, 0);
    assert_said_among(s, "*]: read(4) = 19 \"你好，世界！\\n\"", NULL);
}

/* ESC, BEL, DEL, NUL, a C1 control in UTF-8, and bytes that are not UTF-8. */
static void test_payload_never_reaches_the_terminal_raw(void **state)
{
    (void)state;
    static const char data[] = "\033[2J\a\177\0\302\233\377\345\244\r\"\\\n";
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    type_bytes(c, data, sizeof data - 1);
    finish_with(c, 0);
    expect_printed_bytes(c, data, sizeof data - 1);
    finish_with(s, 0);
    assert_harmless(c);
    assert_harmless(s);
    assert_said_among(c,
                      "*: write(3) = 16 \"\\x1b[2J\\x07\\x7f\\0\\xc2\\x9b"
                      "\\xff\\xe5\\xa4\\r\\\"\\\\\\n\"",
                      NULL);
    assert_said_among(s,
                      "*]: read(4) = 16 \"\\x1b[2J\\x07\\x7f\\0\\xc2\\x9b"
                      "\\xff\\xe5\\xa4\\r\\\"\\\\\\n\"",
                      NULL);
}

static void test_long_payload_is_cut_short_in_the_story(void **state)
{
    (void)state;
    char message[2001];
    struct terminal *s = open_server("-n", "1", PLACE, NULL);

    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    struct terminal *c = open_client(PLACE, message, NULL);
    finish_with(c, 0);
    assert_int_equal(c->printed.size, 2001);
    finish_with(s, 0);
    assert_said_among(c, "*: write(3) = 2001 \"xxxx*\"...", NULL);
    assert_harmless(c);
    assert_harmless(s);
}

/* ---- Options and operands ---- */

static void expect_help(const char *program, const char *option,
                        const char *first_line)
{
    struct terminal *t = start(program, option, NULL);

    finish_with(t, 0);
    assert_int_equal(t->said.size, 0);
    expect_printed_size(t, strlen(first_line) + 1);
    assert_memory_equal(t->printed.data, first_line, strlen(first_line));
    assert_int_equal(t->printed.data[strlen(first_line)], '\n');
    assert_non_null(strstr(t->printed.data, "\n  -q "));
    assert_non_null(strstr(t->printed.data, "\n  -h "));
}

static void test_help_is_printed(void **state)
{
    (void)state;
    char server_line[100];
    char client_line[100];

    snprintf(server_line, sizeof server_line, "usage: %s [-hq] [-n COUNT] %s",
             pair.server_name, pair.server_operands);
    snprintf(client_line, sizeof client_line, "usage: %s [-hq] %s",
             pair.client_name, pair.client_operands);
    expect_help(pair.server, "-h", server_line);
    expect_help(pair.server, "--help", server_line);
    expect_help(pair.client, "-h", client_line);
    expect_help(pair.client, "--help", client_line);
}

static void test_help_that_can_not_be_printed_fails(void **state)
{
    (void)state;

    expect_failure(start_redirected(">/dev/full", pair.server, "-h", NULL),
                   "*: write standard output: No space left on device", NULL);
    expect_failure(open_client_redirected(">/dev/full", "-h", NULL),
                   "*: write standard output: No space left on device", NULL);
}

static void test_wrong_options_are_refused(void **state)
{
    (void)state;

    expect_usage(try_server("-x", PLACE, NULL), "*: unknown option: -x");
    expect_usage(open_client("-x", PLACE, NULL), "*: unknown option: -x");
    expect_usage(try_server("--quiet", PLACE, NULL),
                 "*: unknown option: --quiet");
    expect_usage(open_client("--quiet", PLACE, NULL),
                 "*: unknown option: --quiet");
    expect_usage(try_server("-q-", NULL), "*: unknown option: -*");
    /* Only servers count. */
    expect_usage(open_client("-n", "1", PLACE, NULL), "*: unknown option: -n");
}

static void test_wrong_counts_are_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "0",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "1x",
                                        "x",
                                        "1.5",
                                        "0x10",
                                        "99999999999999999999"};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_usage(try_server("-n", wrong[i], PLACE, NULL),
                     "*: COUNT * a number from 1 *");
    }
    expect_usage(try_server("-n", NULL), "*: option needs a COUNT: -n");
}

static void test_too_many_operands_are_refused(void **state)
{
    (void)state;

    expect_usage(try_server(PLACE, "reply", "more", NULL),
                 "*: one operand too many: more");
    expect_usage(open_client(PLACE, "message", "more", NULL),
                 "*: one operand too many: more");
}

static void test_two_hyphens_end_the_options(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", "--", PLACE, "-q", NULL);
    struct terminal *c = open_client("--", PLACE, "-h", NULL);

    finish_with(c, 0);
    expect_printed(c, "-q\n");
    assert_said_among(c, "*: write(3) = 3 \"-h\\n\"", NULL);
    finish_with(s, 0);
}

static void test_the_first_operand_ends_the_options(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, "-", NULL);
    struct terminal *c = open_client(PLACE, "-h", NULL);

    finish_with(c, 0);
    expect_printed(c, "-\n"); /* which means input in a client only */
    assert_said_among(c, "*: write(3) = 3 \"-h\\n\"", NULL);
    finish_with(s, 0);
}

static void test_quiet_leaves_out_the_story(void **state)
{
    (void)state;
    struct terminal *s = open_server("-q", "-n", "1", PLACE, NULL);
    struct terminal *c = open_client("-q", PLACE, NULL);

    finish_with(c, 0);
    expect_printed(c, "Hello, server!\n");
    assert_int_equal(c->said.size, 0);
    finish_with(s, 0);
    assert_said(s, "*: ready on *", NULL);
}

static void test_control_bytes_in_arguments_are_shown_escaped(void **state)
{
    (void)state;
    struct terminal *s = try_server(PLACE, "reply", "\033[2J\n\377", NULL);
    struct terminal *c = open_client(PLACE, "text", "\033[2J\n\377", NULL);

    expect_usage(s, "*: one operand too many: \\x1b[2J\\n\\xff");
    expect_usage(c, "*: one operand too many: \\x1b[2J\\n\\xff");
    assert_harmless(s);
    assert_harmless(c);
    struct terminal *option = try_server("-\033", NULL);
    expect_usage(option, "*: unknown option: -\\x1b");
    assert_harmless(option);
}

/* ---- Counting clients ---- */

static void test_count_ends_the_server_after_so_many_clients(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "2", PLACE, NULL);

    expect_echo();
    expect_gone(last_child(s));
    assert_true(is_running(s));
    int fd = connect_here();
    ask(fd, "not yet", "not yet");
    expect_said(s, "*: sigsuspend* waits for the end of a child");
    assert_true(is_running(s)); /* the second is not served to the end */
    half_close(fd);
    finish_with(s, 0);
    expect_end_of_file(fd);
    close(fd);
    assert_said_among(s, "*]: close(4) = 0; *", "*]: close(4) = 0; *",
                      "*: close(3) = 0; clients served: 2", NULL);
}

/* A client leaves its answer unread, and the connection breaks off. */
static void break_off(struct terminal *server, int fd)
{
    size_t writes = count_said(server, "*]: write(4) = 4*");

    transmit(fd, "four", 4);
    expect_count_said(server, writes + 1, "*]: write(4) = 4*");
    close(fd);
}

static void test_client_that_breaks_off_does_not_count(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "2", PLACE, NULL);

    expect_echo();
    break_off(s, connect_here());
    expect_count_said(s, 1, "*]: read *: Connection reset by peer");
    expect_echo();
    finish_with(s, 0);
    assert_int_equal(count_said(s, "*: accept(3) = 4, client *"), 3);
    assert_said_among(s, "*: close(3) = 0; clients served: 2", NULL);
}

/* ---- Several clients ---- */

static void test_several_clients_at_once_and_one_is_idle(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "4", PLACE, NULL);
    int idle = connect_here();

    struct terminal *a = open_client(PLACE, "-", NULL);
    struct terminal *b = open_client(PLACE, "-", NULL);
    type(a, "a1\n");
    expect_printed(a, "a1\n");
    type(b, "b1\n");
    expect_printed(b, "b1\n");
    type(a, "a2\n");
    expect_printed(a, "a1\na2\n");
    finish_with(b, 0);
    expect_echo();
    finish_with(a, 0);
    assert_true(is_running(s));
    ask(idle, "at last", "at last");
    half_close(idle);
    expect_end_of_file(idle);
    close(idle);
    finish_with(s, 0);
}

/* The lines about a client begin with its child's number, which the parent
 * has told; no descriptor is left over from one client to the next. */
static void test_story_tells_clients_apart(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);

    for (int i = 0; i < 3; i++) {
        char name[64];
        int fd = connect_here();
        ask(fd, "hello", "hello");
        pid_t child = last_child(s);
        half_close(fd);
        expect_end_of_file(fd);
        close(fd);
        expect_gone(child);
        snprintf(name, sizeof name, "%s[%ld]: ", pair.server_name, (long)child);
        assert_story(s, name, "close(3) = 0, *", "read(4) = 5 \"hello\"",
                     "write(4) = 5", "read(4) = 0, end of file: *",
                     "close(4) = 0; reads: 1, 5 bytes; writes: 1, 5 bytes",
                     NULL);
    }
    assert_int_equal(count_said(s, "*: accept(3) = 4, client *"), 3);
    stop(s);
}

static void
test_clients_beyond_the_bound_wait_and_are_served_in_turn(void **state)
{
    (void)state;
    int fds[SERVED_AT_A_TIME + 2];
    struct terminal *s = open_server(PLACE, NULL);

    for (size_t i = 0; i < SERVED_AT_A_TIME; i++) {
        fds[i] = connect_here();
        ask(fds[i], "in", "in");
        /* Its story has to be read, or the server would wait for that. */
        expect_count_said(s, i + 1, "*]: write(4) = 2");
    }
    for (size_t i = SERVED_AT_A_TIME; i < SERVED_AT_A_TIME + 2; i++) {
        fds[i] = connect_here();
        transmit(fds[i], "patience", 8);
    }
    assert_int_equal(count_said(s, "*]: close(4) = 0; *"), 0);
    for (size_t i = 0; i < 2; i++) {
        char answer[8];
        close(fds[i]);
        assert_int_equal(receive(fds[SERVED_AT_A_TIME + i], answer, 8), 8);
        assert_memory_equal(answer, "patience", 8);
    }
    /* So many at a time: the next is accepted when one has been served. */
    expect_count_said(s, SERVED_AT_A_TIME + 2, "*: accept(3) = 4, *");
    size_t position = 0;
    size_t accepted = 0;
    size_t ended = 0;
    char line[LINE_BYTES];
    while (take_line(s, &position, line)) {
        /* So many processes, and none tears another's line. */
        assert_memory_equal(line, pair.server_name, strlen(pair.server_name));
        assert_null(strstr(line + 1, pair.server_name));
        accepted += matches("*: accept(3) = *", line);
        ended += matches("*]: close(4) = 0; *", line);
        assert_in_range(accepted - ended, 0, SERVED_AT_A_TIME);
    }
    for (size_t i = 2; i < SERVED_AT_A_TIME + 2; i++) {
        close(fds[i]);
    }
    stop(s);
}

/* ---- Strange clients ---- */

static void test_client_that_sends_one_byte_at_a_time(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    int fd = connect_here();

    for (char byte[] = "a"; byte[0] <= 'z'; byte[0]++) {
        ask(fd, byte, byte);
    }
    half_close(fd);
    expect_end_of_file(fd);
    close(fd);
    finish_with(s, 0);
    assert_said_among(
        s, "*]: close(4) = 0; reads: 26, 26 bytes; writes: 26, 26 bytes", NULL);
    assert_in_range(count_said(s, "*"), 1, STORY_LINES);
}

static void test_client_that_half_closes_at_once(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    int fd = connect_here();

    half_close(fd);
    expect_end_of_file(fd);
    close(fd);
    finish_with(s, 0);
    assert_said_among(s, "*]: read(4) = 0, end of file*", NULL);
}

/* The rest of the answer comes after the client has half-closed. */
static void test_client_that_half_closes_gets_all_of_its_answer(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    int fd = connect_here();
    unsigned char data[4096];

    memset(data, 'x', sizeof data);
    transmit(fd, data, sizeof data);
    half_close(fd);
    assert_int_equal(receive(fd, data, sizeof data), sizeof data);
    expect_end_of_file(fd);
    close(fd);
    finish_with(s, 0);
}

/* Fills all buffers in both directions, and goes. */
static void test_client_that_sends_much_and_never_reads(void **state)
{
    (void)state;
    static char data[64 * 1024];
    struct terminal *s = open_server(PLACE, NULL);
    int fd = connect_here();
    size_t sent = 0;

    while (sent < 64 * sizeof data) {
        ssize_t count = send(fd, data, sizeof data, MSG_DONTWAIT);
        if (count == -1) {
            assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
            break;
        }
        sent += (size_t)count;
    }
    pid_t child = last_child(s);
    close(fd);
    expect_gone(child);
    assert_int_equal(count_said(s, "*]: * *: Connection reset by peer") +
                         count_said(s, "*]: write *: Broken pipe"),
                     1);
    expect_echo();
    stop(s);
}

static void test_trouble_with_one_client_is_its_own(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    int other = connect_here();

    ask(other, "I stay", "I stay");
    break_off(s, connect_here());
    expect_count_said(s, 1, "*]: read *: Connection reset by peer");
    ask(other, "still here", "still here");
    expect_echo();
    close(other);
    stop(s);
}

static void test_killed_client_is_not_the_servers_end(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    type(c, "hello\n");
    expect_printed(c, "hello\n");
    signal_program(c, SIGKILL);
    ends_with(c, 128 + SIGKILL);
    expect_gone(last_child(s));
    expect_echo();
    stop(s);
}

/* ---- Strange servers ---- */

static void test_server_that_answers_in_capitals(void **state)
{
    (void)state;
    int listener = listen_here();
    struct terminal *c = open_client(PLACE, NULL);
    int fd = accept_from(listener);

    ask(fd, "HELLO, SERVER!\n", "Hello, server!\n");
    close(fd); /* one recv, one send, as a few lines of Python do */
    finish_with(c, 0);
    expect_printed(c, "HELLO, SERVER!\n");
    leave(listener);
}

static void test_server_that_answers_twice_and_late(void **state)
{
    (void)state;
    int listener = listen_here();
    struct terminal *c = open_client(PLACE, NULL);
    int fd = accept_from(listener);

    ask(fd, "Welcome! ", "Hello, server!\n"); /* before it has received */
    expect_end_of_file(fd);                   /* the client's half-close */
    transmit(fd, "once ", 5);
    expect_printed(c, "Welcome! once ");
    transmit(fd, "and twice", 9);
    close(fd);
    finish_with(c, 0);
    expect_printed(c, "Welcome! once and twice");
    leave(listener);
}

static void test_server_that_answers_nothing(void **state)
{
    (void)state;
    int listener = listen_here();
    struct terminal *c = open_client(PLACE, NULL);
    int fd = accept_from(listener);

    ask(fd, "", "Hello, server!\n");
    expect_end_of_file(fd);
    close(fd);
    finish_with(c, 0);
    expect_printed(c, "");
    leave(listener);
}

static void test_server_that_closes_early_is_noticed_at_once(void **state)
{
    (void)state;
    int listener = listen_here();
    struct terminal *c = open_client_on_terminal(PLACE, "-", NULL);
    int fd = accept_from(listener);

    type(c, "hello\n");
    expect_said(c, "*: write(3) = 6 \"hello\\n\"");
    ask(fd, "bye\n", "hello\n");
    close(fd); /* while the user sits there and types nothing */
    ends_with(c, 1);
    expect_printed(c, "bye\n");
    assert_said_among(c, "*: read(3) = 0, end of file: the server has closed",
                      "*: read *: the server closed before the end of the "
                      "input",
                      "*: hint: *close early*", NULL);
    leave(listener);
}

static void test_server_that_breaks_off(void **state)
{
    (void)state;
    int listener = listen_here();
    struct terminal *c = open_client(PLACE, NULL);

    expect_said(c, "*: shutdown(3, SHUT_WR) = 0*");
    close(accept_from(listener)); /* with the message unread */
    expect_failure(c, "*: read *: Connection reset by peer",
                   "*: hint: the other side broke the connection off");
    leave(listener);
}

/* What was sent is not lost silently. */
static void test_server_that_goes_before_it_has_read_all(void **state)
{
    (void)state;
    char received[1000];
    int listener = listen_here();
    struct terminal *c = open_client_redirected("</dev/zero", PLACE, "-", NULL);
    int fd = accept_from(listener);

    expect_said(c, "*: write(3) = *");
    assert_int_equal(receive(fd, received, sizeof received), sizeof received);
    close(fd);
    ends_with(c, 1);
    assert_int_equal(count_said(c, "*: * *: Connection reset by peer") +
                         count_said(c, "*: write *: Broken pipe"),
                     1);
    leave(listener);
}

/* It does not hang without a word. Three at once, for each waits a while. */
static void test_client_says_what_it_waits_for(void **state)
{
    (void)state;
    int listener = listen_here();
    struct terminal *answer = open_client(PLACE, NULL);
    struct terminal *input = open_client(PLACE, "-", NULL);
    struct terminal *room =
        open_client_redirected("</dev/zero", PLACE, "-", NULL);
    int fds[3];

    for (int i = 0; i < 3; i++) {
        fds[i] = accept_from(listener);
    }
    expect_said(answer, "*: select waits for the answer*");
    expect_said(input, "*: select waits for input (Ctrl-D ends it)*");
    expect_said(room, "*: select waits for the server to read *");
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
    ends_with(answer, 1);
    ends_with(input, 1);
    ends_with(room, 1);
    leave(listener);
}

/* ---- Standard streams ---- */

static void test_full_disk_is_told(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);

    expect_failure(open_client_redirected(">/dev/full", PLACE, NULL),
                   "*: write standard output: No space left on device", NULL);
    expect_echo();
    stop(s);
}

static void test_closed_output_is_told(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    type(c, "hello\n");
    expect_printed(c, "hello\n");
    close(c->output); /* as "| head -n 1" does */
    c->output = -1;
    type(c, "world\n");
    expect_failure(c, "*: write standard output: Broken pipe",
                   "*: hint: the other side has gone: *");
    stop(s);
}

static void test_input_that_can_not_be_read_is_told(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);

    expect_failure(open_client_redirected("</", PLACE, "-", NULL),
                   "*: read standard input: Is a directory", NULL);
    expect_failure(open_client_redirected("<&-", PLACE, "-", NULL),
                   "*: read standard input: Bad file descriptor", NULL);
    stop(s);
}

/* No socket may become somebody's standard output. */
static void test_closed_standard_descriptors(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    struct terminal *no_input = open_client_redirected("<&-", PLACE, NULL);
    struct terminal *no_output = open_client_redirected(">&-", PLACE, NULL);
    struct terminal *no_error = open_client_redirected("2>&-", PLACE, NULL);
    struct terminal *nothing =
        open_client_redirected("<&- >&- 2>&-", PLACE, NULL);

    finish_with(no_input, 0);
    expect_printed(no_input, "Hello, server!\n");
    assert_said_among(no_input, "*: socket(*) = 3", NULL);
    expect_failure(no_output, "*: write standard output: Bad file descriptor",
                   NULL);
    finish_with(no_error, 0);
    expect_printed(no_error, "Hello, server!\n");
    finish_with(nothing, 1);
    stop(s);
}

static void test_server_without_standard_descriptors(void **state)
{
    const char *all[] = {place_parts[0], pair.has_path ? NULL : place_parts[1],
                         NULL};
    (void)state;
    struct terminal *s =
        start_redirected("<&- >&-", pair.server, all[0], all[1], NULL);

    use_place(ready_address(s));
    expect_echo();
    assert_said_among(s, "*: socket(*) = 3", "*: accept(3) = 4*", NULL);
    stop(s);
}

/* ---- Failures ---- */

static void test_taken_address_is_refused_with_a_hint(void **state)
{
    (void)state;
    struct terminal *first = open_server(PLACE, NULL);

    expect_failure(try_server(PLACE, NULL), "*: bind *: Address already in use",
                   "*: hint: *suspended with Ctrl-Z*take another *");
    expect_echo(); /* the first one serves as before */
    stop(first);
}

static void test_address_of_a_suspended_server_is_refused(void **state)
{
    (void)state;
    struct terminal *first = open_server(PLACE, NULL);

    suspend(first);
    expect_failure(try_server(PLACE, NULL), "*: bind *: Address already in use",
                   "*: hint: *Ctrl-Z*");
    signal_program(first, SIGCONT);
    expect_echo();
    stop(first);
}

static void test_server_can_be_restarted_at_once(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);
    int idle = connect_here();

    type(c, "hello\n");
    expect_printed(c, "hello\n");
    ask(idle, "hello", "hello");
    stop(s);
    s = open_server(PLACE, NULL); /* at the same address */
    expect_echo();
    ends_with(c, 1);
    close(idle);
    stop(s);
}

/* Its child goes on, and does not hold the address. */
static void
test_killed_server_can_be_restarted_while_its_child_serves(void **state)
{
    (void)state;
    struct terminal *killed = open_server(PLACE, NULL);
    int fd = connect_here();
    siginfo_t end;

    ask(fd, "hello", "hello");
    signal_program(killed, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)killed->pid, &end, WEXITED | WNOWAIT),
                     0);
    struct terminal *s = open_server(PLACE, NULL);
    expect_echo();
    ask(fd, "still here", "still here");
    close(fd);
    ends_with(killed, 128 + SIGKILL);
    stop(s);
}

/* ---- Signals ---- */

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { END_SIGNALS = sizeof end_signals / sizeof end_signals[0] };

static void test_signals_end_a_server_and_its_children(void **state)
{
    (void)state;
    for (size_t i = 0; i < END_SIGNALS; i++) {
        struct terminal *s = open_server(PLACE, NULL);
        struct terminal *c = open_client_on_terminal(PLACE, "-", NULL);
        int idle = connect_here();

        type(c, "hello\n");
        expect_printed(c, "hello\n");
        ask(idle, "hello", "hello");
        signal_program(s, end_signals[i]);
        /* All of its processes have gone then, see wait_end(). */
        ends_with(s, 128 + end_signals[i]);
        ends_with(c, 1); /* at once, though its user types nothing */
        assert_said_among(c,
                          "*: the server closed before the end of the "
                          "input",
                          NULL);
        expect_end_of_file(idle);
        close(idle);
        assert_int_equal(count_said(s, "*: a client was cut off: *"), 2);
    }
}

/* In a container a server is process 1, which no signal ends by itself. */
static void test_a_signal_ends_process_1(void **state)
{
    (void)state;
    need_apart("-pf");
    struct terminal *s =
        start_apart("-pf",
                    "exec 3<&0; (read line; kill -s TERM 1) <&3 & "
                    "exec \"$0\" \"$@\" 3<&-",
                    pair.server, PLACE, NULL);
    use_place(ready_address(s));
    int fd = connect_here();

    ask(fd, "hello", "hello");
    type(s, "now\n");
    assert_int_not_equal(wait_end(s), 0); /* a checker has its own status */
    expect_end_of_file(fd);
    close(fd);
}

#ifdef __linux__ /* whose pipes hold 16 pages, and fill them one by one */
static int bytes_in(int fd)
{
    int size;

    assert_int_equal(ioctl(fd, FIONREAD, &size), 0);
    return size;
}

struct level {
    int fd;
    int size;
};

static bool has_risen(const void *argument)
{
    const struct level *level = argument;

    return bytes_in(level->fd) >= level->size;
}

/* Nobody reads what a server says: it waits in the middle of its story, and a
 * signal ends it all the same. */
static void test_a_full_standard_error_delays_no_signal(void **state)
{
    (void)state;
    static char filling[PIPE_BUF];
    size_t position = 0;
    int until_ready = 0; /* bytes in the lines up to and with this one */
    int until_fork = 0;
    char line[LINE_BYTES];

    stop(open_server(PLACE, NULL)); /* now the address has its final length */
    struct terminal *s = open_server(PLACE, NULL);
    int fd = connect_here();
    expect_said(s, "*: fork() = *");
    while (take_line(s, &position, line) && !matches("*: fork() = *", line)) {
        if (strncmp(line, pair.server_name, strlen(pair.server_name)) == 0 &&
            line[strlen(pair.server_name)] == ':') {
            until_fork += (int)strlen(line) + 1;
            if (matches("*: ready on *", line)) {
                until_ready = until_fork;
            }
        }
    }
    close(fd);
    stop(s);

    assert_int_equal(mkfifo("story", 0600), 0);
    int reading = open("story", O_RDONLY | O_NONBLOCK);
    int writing = open("story", O_WRONLY | O_NONBLOCK);
    for (int page = 0; page < 15; page++) {
        assert_int_equal(write(writing, filling, PIPE_BUF), PIPE_BUF);
    }
    assert_int_equal(write(writing, filling, (size_t)(PIPE_BUF - until_fork)),
                     PIPE_BUF - until_fork);
    s = open_server_redirected("2>story", PLACE, NULL);
    struct level ready = {reading, 16 * PIPE_BUF - until_fork + until_ready};
    struct level full = {reading, 16 * PIPE_BUF};
    expect_true(has_risen, &ready, "the ready line");
    fd = connect_here();
    expect_true(has_risen, &full, "a full pipe");
    signal_program(s, SIGTERM);
    ends_with(s, 128 + SIGTERM);
    close(fd);
    close(reading);
    close(writing);
    assert_int_equal(unlink("story"), 0);
}
#endif

static void test_signals_end_a_server_whose_child_is_stopped(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);
    int fd = connect_here();

    ask(fd, "hello", "hello");
    assert_int_equal(kill(last_child(s), SIGSTOP), 0);
    stop(s);
    expect_end_of_file(fd);
    close(fd);
}

static void test_signals_end_a_client(void **state)
{
    (void)state;
    struct terminal *s = open_server(PLACE, NULL);

    for (size_t i = 0; i < END_SIGNALS; i++) {
        struct terminal *c = open_client(PLACE, "-", NULL);

        type(c, "hello\n");
        expect_printed(c, "hello\n");
        signal_program(c, end_signals[i]);
        ends_with(c, 128 + end_signals[i]);
    }
    expect_echo();
    stop(s);
}

static void test_ignored_signal_stays_ignored(void **state)
{
    (void)state;
    struct terminal *s =
        start("/bin/sh", "-c", "trap '' HUP; exec \"$0\" \"$@\"", pair.server,
              place_parts[0], pair.has_path ? NULL : place_parts[1], NULL);

    use_place(ready_address(s));
    signal_program(s, SIGHUP); /* as nohup wants it */
    expect_echo();
    stop(s);
}

static void test_killed_child_ends_one_conversation_only(void **state)
{
    (void)state;
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    type(c, "hello\n");
    expect_printed(c, "hello\n");
    assert_int_equal(kill(last_child(s), SIGKILL), 0);
    expect_said(s, "*_server: a client was cut off: a signal ended the child*");
    ends_with(c, 1);
    expect_echo(); /* this one is served to the end, and counts */
    finish_with(s, 0);
}

/* Stopping and continuing interrupts a write when a part of it is done. */
static void test_stopping_in_mid_transfer_loses_nothing(void **state)
{
    (void)state;
    enum { STOPS = 12 };
    unsigned char *data = random_bytes(LARGE, 7);
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    struct terminal *c = open_client(PLACE, "-", NULL);

    type_bytes(c, data, LARGE); /* the input does not end yet: nor do they */
    for (size_t i = 1; i <= STOPS; i++) {
        expect_printed_size(c, i * (LARGE / STOPS / 2));
        assert_int_equal(kill(-s->pid, SIGSTOP), 0); /* its child too */
        suspend(s);
        suspend(c);
        assert_int_equal(kill(-s->pid, SIGCONT), 0);
        signal_program(c, SIGCONT);
    }
    finish_with(c, 0);
    expect_printed_bytes(c, data, LARGE);
    finish_with(s, 0);
    free(data);
}

/* The server waits in a write, for its client is slow to read. */
static void test_stopping_a_server_that_writes_loses_nothing(void **state)
{
    (void)state;
    static unsigned char piece[128 * 1024];
    unsigned char *data = random_bytes(HUGE, 8);
    struct terminal *s = open_server("-n", "1", PLACE, NULL);
    int fd = connect_here();
    size_t sent = 0;

    for (size_t received = 0; received < HUGE;) {
        ssize_t count;
        while (sent < HUGE &&
               (count = send(fd, data + sent, HUGE - sent, MSG_DONTWAIT)) > 0) {
            sent += (size_t)count;
        }
        assert_int_equal(kill(-s->pid, SIGSTOP), 0); /* its child too */
        suspend(s);
        assert_int_equal(kill(-s->pid, SIGCONT), 0);
        count = recv(fd, piece, sizeof piece, 0);
        assert_in_range(count, 1, HUGE - received);
        assert_memory_equal(piece, data + received, (size_t)count);
        received += (size_t)count;
    }
    half_close(fd);
    expect_end_of_file(fd);
    close(fd);
    finish_with(s, 0);
    free(data);
}

int run_stream_tests(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_echo_without_message_and_reply),
        STREAM_TEST(test_reply_answers_instead_of_the_echo),
        STREAM_TEST(test_reply_answers_every_read),
        STREAM_TEST(test_message_is_sent_with_one_newline),
        STREAM_TEST(test_empty_reply_is_a_newline),
        STREAM_TEST(test_input_passes_unchanged),
        STREAM_TEST(test_empty_input),
        STREAM_TEST(test_large_input_comes_back_intact),
        STREAM_TEST(test_large_input_with_a_slow_reader_of_the_answer),
        STREAM_TEST(test_client_reads_while_it_writes),
        STREAM_TEST(test_interactive_conversation_line_by_line),
        STREAM_TEST(test_chinese_stays_legible),
        STREAM_TEST(test_payload_never_reaches_the_terminal_raw),
        STREAM_TEST(test_long_payload_is_cut_short_in_the_story),
        STREAM_TEST(test_help_is_printed),
        STREAM_TEST(test_help_that_can_not_be_printed_fails),
        STREAM_TEST(test_wrong_options_are_refused),
        STREAM_TEST(test_wrong_counts_are_refused),
        STREAM_TEST(test_too_many_operands_are_refused),
        STREAM_TEST(test_two_hyphens_end_the_options),
        STREAM_TEST(test_the_first_operand_ends_the_options),
        STREAM_TEST(test_quiet_leaves_out_the_story),
        STREAM_TEST(test_control_bytes_in_arguments_are_shown_escaped),
        STREAM_TEST(test_count_ends_the_server_after_so_many_clients),
        STREAM_TEST(test_client_that_breaks_off_does_not_count),
        STREAM_TEST(test_several_clients_at_once_and_one_is_idle),
        STREAM_TEST(test_story_tells_clients_apart),
        STREAM_TEST(test_clients_beyond_the_bound_wait_and_are_served_in_turn),
        STREAM_TEST(test_client_that_sends_one_byte_at_a_time),
        STREAM_TEST(test_client_that_half_closes_at_once),
        STREAM_TEST(test_client_that_half_closes_gets_all_of_its_answer),
        STREAM_TEST(test_client_that_sends_much_and_never_reads),
        STREAM_TEST(test_trouble_with_one_client_is_its_own),
        STREAM_TEST(test_killed_client_is_not_the_servers_end),
        STREAM_TEST(test_server_that_answers_in_capitals),
        STREAM_TEST(test_server_that_answers_twice_and_late),
        STREAM_TEST(test_server_that_answers_nothing),
        STREAM_TEST(test_server_that_closes_early_is_noticed_at_once),
        STREAM_TEST(test_server_that_breaks_off),
        STREAM_TEST(test_server_that_goes_before_it_has_read_all),
        STREAM_TEST(test_client_says_what_it_waits_for),
        STREAM_TEST(test_full_disk_is_told),
        STREAM_TEST(test_closed_output_is_told),
        STREAM_TEST(test_input_that_can_not_be_read_is_told),
        STREAM_TEST(test_closed_standard_descriptors),
        STREAM_TEST(test_server_without_standard_descriptors),
        STREAM_TEST(test_taken_address_is_refused_with_a_hint),
        STREAM_TEST(test_address_of_a_suspended_server_is_refused),
        STREAM_TEST(test_server_can_be_restarted_at_once),
        STREAM_TEST(test_killed_server_can_be_restarted_while_its_child_serves),
        STREAM_TEST(test_signals_end_a_server_and_its_children),
        STREAM_TEST(test_signals_end_a_server_whose_child_is_stopped),
        STREAM_TEST(test_a_signal_ends_process_1),
#ifdef __linux__
        STREAM_TEST(test_a_full_standard_error_delays_no_signal),
#endif
        STREAM_TEST(test_signals_end_a_client),
        STREAM_TEST(test_ignored_signal_stays_ignored),
        STREAM_TEST(test_killed_child_ends_one_conversation_only),
        STREAM_TEST(test_stopping_in_mid_transfer_loses_nothing),
        STREAM_TEST(test_stopping_a_server_that_writes_loses_nothing),
    };

    choose_tests();
    if (argc != 3) {
        fprintf(stderr, "usage: %s SERVER CLIENT\n", argv[0]);
        exit(2);
    }
    pair.server = absolute(argv[1]);
    pair.client = absolute(argv[2]);
    return cmocka_run_group_tests_name("stream pair", tests, NULL, NULL);
}
