/* kinds.c - asks the kernel for sockets of several kinds. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ask(const char *text, int domain, int type, int protocol)
{
    int fd = socket(domain, type, protocol);

    if (fd == -1) {
        printf("socket(%s) = -1 (%s)\n", text, strerror(errno));
        return;
    }
    printf("socket(%s) = %d\n", text, fd);
    (void)close(fd);
}

#define ASK(domain, type, protocol)                                            \
    ask(#domain ", " #type ", " #protocol, domain, type, protocol)

int main(void)
{
    ASK(AF_INET, SOCK_STREAM, 0);
    ASK(AF_INET, SOCK_STREAM, IPPROTO_TCP); /* the same */
    ASK(AF_INET6, SOCK_DGRAM, 0);
    ASK(AF_UNIX, SOCK_SEQPACKET, 0);
    ASK(AF_INET, SOCK_STREAM, IPPROTO_UDP); /* UDP is no stream */
    ASK(AF_INET, SOCK_RAW, 0);              /* no protocol is the usual one */
    ASK(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    return 0;
}
