/*
 * harness.c - runs the programs as a user does, and reads what they say.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    TERMINALS_MAX = 512, /* at a time, for poll */
    ARGUMENTS_MAX = 16,  /* with the final NULL */
    INHERITED_MAX = 64,  /* descriptors that a test may have inherited */
    PIECE = 64 * 1024,   /* bytes that are moved at once */
};

static struct terminal *terminals;
static char folder[64];
static char *kept[4096]; /* lines that tests were given, freed at the end */
static size_t kept_count;

/* ---- Failing, and what is told then ---- */

static void show_all(void)
{
    for (struct terminal *t = terminals; t != NULL; t = t->next) {
        fprintf(stderr, "---- process %ld said:\n%s", (long)t->pid,
                t->said.size > 0 ? t->said.data : "");
        fprintf(stderr, "---- and printed %zu bytes: %.300s\n", t->printed.size,
                t->printed.size > 0 ? t->printed.data : "");
    }
}

/* Fails the test, with all that the programs have said. */
static void fail_with(const char *what, const char *detail)
{
    show_all();
    fail_msg("%s: %s", what, detail);
}

static void require(bool good, const char *call)
{
    if (!good) {
        fail_with(call, strerror(errno));
    }
}

/* ---- Time: only to end a hang ---- */

static long long now_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int deadline_seconds(void)
{
    const char *text = getenv("TEST_DEADLINE");

    return text == NULL ? DEADLINE : (int)strtol(text, NULL, 10);
}

static long long deadline(void)
{
    return now_milliseconds() + deadline_seconds() * 1000LL;
}

/* ---- Bytes ---- */

static void append(struct bytes *bytes, const void *data, size_t size)
{
    char *grown = realloc(bytes->data, bytes->size + size + 1);

    require(grown != NULL, "realloc");
    memcpy(grown + bytes->size, data, size);
    bytes->data = grown;
    bytes->size += size;
    bytes->data[bytes->size] = '\0';
}

static const char *keep(char *text)
{
    require(text != NULL, "malloc");
    if (kept_count == sizeof kept / sizeof kept[0]) {
        free(text);
        fail_msg("more lines than the harness keeps");
    }
    kept[kept_count++] = text;
    return text;
}

const char *formatted(const char *format, ...)
{
    static char texts[16][512];
    static size_t next;
    char *text = texts[next++ % 16];
    va_list list;

    va_start(list, format);
    int size = vsnprintf(text, sizeof texts[0], format, list);
    va_end(list);
    assert_in_range(size, 0, sizeof texts[0] - 1);
    return text;
}

/* ---- Starting programs ---- */

static void close_once(int *fd)
{
    if (*fd != -1) {
        close(*fd);
        *fd = -1;
    }
}

/* A pipe whose ends no other program inherits. */
static void make_pipe(int ends[2])
{
    require(pipe(ends) == 0, "pipe");
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
}

static void make_terminal(int ends[2])
{
    struct termios settings;

    ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
    require(ends[0] != -1, "posix_openpt");
    require(grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0, "grantpt");
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
    require(ends[1] != -1, "open of the terminal");
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    /* What is read from it is then what the program printed, nothing else. */
    require(tcgetattr(ends[1], &settings) == 0, "tcgetattr");
    settings.c_lflag &= ~(tcflag_t)ECHO;
    settings.c_oflag &= ~(tcflag_t)OPOST;
    require(tcsetattr(ends[1], TCSANOW, &settings) == 0, "tcsetattr");
}

/* What exec would do, but a function of the test is run instead. */
static void run(void (*body)(void))
{
    const int caught[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS};

    /* CMocka's handlers would go on with the other tests. */
    for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++) {
        signal(caught[i], SIG_DFL);
    }
    for (int fd = 3; fd < INHERITED_MAX; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags != -1 && (flags & FD_CLOEXEC) != 0) {
            close(fd);
        }
    }
    body();
    exit(0);
}

/* Between fork and exec only what is safe there; 127 as a shell has it. */
static void become(const char *path, char *const arguments[],
                   void (*body)(void), int input, int output, int error)
{
    struct sigaction plain;
    sigset_t none;

    memset(&plain, 0, sizeof plain);
    plain.sa_handler = SIG_DFL;
    sigaction(SIGPIPE, &plain, NULL);
    sigaction(SIGINT, &plain, NULL);
    sigaction(SIGHUP, &plain, NULL);
    sigaction(SIGQUIT, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0); /* a group of its own: the teardown ends all of it */
    if (dup2(input, 0) != -1 && dup2(output, 1) != -1 && dup2(error, 2) != -1) {
        if (body != NULL) {
            run(body);
        }
        /* What the test inherited: the story counts descriptors from 3. */
        for (int fd = 3; fd < INHERITED_MAX; fd++) {
            close(fd);
        }
        execv(path, arguments);
    }
    _exit(127);
}

