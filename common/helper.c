/*
 * helper.c - what all programs share.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

/* Bytes in a line: of what stands before the result, and of data. */
enum { TEXT_MAX = 300, SHOWN_MAX = 32 };

/* What to do about an error of this call, or of any call. */
static const struct row {
    int error;
    const char *call, *text;
} hints[] = {
    {EACCES, "bind", "take a PORT from 1024 on, or a PATH of your own"},
    {EACCES, "", "take another HOST or PATH: this one is not permitted"},
    {EADDRINUSE, "", "take another, or end what has this one (suspended? fg)"},
    {EADDRNOTAVAIL, "bind", "take an address of this machine, as 127.0.0.1"},
    {EADDRNOTAVAIL, "", "wait for a free port; or here is no IPv6: take IPv4"},
    {EAGAIN, "connect", "wait for a free port, or end other programs"},
    {EAGAIN, "recvfrom", "start the server, check HOST: no answer came"},
    {ECONNREFUSED, "", "start the server first, on this address"},
    {ECONNRESET, "", "look at the other side: it ended before reading all"},
    {EHOSTUNREACH, "", "check HOST: it is off, or a firewall rejects you"},
    {EINVAL, "connect", "if HOST is fe80::, add its interface: fe80::1%eth0"},
    {EMSGSIZE, "", "send less: over IPv4 a datagram holds 65507 bytes"},
    {ENAMETOOLONG, "", "take a shorter PATH, such as one under /tmp"},
    {ENETUNREACH, "", "check HOST and your network: no route leads there"},
    {ENOENT, "bind", "make the folder of PATH first: it does not exist"},
    {ENOENT, "connect", "start the server first, with the same PATH"},
    {ENOENT, "mkfifo", "take a PATH whose folder exists (is PATH empty?)"},
    {ENOENT, "", "start this program again: the path was just removed"},
    {ENOTCONN, "", "look at the other side: it ended before reading all"},
    {EOPNOTSUPP, "", "take a PATH under /tmp: this place takes no such file"},
    {EPERM, "bind", "take a PATH under /tmp: this place takes no such file"},
    {EPERM, "mkfifo", "take a PATH under /tmp: this place takes no such file"},
    {EPERM, "sendto", "look at the firewall of this machine: it forbids that"},
    {EPIPE, "", "look at the other side: it ended before reading all"},
    {EPROTOTYPE, "", "take another PATH: a server is here (suspended? fg)"},
    {EROFS, "", "take a PATH under /tmp: this place is read-only"},
    {ETIMEDOUT, "", "check HOST, and firewalls on the way: no answer came"},
    {0, "", NULL},
};

#define NAMED(symbol) symbol, "", #symbol
static const struct row symbols[] = {
    {NAMED(EACCES)},       {NAMED(EADDRINUSE)},   {NAMED(EADDRNOTAVAIL)},
    {NAMED(EAFNOSUPPORT)}, {NAMED(EAGAIN)},       {NAMED(EBADF)},
    {NAMED(ECONNABORTED)}, {NAMED(ECONNREFUSED)}, {NAMED(ECONNRESET)},
    {NAMED(EDQUOT)},       {NAMED(EEXIST)},       {NAMED(EFBIG)},
    {NAMED(EHOSTUNREACH)}, {NAMED(EINTR)},        {NAMED(EINVAL)},
    {NAMED(EIO)},          {NAMED(EISDIR)},       {NAMED(EMFILE)},
    {NAMED(EMSGSIZE)},     {NAMED(ENAMETOOLONG)}, {NAMED(ENETUNREACH)},
    {NAMED(ENFILE)},       {NAMED(ENOBUFS)},      {NAMED(ENOENT)},
    {NAMED(ENOMEM)},       {NAMED(ENOSPC)},       {NAMED(ENOTCONN)},
    {NAMED(ENOTDIR)},      {NAMED(ENXIO)},        {NAMED(EOPNOTSUPP)},
    {NAMED(EPERM)},        {NAMED(EPIPE)},        {NAMED(EPROTOTYPE)},
    {NAMED(EROFS)},        {NAMED(ETIMEDOUT)},    {0, "", NULL},
};

