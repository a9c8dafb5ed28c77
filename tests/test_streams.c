/*
 * test_streams.c - proves what the TCP pair and the UNIX pair promise alike:
 * the scenes of the first list are played by both. Two more lists have what
 * belongs to one of them: hosts and ports, and the socket file.
 */
#include "harness.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

enum {
    HUGE = 16 << 20, /* bytes: more than all buffers on the way hold */
    STOPS = 12,      /* in a long transfer */
    PAUSE = 250,     /* milliseconds: more than the story's pause */
    TIMES = 50,      /* what a race would spoil now and then */
};

/* The usual conversation. What both pairs tell about it, in their names: */
#define CLIENT_STORY(name, server)                                             \
    name ": connect(3, " server ") waits for the server\n" name                \
         ": connect(3, " server ") = 0\n" name                                 \
         ": write(3) = 15 \"Hello, server!\\n\"\n" name                        \
         ": shutdown(3, SHUT_WR) = 0\n" name                                   \
         ": read(3) waits for the answer\n" name                               \
         ": read(3) = 15 \"Hello, server!\\n\"\n" name                         \
         ": read(3) = 0, end of file\n" name ": close(3) = 0\n"
#define CHILD_STORY(name)                                                      \
    name ": fork() = 0\n" name ": close(3) = 0\n" name                         \
         ": read(4) waits for the client\n" name                               \
         ": read(4) = 15 \"Hello, server!\\n\"\n" name                         \
         ": write(4) = 15\n" name ": read(4) = 0, end of file\n" name          \
         ": close(4) = 0\n"
static const struct pair {
    const char *name;  /* of the programs, before _server and _client */
    const char *place; /* a free one, as operands */
    const char *server_story, *client_story;
} pairs[] = {
    {"tcp", "127.0.0.1 0",
     "tcp_server: getaddrinfo(127.0.0.1, 0) = 0\n"
     "tcp_server: socket(AF_INET, SOCK_STREAM) = 3\n"
     "tcp_server: setsockopt(3, SO_REUSEADDR) = 0\n"
     "tcp_server: bind(3, 127.0.0.1:0) = 0\n"
     "tcp_server: listen(3, 128) = 0\n"
     "tcp_server: ready on 127.0.0.1:N\n"
     "tcp_server: accept(3) waits for a client\n"
     "tcp_server: accept(3, 127.0.0.1:N) = 4\n"
     "tcp_server: fork() = N\n"
     "tcp_server: close(4) = 0\n"
     "tcp_server: close(3) = 0\n" CHILD_STORY("tcp_server[N]"),
     "tcp_client: socket(AF_INET, SOCK_STREAM) = 3\n" CLIENT_STORY(
         "tcp_client", "127.0.0.1:N")},
    {"unix", "socket",
     "unix_server: socket(AF_UNIX, SOCK_STREAM) = 3\n"
     "unix_server: bind(3, socket) = 0\n"
     "unix_server: listen(3, 128) = 0\n"
     "unix_server: ready on socket\n"
     "unix_server: accept(3) waits for a client\n"
     "unix_server: accept(3) = 4\n"
     "unix_server: fork() = N\n"
     "unix_server: close(4) = 0\n"
     "unix_server: unlink(socket) = 0\n"
     "unix_server: close(3) = 0\n" CHILD_STORY("unix_server[N]"),
     "unix_client: socket(AF_UNIX, SOCK_STREAM) = 3\n" CLIENT_STORY(
         "unix_client", "socket")},
};

static const struct pair *pair;
static const char *address; /* of the last server */
static const char *place;   /* the same as operands */

/* ---- The programs, and the test's own side of a conversation ---- */

static void meet_at(const char *new_address)
{
    const char *port = strrchr(new_address, ':');

    address = place = new_address;
    if (port != NULL)
        place = formatted("%.*s %s", (int)(port - address), address, port + 1);
}

