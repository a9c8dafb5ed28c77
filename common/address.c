/*
 * address.c - from the command line to addresses and paths.
 */
#include "address.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "story.h"

/* announce() what is wrong with the command line, and end the program. */
#define refuse(...) (announce(__VA_ARGS__), exit_with_usage())

static const char *program_usage;
static const char common_usage[] =
    "  -q        print only the ready line and errors, not the system calls\n"
    "  -h        print this help\n";

static const char *owned_path;
static struct stat owned_file;
static pid_t owner;

static _Noreturn void exit_with_usage(void)
{
    /* With standard error gone, the status tells alone. */
    (void)fprintf(stderr, "%s%s", program_usage, common_usage);
    exit(2);
}

int next_option(int argc, char *argv[], const char *letters, const char *usage)
{
    static char help[] = "-h";

    program_usage = usage;
    opterr = 0; /* errors are announced here, with the usage */
    if (optind < argc && strcmp(argv[optind], "--help") == 0)
        argv[optind] = help;
    int option = getopt(argc, argv, letters);
    if (option == 'q') {
        be_quiet();
        return next_option(argc, argv, letters, usage);
    }
    if (option == 'h') {
        print_data(usage, strlen(usage));
        print_data(common_usage, strlen(common_usage));
        exit(EXIT_SUCCESS);
    }
    if (option == ':')
        refuse("option without its argument: -%c", optopt);
    if (option == '?')
        refuse("unknown option: -%c", optopt);
    return option;
}

void read_operands(int argc, char *argv[], const char *operands[], int most)
{
    if (argc - optind > most)
        refuse("one operand too many: %s", argv[optind + most]);
    for (int i = 0; optind + i < argc; i++)
        operands[i] = argv[optind + i];
}

unsigned long number(const char *text, unsigned long lowest,
                     unsigned long highest, const char *name)
{
    unsigned long value = strtoul(text, NULL, 10); /* too large: ULONG_MAX */

    if (text[0] == '\0' || text[strspn(text, "0123456789")] != '\0' ||
        value < lowest || value > highest) {
        refuse("%s must be a number from %lu to %lu, not: %s", name, lowest,
               highest, text);
    }
    return value;
}

struct addrinfo *resolve(const char *host, const char *port,
                         unsigned long lowest_port, int type)
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
    char host[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE] = "?";
    char port[sizeof "65535"] = "?";
    (void)getnameinfo(address, size, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV); /* else they stay */
    (void)snprintf(text, ADDRESS_SIZE,
                   address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                   port);
}

const char *family_text(int family)
{
    return family == AF_INET6 ? "AF_INET6" : "AF_INET";
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

void set_path(struct sockaddr_un *address, const char *path)
{
    size_t size = strlen(path);

    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (size == 0 || size >= sizeof address->sun_path) {
        announce("PATH has %zu bytes; sun_path holds 1 to %zu, and a NUL", size,
                 sizeof address->sun_path - 1);
        give_up(ENAMETOOLONG);
    }
    memcpy(address->sun_path, path, size);
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
    return path != NULL && owner == getpid() && lstat(path, &file) == 0 &&
           file.st_dev == owned_file.st_dev && file.st_ino == owned_file.st_ino;
}

/* Calls only what a signal handler may call (POSIX, 2.4.3 Signal Actions). */
static void remove_path(void)
{
    const char *path = owned_path;

    if (disown_path())
        (void)unlink(path);
}

/* SA_RESETHAND has set the signal's default again: it ends the program. */
static void on_signal(int signal_number)
{
    remove_path();
    (void)raise(signal_number);
}

void own_path(const char *path, int fd)
{
    const struct sigaction handler = {.sa_handler = on_signal,
                                      .sa_flags = (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &handler, NULL);
    (void)sigaction(SIGTERM, &handler, NULL);
    (void)atexit(remove_path);
    owner = getpid();
    int result = fd == -1 ? lstat(path, &owned_file) : fstat(fd, &owned_file);
    owned_path = result == 0 ? path : NULL;
}
