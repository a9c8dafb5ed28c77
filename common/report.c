/*
 * report.c - what a program says on standard error.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "transfer.h"

static const struct hint {
    int error;
    const char *for_addresses;
    const char *for_paths;
} hints[] = {
    {EADDRINUSE,
     "another program has this port: an earlier server, perhaps suspended "
     "with Ctrl-Z (jobs lists it, fg resumes it); end it, or take another port",
     "a server has this path, perhaps suspended with Ctrl-Z (jobs lists it, fg "
     "resumes it); end it, or take another path"},
    {ECONNREFUSED,
     "nobody listens there: is the server running, on this address and port? "
     "IPv4 and IPv6 differ: localhost may be 127.0.0.1 or ::1",
     "nobody listens on this path: a server that was killed left it behind, or "
     "it is no socket; start the server"},
    {ETIMEDOUT,
     "no answer came: is the address right, the server running, or does a "
     "firewall drop what is sent?",
     NULL},
    {EHOSTUNREACH,
     "no way leads to this address: is it right, and is the network up?", NULL},
    {ENETUNREACH,
     "no way leads to this address: is it right, and is the network up, for "
     "IPv4 or IPv6 as you asked?",
     NULL},
    {EADDRNOTAVAIL,
     "this machine does not have this address; 127.0.0.1 is always its own, "
     "0.0.0.0 and :: mean all that it has",
     NULL},
    {EAFNOSUPPORT, "this machine does not speak IPv6, or not IPv4", NULL},
    {EINVAL,
     "an address that begins with fe80: needs its interface behind it: "
     "fe80::1%eth0",
     NULL},
    {EACCES,
     "a server's ports below 1024 belong to the system: take one from 1024 "
     "on; a client can't send to a broadcast address",
     "the path, or its folder, belongs to another user, or its mode (ls -ld) "
     "forbids it: take a path of your own"},
    {EPERM, "a rule of this machine, such as its firewall, forbids it",
     "this file system does not hold sockets or FIFOs, or protects the path: "
     "take a path under /tmp"},
    {EOPNOTSUPP, NULL,
     "this file system does not hold sockets or FIFOs: take a path under "
     "/tmp"},
    {ENOENT, NULL,
     "nothing is there: does the folder of the path exist? A client needs its "
     "server started first, with the same path"},
    {ENOTDIR, NULL, "what the path names as a folder is none"},
    {EROFS, NULL,
     "nothing can be made on this file system: take a path under /tmp"},
    {EPROTOTYPE, NULL,
     "a socket of another type is at this path: it is not our server's"},
    {EEXIST, NULL,
     "something else is at this path, and stays untouched: take another "
     "path"},
    {EPIPE, "the other side has gone: nobody reads what is written",
     "the other side has gone: nobody reads what is written"},
    {ECONNRESET, "the other side broke the connection off",
     "the other side broke the connection off"},
    {EMSGSIZE, "a datagram holds at most 65507 bytes: send less at a time",
     NULL},
};

static const char *program = "program";
static pid_t process; /* shown behind the name, unless it is 0 */
static enum subject hint_subject;
static bool quiet;

void start_program(const char *name, enum subject subject)
{
    program = name;
    hint_subject = subject;

    /* Can only fail for a signal that does not exist. */
    (void)signal(SIGPIPE, SIG_IGN);
#ifdef SIGXFSZ /* of POSIX's XSI option */
    (void)signal(SIGXFSZ, SIG_IGN);
#endif

    /* open() takes the lowest free number. The wrong direction is meant:
     * reading or writing a stream that was closed has to fail. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            die("open /dev/null");
        }
    }
}

void be_quiet(void)
{
    quiet = true;
}

bool is_quiet(void)
{
    return quiet;
}

void name_process(void)
{
    process = getpid();
}

/* The length of the character that starts at bytes, if it is valid UTF-8
 * and not a control character; else 0. */
static size_t character_size(const unsigned char *bytes, size_t available)
{
    static const unsigned long least[] = {0, 0, 0xa0, 0x800, 0x10000};
    size_t size = bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
    unsigned long code = bytes[0] & (0x7fUL >> size);

    if (bytes[0] < 0x80) {
        return bytes[0] >= 0x20 && bytes[0] != 0x7f;
    }
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || size > available) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (bytes[i] & 0x3fUL);
    }
    /* Not longer than needed, not a control of U+0080 to U+009F, not half of
     * a surrogate pair, not beyond Unicode. */
    if (code < least[size] || (code >= 0xd800 && code <= 0xdfff) ||
        code > 0x10ffff) {
        return 0;
    }
    return size;
}

/* Writes the character at bytes as it may be shown: as it is, or escaped as
 * in C. Stores how many bytes it was; returns how many it has become. */
static size_t show_character(char shown[sizeof "\\xff"],
                             const unsigned char *bytes, size_t available,
                             const char *special, size_t *used)
{
    size_t size = character_size(bytes, available);

    if (size > 1 || (size == 1 && strchr(special, bytes[0]) == NULL)) {
        *used = size;
        memcpy(shown, bytes, size);
        return size;
    }
    *used = 1;
    static const char raw[] = "\n\t\r\0\"\\";
    const char *found = memchr(raw, bytes[0], sizeof raw - 1);
    if (found != NULL) {
        shown[0] = '\\';
        shown[1] = "ntr0\"\\"[found - raw];
        return 2;
    }
    return (size_t)snprintf(shown, sizeof "\\xff", "\\x%02x", bytes[0]);
}

