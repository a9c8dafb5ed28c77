/*
 * arguments.h - options and operands, in the way of POSIX utilities
 * (XBD 12.2, Utility Syntax Guidelines).
 */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <stddef.h>

/*
 * Reads the whole command line.
 *   usage     the text for -h and --help, and for a wrong command line
 *   operands  has the defaults, and receives the operands that were given
 *   size      the number of its elements: more operands are refused
 *   count     receives COUNT of -n; NULL: the program has no -n
 * -q calls be_quiet(). -h prints the usage on standard output and ends the
 * program with status 0. Whatever is wrong ends it with status 2.
 */
void read_arguments(int argc, char *argv[], const char *usage,
                    const char *operands[], size_t size, unsigned long *count);

/*
 * Ends the program with status 2 unless the port is a decimal number from
 * `lowest` to 65535 and nothing else, and the host is more than a number. A C
 * library may turn port 99999 into 34463, and host 12345 into 0.0.48.57.
 */
void check_address(const char *host, const char *port, unsigned long lowest,
                   const char *usage);

/*
 * Reads a decimal number from lowest to highest: digits alone, no sign, no
 * space. Returns 0 and stores it in *value, or -1 if the text is not one.
 */
int parse_number(const char *text, unsigned long lowest, unsigned long highest,
                 unsigned long *value);

#endif
