/*
 * bench.c - what bench.py starts: bare loops, beside which the programs are
 * measured, and the client that measures.
 *
 * usage: bench_tool TASK [SIZE COUNT FLYING]
 *
 * A bare loop is the same work once more, the system calls and nothing else:
 * no options, no story, no care for a client that goes wrong. What falls
 * behind it spends its time on something of its own.
 *
 *     fork          stream server, a process for each client
 *     events        stream server, one process for all clients
 *     answer        UDP server
 *     copy          standard input to standard output: an end of a FIFO, and
 *                   each direction of a client
 *     call          COUNT system calls
 *     child         COUNT children
 *
 * The client sends, receives, checks every byte that comes back, and says on
 * standard error how many seconds it took.
 *
 *     stream        COUNT messages of SIZE bytes to standard output, and back
 *                   on standard input, both directions at once
 *     exchange      COUNT messages there and back, at most FLYING on the way;
 *                   1 means one round trip after the other
 *     connections   COUNT connections, FLYING at a time, a message in each
 *
 * bench.py has made the socket and connected it, or bound it for a server; it
 * is standard input, and standard output of `stream`.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 64 * 1024,   /* bytes per read, as in the programs */
    MESSAGE_MAX = 1024 * 1024, /* bytes */
    PERIOD = 1048583,          /* bytes: the first prime above MESSAGE_MAX */
    CONNECTIONS_MAX = 256,     /* at a time */
};

static char buffer[BUFFER_SIZE];
static char pattern[PERIOD + MESSAGE_MAX];
static size_t message_size, message_count, flying; /* the arguments */

static _Noreturn void fail(const char *problem)
{
    (void)fprintf(stderr, "%s\n", problem);
    exit(EXIT_FAILURE);
}

/* Says what failed, and why: errno. */
static _Noreturn void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* Seconds on a clock that nobody sets. */
static double now(void)
{
    struct timespec time;

    if (clock_gettime(CLOCK_MONOTONIC, &time) == -1)
        die("clock_gettime");
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static pid_t fork_or_die(void)
{
    pid_t child = fork();

    if (child == -1)
        die("fork");
    return child;
}

static void wait_for(pid_t child)
{
    int status;

    if (waitpid(child, &status, 0) == -1)
        die("waitpid");
    if (status != 0)
        fail("a child failed");
}

static int accept_client(void)
{
    int client_fd = accept(STDIN_FILENO, NULL, NULL);

    if (client_fd == -1)
        die("accept");
    return client_fd;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written == -1)
            return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

/*
 * The bare loops.
 */

/* Until end of file, or an error. */
static void copy_all(int from_fd, int to_fd)
{
    ssize_t size;

    while ((size = read(from_fd, buffer, sizeof buffer)) > 0 &&
           write_all(to_fd, buffer, (size_t)size)) {
    }
}

static double copy(void)
{
    copy_all(STDIN_FILENO, STDOUT_FILENO);
    (void)shutdown(STDOUT_FILENO, SHUT_WR); /* a pipe is closed by the exit */
    exit(EXIT_SUCCESS);                     /* nothing is measured here */
}

static double serve_by_fork(void)
{
    if (signal(SIGCHLD, SIG_IGN) == SIG_ERR)
        die("signal"); /* ignored: the kernel takes away children that end */
    for (;;) {
        int client_fd = accept_client();
        pid_t child = fork_or_die();
        if (child == 0)
            copy_all(client_fd, client_fd);
        if (close(client_fd) == -1) /* sooner than by the child's exit */
            die("close");
        if (child == 0)
            _exit(EXIT_SUCCESS);
    }
}

static double serve_by_events(void)
{
    static struct pollfd watched[1 + CONNECTIONS_MAX];
    nfds_t count = 1;

    watched[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        if (poll(watched, count, -1) == -1)
            die("poll");
        for (nfds_t i = count - 1; i > 0; i--) {
            if (watched[i].revents == 0)
                continue;
            ssize_t size = read(watched[i].fd, buffer, sizeof buffer);
            if (size <= 0 || !write_all(watched[i].fd, buffer, (size_t)size)) {
                if (close(watched[i].fd) == -1)
                    die("close");
                watched[i] = watched[--count];
            }
        }
        if (watched[0].revents != 0 && count <= CONNECTIONS_MAX) {
            watched[count].fd = accept_client();
            watched[count++].events = POLLIN;
        }
    }
}

static double answer(void)
{
    for (;;) {
        struct sockaddr_storage client;
        socklen_t length = sizeof client;
        ssize_t size = recvfrom(STDIN_FILENO, buffer, sizeof buffer, 0,
                                (struct sockaddr *)&client, &length);
        if (size == -1 || sendto(STDIN_FILENO, buffer, (size_t)size, 0,
                                 (struct sockaddr *)&client, length) == -1)
            die("datagram");
    }
}

static double call(void)
{
    double start = now();

    for (size_t i = 0; i < message_count; i++)
        (void)getppid();
    return now() - start;
}

static double have_child(void)
{
    double start = now();

    for (size_t i = 0; i < message_count; i++) {
        pid_t child = fork_or_die();
        if (child == 0)
            _exit(EXIT_SUCCESS);
        wait_for(child);
    }
    return now() - start;
}

/*
 * The client that measures.
 */

/* Makes what is sent: bytes in no order, the same in each run. Wherever in
 * the first PERIOD one begins, MESSAGE_MAX of them follow. */
static void prepare(void)
{
    for (size_t i = 0; i < PERIOD; i++)
        pattern[i] = (char)(rand() >> 7);
    memcpy(pattern + PERIOD, pattern, MESSAGE_MAX);
}

/* The message of this number. */
static const char *message(size_t number)
{
    return pattern + number * message_size % PERIOD;
}

static void send_message(int fd, size_t number)
{
    if (!write_all(fd, message(number), message_size))
        die("write");
}

/* From a socket. */
static void receive_message(int socket_fd, size_t room, size_t number)
{
    ssize_t size = recv(socket_fd, buffer, room, MSG_WAITALL);

    if (size != (ssize_t)message_size ||
        memcmp(buffer, message(number), message_size) != 0)
        fail("a message did not come back as it was sent");
}

/* All messages up to end of file: in what pieces, nobody knows. Returns when
 * the last byte has come. */
static double receive_stream(int fd)
{
    const size_t volume = message_count * message_size;
    size_t received = 0;
    double end = 0;
    ssize_t size;

    while ((size = read(fd, buffer, sizeof buffer)) > 0) {
        if (memcmp(buffer, pattern + received % PERIOD, (size_t)size) != 0)
            fail("other bytes came back than were sent");
        received += (size_t)size;
        if (received == volume)
            end = now();
    }
    if (size == -1 || received != volume)
        fail("not as many bytes came back as were sent");
    return end;
}

/* Sends from a process of its own: no direction waits for the other. */
static double stream(void)
{
    prepare();
    /* A byte there and back: then all have started. */
    if (!write_all(STDOUT_FILENO, "?", 1) ||
        read(STDIN_FILENO, buffer, 1) != 1 || buffer[0] != '?')
        fail("the first byte did not come back");
    double start = now();
    pid_t child = fork_or_die();
    if (child == 0) {
        for (size_t i = 0; i < message_count; i++)
            send_message(STDOUT_FILENO, i);
        (void)shutdown(STDOUT_FILENO, SHUT_WR); /* fails for a pipe */
        _exit(EXIT_SUCCESS);
    }
    if (close(STDOUT_FILENO) == -1)
        die("close");
    double end = receive_stream(STDIN_FILENO);
    wait_for(child);
    return end - start;
}

/* The first quarter is not counted: it finds a process that was just born,
 * and processors that are asleep. */
static double exchange(void)
{
    const size_t uncounted = message_count / 4;
    double start = now();
    size_t sent = 0;
    int type;
    socklen_t length = sizeof type;

    prepare();
    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) == -1)
        die("getsockopt");
    /* Room for a longer datagram, which would be wrong. */
    size_t room = type == SOCK_DGRAM ? sizeof buffer : message_size;
    for (size_t i = 0; i < uncounted + message_count; i++) {
        if (i == uncounted)
            start = now();
        for (; sent < uncounted + message_count && sent < i + flying; sent++)
            send_message(STDIN_FILENO, sent);
        receive_message(STDIN_FILENO, room, i);
    }
    return now() - start;
}