static struct program *serve(const char *options, const char *rest)
{
    struct program *server =
        start("%s_server %s %s %s", pair->name, options, pair->place, rest);

    meet_at(address_of(server));
    return server;
}

static struct program *call(const char *options, const char *rest)
{
    return start("%s_client %s %s %s", pair->name, options, place, rest);
}

/* A server of the test's own. Its file, if it has one, is removed by hand. */
static int listen_here(void)
{
    int fd = listen_on(pair == pairs ? "127.0.0.1:0" : "stranger");

    meet_at(pair == pairs ? formatted("127.0.0.1:%s", own_port(fd))
                          : "stranger");
    return fd;
}

static void expect_echo(void)
{
    struct program *client = call("-q", "");

    expect_status(client, 0);
    expect_printed(client, "Hello, server!\n");
    expect_story(client, "");
}

static void end_by(struct program *program, int number)
{
    signal_program(program, number);
    ends_with(program, 128 + number);
}

static bool has_come(int fd, const char *text)
{
    char data[64];
    size_t size = strlen(text);

    return receive(fd, data, size) == size && memcmp(data, text, size) == 0;
}

static bool has_ended(int fd)
{
    char data;

    return receive(fd, &data, 1) == 0;
}

static bool is_answered(int fd, const char *question)
{
    transmit(fd, question, strlen(question));
    return has_come(fd, question);
}

/* ---- Conditions for wait_until() ---- */

static long long now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static bool is_past(const void *moment)
{
    return now() > *(const long long *)moment;
}

/* Long enough for the story: nobody says when it is over. */
static void pause_story(void)
{
    long long end = now() + PAUSE;

    wait_until(is_past, &end, "a pause");
}

static size_t wanted; /* bytes */

static bool is_printed(const void *program)
{
    return ((const struct program *)program)->bytes[OUTPUT].size >= wanted;
}

static bool is_asleep(const void *process)
{
    return system(formatted("grep -q 'State:.S' /proc/%ld/status",
                            (long)*(const pid_t *)process)) == 0;
}

/* Not even a zombie is left. */
static bool is_gone(const void *process)
{
    return kill(*(const pid_t *)process, 0) == -1;
}

/* ---- Both pairs ---- */

SCENE(hello_comes_back)
{
    struct program *server = serve("-n 1", "");
    struct program *client = call("", "");
    const char *resolved = "";

    if (pair == pairs)
        resolved = formatted("tcp_client: getaddrinfo(127.0.0.1, %s) = 0\n",
                             port_of(server));
    expect_status(client, 0);
    expect_story(client, formatted("%s%s", resolved, pair->client_story));
    expect_printed(client, "Hello, server!\n");
    expect_status(server, 0);
    expect_story(server, pair->server_story);
    expect_printed(server, "");
}

/* What is typed, or else sent as the message, and what is printed and told: the
 * same data, escaped where it could disturb a terminal. */
