/*
 * test_address.c - common/address.c: addresses and paths.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/address.h"

/* ---- address_text ---- */

static void assert_text(const void *address, size_t length,
                        const char *expected)
{
    char text[ADDRESS_SIZE];
    /* A copy of exactly its length: a sanitizer sees what reads beyond it. */
    void *copy = malloc(length);

    assert_non_null(copy);
    memcpy(copy, address, length);
    memset(text, '#', sizeof text);
    const char *result =
        address_text(copy, (socklen_t)length, text, sizeof text);
    free(copy);
    assert_ptr_equal(result, text);
    assert_string_equal(text, expected);
}

static struct sockaddr_in ipv4(const char *host, unsigned short port)
{
    struct sockaddr_in address;

    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    return address;
}

static struct sockaddr_in6 ipv6(const char *host, unsigned short port)
{
    struct sockaddr_in6 address;

    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    assert_int_equal(inet_pton(AF_INET6, host, &address.sin6_addr), 1);
    return address;
}

static void test_ipv4_text(void **state)
{
    struct sockaddr_in address = ipv4("127.0.0.1", 12345);

    (void)state;
    assert_text(&address, sizeof address, "127.0.0.1:12345");
    address = ipv4("0.0.0.0", 0);
    assert_text(&address, sizeof address, "0.0.0.0:0");
    address = ipv4("255.255.255.255", 65535);
    assert_text(&address, sizeof address, "255.255.255.255:65535");
    address = ipv4("127.0.0.1", 7); /* not "echo", not "localhost" */
    assert_text(&address, sizeof address, "127.0.0.1:7");
}

static void test_ipv6_text(void **state)
{
    struct sockaddr_in6 address = ipv6("::1", 12345);

    (void)state;
    assert_text(&address, sizeof address, "[::1]:12345");
    address = ipv6("::", 0);
    assert_text(&address, sizeof address, "[::]:0");
    address = ipv6("::ffff:127.0.0.1", 80);
    assert_text(&address, sizeof address, "[::ffff:127.0.0.1]:80");
    address = ipv6("1111:2222:3333:4444:5555:6666:7777:8888", 65535);
    assert_text(&address, sizeof address,
                "[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
}

static void test_ipv6_scope_text(void **state)
{
    struct sockaddr_in6 address = ipv6("fe80::1", 80);
    struct if_nameindex *interfaces = if_nameindex();
    char expected[ADDRESS_SIZE];

    (void)state;
    if (interfaces == NULL || interfaces[0].if_index == 0) {
        if_freenameindex(interfaces);
        skip(); /* a machine without any interface */
    }
    address.sin6_scope_id = interfaces[0].if_index;
    snprintf(expected, sizeof expected, "[fe80::1%%%s]:80",
             interfaces[0].if_name);
    if_freenameindex(interfaces);
    assert_text(&address, sizeof address, expected);

    address = ipv6("fe80:2222:3333:4444:5555:6666:7777:8888", 65535);
    address.sin6_scope_id = 4294967295; /* no interface has it: a number */
    assert_text(&address, sizeof address,
                "[fe80:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
}

static void test_path_text(void **state)
{
    struct sockaddr_un address;
    const size_t start = offsetof(struct sockaddr_un, sun_path);
    char expected[sizeof address.sun_path + 1];

    (void)state;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, "/tmp/socket");
    assert_text(&address, sizeof address, "/tmp/socket");
    assert_text(&address, start + strlen("/tmp/socket") + 1, "/tmp/socket");
    /* A length without the final NUL, as some systems give it. */
    assert_text(&address, start + strlen("/tmp/socket"), "/tmp/socket");
    assert_text(&address, start + strlen("/tmp"), "/tmp");

    /* All of sun_path: there is no room for a NUL. */
    memset(address.sun_path, 'x', sizeof address.sun_path);
    memset(expected, 'x', sizeof expected);
    expected[sizeof expected - 1] = '\0';
    assert_text(&address, sizeof address, expected);
    expected[sizeof expected - 2] = '\0';
    assert_text(&address, sizeof address - 1, expected);
}

/* A kernel's length may be greater: of what follows nothing is shown. */
static void test_path_text_beyond(void **state)
{
    struct {
        struct sockaddr_un address;
        char behind[16];
    } path;
    char expected[sizeof path.address.sun_path + 1];

    (void)state;
    memset(&path, 'x', sizeof path);
    path.address.sun_family = AF_UNIX;
    memset(expected, 'x', sizeof expected);
    expected[sizeof expected - 1] = '\0';
    assert_text(&path, sizeof path, expected);
}

static void test_unnamed_text(void **state)
{
    struct sockaddr_un address;
    const size_t start = offsetof(struct sockaddr_un, sun_path);

    (void)state;
    memset(&address, 'x', sizeof address);
    address.sun_family = AF_UNIX;
    assert_text(&address, start, "unnamed");
    assert_text(&address, sizeof(sa_family_t), "unnamed");
    /* Linux' abstract addresses begin with NUL: not a path. */
    address.sun_path[0] = '\0';
    assert_text(&address, start + 1, "unnamed");
    assert_text(&address, start + 10, "unnamed");
    assert_text(&address, sizeof address, "unnamed");
}

static void test_real_path_text(void **state)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int listen_fd = listen_on("./socket");
    int client_fd = connect_to("./socket");

    (void)state;
    assert_int_equal(
        getsockname(listen_fd, (struct sockaddr *)&address, &length), 0);
    assert_text(&address, length, "./socket");
    memset(&address, 0, sizeof address);
    address.ss_family = AF_UNIX; /* BSD may leave a length of 0 */
    length = sizeof address;
    assert_int_equal(
        getsockname(client_fd, (struct sockaddr *)&address, &length), 0);
    assert_text(&address, length, "unnamed");
    close(listen_fd);
    close(client_fd);
    unlink("socket");
}