/* Runs the program at path; the function, if it is not NULL. */
static struct terminal *launch(const char *path, char *const arguments[],
                               bool is_terminal, void (*body)(void))
{
    struct terminal *t = calloc(1, sizeof *t);
    int input[2];  /* [0] is the program's end, [1] is ours */
    int output[2]; /* [0] is ours, [1] is the program's end */
    int error[2];  /* the same */

    require(t != NULL, "calloc");
    make_pipe(error);
    if (is_terminal) {
        make_terminal(output);
        input[0] = output[1];
        input[1] = fcntl(output[0], F_DUPFD_CLOEXEC, 0);
    } else {
        make_pipe(input);
        make_pipe(output);
    }
    t->pid = fork();
    require(t->pid != -1, "fork");
    if (t->pid == 0) {
        t->next = terminals; /* or a leak checker would miss it */
        terminals = t;
        become(path, arguments, body, input[0], output[1], error[1]);
    }
    setpgid(t->pid, t->pid); /* here too: whoever comes first */
    if (!is_terminal) {
        close(input[0]);
    }
    close(output[1]);
    close(error[1]);
    t->input = input[1];
    t->output = output[0];
    t->error = error[0];
    t->is_terminal = is_terminal;
    t->status = -1;
    fcntl(t->input, F_SETFL, O_NONBLOCK);
    fcntl(t->output, F_SETFL, O_NONBLOCK);
    fcntl(t->error, F_SETFL, O_NONBLOCK);
    t->next = terminals;
    terminals = t;
    return t;
}

/* The arguments of a call, behind those that are there already. */
static void collect(char *arguments[ARGUMENTS_MAX], size_t count, va_list list)
{
    const char *argument;

    while ((argument = va_arg(list, const char *)) != NULL) {
        assert_true(count < ARGUMENTS_MAX - 1);
        arguments[count++] = (char *)(uintptr_t)argument; /* exec's type */
    }
    arguments[count] = NULL;
}

struct terminal *start(const char *path, ...)
{
    char *arguments[ARGUMENTS_MAX] = {(char *)(uintptr_t)path};
    va_list list;

    va_start(list, path);
    collect(arguments, 1, list);
    va_end(list);
    return launch(path, arguments, false, NULL);
}

struct terminal *start_on_terminal(const char *path, ...)
{
    char *arguments[ARGUMENTS_MAX] = {(char *)(uintptr_t)path};
    va_list list;

    va_start(list, path);
    collect(arguments, 1, list);
    va_end(list);
    return launch(path, arguments, true, NULL);
}

struct terminal *start_redirected(const char *redirections, const char *path,
                                  ...)
{
    char command[256];
    char *arguments[ARGUMENTS_MAX] = {(char *)(uintptr_t) "sh",
                                      (char *)(uintptr_t) "-c", command,
                                      (char *)(uintptr_t)path};
    va_list list;
    int size = snprintf(command, sizeof command, "exec \"$0\" \"$@\" %s",
                        redirections);

    assert_true(size > 0 && (size_t)size < sizeof command);
    va_start(list, path);
    collect(arguments, 4, list);
    va_end(list);
    return launch("/bin/sh", arguments, false, NULL);
}

struct terminal *start_function(void (*body)(void))
{
    fflush(NULL); /* or the new process would write it again */
    return launch(NULL, NULL, false, body);
}

/* ---- Moving bytes: all that can be moved, for all programs ---- */

static void pump_in(struct terminal *t)
{
    ssize_t count = write(t->input, t->typed.data, t->typed.size);

    if (count == -1) {
        if (errno != EAGAIN && errno != EINTR) {
            t->typed.size = 0; /* the program reads no more */
        }
        return;
    }
    t->typed.size -= (size_t)count;
    memmove(t->typed.data, t->typed.data + count, t->typed.size);
}