SCENE(conversations_in_one_question)
{
    static const struct {
        const char *reply, *rest, *typed;
        int status;
        const char *printed, *said;
    } rows[] = {
        {"'Hello, client!'", "", "", 0, "Hello, client!\n", ""},
        {"''", "", "", 0, "\n", ""},
        {"-", "", "", 0, "-\n", ""}, /* which is input in a client only */
        {"", "'two words'", "", 0, "two words\n", ""},
        {"", "''", "", 0, "\n", ""},
        {"", "'a line\n'", "", 0, "a line\n\n", ""},
        {"", "-", "", 0, "", "*: poll() waits for input (Ctrl-D ends it) *"},
        {"", "-", "no newline", 0, "no newline", ""},
        {"", "-", "你好！\n", 0, "你好！\n", "*: write(3) = 10 \"你好！\\n\""},
        {"", "-", "\033[\177\r\302\233\377\344\n", 0,
         "\033[\177\r\302\233\377\344\n",
         "*: write(3) = 9 \"\\x1b[\\x7f\\x0d\\xc2\\x9b\\xff\\xe4\\n\""},
        {"", "12345678901234567890123456789012", "", 0,
         "12345678901234567890123456789012\n",
         "*: write(3) = 33 \"12345678901234567890123456789012...\""},
        {"", ">/dev/full", "", 1, "", "*: write(1) = -1 ENOSPC (*"},
        {"", ">&-", "", 1, "", "*: write(1) = -1 EBADF (*"},
        {"", "3<>p >p 3<&-", "", 1, "", "*: write(1) = -1 EPIPE (*"},
        {"", "- <&-", "", 1, "", "*: read(0) = -1 EBADF (*"},
        {"", "- </", "", 1, "", "*: read(0) = -1 EISDIR (*"},
        {"", "<&-", "", 0, "Hello, server!\n", "*: socket(*) = 3"},
        {"<&- >&-", "2>&-", "", 0, "Hello, server!\n", ""},
        {"<&- >&-", "<&- >&- 2>&-", "", 1, "", ""},
    };

    assert_int_equal(mkfifo("p", 0600), 0);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct program *server = serve("-n 1", rows[i].reply);
        struct program *client = call("", rows[i].rest);
        type(client, rows[i].typed);
        expect_status(client, rows[i].status);
        expect_printed(client, rows[i].printed);
        expect_lines(client, rows[i].said);
        expect_status(server, 0);
        expect_lines(server, "*: socket(*) = 3\n*: accept(3*) = 4");
    }
    (void)unlink("p");
}

/* One read is not one message: two writes may be one read, and get one reply.
 * The server is stopped while they come. */
SCENE(every_read_is_answered)
{
    struct program *server = serve("-q -n 1", "yes");

    suspend(server);
    int fd = connect_to(address);
    transmit(fd, "one", 3);
    transmit(fd, "two", 3);
    resume(server);
    assert_true(has_come(fd, "yes\n"));
    transmit(fd, "three", 5);
    assert_true(has_come(fd, "yes\n"));
    close(fd);
    expect_status(server, 0);
    expect_story(server,
                 formatted("%s_server: ready on %s\n", pair->name, address));
}

/* At first the client's output is read slowly, and its input, a file, is always
 * there: so it and the child wait in write: when a stop interrupts that, a part
 * has been written. A client that wrote all before it read would never end. */
SCENE(much_comes_back_whole_in_spite_of_stops)
{
    unsigned char *data = random_bytes(HUGE, 1);
    struct program *server = serve("-n 1", "");
    FILE *file = fopen("data", "w");

    assert_int_equal(fwrite(data, 1, HUGE, file), HUGE);
    fclose(file);
    struct program *client = call("", "- <data");
    const char *story =
        "*(*) = * \"\\x00\\x01\\x02\\x03\\x04\\x05\\x06\\x07...\"\n"
        "*: calls that follow are only counted, until there is a pause\n"
        "*: so far received 16777216 bytes, sent 16777216\n"
        "*: close(*) = 0";

    for (size_t i = 1; i <= STOPS; i++) {
        wanted = i * (1 << 18);
        wait_until(is_printed, client, "more output");
        kill(-server->pid, SIGSTOP); /* its child, too */
        suspend(server);
        suspend(client);
        kill(-server->pid, SIGCONT);
        resume(client);
    }
    expect_status(client, 0);
    expect_printed_bytes(client, data, HUGE);
    expect_lines(client, story);
    expect_lines(client, "*: shutdown(3, SHUT_WR) = 0"); /* in any burst */
    expect_status(server, 0);
    expect_lines(server, story);
    free(data);
    (void)unlink("data");
}

