/*
 * pattern.h - the bytes that the bench sends, and the check of what returns.
 *
 * All streams carry the same long row of random bytes, over and over. Its
 * length is a prime number, so no loss or shift of whole blocks, buffers or
 * messages goes unseen. Sending costs nothing but the write, and checking is
 * one memcmp, the same for every contestant.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stddef.h>

enum {
    PIECE_MAX = 1024 * 1024, /* bytes that may be asked for in one piece */
    FIRST_LINE = 64,         /* bytes up to and with the first newline that is
                              * meant: a program may wait for whole lines */
};

/* Makes the bytes; to be called before anything else here. */
void make_pattern(void);

/* The bytes of a stream from this offset on, at least PIECE_MAX of them. */
const char *pattern_at(unsigned long long offset);

/* Compares `size` received bytes, at most PIECE_MAX, with the stream's at the
 * offset. Ends the program with status 1 if one is wrong; counts them if not.
 */
void verify(const char *received, size_t size, unsigned long long offset);

/* Bytes that verify() has found right, up to now. */
unsigned long long bytes_verified(void);

#endif
