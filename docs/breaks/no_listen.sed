# tcp/tcp_server.c common/helper.c
s/ listen(listen_fd, BACKLOG);/ 0;/
/check(result, "listen(/d
