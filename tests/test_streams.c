/*
 * test_streams.c - proves what the TCP pair and the UNIX pair promise alike:
 * the scenes of the first list are played by both, those of the second have to
 * do with the socket file. What the pages show (docs/) is proven there, and not
 * once more here.
 */
#include "harness.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

enum {
    PATH_SIZE = sizeof((struct sockaddr_un *)0)->sun_path,
    HUGE = 16 << 20, /* bytes: more than all buffers on the way hold */
    STOPS = 12,      /* in a long transfer */
    TIMES = 50,      /* what a race would spoil now and then */
};

static const struct pair {
    const char *name;  /* of the programs, before _server and _client */
    const char *place; /* a free one, as operands */
} pairs[] = {{"tcp", "127.0.0.1 0"}, {"unix", "socket"}};

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

static size_t wanted; /* bytes */

static bool is_printed(const void *program)
{
    return ((const struct program *)program)->bytes[OUTPUT].size >= wanted;
}

static bool is_asleep(const void *process)
{
    return !is_there("/proc/self") || /* Linux has it */
           system(formatted("grep -q 'State:.S' /proc/%ld/status",
                            (long)*(const pid_t *)process)) == 0;
}

/* ---- Both pairs ---- */

SCENE(hello_comes_back)
{
    struct program *server = serve("-n 1", "");

    close(server->fds[ERROR]); /* nobody reads its story any more */
    server->fds[ERROR] = -1;
    expect_echo();
    expect_status(server, 0);
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
        {"", "-", "", 0, "", "*]: read(0) waits for input (Ctrl-D ends it)"},
        {"", "-", "no newline", 0, "no newline", ""},
        {"", "-", "\033[\177\r\302\233\377\344\n", 0,
         "\033[\177\r\302\233\377\344\n",
         "*: write(3) = 9 \"\\x1b[\\x7f\\x0d\\xc2\\x9b\\xff\\xe4\\n\""},
        {"", ">&-", "", 1, "", "*: write(1) = -1 EBADF (*"},
        {"", "3<>p >p 3<&-", "", 1, "", "*: write(1) = -1 EPIPE (*"},
        {"", "- <&-", "", 1, "", "*]: read(0) = -1 EBADF (*"},
        {"", "- </", "", 1, "", "*]: read(0) = -1 EISDIR (*"},
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

/* At first the client's output is read slowly, and its input, a file, is always
 * there: so all wait in write: when a stop interrupts that, a part has been
 * written. A client that wrote all before it read would never end. */
SCENE(much_comes_back_whole_in_spite_of_stops)
{
    static char data[HUGE];
    struct program *server = serve("-n 1", "");
    FILE *file = fopen("data", "w");

    for (unsigned i = 0, seed = 1; i < HUGE; i++)
        data[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
    assert_int_equal(fwrite(data, 1, HUGE, file), HUGE);
    fclose(file);
    struct program *client = call("-q", "- <data");
    for (size_t i = 1; i <= STOPS; i++) {
        wanted = i * (1 << 18);
        wait_until(is_printed, client, "more output");
        kill(-server->pid, SIGSTOP); /* its child, too */
        kill(-client->pid, SIGSTOP);
        suspend(server);
        suspend(client);
        kill(-server->pid, SIGCONT);
        kill(-client->pid, SIGCONT);
    }
    expect_status(client, 0);
    expect_printed_bytes(client, data, HUGE);
    expect_story(client, "");
    expect_status(server, 0);
    expect_lines(server, "*]: read(4) = 0, end of file\n*]: close(4) = 0");
    (void)unlink("data");
}

SCENE(lines_are_answered_while_the_user_types)
{
    const char *printed = "";
    struct program *server = serve("-n 1", "");
    struct program *client = call("", "-");

    for (int i = 1; i <= 5; i++) {
        const char *line = formatted("line %d\n", i);
        printed = formatted("%s%s", printed, line);
        type(client, line);
        expect_printed(client, printed);
    }
    type(client, "b");
    expect_printed(client, formatted("%sb", printed));
    expect_status(client, 0);
    expect_status(server, 0);
}

/* ---- Both pairs: strangers ---- */

/*
 * What the test does with its end of a connection, in this order:
 *     >  sends "bye\n"            <  receives "hello\n"
 *     +  types "hello\n"          p  waits until data has come
 *     h  half-closes              .  receives the end of file
 *     z  stops the program        f  fills the buffers, and never reads
 *     g  lets it go on            x  closes
 *     r  refuses to read
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
        else if (*deeds == 'r')
            assert_int_equal(shutdown(fd, SHUT_RD), 0);
        else if (*deeds == '.')
            assert_true(has_ended(fd));
        else if (*deeds == 'z')
            suspend(program);
        else if (*deeds == 'g')
            resume(program);
        else if (*deeds == 'f')
            assert_true(send_what_fits(fd, data, sizeof data) > 0);
        else
            close(fd);
}

#define CLOSED "*: hint: look at the server: it ended *"

/* The input stays open until the client has ended by itself. It ends its child,
 * too, though both ignore signals that the user's shell ignored. */
SCENE(strange_servers)
{
    static const struct {
        const char *rest, *deeds;
        int status, times;
        const char *printed, *said, *unsaid;
    } rows[] = {
        /* It waits for the end, and answers then. */
        {"hello", "<.>x", 0, 1, "bye\n", "*: read(3) = 4 \"bye\\n\"", CLOSED},
        /* It closes while the input is open: that is noticed at once. */
        {"-", "+<>x", 1, 1, "bye\n", CLOSED, "*: write(*) = -1 *"},
        {"-", "x", 1, 1, "", CLOSED, "*: write(*) = -1 *"},
        /* It may close after its answer when the input has ended, as daytime
         * does without a question (RFC 867). */
        {"- <<.\nhello\n.\n", "<>x", 0, TIMES, "bye\n", "", CLOSED},
        {"- </dev/null", ">x", 0, TIMES, "bye\n", "", CLOSED},
        /* It closes while data is unread. */
        {"hello", "px", 1, 1, "", "*: read(3) = -1 ECONNRESET (*", CLOSED},
        {"-", "+px", 1, 1, "", "*: read(3) = -1 ECONNRESET (*", "* = 0, end *"},
        /* Its answer is there before the client writes in vain. */
        {"-", "+<z>x+g", 1, 1, "bye\n", "*: read(3) = 4 \"bye\\n\"", ""},
        /* Nobody is there who could read what the client prints. */
        {"- >&-", "+<>", 1, 1, "", "*: write(1) = -1 EBADF (*", CLOSED},
        /* It reads no more, and answers. Only AF_UNIX tells that at once. */
        {"-", "r+.>x", 1, 1, "bye\n",
         "*]: write(3) = -1 EPIPE (*\n*]: hint: look at the other side: *", ""},
    };
    const size_t count = LENGTH(rows) - (pair == pairs ? 1 : 0);
    int listen_fd = listen_here();

    for (size_t i = 0; i < count; i++) {
        for (int time = 0; time < rows[i].times; time++) {
            struct program *client =
                start("sh -c 'trap \"\" INT TERM; exec %s_client %s %s'",
                      pair->name, place, rows[i].rest);
            perform(rows[i].deeds, accept_from(listen_fd), client);
            ends_with(client, rows[i].status);
            expect_printed(client, rows[i].printed);
            expect_lines(client, rows[i].said);
            assert_int_equal(count_said(client, rows[i].unsaid), 0);
        }
    }
    (void)unlink("stranger");
}

/* Each is its own trouble: another client idles, a third one is served. At last
 * the parent waits for the child of the one who idles. */
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
        expect_said(server, "*_server: close(3) = 0");
        wait_until(is_asleep, &server->pid, "a parent that waits");
        assert_true(is_answered(idle, "still here"));
        close(idle);
        expect_status(server, 0);
    }
}