static void pump_out(int *fd, struct bytes *bytes)
{
    static char piece[PIECE];
    ssize_t count = read(*fd, piece, sizeof piece);

    if (count > 0) {
        append(bytes, piece, (size_t)count);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_once(fd); /* EIO: a terminal that no program has open */
    }
}

/* Waits, up to some milliseconds, until something can be moved; moves it. */
static void pump(int milliseconds)
{
    struct pollfd all[3 * TERMINALS_MAX];
    nfds_t count = 0;

    for (struct terminal *t = terminals; t != NULL; t = t->next) {
        assert_true(count + 3 <= 3 * TERMINALS_MAX);
        if (t->typed.size == 0 && t->input_ends && !t->is_terminal) {
            close_once(&t->input);
        }
        int input = t->typed.size > 0 ? t->input : -1;
        all[count++] = (struct pollfd){.fd = input, .events = POLLOUT};
        all[count++] = (struct pollfd){.fd = t->output, .events = POLLIN};
        all[count++] = (struct pollfd){.fd = t->error, .events = POLLIN};
    }
    if (poll(all, count, milliseconds) <= 0) {
        return;
    }
    count = 0;
    for (struct terminal *t = terminals; t != NULL; t = t->next, count += 3) {
        if (all[count].revents != 0) {
            pump_in(t);
        }
        if (all[count + 1].revents != 0) {
            pump_out(&t->output, &t->printed);
        }
        if (all[count + 2].revents != 0) {
            pump_out(&t->error, &t->said);
        }
    }
}

void type_bytes(struct terminal *terminal, const void *data, size_t size)
{
    append(&terminal->typed, data, size);
}

void type(struct terminal *terminal, const char *text)
{
    type_bytes(terminal, text, strlen(text));
}

void wait_typed(struct terminal *terminal)
{
    long long end = deadline();

    while (terminal->typed.size > 0 ||
           (terminal->input_ends && terminal->input != -1 &&
            !terminal->is_terminal)) {
        if (now_milliseconds() > end) {
            fail_with("was not read", "what was typed");
        }
        pump(10);
    }
}

void type_now(struct terminal *terminal, const char *text)
{
    type(terminal, text);
    wait_typed(terminal);
}

void end_input(struct terminal *terminal)
{
    if (terminal->is_terminal && !terminal->input_ends) {
        type(terminal, "\004");
    }
    terminal->input_ends = true;
}

/* ---- What was said and printed ---- */

static bool fits(const char *pattern, const char *text)
{
    if (*pattern == '*') {
        return fits(pattern + 1, text) ||
               (*text != '\0' && fits(pattern, text + 1));
    }
    if (*pattern == '\0' || *text == '\0') {
        return *pattern == *text;
    }
    return *pattern == *text && fits(pattern + 1, text + 1);
}

/* What C libraries call an error: glibc, and musl. */
static const char *const synonyms[][2] = {
    {"Address already in use", "Address in use"},
    {"Cannot assign requested address", "Address not available"},
    {"Connection timed out", "Operation timed out"},
    {"File name too long", "Filename too long"},
    {"Input/output error", "I/O error"},
    {"Message too long", "Message too large"},
    {"Name or service not known", "Name does not resolve"},
    {"Network is unreachable", "Network unreachable"},
};

bool matches(const char *pattern, const char *text)
{
    char other[1024];

    if (fits(pattern, text)) {
        return true;
    }
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++) {
        const char *found = strstr(pattern, synonyms[i][0]);
        if (found != NULL) {
            int size = snprintf(other, sizeof other, "%.*s%s%s",
                                (int)(found - pattern), pattern, synonyms[i][1],
                                found + strlen(synonyms[i][0]));
            assert_true(size > 0 && (size_t)size < sizeof other);
            return fits(other, text);
        }
    }
    return false;
}

bool take_line(const struct terminal *terminal, size_t *position,
               char line[LINE_BYTES])
{
    const struct bytes *said = &terminal->said;

    if (*position >= said->size) {
        return false;
    }
    const char *begin = said->data + *position;
    const char *end = memchr(begin, '\n', said->size - *position);
    if (end == NULL) {
        return false;
    }
    size_t size = (size_t)(end - begin);
    assert_in_range(size, 0, LINE_BYTES - 1);
    memcpy(line, begin, size);
    line[size] = '\0';
    *position += size + 1;
    return true;
}