static void test_unknown_family_text(void **state)
{
    struct sockaddr_storage address;
    struct sockaddr_in cut_off = ipv4("127.0.0.1", 80);
    char expected[ADDRESS_SIZE];

    (void)state;
    memset(&address, 0, sizeof address);
    address.ss_family = 99;
    assert_text(&address, sizeof address, "address of family 99");
    address.ss_family = AF_UNSPEC;
    snprintf(expected, sizeof expected, "address of family %d", AF_UNSPEC);
    assert_text(&address, sizeof address, expected);
    snprintf(expected, sizeof expected, "address of family %d", AF_INET);
    assert_text(&cut_off, sizeof(sa_family_t), expected);
}

/* Writes into each size; behind it nothing may change. */
static void check_cut(const void *address, size_t length, const char *whole)
{
    char text[ADDRESS_SIZE];

    for (size_t size = 1; size <= strlen(whole) + 2; size++) {
        memset(text, '#', sizeof text);
        address_text(address, (socklen_t)length, text, size);
        assert_int_equal(strlen(text),
                         size <= strlen(whole) ? size - 1 : strlen(whole));
        assert_memory_equal(text, whole, strlen(text));
        assert_int_equal(text[size], '#');
    }
}

static void test_text_is_cut(void **state)
{
    struct sockaddr_in address = ipv4("127.0.0.1", 12345);
    struct sockaddr_in6 address6 = ipv6("::1", 12345);
    struct sockaddr_un path;
    struct sockaddr_storage unknown;

    (void)state;
    memset(&path, 0, sizeof path);
    path.sun_family = AF_UNIX;
    memset(&unknown, 0, sizeof unknown);
    unknown.ss_family = 99;
    check_cut(&address, sizeof address, "127.0.0.1:12345");
    check_cut(&address6, sizeof address6, "[::1]:12345");
    check_cut(&unknown, sizeof unknown, "address of family 99");
    check_cut(&path, sizeof path, "unnamed");
    strcpy(path.sun_path, "/tmp/socket");
    check_cut(&path, sizeof path, "/tmp/socket");
}

static void test_family_text(void **state)
{
    (void)state;
    assert_string_equal(family_text(AF_INET), "AF_INET");
    assert_string_equal(family_text(AF_INET6), "AF_INET6");
    assert_string_equal(family_text(AF_UNIX), "AF_UNIX");
    assert_string_equal(family_text(AF_UNSPEC), "AF_?");
    assert_string_equal(family_text(99), "AF_?");
    assert_string_equal(family_text(-1), "AF_?");
}

/* ---- resolve ---- */

static void assert_resolved(const char *host, const char *port, int type,
                            int family, const char *expected)
{
    struct addrinfo *list = NULL;

    assert_int_equal(resolve(host, port, type, &list), 0);
    assert_non_null(list);
    assert_int_equal(list->ai_family, family);
    assert_int_equal(list->ai_socktype, type);
    assert_text(list->ai_addr, list->ai_addrlen, expected);
    assert_null(list->ai_next); /* a number is one address, of one type */
    freeaddrinfo(list);
}

static void test_resolve_numbers(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        int type = i == 0 ? SOCK_STREAM : SOCK_DGRAM;
        assert_resolved("127.0.0.1", "80", type, AF_INET, "127.0.0.1:80");
        assert_resolved("0.0.0.0", "0", type, AF_INET, "0.0.0.0:0");
        assert_resolved("127.0.0.1", "65535", type, AF_INET, "127.0.0.1:65535");
        assert_resolved("::1", "80", type, AF_INET6, "[::1]:80");
        assert_resolved("::", "0", type, AF_INET6, "[::]:0");
    }
}

static void test_resolve_name(void **state)
{
    struct addrinfo *list = NULL;

    (void)state;
    assert_int_equal(resolve("localhost", "80", SOCK_DGRAM, &list), 0);
    for (struct addrinfo *next = list; next != NULL; next = next->ai_next) {
        char text[ADDRESS_SIZE];
        assert_int_equal(next->ai_socktype, SOCK_DGRAM);
        address_text(next->ai_addr, next->ai_addrlen, text, sizeof text);
        if (strcmp(text, "[::1]:80") != 0) {
            assert_true(matches("127.*:80", text));
        }
    }
    freeaddrinfo(list);
}

