# unix/unix_server.c common/helper.c
/int result = bind(/i\
    (void)unlink(path);
