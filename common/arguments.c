/*
 * arguments.c - options and operands, in the way of POSIX utilities.
 */
#include "arguments.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

/* The servers count in a sig_atomic_t, of 32 bits on all known systems. */
enum { COUNT_MAX = 1000000000 };

/* Ends the program: "what: text" is wrong, such as an option or a COUNT. */
static _Noreturn void refuse(const char *usage, const char *what,
                             const char *text)
{
    char problem[LINE_SIZE];

    /* A long text may be cut here: its beginning tells enough. */
    (void)snprintf(problem, sizeof problem, "%s: %s", what, text);
    die_usage(usage, problem);
}

int parse_number(const char *text, unsigned long lowest, unsigned long highest,
                 unsigned long *value)
{
    unsigned long number = 0;

    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        unsigned long digit = (unsigned long)(*text - '0');
        if (digit > highest || number > (highest - digit) / 10) {
            return -1;
        }
        number = number * 10 + digit;
    }
    if (number < lowest) {
        return -1;
    }
    *value = number;
    return 0;
}

void check_address(const char *host, const char *port, unsigned long lowest,
                   const char *usage)
{
    unsigned long number;

    if (host[0] != '\0' && host[strspn(host, "0123456789")] == '\0') {
        refuse(usage,
               "HOST comes before PORT, and is a name or an address, not",
               host);
    }
    if (parse_number(port, lowest, 65535, &number) == -1) {
        refuse(usage,
               lowest == 0 ? "PORT must be a number from 0 to 65535, not"
                           : "PORT must be a number from 1 to 65535, not",
               port);
    }
}

/* getopt() with --help for -h. POSIX knows no long options: all others are
 * refused as a whole, or getopt() would take them apart. */
static int next_option(int argc, char *argv[], const char *letters,
                       const char *usage)
{
    if (optind < argc && strcmp(argv[optind], "--help") == 0) {
        return 'h';
    }
    if (optind < argc && strncmp(argv[optind], "--", 2) == 0 &&
        argv[optind][2] != '\0') {
        refuse(usage, "unknown option", argv[optind]);
    }
    return getopt(argc, argv, letters);
}

void read_arguments(int argc, char *argv[], const char *usage,
                    const char *operands[], size_t size, unsigned long *count)
{
    const char *letters = count == NULL ? ":hq" : ":hqn:";
    int option;

    opterr = 0; /* we say it ourselves, with the usage */
    while ((option = next_option(argc, argv, letters, usage)) != -1) {
        char letter[] = {'-', (char)optopt, '\0'};

        if (option == 'h') {
            if (printf("%s", usage) < 0 || fflush(stdout) == EOF) {
                die("write standard output");
            }
            exit(EXIT_SUCCESS);
        } else if (option == 'q') {
            be_quiet();
        } else if (option == 'n') {
            if (parse_number(optarg, 1, COUNT_MAX, count) == -1) {
                refuse(usage,
                       "COUNT must be a number from 1 to 1000000000, not",
                       optarg);
            }
        } else if (option == ':') {
            refuse(usage, "option needs a COUNT", letter);
        } else {
            refuse(usage, "unknown option", letter);
        }
    }
    for (size_t i = 0; optind < argc; i++, optind++) {
        if (i == size) {
            refuse(usage, "one operand too many", argv[optind]);
        }
        operands[i] = argv[optind];
    }
}
