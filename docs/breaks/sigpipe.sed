# fifo/fifo_writer.c common/helper.c
/signal(SIGPIPE, SIG_IGN)/d
