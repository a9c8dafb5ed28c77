/*
 * test_common.c - what conversations between programs can't reach well in
 * common/: every byte that a terminal may get, every symbol, lines that are too
 * long, an errno that must stay as it is.
 */
#include "harness.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#undef fail /* CMocka's; helper.h has another one */
#include "../common/helper.h"

/* Acts, which this program plays if it is told so. */

static void print_data(void)
{
    static const char long_data[] = "12345678901234567890123456789012...";

    tell_datagram(6, "a\0\n\"\\你", "recvfrom", 3, "peer"); /* 你 is cut */
    tell_data(0, "", "recvfrom", 3);
    tell_data(0, "", "read", 3);
    tell_data(32, long_data, "read", 3);
    tell_data(33, long_data, "read", 3);
    /* Characters; and what is control, overlong, surrogate, incomplete. */
    announce("你好\U0001F600 \xc2\x9b \xc0\xaf \xed\xa0\x80 \xe4\xbd");
    for (int byte = 1; byte < 256; byte++)
        announce("%c", byte);
}

SCENE(what_is_printed_can_be_read_back)
{
    const char *story =
        "me: recvfrom(3, peer) = 6 \"a\\x00\\n\\\"\\\\\\xe4\"\n"
        "me: recvfrom(3) = 0 \"\"\nme: read(3) = 0, end of file\n"
        "me: read(3) = 32 \"12345678901234567890123456789012\"\n"
        "me: read(3) = 33 \"12345678901234567890123456789012...\"\n"
        "me: 你好\U0001F600 \\xc2\\x9b \\xc0\\xaf \\xed\\xa0\\x80 \\xe4\\xbd\n";
    struct program *me = start("test_common data");

    for (int byte = 1; byte < 256; byte++)
        story = formatted(byte == '\n'                  ? "%sme: \\n\n"
                          : byte == '"' || byte == '\\' ? "%sme: \\%c\n"
                          : byte >= ' ' && byte <= '~'  ? "%sme: %c\n"
                                                        : "%sme: \\x%02x\n",
                          story, byte);
    expect_status(me, 0);
    assert_string_equal(me->bytes[ERROR].data, story);
}

#define NAMED(symbol) symbol, #symbol
static const struct {
    int error;
    const char *symbol;
} symbols[] = {
    {NAMED(EACCES)},        {NAMED(EADDRINUSE)},
    {NAMED(EADDRNOTAVAIL)}, {NAMED(EAFNOSUPPORT)},
    {NAMED(EAGAIN)},        {NAMED(EBADF)},
    {NAMED(ECONNABORTED)},  {NAMED(ECONNREFUSED)},
    {NAMED(ECONNRESET)},    {NAMED(EDQUOT)},
    {NAMED(EEXIST)},        {NAMED(EFBIG)},
    {NAMED(EHOSTUNREACH)},  {NAMED(EINTR)},
    {NAMED(EINVAL)},        {NAMED(EIO)},
    {NAMED(EISDIR)},        {NAMED(EMFILE)},
    {NAMED(EMSGSIZE)},      {NAMED(ENAMETOOLONG)},
    {NAMED(ENETUNREACH)},   {NAMED(ENFILE)},
    {NAMED(ENOBUFS)},       {NAMED(ENOENT)},
    {NAMED(ENOMEM)},        {NAMED(ENOSPC)},
    {NAMED(ENOTCONN)},      {NAMED(ENOTDIR)},
    {NAMED(ENXIO)},         {NAMED(EOPNOTSUPP)},
    {NAMED(EPERM)},         {NAMED(EPIPE)},
    {NAMED(EPROTOTYPE)},    {NAMED(EROFS)},
    {NAMED(ETIMEDOUT)},     {4095, "4095"}, /* no error has this number */
};
enum { SYMBOLS = sizeof symbols / sizeof *symbols };

static void fail_in_all_ways(void)
{
    for (int i = 0; i < SYMBOLS; i++) {
        errno = symbols[i].error;
        tell(-1, "call(3)");
    }
}

SCENE(errors_have_the_symbols_of_the_manual)
{
    const char *story = "";
    struct program *me = start("test_common fail");

    for (int i = 0; i < SYMBOLS; i++)
        story =
            formatted("%sme: call(3) = -1 %s (*)\n", story, symbols[i].symbol);
    expect_status(me, 0);
    expect_story(me, story);
}

/* Too long; and with a standard error that fails and could change errno. */
static void print_too_much(void)
{
    static char text[2000];

    memset(text, '\1', sizeof text - 1);
    tell_datagram(sizeof text, text, "recvfrom", 3, text);
    close(STDERR_FILENO);
    errno = EPIPE;
    tell(-1, "write(%d)", 3);
    exit(errno == EPIPE ? 0 : 1);
}

SCENE(long_lines_are_cut_and_errno_is_kept)
{
    struct program *me = start("test_common much");

    expect_status(me, 0);
    expect_story(me, "me: recvfrom(3, *\\x01... = 2000 \"\\x01*\\x01...\"\n");
    assert_true(me->bytes[ERROR].size < _POSIX_PIPE_BUF);
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        void (*play)(void);
    } acts[] = {
        {"data", print_data},
        {"fail", fail_in_all_ways},
        {"much", print_too_much},
    };
    const struct CMUnitTest tests[] = {
        TEST(what_is_printed_can_be_read_back),
        TEST(errors_have_the_symbols_of_the_manual),
        TEST(long_lines_are_cut_and_errno_is_kept),
    };

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        if (argc > 1 && strcmp(argv[1], acts[i].name) == 0) {
            (void)read_command_line(1, argv, "usage: me \n", NULL, 0);
            acts[i].play();
            return 0;
        }
    }
    return play_tests("common", tests, argc, argv);
}
