# tcp/tcp_server.c
/^        result = close(conn_fd);/d
/^        tell(result, "close(%d)", conn_fd);/d
