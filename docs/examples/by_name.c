/* by_name.c - sends a line to a TCP server, and prints the answer. */
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Says which call failed, and why, and ends the program. */
static void stop(const char *call)
{
    perror(call);
    exit(EXIT_FAILURE);
}

/* Tries each address of the host until one answers. */
static int connect_to_server(const char *host, const char *port)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list;

    int code = getaddrinfo(host, port, &wanted, &list);
    if (code != 0) {
        (void)fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(code));
        exit(EXIT_FAILURE);
    }
    for (struct addrinfo *next = list; next != NULL; next = next->ai_next) {
        int fd = socket(next->ai_family, next->ai_socktype, next->ai_protocol);
        if (fd == -1) {
            perror("socket");
            continue;
        }
        if (connect(fd, next->ai_addr, next->ai_addrlen) == 0) {
            freeaddrinfo(list);
            return fd;
        }
        perror("connect");
        (void)close(fd); /* the next address needs another socket */
    }
    exit(EXIT_FAILURE);
}

/* One write may take fewer bytes than it is given. */
static void write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);
        if (written == -1)
            stop("write");
        data += written;
        size -= (size_t)written;
    }
}

int main(int argc, char *argv[])
{
    static const char message[] = "Hello, server!\n";
    char buffer[4096];
    ssize_t size;

    if (argc != 3) {
        (void)fprintf(stderr, "usage: by_name HOST PORT\n");
        return 2;
    }

    /* A write to a server that has gone shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = connect_to_server(argv[1], argv[2]);
    write_all(fd, message, sizeof message - 1);
    if (shutdown(fd, SHUT_WR) == -1) /* the server reads end of file */
        stop("shutdown");
    while ((size = read(fd, buffer, sizeof buffer)) > 0)
        write_all(STDOUT_FILENO, buffer, (size_t)size);
    if (size == -1)
        stop("read");
    if (close(fd) == -1)
        stop("close");
    return 0;
}
