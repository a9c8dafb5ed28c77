# Takes five lines out of docs/solutions/client.c, for exercise 3.
s|socket(next->ai_family, SOCK_STREAM, 0);|-1 /* 1: make a socket of this family */;|
s|connect(fd, next->ai_addr.*) == 0|0 == 1 /* 2: connect it to next->ai_addr */|
s|write_all(fd, argv\[3\].*|/* 3: write the message, all of it */|
s|shutdown(fd, SHUT_WR) == -1.*|0 == 1 /* 4: half-close */)|
s|(size = read(fd, buffer, sizeof buffer))|(size = 0 /* 5: read what has come */)|