static const struct row resolver_symbols[] = {
    {NAMED(EAI_AGAIN)}, {NAMED(EAI_FAIL)}, {NAMED(EAI_NONAME)}, {0, "", NULL}};

static const char *usage_text = "program "; /* behind "usage: " */
static pid_t first_process; /* the lines of a child show its number */
bool quiet;

static const char *last_hint; /* for the failure that was told last */

/* The text of the first row that fits, or NULL: the last row's error is 0. A
 * format begins with the name of its call. */
static const char *find(const struct row *row, int error, const char *format)
{
    while (row->error != 0 &&
           (row->error != error ||
            strncmp(format, row->call, strlen(row->call)) != 0))
        row++;
    return row->text;
}

/* Prints data, escaped as in C where it is nothing for a terminal or could
 * not be read back, until it takes `most` bytes. */
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
            most -= fprintf(stderr, "%s%.*s",
                            *data == '\\' || *data == '"' ? "\\" : "",
                            (int)length, data);
        }
        data += length;
        size -= length;
    }
    (void)fprintf(stderr, "%s", size > 0 ? "..." : "");
}

/* The symbol of an error; one without a name here has its number. */
static const char *symbol_text(const struct row *table, int error)
{
    static char digits[16];
    const char *symbol = find(table, error, "");

    (void)snprintf(digits, sizeof digits, "%d", error); /* has room */
    return symbol == NULL ? digits : symbol;
}

void print_line(enum kind kind, long result, const void *data,
                const char *format, ...)
{
    char text[2 * TEXT_MAX];
    int error = errno;
    va_list arguments;

    if (result != -1 && (kind == FAILURE || (quiet && kind != ANNOUNCE)))
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* or cut */
    va_end(arguments);

    (void)fprintf(stderr, "%.*s", (int)strcspn(usage_text, " "), usage_text);
    if (getpid() != first_process)
        (void)fprintf(stderr, "[%ld]", (long)getpid());
    (void)fprintf(stderr, ": ");
    print_escaped(text, strlen(text), TEXT_MAX);
    if (result == -1) {
        (void)fprintf(stderr, " = -1 %s (%s)", symbol_text(symbols, error),
                      strerror(error));
        last_hint = find(hints, error, format);
    } else if (kind == TELL) {
        (void)fprintf(stderr, " = %ld", result);
    }
    if (data != NULL && result == 0 && strncmp(format, "read(", 5) == 0) {
        (void)fprintf(stderr, ", end of file");
    } else if (data != NULL && result != -1) {
        (void)fprintf(stderr, " \"");
        print_escaped(data, (size_t)result, SHOWN_MAX);
        (void)fprintf(stderr, "\"");
    }
    (void)fprintf(stderr, "\n"); /* now it is written, as a whole */
    errno = error;
}

void give_up_with(const char *hint)
{
    const char *text = hint != NULL ? hint : last_hint;

    if (text != NULL)
        announce("hint: %s", text);
    exit(EXIT_FAILURE);
}

int write_all(int fd, const void *data, size_t size)
{
    for (const char *next = data; size > 0;) {
        ssize_t written = write(fd, next, size);
        tell_data(written, next, "write", fd);
        if (written == -1 && errno == EINTR)
            continue;
        if (written == -1)
            return -1;
        next += written;
        size -= (size_t)written;
    }
    return 0;
}

int write_line(int fd, const char *text)
{
    size_t size = strlen(text) + 1; /* with a newline instead of the NUL */
    char *line = malloc(size);

    if (line == NULL)
        fail("malloc(%zu)", size);
    memcpy(line, text, size);
    line[size - 1] = '\n';
    int result = write_all(fd, line, size);
    free(line);
    return result;
}

/* ---- The command line ---- */

