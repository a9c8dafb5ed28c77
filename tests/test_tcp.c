/*
 * test_tcp.c - tcp_server and tcp_client, end to end.
 *
 * Arguments: the paths of the two programs.
 */
#include "harness.h"

static const char *server;
static const char *client;

static void test_conversation(void **state)
{
    (void)state;
    struct terminal *s = start(server, "-n", "1", "127.0.0.1", "0", NULL);
    const char *port = ready_port(s);
    struct terminal *c = start(client, "127.0.0.1", port, NULL);

    assert_int_equal(finish(c), 0);
    expect_printed(c, "Hello, server!\n");
    assert_said(c, "tcp_client: socket(AF_INET, SOCK_STREAM) = 3",
                "tcp_client: connect(3, 127.0.0.1:*) waits for the server",
                "tcp_client: connect(3, 127.0.0.1:*) = 0",
                "tcp_client: write(3) = 15 \"Hello, server!\\n\"",
                "tcp_client: shutdown(3, SHUT_WR) = 0, *",
                "tcp_client: read(3) = 15 \"Hello, server!\\n\"",
                "tcp_client: read(3) = 0, end of file: *",
                "tcp_client: close(3) = 0; *", NULL);
    assert_int_equal(finish(s), 0);
    assert_said_among(
        s, "tcp_server: socket(AF_INET, SOCK_STREAM) = 3",
        "tcp_server: bind(3, 127.0.0.1:0) = 0",
        "tcp_server: listen(3, 128) = 0", "tcp_server: ready on 127.0.0.1:*",
        "tcp_server: accept(3) waits for a client",
        "tcp_server: accept(3) = 4, client 127.0.0.1:*",
        "tcp_server: fork() = *", "tcp_server: close(4) = 0, *", NULL);
    assert_said_among(s, "tcp_server[*]: read(4) = 15 \"Hello, server!\\n\"",
                      "tcp_server[*]: write(4) = 15",
                      "tcp_server[*]: read(4) = 0, end of file: *",
                      "tcp_server[*]: close(4) = 0; *", NULL);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_conversation, open_stage,
                                        close_stage),
    };

    if (argc != 3) {
        fprintf(stderr, "usage: test_tcp SERVER CLIENT\n");
        return 2;
    }
    server = argv[1];
    client = argv[2];
    return cmocka_run_group_tests_name("tcp", tests, NULL, NULL);
}
