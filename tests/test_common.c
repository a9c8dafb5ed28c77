/*
 * test_common.c - what conversations between programs can't reach well in
 * common/: every byte that a terminal may get, lines that are too long, an
 * errno that must stay as it is.
 */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#undef fail /* CMocka's; helper.h has another one */
#include "../common/helper.h"

/* Takes the place of the system's, and fails with the one code that has an
 * errno. */
int getaddrinfo(const char *host, const char *port,
                const struct addrinfo *wanted, struct addrinfo **list)
{
    (void)host, (void)port, (void)wanted, (void)list;
    errno = EMFILE;
    return EAI_SYSTEM;
}

/* What this program does if its argument is "print". */
static _Noreturn void print_all(char *argv[])
{
    static const char data[] = "12345678901234567890123456789012...";
    static char text[2000];

    (void)read_command_line(1, argv, "usage: me \n", NULL, 0);
    tell_datagram(6, "a\0\n\"\\你", "recvfrom", 3, "peer"); /* 你 is cut */
    tell_data(0, "", "recvfrom", 3);
    tell_data(0, "", "read", 3);
    tell_data(32, data, "read", 3);
    tell_data(33, data, "read", 3);
    /* Characters; and what is control, overlong, surrogate, none (U+FFFE),
     * incomplete. */
    announce("你好\U0001F600 \xc2\x9b \xc0\xaf \xed\xa0\x80 \xef\xbf\xbe "
             "\xe4\xbd");
    for (int byte = 1; byte < 256; byte++)
        announce("%c", byte);
    memset(text, '\1', sizeof text - 1);
    tell_datagram((long)sizeof text, text, "recvfrom", 3, text);
    errno = 4095; /* no error has this number */
    tell(-1, "call(%d)", 3);
    /* A standard error that fails could change errno. */
    int copy = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = EPIPE;
    tell(-1, "call(%d)", 3);
    dup2(copy, STDERR_FILENO);
    tell(-1, "dup2(%d)", copy);
    (void)resolve("host", "80", 1, SOCK_STREAM);
    exit(EXIT_SUCCESS);
}

SCENE(lines_are_short_and_can_be_read_back)
{
    struct program *me = start("test_common print");
    const char *story =
        "me: recvfrom(3, peer) = 6 \"a\\x00\\n\\\"\\\\\\xe4\"\n"
        "me: recvfrom(3) = 0 \"\"\nme: read(3) = 0, end of file\n"
        "me: read(3) = 32 \"12345678901234567890123456789012\"\n"
        "me: read(3) = 33 \"12345678901234567890123456789012...\"\n"
        "me: 你好\U0001F600 \\xc2\\x9b \\xc0\\xaf \\xed\\xa0\\x80 "
        "\\xef\\xbf\\xbe "
        "\\xe4\\xbd\n";

    for (int byte = 1; byte < 256; byte++)
        story = formatted(byte == '\n'                  ? "%sme: \\n\n"
                          : byte == '"' || byte == '\\' ? "%sme: \\%c\n"
                          : byte >= ' ' && byte <= '~'  ? "%sme: %c\n"
                                                        : "%sme: \\x%02x\n",
                          story, byte);
    expect_status(me, 1);
    expect_story(me, formatted("%sme: recvfrom(3, \\x01*\\x01... = 2000 "
                               "\"\\x01*\\x01...\"\n"
                               "me: call(3) = -1 4095 (*\n"
                               "me: dup2(3) = -1 EPIPE (*\n"
                               "me: getaddrinfo(host, 80) = -1 EMFILE (*\n",
                               story));
    const char *longest = strstr(me->bytes[ERROR].data, "(3, \\x01");
    assert_true(strcspn(longest, "\n") <
                _POSIX_PIPE_BUF - strlen("me: recvfrom"));
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(lines_are_short_and_can_be_read_back),
    };

    if (argc > 1 && strcmp(argv[1], "print") == 0)
        print_all(argv);
    return play_tests("common", tests, argc, argv);
}
