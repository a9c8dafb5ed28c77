/*
 * story.c - what a program says on standard error.
 */
#include "story.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

enum {
    LINE_SIZE = 512, /* bytes: the least that PIPE_BUF may be */
    TEXT_MAX = 300,  /* characters of a line before its result */
    SHOWN_MAX = 32,  /* characters of data in a line */
    IN_A_ROW = 8,    /* calls that are told before they are only counted */
    PAUSE = 200,     /* milliseconds without a call: then they are told again */
};

/* What to do about an error, for the programs whose name contains this. */
static const struct {
    int error;
    const char *program, *text;
} hints[] = {
    {EADDRINUSE, "",
     "end the server that has it (suspended? fg), or take another"},
    {ECONNREFUSED, "tcp", "start tcp_server first, on this HOST and PORT"},
    {ECONNREFUSED, "udp", "start udp_server first, on this HOST and PORT"},
    {ECONNREFUSED, "", "start unix_server first: nobody listens on this PATH"},
    {ETIMEDOUT, "", "check HOST, and firewalls on the way: no answer came"},
    {EAGAIN, "udp", "start udp_server, check HOST and PORT: no answer came"},
    {EADDRNOTAVAIL, "", "take an address of this machine, such as 127.0.0.1"},
    {EACCES, "p_server", "take a PORT from 1024 on: lower ones are root's"},
    {EACCES, "", "take a PATH of your own: another user forbids this one"},
    {ENOENT, "client", "start unix_server first, with the same PATH"},
    {ENOENT, "", "make the folder of PATH first: it does not exist"},
    {ENOTSOCK, "", "take another PATH: what is there is no socket"},
    {EEXIST, "", "take another PATH: what is there is no FIFO of yours"},
    {ENAMETOOLONG, "", "take a shorter PATH, such as one under /tmp"},
    {EPIPE, "", "let the other side read to the end: it closed too early"},
    {EMSGSIZE, "", "send less: a datagram holds at most 65507 bytes"},
};

#define NAMED(symbol) symbol, #symbol
static const struct {
    int error;
    const char *symbol;
} symbols[] = {
    {NAMED(EACCES)},       {NAMED(EADDRINUSE)},   {NAMED(EADDRNOTAVAIL)},
    {NAMED(EAFNOSUPPORT)}, {NAMED(EAGAIN)},       {NAMED(EBADF)},
    {NAMED(ECONNABORTED)}, {NAMED(ECONNREFUSED)}, {NAMED(ECONNRESET)},
    {NAMED(EEXIST)},       {NAMED(EFBIG)},        {NAMED(EHOSTUNREACH)},
    {NAMED(EINTR)},        {NAMED(EINVAL)},       {NAMED(EIO)},
    {NAMED(EISDIR)},       {NAMED(ELOOP)},        {NAMED(EMFILE)},
    {NAMED(EMSGSIZE)},     {NAMED(ENAMETOOLONG)}, {NAMED(ENETUNREACH)},
    {NAMED(ENFILE)},       {NAMED(ENOBUFS)},      {NAMED(ENOENT)},
    {NAMED(ENOMEM)},       {NAMED(ENOSPC)},       {NAMED(ENOTCONN)},
    {NAMED(ENOTDIR)},      {NAMED(ENXIO)},        {NAMED(EPERM)},
    {NAMED(EPIPE)},        {NAMED(EPROTOTYPE)},   {NAMED(ETIMEDOUT)},
};

static const char *program = "program";
static pid_t first_process; /* the lines of a child show its number */
static bool quiet;
static const char *payload; /* data to show in the next line */
static const void *received_data;
static unsigned long long received, sent; /* bytes */
static unsigned long in_a_row;
static bool only_counted;

void start_program(const char *name)
{
    static char buffer[2 * LINE_SIZE];

    program = name;
    first_process = getpid();
    /* UTF-8 is to be seen as it is; without it, its bytes are escaped. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        (void)setlocale(LC_CTYPE, "");
    /* open() takes the lowest free number. The wrong direction is meant: to
     * use a stream that was closed has to fail. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    (void)setvbuf(stderr, buffer, _IOLBF, sizeof buffer);
}

void be_quiet(void)
{
    quiet = true;
}

/* Prints data, escaped as in C where it is nothing for a terminal, until it
 * takes `most` bytes. */
static void print_escaped(const char *data, size_t size, int most)
{
    while (size > 0 && most > 0) {
        wchar_t character;
        mbstate_t state;

        memset(&state, 0, sizeof state);
        size_t length = mbrtowc(&character, data, size, &state);
        if (length - 1 >= MB_LEN_MAX || !iswprint((wint_t)character)) {
            length = 1; /* broken, or a NUL, or a control character */
            most -= *data == '\n' ? fprintf(stderr, "\\n")
                                  : fprintf(stderr, "\\x%02x",
                                            (unsigned)(unsigned char)*data);
        } else {
            most -= fprintf(stderr, "%.*s", (int)length, data);
        }
        data += length;
        size -= length;
    }
    (void)fprintf(stderr, "%s", size > 0 ? "..." : "");
}

static const char *symbol(int error)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++)
        if (symbols[i].error == error)
            return symbols[i].symbol;
    return "error";
}

