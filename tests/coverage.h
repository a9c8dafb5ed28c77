/*
 * coverage.h - included before every file of a build that measures coverage.
 *
 * A process that ends by _exit() or by a signal would lose its counts: it
 * writes them first.
 */
#ifndef COVERAGE_H
#define COVERAGE_H

#include <signal.h>
#include <unistd.h>

void __gcov_dump(void);

static inline _Noreturn void counted_exit(int status)
{
    __gcov_dump();
    _exit(status);
}

static inline int counted_raise(int number)
{
    __gcov_dump();
    return raise(number);
}

#define _exit counted_exit
#define raise counted_raise

#endif
