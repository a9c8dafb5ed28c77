# common/helper.c fifo/fifo_writer.c
s/next += written;/break;/
/size -= (size_t)written;/d
