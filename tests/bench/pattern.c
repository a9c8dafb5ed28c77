/*
 * pattern.c - the bytes that the bench sends, and the check of what returns.
 */
#include "pattern.h"

#include <stdint.h>
#include <string.h>

#include "programs.h"

enum { PERIOD = 1048583 }; /* bytes: the first prime number above 1 MiB */

static char pattern[PERIOD + PIECE_MAX];
static unsigned long long verified;

void make_pattern(void)
{
    uint32_t state = 2463534242; /* Marsaglia's xorshift, any start but 0 */

    for (size_t i = 0; i < PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        pattern[i] = (char)(state >> 24);
    }
    pattern[FIRST_LINE - 1] = '\n';
    memcpy(pattern + PERIOD, pattern, PIECE_MAX);
}

const char *pattern_at(unsigned long long offset)
{
    return pattern + offset % PERIOD;
}

void verify(const char *received, size_t size, unsigned long long offset)
{
    if (memcmp(received, pattern_at(offset), size) != 0) {
        fail("wrong bytes came back, among the %zu from byte %llu on", size,
             offset);
    }
    verified += size;
}

unsigned long long bytes_verified(void)
{
    return verified;
}
