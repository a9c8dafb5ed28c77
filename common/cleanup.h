/*
 * cleanup.h - what must not outlive the program: a path that it made, and
 * the children that it started.
 *
 * After start_cleanup() the path is removed by exit(), and by SIGHUP, SIGINT,
 * SIGQUIT and SIGTERM, which end the children, too, and then the program. A
 * child that was forked owns nothing and clears nothing away.
 */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

/* Clients that a server serves at a time, each by a child of its own; more
 * wait in the listen queue. */
enum { CHILDREN_MAX = 256 };

/*
 * Installs the handlers, SIGCHLD's too, which collects each child as soon as
 * it ends. A signal that is ignored stays ignored, as nohup wants it.
 */
void start_cleanup(void);

/*
 * Holds the signals back between making something and noting whose it is:
 * hold, bind or mkfifo or fork, own_..., release. Not to be nested, and with
 * nothing in between that may wait, such as say(): a signal would wait, too.
 * release_signals() keeps errno.
 */
void hold_signals(void);
void release_signals(void);

/*
 * The file at path is this program's to remove; *status, of lstat() or
 * fstat(), tells it from another one that may be there later. The path must
 * stay valid. Keeps errno.
 */
void own_path(const char *path, const struct stat *status);

/* The file is another program's to remove from now on. */
void disown_path(void);

/*
 * Removes the file of own_path(), unless another one is at the path by now:
 * that one belongs to somebody else. Warns if it can't be removed.
 */
void remove_path(void);

/*
 * A server that was killed leaves its socket file behind, and bind() fails
 * with EADDRINUSE. Removes the file, and tells it, if nobody has it open any
 * more. Holds the signals back meanwhile. Returns
 * 0 when the path is free; or -1 with errno EADDRINUSE when a server has it,
 * EEXIST when what is there is not a socket, or another error of the calls.
 */
int remove_stale_socket(const struct sockaddr_un *address);

/* The process is a child of this program, serving a client. */
void own_child(pid_t child);

/*
 * Waits while CHILDREN_MAX clients are being served, or as many as are
 * still missing to `count` (0: no end). Returns false when `count` clients
 * have been served to the end, that is, their child's exit status was 0.
 */
bool wait_for_place(unsigned long count);

#endif