static void test_resolve_errors(void **state)
{
    struct addrinfo *list = NULL;

    (void)state;
    /* A service's name is no port, even if the system knows it. */
    assert_int_equal(resolve("127.0.0.1", "echo", SOCK_STREAM, &list),
                     EAI_NONAME);
    /* A part of a name has at most 63 bytes: no name service is asked. */
    assert_int_not_equal(
        resolve(
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            ".invalid",
            "80", SOCK_STREAM, &list),
        0);
    assert_int_not_equal(resolve("127.0.0.1", "80", 4711, &list), 0);
}

/* ---- unix_address ---- */

static void assert_path_fits(size_t length)
{
    struct sockaddr_un address;
    char path[sizeof address.sun_path + 2];
    const struct sockaddr_un zeros = {.sun_family = 0};

    memset(path, 'x', length);
    path[length] = '\0';
    memset(&address, '#', sizeof address);
    assert_int_equal(unix_address(path, &address), 0);
    assert_int_equal(address.sun_family, AF_UNIX);
    assert_string_equal(address.sun_path, path);
    /* Behind the path there are only zeros: some systems read them. */
    assert_memory_equal(address.sun_path + length, zeros.sun_path,
                        sizeof address.sun_path - length);
}

static void assert_path_too_long(size_t length)
{
    struct sockaddr_un address;
    char *path = malloc(length + 1);

    assert_non_null(path);
    memset(path, 'x', length);
    path[length] = '\0';
    errno = 0;
    int result = unix_address(path, &address);
    free(path);
    assert_int_equal(result, -1);
    assert_int_equal(errno, ENAMETOOLONG);
}

static void test_path_lengths(void **state)
{
    const size_t size = sizeof((struct sockaddr_un *)NULL)->sun_path;

    (void)state;
    assert_path_fits(1);
    assert_path_fits(size - 2); /* 106 on Linux */
    assert_path_fits(size - 1); /* 107 and the NUL */
    assert_path_too_long(size);
    assert_path_too_long(size + 1); /* 109 */
    assert_path_too_long(4096);
    assert_path_too_long(100000);
}

static void test_empty_path(void **state)
{
    struct sockaddr_un address;

    (void)state;
    errno = 0;
    assert_int_equal(unix_address("", &address), -1);
    assert_int_equal(errno, ENOENT);
}

/* The longest path is a real one: a socket can be bound to it. */
static void test_longest_path(void **state)
{
    struct sockaddr_un address;
    char path[sizeof address.sun_path];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct stat status;

    (void)state;
    memset(path, 'x', sizeof path - 1);
    memcpy(path, "./", 2);
    path[sizeof path - 1] = '\0';
    assert_int_equal(unix_address(path, &address), 0);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(lstat(path, &status), 0);
    assert_int_equal(unlink(path), 0);
    close(fd);
}

/* ---- check_fifo ---- */

static int check_file(const char *path)
{
    struct stat status;

    assert_int_equal(lstat(path, &status), 0);
    errno = 0;
    return check_fifo(&status);
}

static void test_check_fifo(void **state)
{
    struct stat status;

    (void)state;
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(check_file("fifo"), 0);

    assert_int_equal(lstat("fifo", &status), 0);
    status.st_uid = geteuid() + 1; /* as if it were another user's */
    errno = 0;
    assert_int_equal(check_fifo(&status), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(lstat(".", &status), 0);
    status.st_uid = geteuid() + 1;
    errno = 0; /* what it is counts first */
    assert_int_equal(check_fifo(&status), -1);
    assert_int_equal(errno, EEXIST);

    assert_int_equal(symlink("fifo", "link"), 0);
    assert_int_equal(check_file("link"), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(check_file("."), -1);
    assert_int_equal(errno, EEXIST);
    int fd = listen_on("./socket");
    assert_int_equal(check_file("socket"), -1);
    assert_int_equal(errno, EEXIST);
    close(fd);
    unlink("socket");
    unlink("link");
    unlink("fifo");
}

#define TEST(function_)                                                        \
    cmocka_unit_test_setup_teardown(function_, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ipv4_text),        TEST(test_ipv6_text),
        TEST(test_ipv6_scope_text),  TEST(test_path_text),
        TEST(test_path_text_beyond), TEST(test_unnamed_text),
        TEST(test_real_path_text),   TEST(test_unknown_family_text),
        TEST(test_text_is_cut),      TEST(test_family_text),
        TEST(test_resolve_numbers),  TEST(test_resolve_name),
        TEST(test_resolve_errors),   TEST(test_path_lengths),
        TEST(test_empty_path),       TEST(test_longest_path),
        TEST(test_check_fifo),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
