/* forgot.c - a server at the wrong port. */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = 12345; /* wrong: it must be htons(12345) */
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd == -1 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) == -1 ||
        listen(fd, 1) == -1) {
        perror("forgot");
        return 1;
    }
    (void)fprintf(stderr, "forgot: waits for a client\n");
    return accept(fd, NULL, NULL) == -1;
}
