// client.cpp - sends a line to a TCP server, and prints the answer.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

// Ends the program if a call failed, and says which and why.
static ssize_t check(ssize_t result, const char *call)
{
    if (result == -1) {
        std::perror(call);
        std::exit(EXIT_FAILURE);
    }
    return result;
}

int main()
{
    std::string unsent = "Hello from C++, 你好!\n";
    sockaddr_in address{};
    char buffer[4096];
    ssize_t size;

    address.sin_family = AF_INET;
    address.sin_port = htons(12345);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd, "socket");
    check(connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof address),
          "connect");
    while (!unsent.empty()) { // one send may take fewer bytes
        size = check(send(fd, unsent.data(), unsent.size(), MSG_NOSIGNAL),
                     "send");
        unsent.erase(0, static_cast<std::size_t>(size));
    }
    check(shutdown(fd, SHUT_WR), "shutdown");
    while ((size = check(read(fd, buffer, sizeof buffer), "read")) > 0)
        std::cout.write(buffer, size);
    check(close(fd), "close");
    return std::cout.flush() ? EXIT_SUCCESS : EXIT_FAILURE;
}
