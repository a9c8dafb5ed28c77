/*
 * processor.c - where the bench and what it starts may run.
 */
#include "processor.h"

#ifdef __linux__
#include <sched.h> /* with _GNU_SOURCE: POSIX has no call for it */
#endif

void use_one_processor(bool one)
{
#ifdef __linux__
    static cpu_set_t all;
    static bool known;
    cpu_set_t first;

    if (!known && sched_getaffinity(0, sizeof all, &all) == -1) {
        return; /* then it is measured as it comes */
    }
    known = true;
    CPU_ZERO(&first);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &first);
            break;
        }
    }
    (void)sched_setaffinity(0, sizeof all, one ? &first : &all);
#else
    (void)one;
#endif
}
