/*
 * limit.c - what the machine can do: each pair once more, as a bare loop.
 *
 * Nothing but the system calls: no options, no story, no second client where
 * one will do, no care for whoever goes wrong. A program that beats these
 * loops by much has found a better system call; one that falls behind them
 * spends its time on something of its own.
 *
 * usage: bench_limit echo|fork|events tcp|PATH    stream servers
 *        bench_limit datagrams                    UDP server
 *        bench_limit client tcp|unix ADDRESS      stream client
 *        bench_limit write|read PATH              the two ends of a FIFO
 *        bench_limit call|switch|birth            what things cost, in ns
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER_SIZE = 64 * 1024,
    BACKLOG = 128,
    CLIENTS_MAX = 256, /* of the event loop */
};

static char buffer[BUFFER_SIZE];

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* Returns whether all was written. */
static int put(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t nwritten = write(fd, data, size);
        if (nwritten == -1) {
            return 0;
        }
        data += nwritten;
        size -= (size_t)nwritten;
    }
    return 1;
}

/* Copies until end of file, or an error. */
static void copy(int from_fd, int to_fd)
{
    ssize_t nread;

    while ((nread = read(from_fd, buffer, sizeof buffer)) > 0 &&
           put(to_fd, buffer, (size_t)nread)) {
    }
}

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((in_port_t)port);
    return address;
}

static struct sockaddr_un local(const char *path)
{
    struct sockaddr_un address;

    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

/* Returns a socket bound to a free port of its own; tells it by say_port. */
static int bind_loopback(int type)
{
    struct sockaddr_in address = loopback(0);
    int sock_fd = socket(AF_INET, type, 0);

    if (sock_fd == -1 ||
        bind(sock_fd, (struct sockaddr *)&address, sizeof address) == -1) {
        die("bind");
    }
    return sock_fd;
}

static void say_port(int sock_fd)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    if (getsockname(sock_fd, (struct sockaddr *)&address, &size) == -1) {
        die("getsockname");
    }
    fprintf(stderr, "ready on 127.0.0.1:%d\n", ntohs(address.sin_port));
}

static int listen_on(const char *where)
{
    if (strcmp(where, "tcp") == 0) {
        int listen_fd = bind_loopback(SOCK_STREAM);
        if (listen(listen_fd, BACKLOG) == -1) {
            die("listen");
        }
        say_port(listen_fd);
        return listen_fd;
    }
    struct sockaddr_un address = local(where);
    int listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listen_fd == -1 ||
        bind(listen_fd, (struct sockaddr *)&address, sizeof address) == -1 ||
        listen(listen_fd, BACKLOG) == -1) {
        die(where);
    }
    fprintf(stderr, "ready on %s\n", where);
    return listen_fd;
}

/* One client after the other, all in this process. */
static _Noreturn void serve_in_turn(int listen_fd)
{
    for (;;) {
        int conn_fd = accept(listen_fd, NULL, NULL);
        if (conn_fd == -1) {
            die("accept");
        }
        copy(conn_fd, conn_fd);
        close(conn_fd);
    }
}

/* A process for each client; the kernel takes away those that end. */
static _Noreturn void serve_by_fork(int listen_fd)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int conn_fd = accept(listen_fd, NULL, NULL);
        if (conn_fd == -1) {
            die("accept");
        }
        pid_t child = fork();
        if (child == -1) {
            die("fork");
        }
        if (child == 0) {
            copy(conn_fd, conn_fd);
            _exit(EXIT_SUCCESS);
        }
        close(conn_fd);
    }
}

/* All clients in one process, which waits for all of them at once. */
static _Noreturn void serve_by_events(int listen_fd)
{
    static struct pollfd watched[1 + CLIENTS_MAX];
    nfds_t count = 1;

    watched[0].fd = listen_fd;
    watched[0].events = POLLIN;
    for (;;) {
        if (poll(watched, count, -1) == -1) {
            die("poll");
        }
        for (nfds_t i = count - 1; i > 0; i--) {
            if (watched[i].revents == 0) {
                continue;
            }
            ssize_t nread = read(watched[i].fd, buffer, sizeof buffer);
            if (nread <= 0 || !put(watched[i].fd, buffer, (size_t)nread)) {
                close(watched[i].fd);
                watched[i] = watched[--count];
            }
        }
        if (watched[0].revents != 0 && count <= CLIENTS_MAX) {
            watched[count].fd = accept(listen_fd, NULL, NULL);
            watched[count].events = POLLIN;
            watched[count].revents = 0;
            count++;
        }
    }
}

