/*
 * test_surroundings.c - proves what the programs make of surroundings that a
 * machine rarely has: a name with two addresses, no free port, no network, a
 * user without rights, input that another program left non-blocking. It runs in
 * namespaces of its own (Linux: unshare(1)): there it is root, alone with its
 * ports, and may mount. What docs/trouble.md plays is not here again.
 */
#include "harness.h"

#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

enum { SKIPPED = 77 }; /* the exit status that CTest takes for "skipped" */

static void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

/* Until umount, pair.test has two addresses. */
static void name_addresses(void)
{
    run("printf '127.0.0.1 pair.test\n::1 pair.test\n' >names &&"
        "mount --bind names /etc/hosts");
}

/* Each of two addresses in turn is taken for the server, and then refuses the
 * client: so one of the first tries fails, whatever the order is. What answered
 * once, be it with an empty datagram, is asked again. */
SCENE(each_address_of_a_name_is_tried)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};

    if (!has_ipv6())
        skip();
    name_addresses();
    for (int is_udp = 0; is_udp < 2; is_udp++) {
        const char *kind = is_udp ? "udp" : "tcp";
        size_t taken = 0;
        size_t refused = 0;
        for (int i = 0; i < 2; i++) {
            const char *any = formatted("%s:0", hosts[i]);
            int fd = is_udp ? bound_datagram(any) : listen_on(any);
            const char *port = own_port(fd);
            struct program *server =
                start("%s_server -n 2 pair.test %s", kind, port);
            assert_string_equal(address_of(server),
                                formatted("%s:%s", hosts[1 - i], port));
            close(fd);
            struct program *client = /* a folder; what was refused is past */
                start("%s_client pair.test %s - </", kind, port);
            expect_status(client, 1);
            assert_int_equal(count_said(client, "*: hint: *"), 0);
            client = start("%s_client pair.test %s -", kind, port);
            type(client, "1\n\n");
            expect_status(client, 0);
            expect_printed(client, "1\n\n");
            expect_lines(client, "*: connect(3, *) = 0"); /* 3: it closed one */
            expect_status(server, 0);
            expect_lines(server, "*: bind(3, *) = 0");
            taken += count_said(server, "*: bind(3, *) = -1 EADDRINUSE (*");
            refused += count_said(client, "*(3*) = -1 ECONNREFUSED (*");
            assert_int_equal(count_said(client, "*: hint: *"), 0);
            assert_int_equal(count_said(server, "*: hint: *"), 0);
            client = start("%s_client -q pair.test %s", kind, port);
            expect_status(client, 1);
            expect_story(client,
                         formatted("*(3*) = -1 ECONNREFUSED (*\n"
                                   "*(3*) = -1 ECONNREFUSED (*\n"
                                   "%s_client: hint: start *server *first*\n",
                                   kind));
        }
        assert_int_equal(taken, 1);
        assert_int_equal(refused, 1);
    }
    run("umount /etc/hosts && rm names");
}

/* As root without these rights. */
#define NO_ACCESS "setpriv --bounding-set -dac_override,-dac_read_search "
#define NO_PORTS  "setpriv --bounding-set -net_bind_service "

/* What is in the way, the command, and all that it says before it ends with
 * status 1; with -q, for the usual lines are no matter here. */