static double make_connections(void)
{
    struct sockaddr_storage server;
    socklen_t length = sizeof server;
    int fds[CONNECTIONS_MAX];

    prepare();
    if (getpeername(STDIN_FILENO, (struct sockaddr *)&server, &length) == -1)
        die("getpeername");
    double start = now();
    for (size_t done = 0; done < message_count; done += flying) {
        for (size_t i = 0; i < flying; i++) {
            fds[i] = socket(server.ss_family, SOCK_STREAM, 0);
            if (fds[i] == -1 ||
                connect(fds[i], (struct sockaddr *)&server, length) == -1)
                die("connect");
            send_message(fds[i], i);
        }
        for (size_t i = 0; i < flying; i++) {
            receive_message(fds[i], message_size, i);
            if (shutdown(fds[i], SHUT_WR) == -1)
                die("shutdown");
        }
        for (size_t i = 0; i < flying; i++)
            if (read(fds[i], buffer, 1) != 0 || close(fds[i]) == -1)
                fail("a connection does not end well");
    }
    return now() - start;
}

static const struct task {
    const char *name;
    double (*run)(void);
} tasks[] = {
    {"fork", serve_by_fork},
    {"events", serve_by_events},
    {"answer", answer},
    {"copy", copy},
    {"call", call},
    {"child", have_child},
    {"stream", stream},
    {"exchange", exchange},
    {"connections", make_connections},
};

int main(int argc, char *argv[])
{
    size_t *const numbers[] = {&message_size, &message_count, &flying};

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        die("signal"); /* ignored: write tells of it */
    for (int i = 2; i < argc && i < 5; i++)
        *numbers[i - 2] = strtoul(argv[i], NULL, 10);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (argc > 1 && strcmp(argv[1], tasks[i].name) == 0) {
            (void)fprintf(stderr, "%.9f\n", tasks[i].run());
            return EXIT_SUCCESS;
        }
    }
    fail("bench_tool: see the comment in its source");
}
