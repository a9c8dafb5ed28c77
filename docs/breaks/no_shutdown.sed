# tcp/tcp_client.c
s/^        int half_closed = half_close(fd);/        int half_closed = 0;/