/* announce() what is wrong with it, and end the program. With standard error
 * gone, the status tells alone. */
#define refuse(...)                                                            \
    (announce(__VA_ARGS__), (void)fprintf(stderr, "usage: %s", usage_text),    \
     exit(2))

/* Returns a decimal number, digits alone. Refuses what is none, or not from
 * low to high; `name` is what the usage calls it. */
static long number(const char *text, long low, long high, const char *name)
{
    long value = strtol(text, NULL, 10); /* too large: LONG_MAX */

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' ||
        value < low || value > high)
        refuse("%s must be a number from %ld to %ld, not: %s", name, low, high,
               text);
    return value;
}

long read_command_line(int argc, char *argv[], const char *usage,
                       const char *operands[], int most)
{
    static char buffer[1024]; /* more than a line */
    const char *letters = strstr(usage, "-n COUNT") == NULL ? "hq" : "hqn:";
    long count = 0;

    usage_text = usage + strlen("usage: ");
    first_process = getpid();
    /* UTF-8 is to be seen as it is, in any locale; where the system has no
     * such one (the second name is that of macOS), its bytes are escaped. */
    if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
        (void)setlocale(LC_CTYPE, "UTF-8");
    /* A socket must not get the number of a standard descriptor that was
     * closed. open() takes the lowest free one. The wrong direction is meant:
     * to use what was closed has to fail. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    (void)setvbuf(stderr, buffer, _IOLBF, sizeof buffer);

    opterr = 0; /* errors are announced here, with the usage */
    for (int option = 0; option != -1;) {
        bool is_help = optind < argc && strcmp(argv[optind], "--help") == 0;
        option = is_help ? 'h' : getopt(argc, argv, letters);
        quiet = quiet || option == 'q';
        if (option == 'n')
            count = number(optarg, 1, 1000000000, "COUNT");
        if (option == 'h')
            exit(write_all(STDOUT_FILENO, usage, strlen(usage)) == 0 ? 0 : 1);
        if (option == '?')
            refuse("unknown option, or its argument is missing: -%c", optopt);
    }
    if (argc - optind > most)
        refuse("one operand too many: %s", argv[optind + most]);
    for (int i = 0; optind + i < argc; i++)
        operands[i] = argv[optind + i];
    return count;
}

/* ---- Addresses ---- */

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
    if (code == 0 || code == EAI_SYSTEM) { /* the one code with an errno */
        check(code == 0 ? 0 : -1, "getaddrinfo(%s, %s)", host, port);
        return list;
    }
    announce("getaddrinfo(%s, %s) = %s (%s)", host, port,
             symbol_text(resolver_symbols, code), gai_strerror(code));
    give_up_with("check HOST and your network; 127.0.0.1 is this machine");
}

char *address_text(const struct sockaddr *address, socklen_t size,
                   char text[ADDRESS_SIZE])
{
    char host[ADDRESS_SIZE - sizeof "[]:65535"] = "?";
    char port[sizeof "65535"] = "?";
    int error = errno;

    (void)getnameinfo(address, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV); /* else they stay */
    (void)snprintf(text, ADDRESS_SIZE,
                   address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                   port); /* has room */
    errno = error;
    return text;
}

void announce_ready(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[ADDRESS_SIZE];

    if (getsockname(fd, (struct sockaddr *)&address, &size) == -1)
        fail("getsockname(%d)", fd);
    address_text((struct sockaddr *)&address, size, text);
    /* Multicast and broadcast addresses can be bound; but no client connects
     * to 224.0.0.0 and above, or to ff00:: and above. (What is the broadcast
     * address of a network such as 192.0.2.0/24 can't be seen here.) */
    if (strncmp(text, "[ff", 3) == 0 || strtol(text, NULL, 10) >= 224) {
        announce("%s is a multicast or broadcast address", text);
        give_up_with("take an address of this machine, such as 127.0.0.1");
    }
    announce("ready on %s", text);
}