const char *expect_said(struct terminal *terminal, const char *pattern)
{
    long long end = deadline();
    char line[LINE_BYTES];

    for (;;) {
        while (take_line(terminal, &terminal->heard, line)) {
            if (matches(pattern, line)) {
                return keep(strdup(line));
            }
        }
        if (terminal->error == -1 || now_milliseconds() > end) {
            fail_with("was not said", pattern);
        }
        pump(100);
    }
}

void expect_printed_size(struct terminal *terminal, size_t size)
{
    long long end = deadline();

    while (terminal->printed.size < size) {
        if (terminal->output == -1 || now_milliseconds() > end) {
            fail_with("was not printed", "all that was expected");
        }
        pump(100);
    }
}

void expect_printed_bytes(struct terminal *terminal, const void *data,
                          size_t size)
{
    expect_printed_size(terminal, size);
    if (terminal->printed.size != size ||
        (size > 0 && memcmp(terminal->printed.data, data, size) != 0)) {
        fail_with("was printed", "something else than was expected");
    }
}

void expect_printed(struct terminal *terminal, const char *text)
{
    expect_printed_bytes(terminal, text, strlen(text));
}

int wait_end(struct terminal *terminal)
{
    long long end = deadline();
    int status;

    if (terminal->pid == -1) {
        return terminal->status; /* waited for already */
    }
    /* Its end shows itself as the end of its output; children that it left
     * would keep that open, and the test would fail here. */
    while (terminal->output != -1 || terminal->error != -1) {
        if (now_milliseconds() > end) {
            fail_with("has not ended", "the program, or a child of it");
        }
        pump(100);
    }
    require(waitpid(terminal->pid, &status, 0) == terminal->pid, "waitpid");
    terminal->pid = -1;
    terminal->status =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return terminal->status;
}

int finish(struct terminal *terminal)
{
    end_input(terminal);
    return wait_end(terminal);
}

void finish_with(struct terminal *terminal, int status)
{
    char text[32];

    if (finish(terminal) != status) {
        snprintf(text, sizeof text, "%d", terminal->status);
        fail_with("another exit status was expected than", text);
    }
}

void ends_with(struct terminal *terminal, int status)
{
    wait_end(terminal); /* with the input as it is */
    finish_with(terminal, status);
}

void signal_program(struct terminal *terminal, int number)
{
    require(kill(terminal->pid, number) == 0, "kill");
}

void suspend(struct terminal *terminal)
{
    int status;

    signal_program(terminal, SIGSTOP);
    assert_int_equal(waitpid(terminal->pid, &status, WUNTRACED), terminal->pid);
    assert_true(WIFSTOPPED(status));
}

void resume(struct terminal *terminal)
{
    signal_program(terminal, SIGCONT);
#ifdef SIGWINCH /* POSIX has it since 2024 */
    signal_program(terminal, SIGWINCH);
#endif
}

const char *ready_address(struct terminal *server)
{
    const char *line = expect_said(server, "*: ready on *");

    return strstr(line, "ready on ") + strlen("ready on ");
}

const char *ready_port(struct terminal *server)
{
    return strrchr(ready_address(server), ':') + 1;
}

static void compare_said(struct terminal *t, va_list list, bool exactly)
{
    size_t position = 0;
    const char *pattern = va_arg(list, const char *);
    char line[LINE_BYTES];

    while (take_line(t, &position, line)) {
        if (pattern != NULL && matches(pattern, line)) {
            pattern = va_arg(list, const char *);
        } else if (exactly) {
            fprintf(stderr, "expected: %s\n", pattern ? pattern : "the end");
            fail_with("was said instead", line);
        }
    }
    if (pattern != NULL) {
        fail_with("was not said", pattern);
    }
}

void assert_said(struct terminal *terminal, ...)
{
    va_list list;

    va_start(list, terminal);
    compare_said(terminal, list, true);
    va_end(list);
}

void assert_said_among(struct terminal *terminal, ...)
{
    va_list list;

    va_start(list, terminal);
    compare_said(terminal, list, false);
    va_end(list);
}

void assert_not_said(struct terminal *terminal, const char *pattern)
{
    size_t position = 0;
    char line[LINE_BYTES];

    while (take_line(terminal, &position, line)) {
        if (matches(pattern, line)) {
            fail_with("was said", line);
        }
    }
}

size_t count_said(const struct terminal *terminal, const char *pattern)
{
    size_t position = 0;
    size_t count = 0;
    char line[LINE_BYTES];

    while (take_line(terminal, &position, line)) {
        count += matches(pattern, line);
    }
    return count;
}

