/*
 * transfer.h - moving all of some bytes, whatever the system call does.
 */
#ifndef TRANSFER_H
#define TRANSFER_H

#include <stdbool.h>
#include <stddef.h>

#include "report.h"

/*
 * Whether errno says that a read or write is merely to be repeated: it was
 * interrupted (EINTR), or found nothing to do on a descriptor that does not
 * wait (EAGAIN or EWOULDBLOCK: POSIX lets them be one number, or two).
 */
bool must_repeat(void);

/*
 * As must_repeat(); and waits, if the descriptor does not, until fd can be
 * written (writing) or read. For a standard stream that another program has
 * set to O_NONBLOCK.
 */
bool try_again(int fd, bool writing);

/*
 * Writes all of the bytes. One write() may take fewer than it is given, be
 * interrupted by a signal, or find a full buffer when the descriptor does
 * not block; write_all goes on until the last byte is taken. Each write is
 * told and counted in *tally; NULL: not told. Returns 0; or -1 with errno
 * of write(), and some of the bytes may have been written then.
 */
int write_all(int fd, const void *data, size_t size, struct tally *tally);

/*
 * The text with one newline behind it: the form in which the stream programs
 * send a MESSAGE or REPLY. A string, to be freed by the caller. Without
 * memory the program ends with status 1.
 */
char *make_line(const char *text);

/*
 * Waits for a connect() that a signal interrupted: it goes on in the
 * background and must not be repeated (POSIX, connect, EINTR). Returns 0
 * when the socket is connected, or -1 with the errno of the failure.
 */
int finish_connect(int sock_fd);

#endif
