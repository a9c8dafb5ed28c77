/* by_hand.c - sends a line to a TCP server, and prints the answer. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

static int connect_to_server(void)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(12345),
    };

    if (inet_pton(AF_INET, "127.0.0.1", &address.sin_addr) != 1)
        stop("inet_pton");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd == -1)
        stop("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1)
        stop("connect");
    return fd;
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

int main(void)
{
    static const char message[] = "Hello, server!\n";
    char buffer[4096];
    ssize_t size;

    /* A write to a server that has gone shall fail, not end the program. */
    (void)signal(SIGPIPE, SIG_IGN);

    int fd = connect_to_server();
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