SCENE(what_is_in_the_way_is_told_and_a_hint_says_what_to_do)
{
    static const struct {
        const char *before, *command, *story;
    } rows[] = {
        /* A socket file that is not theirs, as one that root left. */
        {"$LEAVE && chmod 0 d/x", NO_ACCESS "unix_server -q d/x",
         "*: bind(3, d/x) = -1 EADDRINUSE (*\n"
         "*: connect(4, d/x) = -1 EACCES (*\n*: hint: *PATH*\n"},
        {"$LEAVE && chmod 500 d", NO_ACCESS "unix_server -q d/x",
         "*: bind(3, d/x) = -1 EADDRINUSE (*\n"
         "*: connect(4, d/x) = -1 ECONNREFUSED (*\n"
         "*: unlink(d/x) = -1 EACCES (*\n*: hint: *PATH*\n"},
        {"chmod 500 d", NO_ACCESS "fifo_reader -q d/x",
         "*: mkfifo(d/x, 0600) = -1 EACCES (*\n*: hint: *PATH*\n"},
        {"mkfifo -m 0 d/x", NO_ACCESS "fifo_writer -q d/x",
         "*: open(d/x, O_WRONLY) = -1 EACCES (*\n*: hint: *PATH*\n"},
        {":", NO_PORTS "udp_server -q 127.0.0.1 80",
         "*: bind(3, 127.0.0.1:80) = -1 EACCES (*\n*: hint: *PORT*1024*\n"},
        /* There is no network. */
        {":", "udp_client -q 192.0.2.1 80",
         "*: connect(3, 192.0.2.1:80) = -1 ENETUNREACH (*\n*: hint: *\n"},
        /* Addresses that are nobody's: no server is ready there. */
        {":", "udp_server -q 224.0.0.1 0", "*224.0.0.1*\n*: hint: *\n"},
        {":", "tcp_server -q 255.255.255.255 0", "*255.255*\n*: hint: *\n"},
        {":", "udp_server -q ff02::1%lo 0",
         "*[ff02::1*\n*: hint: *\n"}, /* last */
    };
    size_t count = LENGTH(rows) - (has_ipv6() ? 0 : 1);

    setenv("LEAVE",
           "{ unix_server -q d/x & until [ -S d/x ]; do :; done; kill -9 $!; }",
           1);
    for (size_t i = 0; i < count; i++) {
        run(formatted("mkdir d && eval \"%s\" && ls -liR d >before",
                      rows[i].before));
        struct program *program = start("%s", rows[i].command);
        expect_status(program, 1);
        expect_story(program, rows[i].story);
        run("ls -liR d | diff before - && rm -r *");
    }
}

/* Each client has a port until long after its end (TIME_WAIT). */
SCENE(no_port_is_free)
{
    struct program *server = start("tcp_server -q 127.0.0.1 0");
    const char *port = port_of(server);
    struct program *client;

    run("cd /proc/sys/net/ipv4 && echo 0 >tcp_tw_reuse &&"
        "echo 40000 40002 >ip_local_port_range");
    client =
        start("sh -c 'while tcp_client -q 127.0.0.1 %s; do :; done'", port);
    expect_status(client, 0);
    expect_story(client, "*: connect(3, 127.0.0.1:*) = -1 EADDRNOTAVAIL (*\n"
                         "*: hint: *free port*\n");
    for (int i = 0; i < 3; i++)
        (void)bound_datagram("127.0.0.1:0");
    client = start("udp_client -q 127.0.0.1 1");
    expect_status(client, 1);
    expect_story(client, "*: connect(3, 127.0.0.1:1) = -1 EAGAIN (*\n"
                         "*: hint: *free port*\n");
}

/* Descriptor 3 is a FIFO that holds the input, and has a writer. */
#define NON_BLOCKING                                                           \
    "sh -c 'mkfifo p && exec 3<>p && rm p && printf \"whole\nhalf of a li\" "  \
    ">&3 && dd iflag=nonblock count=0 status=none <&3 && exec "

SCENE(input_that_does_not_block_fails)
{
    char data[80] = "";
    int fd = bound_datagram("127.0.0.1:0");
    struct program *client =
        start(NON_BLOCKING "udp_client 127.0.0.1 %s - <&3'", own_port(fd));

    assert_int_equal(receive(fd, data, sizeof data), 5);
    transmit(fd, "yes", 3);
    expect_status(client, 1);
    expect_printed(client, "yes\n");
    expect_lines(client, "udp_client: read(0) = -1 EAGAIN (*");
    assert_int_equal(count_said(client, "*: hint: start *"), 0);
    assert_int_equal(count_said(client, "*: sendto(*"), 1); /* no half line */
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(each_address_of_a_name_is_tried),
        TEST(what_is_in_the_way_is_told_and_a_hint_says_what_to_do),
        TEST(no_port_is_free),
        TEST(input_that_does_not_block_fails),
    };

    const char *flags = geteuid() == 0 ? "-mn" : "-rmn"; /* r: as root there */

    if (getenv("NAMESPACES_MADE") == NULL) {
        if (system(formatted("unshare %s ip link set lo up 2>/dev/null",
                             flags)) != 0) {
            fprintf(stderr, "Skipped: unshare and ip are missing, or may not "
                            "make namespaces here\n");
            return getenv("SURROUNDINGS_REQUIRED") == NULL ? SKIPPED : 1;
        }
        setenv("NAMESPACES_MADE", "1", 1);
        execlp("unshare", "unshare", flags, "sh", "-c",
               "ip link set lo up && exec \"$@\"", "sh", argv[0], argv[1],
               (char *)NULL);
        perror("unshare");
        return 1;
    }
    return play_tests("surroundings", tests, argc, argv);
}