static _Noreturn void serve_datagrams(void)
{
    struct sockaddr_in client;
    int sock_fd = bind_loopback(SOCK_DGRAM);

    say_port(sock_fd);
    for (;;) {
        socklen_t size = sizeof client;
        ssize_t nread = recvfrom(sock_fd, buffer, sizeof buffer, 0,
                                 (struct sockaddr *)&client, &size);
        if (nread == -1 || sendto(sock_fd, buffer, (size_t)nread, 0,
                                  (struct sockaddr *)&client, size) == -1) {
            die("datagram");
        }
    }
}

static int connect_to(const char *kind, const char *where)
{
    struct sockaddr_in port = loopback(atoi(where));
    struct sockaddr_un path = local(where);
    int tcp = strcmp(kind, "tcp") == 0;
    int sock_fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);

    if (sock_fd == -1 ||
        connect(sock_fd,
                tcp ? (struct sockaddr *)&port : (struct sockaddr *)&path,
                tcp ? sizeof port : sizeof path) == -1) {
        die("connect");
    }
    return sock_fd;
}

/* Two processes, each of which copies in one direction and only ever waits
 * for one thing. */
static void converse(int sock_fd)
{
    pid_t child = fork();

    if (child == -1) {
        die("fork");
    }
    if (child == 0) {
        copy(STDIN_FILENO, sock_fd);
        shutdown(sock_fd, SHUT_WR);
        _exit(EXIT_SUCCESS);
    }
    copy(sock_fd, STDOUT_FILENO);
    waitpid(child, NULL, 0);
}

static int open_fifo(const char *path, int mode)
{
    int fifo_fd = open(path, mode);

    if (fifo_fd == -1) {
        die(path);
    }
    return fifo_fd;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Nanoseconds of the cheapest system call. */
static double cost_of_call(void)
{
    enum { CALLS = 20000 };
    double start = now();

    for (int i = 0; i < CALLS; i++) {
        (void)getppid();
    }
    return (now() - start) / CALLS;
}

/* Nanoseconds until another process has the processor, has read a byte from
 * a pipe, and has answered by another: halved, for there are two of them. */
static double cost_of_switch(void)
{
    enum { TURNS = 1000 };
    int there[2];
    int back[2];
    char byte = 0;

    if (pipe(there) == -1 || pipe(back) == -1) {
        die("pipe");
    }
    pid_t child = fork();
    if (child == 0) {
        close(there[1]);
        copy(there[0], back[1]);
        _exit(EXIT_SUCCESS);
    }
    double start = now();
    for (int i = 0; i < TURNS; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) {
            die("pipe");
        }
    }
    double end = now();
    close(there[1]);
    waitpid(child, NULL, 0);
    return (end - start) / TURNS / 2;
}

/* Nanoseconds to fork a child that ends at once, and to collect it. */
static double cost_of_birth(void)
{
    enum { CHILDREN = 50 };
    double start = now();

    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) {
            _exit(EXIT_SUCCESS);
        }
        if (child == -1 || waitpid(child, NULL, 0) == -1) {
            die("fork");
        }
    }
    return (now() - start) / CHILDREN;
}

int main(int argc, char *argv[])
{
    const char *task = argc > 1 ? argv[1] : "";
    const char *where = argc > 2 ? argv[2] : "tcp";

    signal(SIGPIPE, SIG_IGN);
    if (strcmp(task, "echo") == 0) {
        serve_in_turn(listen_on(where));
    } else if (strcmp(task, "fork") == 0) {
        serve_by_fork(listen_on(where));
    } else if (strcmp(task, "events") == 0) {
        serve_by_events(listen_on(where));
    } else if (strcmp(task, "datagrams") == 0) {
        serve_datagrams();
    } else if (strcmp(task, "client") == 0 && argc > 3) {
        converse(connect_to(where, argv[3]));
    } else if (strcmp(task, "write") == 0) {
        copy(STDIN_FILENO, open_fifo(where, O_WRONLY));
    } else if (strcmp(task, "read") == 0) {
        copy(open_fifo(where, O_RDONLY), STDOUT_FILENO);
    } else if (strcmp(task, "call") == 0) {
        printf("%.1f\n", cost_of_call());
    } else if (strcmp(task, "switch") == 0) {
        printf("%.1f\n", cost_of_switch());
    } else if (strcmp(task, "birth") == 0) {
        printf("%.1f\n", cost_of_birth());
    } else {
        fputs("bench_limit: see the comment in its source\n", stderr);
        return 2;
    }
    return EXIT_SUCCESS;
}