SCENE(typed_lines_are_answered_and_told)
{
    const char *printed = "";
    struct program *server = serve("-n 1", "");
    struct program *client =
        start_on_terminal("%s_client %s -", pair->name, place);

    for (int i = 1; i <= 5; i++) {
        const char *line = formatted("line %d\n", i);
        printed = formatted("%s%s", printed, line);
        type(client, line);
        expect_printed(client, printed); /* while the user goes on typing */
        expect_said(client, formatted("*: write(3) = 7 \"line %d\\n\"", i));
        expect_said(client, formatted("*: read(3) = 7 \"line %d\\n\"", i));
        expect_said(server, formatted("*]: read(4) = 7 \"line %d\\n\"", i));
        expect_said(server, "*]: write(4) = 7");
        signal_program(client, SIGWINCH); /* the window changes its size */
        pause_story();
    }
    type(client, "b\004"); /* Ctrl-D in a line: what there is of it, a byte */
    expect_printed(client, formatted("%sb", printed));
    end_input(client);
    ends_with(client, 0);
    expect_status(server, 0);
}

/* A machine that is busy may pause for long: then once more. */
SCENE(eight_calls_of_a_burst_are_told)
{
    struct program *server;
    size_t told = 0;

    for (int tries = 0; told != 8 && tries < TIMES; tries++) {
        server = serve("-n 1", "");
        int fd = connect_to(address);
        for (char byte[] = "a"; *byte <= 'z'; (*byte)++)
            assert_true(is_answered(fd, byte));
        close(fd);
        expect_status(server, 0);
        expect_lines(server, "*]: calls that follow are only counted, *\n"
                             "*]: read(4) = 0, end of file\n"
                             "*]: so far received 26 bytes, sent 26");
        told = count_said(server, "*]: read(4) = 1 *") +
               count_said(server, "*]: write(4) = 1");
    }
    assert_int_equal(told, 8);
}

/* ---- Both pairs: strangers ---- */

/*
 * What the test does with its end of a connection, in this order:
 *     >  sends "bye\n"            <  receives "hello\n"
 *     +  types "hello\n"          p  waits until data has come
 *     h  half-closes              .  receives the end of file
 *     z  stops the program        f  fills the buffers, and never reads
 *     g  lets it go on            x  closes
 */
static void perform(const char *deeds, int fd, struct program *program)
{
    static char data[1 << 22];

    for (; *deeds != '\0'; deeds++)
        if (*deeds == '>')
            transmit(fd, "bye\n", 4);
        else if (*deeds == '<')
            assert_true(has_come(fd, "hello\n"));
        else if (*deeds == '+')
            type(program, "hello\n");
        else if (*deeds == 'p')
            assert_int_equal(recv(fd, data, 1, MSG_PEEK), 1);
        else if (*deeds == 'h')
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        else if (*deeds == '.')
            assert_true(has_ended(fd));
        else if (*deeds == 'z')
            suspend(program);
        else if (*deeds == 'g')
            resume(program);
        else if (*deeds == 'f')
            assert_true(send(fd, data, sizeof data, MSG_DONTWAIT) > 0);
        else
            close(fd);
}

SCENE(strange_servers)
{
    static const struct {
        const char *rest, *deeds;
        int status, times;
        const char *printed, *said;
    } rows[] = {
        /* It waits for the end, and answers then. */
        {"hello", "<.>x", 0, 1, "bye\n", "*: read(3) waits for the answer"},
        /* It closes while the input is open: that is noticed at once. */
        {"-", "+<>x", 1, 1, "bye\n", "*: the server closed before the end *"},
        /* It may close after its answer when the input has ended. */
        {"- <<.\nhello\n.\n", "<>x", 0, TIMES, "bye\n", ""},
        /* It closes while data is unread. */
        {"hello", "px", 1, 1, "", "*: read(3) = -1 ECONNRESET (*"},
        /* Its answer is there before the client writes in vain. */
        {"-", "+<z>x+g", 1, 1, "bye\n", "*: read(3) = 4 \"bye\\n\""},
    };
    int listen_fd = listen_here();

    for (size_t i = 0; i < LENGTH(rows); i++) {
        for (int time = 0; time < rows[i].times; time++) {
            struct program *client = call("", rows[i].rest);
            perform(rows[i].deeds, accept_from(listen_fd), client);
            ends_with(client, rows[i].status);
            expect_printed(client, rows[i].printed);
            expect_lines(client, rows[i].said);
        }
    }
    (void)unlink("stranger");
}

