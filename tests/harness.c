/*
 * harness.c - runs the programs as a user does, and reads what they say.
 */
#include "harness.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAMS_MAX = 512, DESCRIPTORS_MAX = 2048 };

static struct program *programs[PROGRAMS_MAX]; /* of this test, as started */
static size_t program_count;
static char texts[8 << 20]; /* that live until the test ends */
static size_t texts_size;
static char folder[40];               /* its path */
static int first_fd;                  /* that a test may open */
static struct sockaddr_storage asker; /* who has sent the last datagram */
static socklen_t asker_size;
static const char *place_file = "the harness";
static int place_line;

/* ---- Failing, and what is shown then ---- */

void note_place(const char *file, int line)
{
    place_file = file;
    place_line = line;
}

/* Shows all programs, and fails the test at the line that was noted. */
static void fail_with(const char *what, const char *detail)
{
    for (size_t i = 0; i < program_count; i++) {
        const struct program *p = programs[i];
        fprintf(stderr, "---- %s (process %ld) said:\n%.9999s---- printed:\n",
                p->command, (long)p->pid, p->bytes[ERROR].data);
        fprintf(stderr, "%.400s\n", p->bytes[OUTPUT].data);
    }
    fprintf(stderr, "---- %s: %s\n", what, detail);
    _fail(place_file, place_line);
}

static void require(bool good, const char *call)
{
    if (!good)
        fail_with(call, strerror(errno));
}

/* ---- Texts and bytes ---- */

char *formatted(const char *format, ...)
{
    char *text = texts + texts_size;
    va_list list;

    va_start(list, format);
    int size = vsnprintf(text, sizeof texts - texts_size, format, list);
    va_end(list);
    texts_size += (size_t)size + 1;
    require(size >= 0 && texts_size < sizeof texts, "too many texts");
    return text;
}

static void append(struct bytes *bytes, const void *data, size_t size)
{
    bytes->data = realloc(bytes->data, bytes->size + size + 1);
    require(bytes->data != NULL, "realloc");
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    bytes->data[bytes->size] = '\0';
}

/* ---- Starting programs ---- */

