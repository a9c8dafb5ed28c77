# tcp/tcp_server.c
/^            result = close(listen_fd);/d
/^            tell(result, "close(%d)", listen_fd);/d