/* Each is its own trouble: another client idles, a third one is served. */
SCENE(strange_clients)
{
    static const struct {
        const char *deeds, *said;
    } rows[] = {
        {"fx", "*]: * = -1 E* (*"},
        {"h.x", "*]: read(4) = 0, end of file"},
        {">px", "*]: read(4) = -1 ECONNRESET (*"},
        {"x", "*]: read(4) = 0, end of file"},
    };

    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct program *server = serve("-n 3", "");
        int idle = connect_to(address);
        assert_true(is_answered(idle, "I stay"));
        perform(rows[i].deeds, connect_to(address), server);
        expect_said(server, rows[i].said);
        expect_said(server, "*]: close(4) = 0");
        expect_echo();
        assert_true(is_answered(idle, "still here"));
        close(idle);
        expect_status(server, 0);
    }
}

/* The parent tells a child's number, which the child's lines show. When it has
 * ended, nothing is left of it. The parent waits: in accept, or at last for its
 * last child. */
SCENE(children_are_named_and_waited_for)
{
    struct program *server = serve("-n 3", "");

    for (int i = 1; i <= 3; i++) {
        int fd = connect_to(address);
        const char *line = expect_said(server, "*_server: fork() = *");
        pid_t child = (pid_t)strtol(strstr(line, "= ") + 2, NULL, 10);
        expect_said(server, i < 3 ? "*: accept(3) waits for a client"
                                  : "*_server: close(3) = 0");
        wait_until(is_asleep, &server->pid, "a parent that waits");
        assert_true(is_answered(fd, "hello"));
        close(fd);
        expect_said(server,
                    formatted("*_server[%ld]: close(4) = 0", (long)child));
        wait_until(is_gone, &child, "the end of a child");
    }
    expect_status(server, 0);
}

/* A signal ends a client, and the server; not its child, which goes on with
 * its client, and does not keep the address from the next server. */
SCENE(signals_end_programs_but_no_conversation)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGKILL};

    for (size_t i = 0; i < LENGTH(numbers); i++) {
        siginfo_t end;
        struct program *server = serve("", "");
        struct program *client = call("", "-");
        int fd = connect_to(address);
        type(client, "hello\n");
        expect_printed(client, "hello\n");
        assert_true(is_answered(fd, "hello"));
        end_by(client, numbers[i]);
        signal_program(server, numbers[i]);
        waitid(P_PID, (id_t)server->pid, &end, WEXITED | WNOWAIT);
        struct program *next = start("%s_server %s", pair->name, place);
        meet_at(address_of(next));
        expect_echo();
        assert_true(is_answered(fd, "still here"));
        close(fd);
        ends_with(server, 128 + numbers[i]);
        end_by(next, SIGTERM);
    }
}

/* ---- Failures of either pair ---- */

static int bind_only(int fd, const struct sockaddr *own, socklen_t size)
{
    return bind(fd, own, size);
}

/* Somebody without privileges, if that can be. */
#define NOBODY                                                                 \
    "$(test $(id -u) != 0 || echo setpriv --reuid=65534 --clear-groups) "
#define IS_ROOT "test $(id -u) = 0 && "

/* Each is a call with its symbol and a hint, also with -q. No name service is
 * asked: there is no network where it could be. */
