# tcp/tcp_client.c common/helper.c
s/^        int half_closed = half_close(fd);/        int half_closed = 0;/
