/*
 * helper.c - what all programs share.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

enum {
    TEXT_MAX = 300, /* bytes of a line before its result */
    SHOWN_MAX = 32, /* bytes of data in a line */
    IN_A_ROW = 8,   /* calls that are told before they are only counted */
    PAUSE = 200,    /* milliseconds without a call: then they are told again */
};

/* What to do about an error, for the programs whose name contains this. */
static const struct row {
    int error;
    const char *program, *text;
} hints[] = {
    {EADDRINUSE, "unix",
     "end the server on this PATH (suspended? fg), or take another"},
    {EADDRINUSE, "",
     "end the server on this PORT (suspended? fg), or take another"},
    {ECONNREFUSED, "tcp", "start tcp_server first, on this HOST and PORT"},
    {ECONNREFUSED, "udp", "start udp_server first, on this HOST and PORT"},
    {ECONNREFUSED, "", "start unix_server first: nobody listens on this PATH"},
    {ETIMEDOUT, "", "check HOST, and firewalls on the way: no answer came"},
    {EAGAIN, "udp_client", "start udp_server, check HOST: no answer came"},
    {EADDRNOTAVAIL, "", "take an address of this machine, such as 127.0.0.1"},
    {EACCES, "p_server", "take a PORT from 1024 on: lower ones are root's"},
    {EACCES, "", "take another PATH or HOST: this one is not yours to use"},
    {ENOENT, "client", "start unix_server first, with the same PATH"},
    {ENOENT, "", "make the folder of PATH first: it does not exist"},
    {ENOTSOCK, "", "take another PATH: what is there is no socket"},
    {EEXIST, "", "take another PATH: what is there is no FIFO of yours"},
    {ENAMETOOLONG, "", "take a shorter PATH, such as one under /tmp"},
    {EPIPE, "", "let the other side read to the end: it closed too early"},
    {EMSGSIZE, "", "send less: over IPv4 a datagram holds at most 65507 bytes"},
    {0, "", NULL},
};

#define NAMED(symbol) symbol, "", #symbol
static const struct row symbols[] = {
    {NAMED(EACCES)},       {NAMED(EADDRINUSE)},   {NAMED(EADDRNOTAVAIL)},
    {NAMED(EAFNOSUPPORT)}, {NAMED(EAGAIN)},       {NAMED(EBADF)},
    {NAMED(ECONNABORTED)}, {NAMED(ECONNREFUSED)}, {NAMED(ECONNRESET)},
    {NAMED(EEXIST)},       {NAMED(EHOSTUNREACH)}, {NAMED(EINVAL)},
    {NAMED(EIO)},          {NAMED(EISDIR)},       {NAMED(ELOOP)},
    {NAMED(EMFILE)},       {NAMED(EMSGSIZE)},     {NAMED(ENAMETOOLONG)},
    {NAMED(ENETUNREACH)},  {NAMED(EINTR)},        {NAMED(ENFILE)},
    {NAMED(ENOBUFS)},      {NAMED(ENOENT)},       {NAMED(ENOMEM)},
    {NAMED(ENOSPC)},       {NAMED(ENOTCONN)},     {NAMED(ENOTDIR)},
    {NAMED(EPERM)},        {NAMED(EPIPE)},        {NAMED(EPROTOTYPE)},
    {NAMED(ETIMEDOUT)},    {0, "", "an error"},
};

static const char *program = "program";
static pid_t first_process; /* the lines of a child show its number */
/* Data to show in the next line; and where the last ones that came are. */
static const void *payload, *received_data;
/* Bytes; and calls without a pause between them. */
static unsigned long long received, sent, in_a_row;
static bool quiet, only_counted;

static const char *program_usage;
static const char *volatile owned_path; /* read by a signal handler */
static struct stat owned_file;

void start_program(const char *name)
{
    static char buffer[1024]; /* more than a line */

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

/* Prints data, escaped as in C where it is nothing for a terminal, until it
 * takes `most` bytes. */
static void print_escaped(const char *data, size_t size, int most)
{
    while (size > 0 && most > 0) {
        wchar_t character;
        mbstate_t state = {0};
        size_t length = mbrtowc(&character, data, size, &state);
        if (length == 0 || length > size || !iswprint((wint_t)character)) {
            length = 1; /* broken, or a NUL, or a control character */
            most -= *data == '\n' ? fprintf(stderr, "\\n")
                                  : fprintf(stderr, "\\x%02x", *data & 0xff);
        } else {
            most -= fprintf(stderr, "%.*s", (int)length, data);
        }
        data += length;
        size -= length;
    }
    (void)fprintf(stderr, "%s", size > 0 ? "..." : "");
}

/* The text of the first row that fits, or of the last row, whose error is 0. */
static const char *find(const struct row *row, int error)
{
    while (row->error != 0 &&
           (row->error != error || strstr(program, row->program) == NULL))
        row++;
    return row->text;
}

bool is_silent(void)
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
    static char text[2 * TEXT_MAX]; /* static: it begins as an empty one */
    int error = errno;
    va_list arguments;

    if (kind != ANNOUNCE && result != -1 && (quiet || is_silent()))
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
        (void)fprintf(stderr, " = -1 %s (%s)", find(symbols, error),
                      strerror(error));
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

    if (quiet && result != -1)
        return;
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
    if (result != -1 && ++in_a_row == IN_A_ROW)
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
    const char *hint = find(hints, error);

    if (hint != NULL)
        announce("hint: %s", hint);
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

    if (line == NULL)
        check(-1, "malloc(%zu)", size);
    (void)snprintf(line, size, "%s\n", text);
    int result = write_all(fd, line, size - 1);
    free(line);
    return result;
}

