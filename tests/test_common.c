/*
 * test_common.c - what conversations between programs can't reach well in
 * common/: every byte that a terminal may get, lines that are too long, writes
 * that are interrupted, an errno that must stay as it is.
 */
#include "harness.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/helper.h"

/*
 * Plays a program of this name that does this, waits until it ends with this
 * status, and returns what it said. Its standard error is a socket that keeps
 * apart what was written apart: each write is to be one line of less than 512
 * bytes, the least that PIPE_BUF may be; what is more is cut. No act has an
 * assert: the child would go on with the tests.
 */
#define said_by(...) (HERE, play(__VA_ARGS__))
static const char *play(void (*act)(void), const char *name, int status)
{
    static char said[64 * 1024];
    char *end = said;
    int ends[2], result = -1;
    ssize_t size;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    fflush(NULL); /* or the child would write it once more */
    if (fork() == 0) {
        close(ends[0]); /* else it would wait for itself to read */
        dup2(ends[1], STDERR_FILENO);
        start_program(name);
        act();
        exit(0);
    }
    close(ends[1]);
    while ((size = recv(ends[0], end, 511, 0)) > 0) {
        assert_ptr_equal(memchr(end, '\n', (size_t)size), end + size - 1);
        end += size;
    }
    *end = '\0';
    assert_true(wait(&result) != -1 && result == status << 8); /* an exit */
    return said;
}

/* ---- Lines ---- */

static void speak(void)
{
    static const char data[] = "a\0\n"; /* shown once */

    tell_data("recvfrom", 3, "peer", 3, data);
    for (int fd = 1; fd <= 8; fd++)
        tell_data("send", fd, NULL, 1, data);
    wait_a_moment(400); /* that is a pause */
    say("pause");
    tell_totals();
    /* Characters; and what is control, overlong, surrogate, incomplete. */
    announce("你好\U0001F600 \xc2\x9b \xc0\xaf \xed\xa0\x80 \xe4\xbd");
    for (int byte = 1; byte < 256; byte++)
        announce("%c", byte);
}

SCENE(lines_are_fit_for_people_and_terminals)
{
    const char *story =
        "me: recvfrom(3, peer) = 3 \"a\\x00\\n\"\n"
        "me: send(1) = 1\nme: send(2) = 1\nme: send(3) = 1\nme: send(4) = 1\n"
        "me: send(5) = 1\nme: send(6) = 1\nme: send(7) = 1\n"
        "me: calls that follow are only counted, until there is a pause\n"
        "me: pause\nme: so far received 3 bytes, sent 8\n"
        "me: 你好\U0001F600 \\xc2\\x9b \\xc0\\xaf \\xed\\xa0\\x80 \\xe4\\xbd\n";

    for (int byte = 1; byte < 256; byte++) {
        bool is_raw = byte >= ' ' && byte <= '~';
        const char *shown = formatted(is_raw ? "%c" : "\\x%02x", byte);
        story = formatted("%sme: %s\n", story, byte == '\n' ? "\\n" : shown);
    }
    assert_string_equal(said_by(speak, "me", 0), story);
}

/* Too long; and with a standard error that fails and could change errno. */
static void speak_badly(void)
{
    static char text[2000];

    memset(text, '\1', sizeof text - 1);
    errno = 4095; /* no error has this number */
    tell(-1, "open(%s)", text);
    tell_data("recvfrom", 3, text, sizeof text, text);
    close(STDERR_FILENO);
    errno = EPIPE;
    tell(-1, "write(%d)", 3);
    give_hint(EPIPE);
    exit(errno != EPIPE);
}

SCENE(long_lines_are_cut_and_errno_is_kept)
{
    const char *said = said_by(speak_badly, "fifo_reader", 0);

    assert_non_null(strstr(said, "\\x01... = -1 an error ("));
    assert_non_null(strstr(said, "\\x01... = 2000 \"\\x01\\x01"));
}

/* What the programs are told to do about an error. */
static const struct {
    const char *program;
    int error;
    const char *said;
} hints[] = {
    {"tcp_client", ECONNREFUSED, "tcp_client: hint: start tcp_server "},
    {"udp_server", EACCES, "udp_server: hint: take a PORT "},
    {"udp_client", EACCES, "udp_client: hint: take another PATH or HOST"},
    {"unix_client", ENOENT, "unix_client: hint: start unix_server "},
};
static size_t row;

static void take_hint(void)
{
    give_up(hints[row].error);
}

SCENE(hints_fit_the_program)
{
    for (row = 0; row < sizeof hints / sizeof *hints; row++)
        assert_non_null(
            strstr(said_by(take_hint, hints[row].program, 1), hints[row].said));
}

/* ---- Writes, addresses, paths ---- */

/* Takes the place of the system's: each byte after two interruptions. */
ssize_t write(int fd, const void *data, size_t size)
{
    static int calls;

    (void)data;
    errno = EINTR;
    return fd == 9 && size > 0 && ++calls % 3 == 0 ? 1 : -1;
}

static void write_and_resolve(void)
{
    struct addrinfo *list = resolve("fe80::1%lo", "80", 0, SOCK_STREAM);
    char text[ADDRESS_SIZE];

    address_text(list->ai_addr, list->ai_addrlen, text);
    freeaddrinfo(list);
    say("%s", text);
    exit(write_all(9, "ab", 2));
}

SCENE(writes_go_on_and_addresses_are_texts)
{
    assert_string_equal(
        said_by(write_and_resolve, "me", 0),
        "me: getaddrinfo(fe80::1%lo, 80) = 0\nme: [fe80::1%lo]:80\n"
        "me: write(9) = 1 \"a\"\nme: write(9) = 1 \"b\"\n");
}

static bool is_replaced; /* by another file at the path */

static void own(void)
{
    (void)mkfifo("path", 0600);
    own_path("path", -1);
    if (is_replaced && mkfifo("other", 0600) == 0)
        (void)rename("other", "path");
}

SCENE(only_what_is_owned_is_removed)
{
    (void)said_by(own, "me", 0);
    assert_false(is_there("path"));
    is_replaced = true;
    (void)said_by(own, "me", 0);
    assert_int_equal(unlink("path"), 0);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(lines_are_fit_for_people_and_terminals),
        TEST(long_lines_are_cut_and_errno_is_kept),
        TEST(hints_fit_the_program),
        TEST(writes_go_on_and_addresses_are_texts),
        TEST(only_what_is_owned_is_removed),
    };

    return play_tests("common", tests, argc, argv);
}
