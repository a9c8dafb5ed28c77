# tcp/tcp_client.c common/helper.c
/if (write_all(to,/,/return -1;/{
s/if (write_all(to, \(.*\)) == -1)/return write_all(to, \1);/
/return -1;/d
}
