# fifo/fifo_writer.c
/signal(SIGPIPE, SIG_IGN)/d