/* What the shell started before it became the server is its child, too, but
 * none to wait for. */
SCENE(children_of_a_shell_are_not_waited_for)
{
    struct program *server = start("sh -c 'mkfifo p && { cat p >/dev/null 2>&1 "
                                   "& exec %s_server -n 1 %s; }'",
                                   pair->name, pair->place);

    meet_at(address_of(server));
    expect_echo();
    ends_with(server, 0);
    kill(-server->pid, SIGKILL); /* that child */
    (void)unlink("p");
}

/* A signal ends the server; not its child, which goes on with its client, and
 * does not keep the address from the next server. */
SCENE(signals_end_the_server_but_no_conversation)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGKILL};

    for (size_t i = 0; i < LENGTH(numbers); i++) {
        siginfo_t end;
        struct program *server = serve("", "");
        int fd = connect_to(address);
        assert_true(is_answered(fd, "hello"));
        signal_program(server, numbers[i]);
        waitid(P_PID, (id_t)server->pid, &end, WEXITED | WNOWAIT);
        struct program *next = start("%s_server %s", pair->name, place);
        meet_at(address_of(next));
        expect_echo();
        assert_true(is_answered(fd, "still here"));
        close(fd);
        ends_with(server, 128 + numbers[i]);
        end_by(next, SIGTERM);
        (void)unlink(address);
    }
}