/* Shows data in the room there is; stores how much of it was shown. */
static size_t escape(char *text, size_t room, const void *data, size_t size,
                     const char *special, size_t *used)
{
    const unsigned char *bytes = data;
    size_t length = 0;

    for (*used = 0; *used < size;) {
        char shown[sizeof "\\xff"];
        size_t taken;
        size_t count =
            show_character(shown, bytes + *used, size - *used, special, &taken);
        if (length + count > room) {
            break;
        }
        memcpy(text + length, shown, count);
        length += count;
        *used += taken;
    }
    return length;
}

struct quoted quote(const void *data, size_t size)
{
    struct quoted quoted;
    size_t used;
    size_t length = 1;

    quoted.text[0] = '"';
    length += escape(quoted.text + 1, SHOWN_SIZE, data, size, "\"\\", &used);
    memcpy(quoted.text + length, "\"...", sizeof "\"...");
    if (used == size) {
        quoted.text[length + 1] = '\0';
    }
    return quoted;
}

/* Makes "program: text: reason\n"; without a reason "program: text\n". Text
 * that does not fit is cut, and "..." says so: the reason is what counts. */
LIKE_PRINTF(3, 0)
static size_t compose_line(char line[LINE_SIZE], const char *reason,
                           const char *format, va_list arguments)
{
    char text[LINE_SIZE];
    const char *tail = reason == NULL ? "" : reason;
    size_t tail_size = strlen(tail);
    size_t room = LINE_SIZE - sizeof "...: \n" - tail_size;
    size_t used;

    int wanted = vsnprintf(text, sizeof text, format, arguments);
    if (wanted < 0) {
        text[0] = '\0'; /* a broken format: there is nothing to show */
    }
    size_t size = strlen(text);
    int length = process == 0 ? snprintf(line, room, "%s: ", program)
                              : snprintf(line, room, "%s[%ld]: ", program,
                                         (long)process);
    size_t end = (size_t)length;
    end += escape(line + end, room - end, text, size, "", &used);
    if (wanted < 0 || (size_t)wanted > used) {
        memcpy(line + end, "...", 3);
        end += 3;
    }
    if (tail_size > 0) {
        memcpy(line + end, ": ", 2);
        memcpy(line + end + 2, tail, tail_size);
        end += 2 + tail_size;
    }
    line[end++] = '\n';
    return end;
}

LIKE_PRINTF(2, 0)
static void write_line(const char *reason, const char *format,
                       va_list arguments)
{
    char line[LINE_SIZE];
    int saved_errno = errno;
    size_t size = compose_line(line, reason, format, arguments);

    /* If standard error is gone, there is nobody left to tell. */
    while (write(STDERR_FILENO, line, size) == -1 &&
           try_again(STDERR_FILENO, true)) {
    }
    errno = saved_errno;
}

void say(const char *format, ...)
{
    va_list arguments;

    if (quiet) {
        return;
    }
    va_start(arguments, format);
    write_line(NULL, format, arguments);
    va_end(arguments);
}

void announce(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(NULL, format, arguments);
    va_end(arguments);
}

bool count_data(struct tally *tally, size_t size)
{
    tally->calls++;
    tally->bytes += size;
    if (quiet || tally->told == TOLD) {
        return false;
    }
    tally->told++;
    return true;
}

void say_data(struct tally *tally, const char *call, int fd, const void *data,
              size_t size)
{
    if (count_data(tally, size)) {
        say("%s(%d) = %zu%s%s%s", call, fd, size,
            tally->payload_shown ? " " : "",
            tally->payload_shown ? quote(data, size).text : "",
            tally->told < TOLD ? "" : "; from now on only counted");
    }
}

size_t prepare_line(char line[LINE_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    size_t size = compose_line(line, NULL, format, arguments);
    va_end(arguments);
    return size;
}

void warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(strerror(errno), format, arguments);
    va_end(arguments);
}

int give_up(int fd, const char *call, const char *name)
{
    int error = errno;

    warn("%s %s", call, name);
    if (fd != -1) {
        close(fd); /* never used: nothing can be lost */
        say("close(%d) = 0", fd);
    }
    errno = error;
    return -1;
}

void give_hint(int error)
{
    if (error == ENAMETOOLONG) {
        announce("hint: take a shorter path, such as one under /tmp; that of a "
                 "socket holds at most %zu bytes",
                 sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    }
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        const char *text = hint_subject == ADDRESSES ? hints[i].for_addresses
                                                     : hints[i].for_paths;
        if (hints[i].error == error && text != NULL) {
            announce("hint: %s", text);
            return;
        }
    }
}

void die(const char *format, ...)
{
    int error = errno;
    va_list arguments;

    va_start(arguments, format);
    write_line(strerror(error), format, arguments);
    va_end(arguments);
    give_hint(error);
    exit(EXIT_FAILURE);
}

void die_resolver(int code, const char *host)
{
    announce("getaddrinfo %s: %s", host,
             code == EAI_SYSTEM ? strerror(errno) : gai_strerror(code));
    announce("hint: HOST is a name, or a numeric address, such as 127.0.0.1 or "
             "::1, without its port and brackets; is it spelled right?");
    exit(EXIT_FAILURE);
}

void die_usage(const char *usage, const char *text)
{
    announce("%s", text);
    dprintf(STDERR_FILENO, "%s", usage);
    exit(2);
}
