# tcp/tcp_server.c common/helper.c
/const int on = 1;/d
/ = setsockopt(/d
/"setsockopt(/d
s/  result = bind(/  int result = bind(/