/* ---- UNIX alone ---- */

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
                     formatted("unix_server: bind(3, %c) = -1 EADDRINUSE (*\n"
                               "unix_server: %c is not a socket\n"
                               "unix_server: hint: take another PATH: *\n",
                               *name, *name));
    }
    assert_int_equal(system("test \"$(cat l)\" = mine && test -p p &&"
                            "test -L l && test -L n && ! test -e nowhere &&"
                            "rmdir d && rm f p l n"),
                     0);
}

/* With the longest path there is, and for a user who hides nothing. It stays
 * when a signal ends the server; the next one replaces it, and removes it when
 * its clients were served. */
SCENE(socket_file_is_the_owners_and_is_replaced)
{
    struct stat made;
    struct program *server =
        start("sh -c 'umask 0; exec unix_server %0*d'", PATH_SIZE - 1, 0);

    meet_at(address_of(server));
    assert_int_equal(lstat(address, &made), 0);
    assert_true(S_ISSOCK(made.st_mode));
    assert_int_equal(made.st_mode & (S_IRWXG | S_IRWXO), 0);
    end_by(server, SIGINT);
    assert_true(is_there(address));
    server = start("unix_server -n 1 %s", address);
    address_of(server);
    expect_echo();
    expect_status(server, 0);
    assert_false(is_there(address));
    expect_lines(server, formatted("*: bind(3, %s) = -1 EADDRINUSE (*\n"
                                   "*: connect(4, %s) = -1 ECONNREFUSED (*\n"
                                   "*: unlink(%s) = 0\n*: bind(3, %s) = 0\n"
                                   "*: ready on %s\n*: unlink(%s) = 0\n"
                                   "*_server: close(3) = 0",
                                   address, address, address, address, address,
                                   address));
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest both[] = {
        TEST(hello_comes_back),
        TEST(conversations_in_one_question),
        TEST(much_comes_back_whole_in_spite_of_stops),
        TEST(lines_are_answered_while_the_user_types),
        TEST(strange_servers),
        TEST(strange_clients),
        TEST(children_of_a_shell_are_not_waited_for),
        TEST(signals_end_the_server_but_no_conversation),
    };
    const struct CMUnitTest local[] = {
        TEST(what_is_no_socket_is_untouched),
        TEST(socket_file_is_the_owners_and_is_replaced),
    };
    int failed = 0;

    prepare_tests(argc, argv);
    pair = &pairs[0];
    failed += cmocka_run_group_tests_name("both: tcp", both, NULL, NULL);
    pair = &pairs[1];
    failed += cmocka_run_group_tests_name("both: unix", both, NULL, NULL);
    failed += cmocka_run_group_tests_name("unix alone", local, NULL, NULL);
    return failed;
}