/* Whether the story is not told now. A pause ends what was a burst. */
static bool is_silent(void)
{
    static long long last; /* milliseconds */
    struct timespec time = {0, 0};

    /* Without such a clock there is no pause, which does no harm. */
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    long long now = time.tv_sec * 1000LL + time.tv_nsec / 1000000;
    if (now - last > PAUSE)
        in_a_row = 0;
    last = now;
    return quiet || in_a_row >= IN_A_ROW;
}

void print_line(enum kind kind, long result, const char *format, ...)
{
    char text[LINE_SIZE] = "";
    int error = errno;
    va_list arguments;

    if (kind != ANNOUNCE && result != -1 && is_silent())
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* or cut */
    va_end(arguments);

    (void)fprintf(stderr, "%s", program);
    if (getpid() != first_process)
        (void)fprintf(stderr, "[%ld]", (long)getpid());
    (void)fprintf(stderr, ": ");
    print_escaped(text, strlen(text), TEXT_MAX);
    if (result == -1)
        (void)fprintf(stderr, " = -1 %s (%s)", symbol(error), strerror(error));
    else if (kind == TELL || kind == CHECK)
        (void)fprintf(stderr, " = %ld", result);
    if (payload != NULL && result != -1) {
        (void)fprintf(stderr, " \"");
        print_escaped(payload, (size_t)result, SHOWN_MAX);
        (void)fprintf(stderr, "\"");
    }
    (void)fprintf(stderr, "\n"); /* now it is written, as a whole */
    errno = error;
    if (kind == CHECK && result == -1)
        give_up(error);
}

void tell_data(const char *call, int fd, const char *peer, ssize_t result,
               const void *data)
{
    bool is_received = call[0] == 'r';

    if (result == 0 && strcmp(call, "read") == 0) {
        in_a_row = 0;
        say("read(%d) = 0, end of file", fd);
        return;
    }
    if (result > 0)
        *(is_received ? &received : &sent) += (unsigned long long)result;
    only_counted |= is_silent();
    payload = is_received || data != received_data ? data : NULL;
    tell(result, "%s(%d%s%s)", call, fd, peer == NULL ? "" : ", ",
         peer == NULL ? "" : peer);
    payload = NULL;
    received_data = is_received ? data : received_data;
    if (++in_a_row == IN_A_ROW && !quiet)
        announce("calls that follow are only counted, until there is a pause");
}

void tell_totals(void)
{
    in_a_row = 0;
    if (only_counted)
        say("so far received %llu bytes, sent %llu", received, sent);
}

void give_hint(int error)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (hints[i].error == error && strstr(program, hints[i].program)) {
            announce("hint: %s", hints[i].text);
            return;
        }
    }
}

void give_up(int error)
{
    give_hint(error);
    exit(EXIT_FAILURE);
}

int write_all(int fd, const void *data, size_t size)
{
    for (const char *next = data; size > 0;) {
        ssize_t written = write(fd, next, size);
        if (written == -1 && errno == EINTR)
            continue;
        if (written == -1 || fd > STDERR_FILENO)
            tell_data("write", fd, NULL, written, next);
        if (written == -1) {
            give_hint(errno);
            return -1;
        }
        next += written;
        size -= (size_t)written;
    }
    return 0;
}

void print_data(const void *data, size_t size)
{
    if (write_all(STDOUT_FILENO, data, size) == -1)
        exit(EXIT_FAILURE);
}

int write_line(int fd, const char *text)
{
    size_t size = strlen(text) + sizeof "\n";
    char *line = malloc(size);

    if (line == NULL) {
        announce("malloc(%zu) = NULL", size);
        return -1;
    }
    (void)snprintf(line, size, "%s\n", text);
    int result = write_all(fd, line, size - 1);
    free(line);
    return result;
}

void wait_a_moment(void)
{
    const struct timespec moment = {0, 200 * 1000000}; /* nanoseconds */

    (void)nanosleep(&moment, NULL); /* may end early */
}