void assert_clean(const struct terminal *terminal, const char *name)
{
    size_t position = 0;
    char line[LINE_BYTES];
    const struct bytes *said = &terminal->said;

    while (take_line(terminal, &position, line)) {
        assert_in_range(strlen(line) + 1, 1, _POSIX_PIPE_BUF);
        assert_memory_equal(line, name, strlen(name));
    }
    assert_int_equal(position, said->size); /* the last line is whole, too */
    for (size_t i = 0; i < said->size; i++) {
        unsigned char byte = (unsigned char)said->data[i];
        if ((byte < 0x20 && byte != '\n') || byte == 0x7f) {
            fail_msg("byte 0x%02x reached the terminal", byte);
        }
    }
}

void expect_usage(struct terminal *terminal, const char *problem)
{
    ends_with(terminal, 2);
    expect_printed(terminal, "");
    assert_said_among(terminal, problem, "usage: *", "  -h *", NULL);
    assert_not_said(terminal, "*: *(*) = *"); /* no call of the story */
}

void expect_failure(struct terminal *terminal, const char *reason,
                    const char *hint)
{
    ends_with(terminal, 1);
    assert_said_among(terminal, reason, hint, NULL);
    assert_int_equal(count_said(terminal, "*: hint: *"), hint != NULL);
}

void expect_true(bool (*condition)(const void *argument), const void *argument,
                 const char *what)
{
    long long end = deadline();

    while (!condition(argument)) {
        if (now_milliseconds() > end) {
            fail_with("did not happen", what);
        }
        pump(10);
    }
}

/* ---- The stage ---- */

void choose_tests(void)
{
    const char *filter = getenv("CMOCKA_TEST_FILTER");

    if (filter != NULL) {
        cmocka_set_test_filter(filter);
    }
}

const char *absolute(const char *path)
{
    static char paths[8][PATH_MAX];
    static size_t count;

    if (count == sizeof paths / sizeof paths[0] ||
        realpath(path, paths[count]) == NULL) {
        perror(path);
        exit(2);
    }
    return paths[count++];
}

bool is_there(const void *path)
{
    struct stat status;

    return lstat(path, &status) == 0;
}

void copy_program(const char *from_path, const char *to_path)
{
    char piece[4096];
    size_t size;
    FILE *from = fopen(from_path, "rb");
    FILE *to = fopen(to_path, "wb");

    assert_true(from != NULL && to != NULL);
    while ((size = fread(piece, 1, sizeof piece, from)) > 0) {
        assert_int_equal(fwrite(piece, 1, size, to), size);
    }
    fclose(from);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(chmod(to_path, 0755), 0);
}

const char *stage(void)
{
    return folder;
}

int open_stage(void **state)
{
    (void)state;
    /* A program may end before it has read all that was typed. */
    signal(SIGPIPE, SIG_IGN);
    /* Not in TMPDIR: a socket's path has to be short. */
    strcpy(folder, "/tmp/pairs-XXXXXX");
    if (mkdtemp(folder) == NULL || chdir(folder) == -1) {
        perror(folder);
        return -1;
    }
    return 0;
}

static void end_terminal(struct terminal *t)
{
    /* A program that wait_end() has seen the end of has left no child. */
    if (t->pid != -1) {
        kill(-t->pid, SIGKILL); /* its group, for its children too */
        waitpid(t->pid, NULL, 0);
    }
    close_once(&t->input);
    close_once(&t->output);
    close_once(&t->error);
    free(t->typed.data);
    free(t->printed.data);
    free(t->said.data);
    free(t);
}

int close_stage(void **state)
{
    int left = 0;
    struct dirent *entry;

    (void)state;
    while (terminals != NULL) {
        struct terminal *t = terminals;
        terminals = t->next;
        end_terminal(t);
    }
    while (kept_count > 0) {
        free(kept[--kept_count]);
    }
    DIR *files = opendir(folder);
    while (files != NULL && (entry = readdir(files)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            fprintf(stderr, "left in the folder: %s\n", entry->d_name);
            if (unlink(entry->d_name) == -1) {
                rmdir(entry->d_name);
            }
            left++;
        }
    }
    if (files != NULL) {
        closedir(files);
    }
    if (chdir("/") == -1 || rmdir(folder) == -1) {
        perror(folder);
        return -1;
    }
    return left == 0 ? 0 : -1;
}

/* ---- The test's own sockets ---- */