SCENE(failures_are_told_with_hints)
{
    int bound = open_socket("127.0.0.1:0", SOCK_STREAM, bind_only);
    int taken = listen_on("127.0.0.1:0"); /* by one who never accepts */
    const struct {
        const char *needed, *command, *failure, *hint;
    } rows[] = {
        {":", "tcp_client -q fe80::1%no 80",
         "getaddrinfo(fe80::1%no, 80) = EAI_NONAME (*", "check HOST: a *"},
        {"unshare -rn true", "unshare -rn tcp_server -q no.such.invalid 80",
         "getaddrinfo(no.such.invalid, 80) = EAI_*A* (*", "check HOST: a *"},
        {":", formatted("tcp_client -q 127.0.0.1 %s", own_port(bound)),
         "connect(3, 127.0.0.1:*) = -1 ECONNREFUSED (*",
         "start tcp_server first, on this HOST and PORT"},
        {":", formatted("tcp_server -q 127.0.0.1 %s", own_port(taken)),
         "bind(3, 127.0.0.1:*) = -1 EADDRINUSE (*",
         "end the server on this PORT (suspended? fg), or take another"},
        {":", "tcp_server -q 192.0.2.1 0", /* nobody's (RFC 5737) */
         "bind(3, 192.0.2.1:0) = -1 EADDRNOTAVAIL (*", "take an address *"},
        {NOBODY "tcp_server -h >help && test 80 -lt "
                "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)",
         NOBODY "tcp_server -q 127.0.0.1 80",
         "bind(3, 127.0.0.1:80) = -1 EACCES (*", "take a PORT from 1024 on: *"},
        {":", "unix_client -q nothing", "connect(3, nothing) = -1 ENOENT (*",
         "start unix_server first, with the same PATH"},
        {":", "unix_client -q notes", "connect(3, notes) = -1 ECONNREFUSED (*",
         "start unix_server first: nobody listens on this PATH"},
        {":", "unix_server -q no/socket", "bind(3, no/socket) = -1 ENOENT (*",
         "make the folder of PATH first: it does not exist"},
        {IS_ROOT NOBODY "unix_server -h >help", NOBODY "unix_server -q mine",
         "bind(3, mine) = -1 EACCES (*", "take another PATH *: *"},
        {IS_ROOT NOBODY "unix_client -h >help", NOBODY "unix_client -q notes",
         "connect(3, notes) = -1 EACCES (*", "take another PATH *: *"},
    };

    assert_int_equal(system("umask 077; echo mine >notes; chmod 755 ."), 0);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        if (system(rows[i].needed) != 0)
            continue;
        struct program *program = start("%s", rows[i].command);
        expect_status(program, 1);
        expect_lines(program, formatted("*: %s\n*: hint: %s", rows[i].failure,
                                        rows[i].hint));
        assert_int_equal(count_said(program, "*"), 2);
    }
    assert_int_equal(system("rm -f notes help"), 0);
}

/* ---- TCP alone ---- */

SCENE(hosts_are_names_and_addresses)
{
    static const char *const rows[][3] = {
        {"localhost", "localhost", "*:*"},
        {"0.0.0.0", "127.0.0.1", "0.0.0.0:*"},
        {"::1", "::1", "[::1]:*"},
        {"::", "::1", "[::]:*"},
    };

    for (size_t i = 0; i < (has_ipv6() ? 4 : 2); i++) {
        struct program *server = start("tcp_server -n 1 %s 0", rows[i][0]);
        expect_said(server, formatted("*: ready on %s", rows[i][2]));
        place = formatted("%s %s", rows[i][1], port_of(server));
        expect_echo();
        expect_status(server, 0);
    }
}

/* A command line, where the name pair.test has two addresses. */
#define WITH_NAMES "unshare -rm sh -c 'mount --bind names /etc/hosts && exec "

/* Each of the two in turn is taken for the server, and then refuses the client:
 * so one of the first tries fails, whatever the order is. */
