# tcp/tcp_server.c common/helper.c
/^#include <netdb.h>/a\
#include <netinet/in.h>
/ listen_fd = bind_to(list);/i\
    ((struct sockaddr_in *)list->ai_addr)->sin_port = 12345;