void wait_a_moment(long milliseconds)
{
    (void)nanosleep(&(struct timespec){0, milliseconds * 1000000}, NULL);
}

/* ---- The command line ---- */

/* announce() what is wrong with it, and end the program. With standard error
 * gone, the status tells alone. */
#define refuse(...)                                                            \
    (announce(__VA_ARGS__), (void)fputs(program_usage, stderr), exit(2))

int next_option(int argc, char *argv[], const char *letters, const char *usage)
{
    bool is_help = optind < argc && strcmp(argv[optind], "--help") == 0;

    program_usage = usage;
    opterr = 0; /* errors are announced here, with the usage */
    int option = is_help ? 'h' : getopt(argc, argv, letters);
    if (option == 'q') {
        quiet = true;
        return next_option(argc, argv, letters, usage);
    }
    if (option == 'h') {
        print_data(usage, strlen(usage));
        exit(EXIT_SUCCESS);
    }
    if (option == '?')
        refuse("unknown option, or its argument is missing: -%c", optopt);
    return option;
}

void read_operands(int argc, char *argv[], const char *operands[], int most)
{
    if (argc - optind > most)
        refuse("one operand too many: %s", argv[optind + most]);
    for (int i = 0; optind + i < argc; i++)
        operands[i] = argv[optind + i];
}

long number(const char *text, long lowest, long highest, const char *name)
{
    long value = strtol(text, NULL, 10); /* too large: LONG_MAX */

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' ||
        value < lowest || value > highest) {
        refuse("%s must be a number from %ld to %ld, not: %s", name, lowest,
               highest, text);
    }
    return value;
}

struct addrinfo *resolve(const char *host, const char *port, long lowest_port,
                         int type)
{
    const struct addrinfo wanted = {.ai_flags = AI_NUMERICSERV,
                                    .ai_socktype = type}; /* IPv4 or IPv6 */
    struct addrinfo *list;

    (void)number(port, lowest_port, 65535, "PORT");
    if (host[strspn(host, "0123456789")] == '\0')
        refuse("HOST must be a name or an address, not: %s", host);
    int code = getaddrinfo(host, port, &wanted, &list);
    if (code != 0) {
        announce("getaddrinfo(%s, %s) = %s (%s)", host, port,
                 code == EAI_NONAME  ? "EAI_NONAME"
                 : code == EAI_AGAIN ? "EAI_AGAIN"
                 : code == EAI_FAIL  ? "EAI_FAIL"
                                     : "EAI error",
                 gai_strerror(code));
        announce("hint: check HOST: a name, or an address such as 127.0.0.1");
        exit(EXIT_FAILURE);
    }
    tell(code, "getaddrinfo(%s, %s)", host, port);
    return list;
}

void address_text(const struct sockaddr *address, socklen_t size,
                  char text[ADDRESS_SIZE])
{
    char host[ADDRESS_SIZE - sizeof "[]:65535"] = "?";
    char port[sizeof "65535"] = "?";

    (void)getnameinfo(address, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV); /* else they stay */
    (void)snprintf(text, ADDRESS_SIZE,
                   address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                   port);
}

void announce_ready(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[ADDRESS_SIZE];

    if (getsockname(fd, (struct sockaddr *)&address, &size) == -1)
        check(-1, "getsockname(%d)", fd);
    address_text((struct sockaddr *)&address, size, text);
    announce("ready on %s", text);
}

void check_fifo(const char *path, int fd)
{
    struct stat file;
    int result = fd == -1 ? lstat(path, &file) : fstat(fd, &file);

    if (fd == -1 && result == -1 && errno == ENOENT)
        return; /* removed just now: open() will tell */
    if (result == -1)
        check(result, "lstat(%s)", path);
    if (!S_ISFIFO(file.st_mode) || file.st_uid != geteuid()) {
        announce("lstat(%s) = 0, not a FIFO of this user", path);
        give_up(EEXIST);
    }
}

void tell_mkfifo(int result, const char *path)
{
    if (result == -1 && errno == EEXIST) {
        say("mkfifo(%s, 0600) = -1 EEXIST (File exists)", path);
        check_fifo(path, -1);
        return;
    }
    check(result, "mkfifo(%s, 0600)", path);
    own_path(path, -1);
}

bool disown_path(void)
{
    const char *path = owned_path;
    struct stat file;

    owned_path = NULL;
    return path != NULL && lstat(path, &file) == 0 &&
           file.st_dev == owned_file.st_dev && file.st_ino == owned_file.st_ino;
}

static void remove_path(void)
{
    const char *path = owned_path;

    if (disown_path())
        tell(unlink(path), "unlink(%s)", path);
}

/* Calls only what a signal handler may call (POSIX, 2.4.3 Signal Actions), so
 * it can't tell. SA_RESETHAND has set the signal's default again: it ends the
 * program. */
static void on_signal(int signal_number)
{
    const char *path = owned_path;

    if (disown_path())
        (void)unlink(path);
    (void)raise(signal_number);
}

void own_path(const char *path, int fd)
{
    const struct sigaction handler = {.sa_handler = on_signal,
                                      .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &handler, NULL);
    (void)sigaction(SIGTERM, &handler, NULL);
    (void)atexit(remove_path);
    int result = fd == -1 ? lstat(path, &owned_file) : fstat(fd, &owned_file);
    owned_path = result == 0 ? path : NULL;
}
