# unix/unix_server.c
/int result = bind(/i\
    (void)unlink(path);