/* The new process; between fork and exec only what is safe there. */
static void become(const char *command, int pipes[3][2])
{
    sigset_t none;

    for (int number = 1; number < 32; number++)
        signal(number, SIG_DFL); /* whatever the test, or CTest, ignores */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* a group of its own: close_stage() ends all of it */
    dup2(pipes[INPUT][0], INPUT);
    dup2(pipes[OUTPUT][1], OUTPUT);
    dup2(pipes[ERROR][1], ERROR);
    for (int fd = 3; fd < DESCRIPTORS_MAX; fd++)
        close(fd); /* the story counts from 3 */
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

struct program *launch(const char *command)
{
    struct program *p = calloc(1, sizeof *p);
    int pipes[3][2];

    require(p != NULL && program_count < PROGRAMS_MAX, "start");
    programs[program_count++] = p;
    p->command = command + strlen("exec ");
    p->status = -1;
    for (int i = INPUT; i <= ERROR; i++) {
        append(&p->bytes[i], "", 0);
        require(pipe(pipes[i]) == 0, "pipe");
    }
    p->pid = fork();
    require(p->pid != -1, "fork");
    if (p->pid == 0)
        become(command, pipes);
    setpgid(p->pid, p->pid); /* here too: whoever comes first */
    for (int i = INPUT; i <= ERROR; i++) {
        int our_end = i == INPUT ? 1 : 0;
        close(pipes[i][1 - our_end]);
        p->fds[i] = pipes[i][our_end];
        fcntl(p->fds[i], F_SETFL, O_NONBLOCK);
    }
    return p;
}

/* ---- Moving bytes: all that can be moved, for all programs ---- */

static void read_some(struct program *p, int i)
{
    static char piece[64 * 1024];
    ssize_t count = read(p->fds[i], piece, sizeof piece);

    /* 4 MiB are said at most, 64 printed. */
    require(p->bytes[i].size >> (i == ERROR ? 22 : 26) == 0, "it never stops");
    if (count > 0) {
        append(&p->bytes[i], piece, (size_t)count);
    } else if (count == 0) {
        close(p->fds[i]);
        p->fds[i] = -1;
    }
}

static void write_some(struct program *p)
{
    const struct bytes *typed = &p->bytes[INPUT];
    ssize_t count = write(p->fds[INPUT], typed->data + p->written,
                          typed->size - p->written);

    if (count == -1 && errno == EPIPE)
        p->written = typed->size; /* the program reads no more */
    else if (count != -1)
        p->written += (size_t)count;
    if (p->written == typed->size && p->input_ends) {
        close(p->fds[INPUT]);
        p->fds[INPUT] = -1;
    }
}

/* Whether there is something to do with the input. */
static bool can_write(const struct program *p)
{
    return p->written < p->bytes[INPUT].size || p->input_ends;
}

/* Moves what can be moved, as soon as something can be, or the descriptor (-1:
 * none) is ready. Returns whether something was, within the milliseconds. */
static bool pump(int fd, short events, int milliseconds)
{
    struct pollfd all[3 * PROGRAMS_MAX + 1];
    nfds_t count = 0;

    for (size_t i = 0; i < program_count; i++) {
        const struct program *p = programs[i];
        all[count++] =
            (struct pollfd){can_write(p) ? p->fds[INPUT] : -1, POLLOUT, 0};
        all[count++] = (struct pollfd){p->fds[OUTPUT], POLLIN, 0};
        all[count++] = (struct pollfd){p->fds[ERROR], POLLIN, 0};
    }
    all[count++] = (struct pollfd){fd, events, 0};
    if (poll(all, count, milliseconds) <= 0)
        return false;
    for (size_t i = 0; i < program_count; i++) {
        write_some(programs[i]); /* none of them blocks */
        read_some(programs[i], OUTPUT);
        read_some(programs[i], ERROR);
    }
    return true;
}

static int deadline_seconds(void)
{
    const char *text = getenv("TEST_DEADLINE");

    return text != NULL ? atoi(text) : DEADLINE;
}

/* Waits until something happens: on the descriptor, or with a program. */
static void wait_for_more(int fd, short events, const char *what)
{
    if (!pump(fd, events, 1000 * deadline_seconds()))
        fail_with("nothing happened until the deadline", what);
}

void type_bytes(struct program *program, const void *data, size_t size)
{
    append(&program->bytes[INPUT], data, size);
    write_some(program);
}

void end_input(struct program *program)
{
    program->input_ends = true;
}

/* ---- Lines and stories ---- */

/* Whether the line that begins here matches the line of a pattern. */
static bool fits(const char *pattern, const char *line)
{
    if (*pattern == '*') {
        return fits(pattern + 1, line) ||
               (*line != '\n' && fits(pattern, line + 1));
    }
    if (*pattern == '\n' || *pattern == '\0')
        return *line == '\n';
    return *pattern == *line && fits(pattern + 1, line + 1);
}

/* The next whole line that matches; moves *position behind it, or else behind
 * the last whole line and returns NULL. */
static const char *find_line(const char **position, const char *pattern)
{
    const char *line = *position;
    const char *end;

    while ((end = strchr(line, '\n')) != NULL) {
        *position = end + 1;
        if (fits(pattern, line))
            return line;
        line = end + 1;
    }
    return NULL;
}

const char *wait_for_line(struct program *program, const char *pattern)
{
    const struct bytes *said = &program->bytes[ERROR];

    for (;;) {
        const char *position = said->data + program->heard;
        const char *line = find_line(&position, pattern);
        program->heard = (size_t)(position - said->data);
        if (line != NULL)
            return formatted("%.*s", (int)strcspn(line, "\n"), line);
        if (program->fds[ERROR] == -1)
            fail_with("was not said", pattern);
        wait_for_more(-1, 0, pattern);
    }
}

const char *ready_address(struct program *server)
{
    size_t heard = server->heard;

    server->heard = 0; /* it may have been found already */
    const char *line = wait_for_line(server, "*: ready on *");
    server->heard = heard;
    return strstr(line, "ready on ") + strlen("ready on ");
}

size_t count_said(const struct program *program, const char *pattern)
{
    const char *position = program->bytes[ERROR].data;
    size_t count = 0;

    while (find_line(&position, pattern) != NULL)
        count++;
    return count;
}

static bool has_lines(const char *story, const char *patterns, bool is_whole)
{
    while (*patterns != '\0') {
        const char *begin = story;
        const char *line = find_line(&story, patterns);
        if (line == NULL || (is_whole && line != begin))
            return false;
        patterns += strcspn(patterns, "\n");
        patterns += *patterns == '\n';
    }
    return !is_whole || *story == '\0';
}

void compare_story(struct program *program, const char *text, bool is_whole)
{
    for (;;) {
        const char *story = program->bytes[ERROR].data;
        bool is_told = program->fds[ERROR] == -1;
        if (has_lines(story, text, is_whole) && (is_told || !is_whole))
            return;
        if (is_told) {
            fprintf(stderr, "---- expected:\n%s\n", text);
            fail_with(program->command, "another story was expected");
        }
        wait_for_more(-1, 0, "another story was expected");
    }
}

/* ---- Output, end, signals ---- */

void compare_printed(struct program *program, const void *data, size_t size)
{
    const struct bytes *printed = &program->bytes[OUTPUT];

    while (printed->size < size && program->fds[OUTPUT] != -1)
        wait_for_more(-1, 0, program->command);
    if (printed->size != size || memcmp(printed->data, data, size) != 0) {
        fprintf(stderr, "---- expected %zu bytes, not %zu:\n%.*s\n", size,
                printed->size, size < 400 ? (int)size : 400,
                (const char *)data);
        fail_with(program->command, "printed something else");
    }
}

void compare_end(struct program *program, int status, bool input_ends)
{
    int result;

    if (input_ends)
        end_input(program);
    /* Its end shows itself as the end of its output, children's too. */
    while (program->fds[OUTPUT] != -1 || program->fds[ERROR] != -1 ||
           (program->fds[INPUT] != -1 && can_write(program)))
        wait_for_more(-1, 0, program->command);
    if (program->status == -1) {
        require(waitpid(program->pid, &result, 0) == program->pid, "waitpid");
        program->status =
            WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
    }
    if (program->status != status) {
        fail_with(program->command, formatted("ended with status %d, not %d",
                                              program->status, status));
    }
}

void send_signal(struct program *program, int number)
{
    require(program->status == -1 && kill(program->pid, number) == 0, "kill");
}

void stop_program(struct program *program)
{
    siginfo_t info;

    send_signal(program, SIGSTOP);
    waitid(P_PID, (id_t)program->pid, &info, WSTOPPED | WEXITED | WNOWAIT);
    require(info.si_code == CLD_STOPPED, "it has ended instead of stopping");
}

void wait_for_condition(bool (*condition)(const void *argument),
                        const void *argument, const char *what)
{
    for (int tries = 0; !condition(argument); tries++) {
        if (tries == 100 * deadline_seconds())
            fail_with("did not happen", what);
        poll(NULL, 0, 10);
        pump(-1, 0, 0);
    }
}

bool is_there(const void *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

bool has_ipv6(void)
{
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                          .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    int result = bind(fd, (const struct sockaddr *)&loopback, sizeof loopback);

    close(fd);
    return result == 0;
}

/* ---- The test's own sockets ---- */

/* Waits until the socket is ready; programs are served meanwhile. */
static void wait_for_socket(int fd, short events)
{
    struct pollfd one = {fd, events, 0};

    while (poll(&one, 1, 0) != 1)
        wait_for_more(fd, events, "a socket of the test");
}

int open_socket(const char *address, int type,
                int (*join)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = deadline_seconds()};
    struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    struct addrinfo own = {.ai_family = AF_UNIX, .ai_addrlen = sizeof path};

    if (colon == NULL || strchr(address, '/') != NULL) {
        strncpy(path.sun_path, address, sizeof path.sun_path - 1);
        own.ai_addr = (struct sockaddr *)&path;
    } else {
        int brackets = *address == '[';
        const char *host = formatted(
            "%.*s", (int)(colon - address) - 2 * brackets, address + brackets);
        require(getaddrinfo(host, colon + 1, &hints, &found) == 0, address);
        own = *found;
    }
    int fd = socket(own.ai_family, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    require(fd != -1 && join(fd, own.ai_addr, own.ai_addrlen) == 0, address);
    if (found != NULL)
        freeaddrinfo(found);
    if (join == bind && type == SOCK_STREAM)
        require(listen(fd, SOMAXCONN) == 0, "listen");
    return fd;
}

int accept_socket(int listen_fd)
{
    wait_for_socket(listen_fd, POLLIN);
    int fd = accept(listen_fd, NULL, NULL);
    require(fd != -1, "accept");
    return fd;
}

const char *own_port(int fd)
{
    struct sockaddr_in6 own; /* IPv4 has the port at the same place */
    socklen_t size = sizeof own;

    require(getsockname(fd, (struct sockaddr *)&own, &size) == 0,
            "getsockname");
    return formatted("%d", ntohs(own.sin6_port));
}

static bool is_datagram(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;

    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_DGRAM;
}

size_t receive_bytes(int fd, void *data, size_t size)
{
    size_t received = 0;
    ssize_t count = 1;

    while (received < size && count > 0) {
        wait_for_socket(fd, POLLIN);
        asker_size = sizeof asker;
        count = recvfrom(fd, (char *)data + received, size - received, 0,
                         (struct sockaddr *)&asker, &asker_size);
        require(count != -1, "recvfrom");
        received += (size_t)count;
        if (is_datagram(fd))
            break;
    }
    return received;
}

size_t send_what_fits(int fd, const void *data, size_t size)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    ssize_t count = sendto(fd, data, size, 0, (struct sockaddr *)&asker,
                           is_datagram(fd) ? asker_size : 0);
    fcntl(fd, F_SETFL, 0);
    require(count != -1, "sendto");
    return (size_t)count;
}

void transmit_bytes(int fd, const void *data, size_t size)
{
    size_t sent = 0;

    do { /* at least once, for an empty datagram */
        wait_for_socket(fd, POLLOUT);
        sent += send_what_fits(fd, (const char *)data + sent, size - sent);
    } while (sent < size);
}

/* ---- The stage ---- */

void prepare_tests(int argc, char *argv[])
{
    const char *filter = getenv("CMOCKA_TEST_FILTER");
    const char *given = getenv("PROGRAMS");
    char path[PATH_MAX] = "";

    if (given == NULL && argc > 1)
        given = argv[1];
    if (given != NULL &&
        (chdir(given) == -1 || getcwd(path, sizeof path) == NULL)) {
        perror(given);
        exit(2);
    }
    setenv("PATH", formatted("%s:%s", path, getenv("PATH")), 1);
    if (filter != NULL)
        cmocka_set_test_filter(filter);
    setenv("LC_ALL", "C", 1); /* and yet UTF-8 is seen as it is */
    signal(SIGPIPE, SIG_IGN); /* a program may end before it has read all */
}

int open_stage(void **state)
{
    static int number;

    (void)state;
    do { /* as mkdtemp() does, which some systems hide from POSIX programs */
        snprintf(folder, sizeof folder, "/tmp/%ld.%d", (long)getpid(),
                 ++number);
    } while (mkdir(folder, 0700) == -1 && errno == EEXIST);
    if (chdir(folder) == -1) {
        perror(folder);
        return -1;
    }
    first_fd = dup(STDERR_FILENO);
    close(first_fd);
    return 0;
}

/* Ends a program with its children. Returns -1 if it has said what it must not,
 * or a hint that is too long. */
static int end_program(struct program *p)
{
    int result = 0;

    if (p->status == -1) { /* else compare_end() has seen the end of all */
        kill(-p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    for (const char *at = p->bytes[ERROR].data; *at != '\0'; at++) {
        bool is_half = at[1] == '\0' && *at != '\n' && p->status != -1;
        if ((iscntrl((unsigned char)*at) && *at != '\n') || is_half) {
            fprintf(stderr, "%s: said byte 0x%02x, or half a line\n",
                    p->command, (unsigned char)*at);
            result = -1;
        }
    }
    const char *said = p->bytes[ERROR].data;
    for (const char *hint; (hint = find_line(&said, "*: hint: *")) != NULL;) {
        if (strcspn(hint, "\n") > 80) {
            fprintf(stderr, "more than 80 columns: %.200s\n", hint);
            result = -1;
        }
    }
    for (int i = INPUT; i <= ERROR; i++)
        free(p->bytes[i].data);
    free(p);
    return result;
}

int close_stage(void **state)
{
    int result = 0;

    (void)state;
    while (program_count > 0)
        result |= end_program(programs[--program_count]);
    texts_size = 0;
    for (int fd = first_fd; fd < DESCRIPTORS_MAX; fd++)
        close(fd);
    if (chdir("/") == -1 || rmdir(folder) == -1) {
        perror(folder);
        result =
            system(formatted("ls -lA %s; rm -rf %s; exit 1", folder, folder));
    }
    return result;
}