unsigned char *random_bytes(size_t size, unsigned seed)
{
    unsigned char *bytes = malloc(size + 1);
    uint32_t number = seed * 2654435761U + 1;

    require(bytes != NULL, "malloc");
    for (size_t i = 0; i < size; i++) {
        number ^= number << 13; /* xorshift: Marsaglia, 2003 */
        number ^= number >> 17;
        number ^= number << 5;
        bytes[i] = i < 256 ? (unsigned char)i : (unsigned char)(number >> 11);
    }
    return bytes;
}

/* A socket address of the test: a path if it has a slash or no colon. */
static socklen_t parse_address(const char *text, int type,
                               struct sockaddr_storage *address)
{
    struct addrinfo hints;
    struct addrinfo *list;
    struct sockaddr_un path;
    char host[64];
    const char *colon = strrchr(text, ':');

    memset(address, 0, sizeof *address);
    if (colon == NULL || strchr(text, '/') != NULL) {
        memset(&path, 0, sizeof path);
        path.sun_family = AF_UNIX;
        assert_true(strlen(text) < sizeof path.sun_path);
        memcpy(path.sun_path, text, strlen(text));
        memcpy(address, &path, sizeof path);
        return sizeof path;
    }
    bool brackets = text[0] == '[';
    size_t size = (size_t)(colon - text) - (brackets ? 2 : 0);
    assert_true(size < sizeof host);
    memcpy(host, text + (brackets ? 1 : 0), size);
    host[size] = '\0';
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = type;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (getaddrinfo(host, colon + 1, &hints, &list) != 0) {
        fail_with("getaddrinfo", text);
    }
    socklen_t length = list->ai_addrlen;
    memcpy(address, list->ai_addr, length);
    freeaddrinfo(list);
    return length;
}

/* A socket that gives up, so that a hang ends in a failure. */
static int make_socket(int family, int type)
{
    const struct timeval patience = {.tv_sec = deadline_seconds()};
    int fd = socket(family, type, 0);

    require(fd != -1, "socket");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

int connect_to(const char *address)
{
    struct sockaddr_storage to;
    socklen_t size = parse_address(address, SOCK_STREAM, &to);
    int fd = make_socket(to.ss_family, SOCK_STREAM);

    require(connect(fd, (struct sockaddr *)&to, size) == 0, "connect");
    return fd;
}

int listen_on(const char *address)
{
    struct sockaddr_storage at;
    socklen_t size = parse_address(address, SOCK_STREAM, &at);
    int fd = make_socket(at.ss_family, SOCK_STREAM);

    require(bind(fd, (struct sockaddr *)&at, size) == 0, "bind");
    require(listen(fd, 16) == 0, "listen");
    return fd;
}

int accept_from(int listen_fd)
{
    const struct timeval patience = {.tv_sec = deadline_seconds()};
    int fd = accept(listen_fd, NULL, NULL);

    require(fd != -1, "accept");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

int bound_datagram(const char *address)
{
    struct sockaddr_storage at;
    socklen_t size = parse_address(address, SOCK_DGRAM, &at);
    int fd = make_socket(at.ss_family, SOCK_DGRAM);

    require(bind(fd, (struct sockaddr *)&at, size) == 0, "bind");
    return fd;
}

const char *own_port(int fd)
{
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    char *port = malloc(sizeof "65535");

    require(port != NULL, "malloc");
    require(getsockname(fd, (struct sockaddr *)&own, &size) == 0,
            "getsockname");
    require(getnameinfo((struct sockaddr *)&own, size, NULL, 0, port,
                        sizeof "65535", NI_NUMERICSERV) == 0,
            "getnameinfo");
    return keep(port);
}

size_t receive(int fd, void *data, size_t size)
{
    char *next = data;
    size_t left = size;

    while (left > 0) {
        ssize_t count = recv(fd, next, left, 0);
        require(count != -1, "recv");
        if (count == 0) {
            break;
        }
        next += count;
        left -= (size_t)count;
    }
    return size - left;
}

void transmit(int fd, const void *data, size_t size)
{
    const char *next = data;

    while (size > 0) {
        ssize_t count = send(fd, next, size, MSG_NOSIGNAL);
        require(count != -1, "send");
        next += count;
        size -= (size_t)count;
    }
}

bool has_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6,
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool there = fd != -1 &&
                 bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;

    if (fd != -1) {
        close(fd);
    }
    return there;
}