SCENE(each_address_of_a_name_is_tried)
{
    static const char *const hosts[] = {"127.0.0.1", "[::1]"};
    size_t taken = 0;
    size_t refused = 0;

    if (!has_ipv6() || system("unshare -rm true") != 0)
        skip();
    system("printf '127.0.0.1 pair.test\n::1 pair.test\n' >names");
    for (int i = 0; i < 2; i++) {
        int fd = listen_on(formatted("%s:0", hosts[i]));
        const char *port = own_port(fd);
        struct program *server =
            start(WITH_NAMES "tcp_server -n 1 pair.test %s'", port);
        assert_string_equal(address_of(server),
                            formatted("%s:%s", hosts[1 - i], port));
        close(fd);
        struct program *client =
            start(WITH_NAMES "tcp_client pair.test %s'", port);
        expect_status(client, 0);
        expect_lines(client, "*: connect(3, *) = 0"); /* 3: it closed one */
        expect_status(server, 0);
        taken += count_said(server, "*: bind(3, *) = -1 EADDRINUSE (*");
        refused += count_said(client, "*: connect(3, *) = -1 ECONNREFUSED (*");
        assert_int_equal(count_said(client, "*: hint: *"), 0);
        client = start(WITH_NAMES "tcp_client -q pair.test %s'", port);
        expect_status(client, 1);
        expect_lines(client, "*: connect(3, *) = -1 ECONNREFUSED (*\n"
                             "*: connect(3, *) = -1 ECONNREFUSED (*\n"
                             "*: hint: start tcp_server first, *");
        assert_int_equal(count_said(client, "*"), 3);
    }
    assert_int_equal(taken, 1);
    assert_int_equal(refused, 1);
    (void)unlink("names");
}

/* ---- UNIX alone ---- */

SCENE(stale_socket_is_replaced)
{
    end_by(serve("", ""), SIGKILL);
    struct program *server = serve("-n 1", "");

    expect_echo();
    expect_status(server, 0);
    expect_lines(server, "*: bind(3, socket) = -1 EADDRINUSE (*\n"
                         "*: socket(AF_UNIX, SOCK_DGRAM) = 4\n"
                         "*: connect(4, socket) = -1 ECONNREFUSED (*\n"
                         "*: unlink(socket) = 0\n"
                         "*: close(4) = 0\n"
                         "*: bind(3, socket) = 0\n"
                         "*: unlink(socket) = 0");
    assert_int_equal(count_said(server, "*: hint: *"), 0);
}

static bool queue_is_full;

static int connect_if_it_can(int fd, const struct sockaddr *server,
                             socklen_t size)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    queue_is_full = connect(fd, server, size) == -1;
    return 0;
}

/* Not even one that is suspended while its queue of clients is full. */
SCENE(live_server_is_not_replaced)
{
    struct program *first = serve("", "");

    suspend(first);
    for (queue_is_full = false; !queue_is_full;)
        open_socket("socket", SOCK_STREAM, connect_if_it_can);
    struct program *second = start("unix_server socket");
    expect_status(second, 1);
    expect_lines(second, "*: connect(4, socket) = -1 EPROTOTYPE (*\n"
                         "*: close(4) = 0\n"
                         "*: bind(3, socket) = -1 EADDRINUSE (*\n"
                         "*: hint: end the server on this PATH *");
    assert_int_equal(count_said(second, "*: unlink(*"), 0);
    signal_program(first, SIGTERM);
    resume(first); /* and now it ends, without a look at the queue */
    ends_with(first, 128 + SIGTERM);
    assert_false(is_there("socket"));
}

/* A file, a folder, a FIFO, a link, and one to nowhere. */
SCENE(what_is_no_socket_is_untouched)
{
    assert_int_equal(system("echo mine >f && mkdir d && mkfifo p && "
                            "ln -s f l && ln -s nowhere n"),
                     0);
    for (const char *name = "fdpln"; *name != '\0'; name++) {
        struct program *server = start("unix_server -q %c", *name);
        expect_status(server, 1);
        expect_story(server,
                     formatted("unix_server: bind(3, %c) = -1 EADDRINUSE (N)\n"
                               "unix_server: hint: take another PATH: what is "
                               "there is no socket\n",
                               *name));
    }
    assert_int_equal(system("test \"$(cat l)\" = mine && test -p p &&"
                            "test -L l && test -L n && ! test -e nowhere &&"
                            "rmdir d && rm f p l n"),
                     0);
}

/* The longest path there is; and the file is its owner's, whatever the umask.
 * Its maker removes it, and no child does, even by the same signal. */
SCENE(socket_file_is_removed_by_its_maker)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct stat status;

    for (size_t i = 0; i < LENGTH(numbers); i++) {
        struct program *server =
            start("sh -c 'umask 0; exec unix_server %0107d'", 0);
        meet_at(address_of(server));
        assert_int_equal(lstat(address, &status), 0);
        assert_int_equal(status.st_mode & (S_IRWXG | S_IRWXO), 0);
        int fd = connect_to(address);
        const char *line = expect_said(server, "*_server: fork() = *");
        assert_true(is_answered(fd, "hello"));
        kill((pid_t)strtol(strstr(line, "= ") + 2, NULL, 10), numbers[i]);
        assert_true(has_ended(fd));
        assert_true(is_there(address));
        expect_echo();
        end_by(server, numbers[i]);
        assert_false(is_there(address));
    }
}

/* Another server has taken the path. */
SCENE(socket_file_of_another_stays)
{
    struct program *first = serve("-n 1", "");

    suspend(first);
    close(connect_to(address));
    assert_int_equal(unlink("socket"), 0);
    struct program *second = serve("", "");
    resume(first);
    expect_status(first, 0);
    assert_int_equal(count_said(first, "*: unlink(*"), 0);
    expect_echo();
    end_by(second, SIGTERM);
}

/* Only AF_UNIX tells at once that nobody reads. The client stops writing, and
 * prints what still comes. */
SCENE(server_that_stops_reading_may_still_answer)
{
    int listen_fd = listen_here();
    struct program *client = call("", "-");
    int fd = accept_from(listen_fd);

    shutdown(fd, SHUT_RD);
    type(client, "one\n");
    expect_said(client, "*: write(3) = -1 EPIPE (*");
    type(client, "two\n");
    expect_said(client, "*: hint: let the other side read to the end: *");
    expect_said(client, "*: the server closed before the end of the input");
    transmit(fd, "later\n", 6);
    expect_printed(client, "later\n");
    close(fd);
    ends_with(client, 1);
    assert_int_equal(count_said(client, "*: write(*"), 1);
    (void)unlink("stranger");
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest both[] = {
        TEST(hello_comes_back),
        TEST(conversations_in_one_question),
        TEST(every_read_is_answered),
        TEST(much_comes_back_whole_in_spite_of_stops),
        TEST(typed_lines_are_answered_and_told),
        TEST(eight_calls_of_a_burst_are_told),
        TEST(strange_servers),
        TEST(strange_clients),
        TEST(children_are_named_and_waited_for),
        TEST(signals_end_programs_but_no_conversation),
    };
    const struct CMUnitTest tcp[] = {
        TEST(failures_are_told_with_hints),
        TEST(hosts_are_names_and_addresses),
        TEST(each_address_of_a_name_is_tried),
    };
    const struct CMUnitTest local[] = {
        TEST(stale_socket_is_replaced),
        TEST(live_server_is_not_replaced),
        TEST(what_is_no_socket_is_untouched),
        TEST(socket_file_is_removed_by_its_maker),
        TEST(socket_file_of_another_stays),
        TEST(server_that_stops_reading_may_still_answer),
    };
    int failed = 0;

    prepare_tests(argc, argv);
    pair = &pairs[0];
    failed += cmocka_run_group_tests_name("both: tcp", both, NULL, NULL);
    failed += cmocka_run_group_tests_name("tcp alone", tcp, NULL, NULL);
    pair = &pairs[1];
    failed += cmocka_run_group_tests_name("both: unix", both, NULL, NULL);
    failed += cmocka_run_group_tests_name("unix alone", local, NULL, NULL);
    return failed;
}
