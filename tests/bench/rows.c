/*
 * rows.c - the list of all that is measured.
 */
#include "rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pattern.h"
#include "processor.h"

enum {
    KIB = 1024,
    DATAGRAM_MAX = 65507, /* bytes in one datagram of IPv4 */
    AT_ONCE = 32,         /* connections, where they are many */
    KEPT_MAX = 64,        /* argument lists, and addresses */
};

/* What a program is called with; the rest is NULL. */
struct words {
    const char *word[6];
};

/* What is given to the rows lives as long as the program. */
static struct words kept[KEPT_MAX];
static char addresses[KEPT_MAX][ADDRESS_TEXT_SIZE];
static size_t kept_count;

/* The rows as they are being made. */
struct list {
    struct row *rows;
    size_t count;
};

/* A stream pair, TCP or UNIX, and the servers it competes with. */
struct pair {
    const char *name;
    const char *address; /* of our server */
    const char *echo, *fork, *events;
    const char *known_threads, *known_fork;
    const char *client_server; /* the operands of a client */
};

static char *const *keep(struct words words)
{
    if (kept_count == KEPT_MAX) {
        fail("KEPT_MAX is too small");
    }
    kept[kept_count] = words;
    /* execvp wants char pointers, and changes none of the strings. */
    return (char *const *)kept[kept_count++].word;
}

/* Starts a server and returns its address. */
static const char *serve(struct words words, const char *log)
{
    char *const *arguments = keep(words);
    char *address = addresses[kept_count - 1];
    char log_path[ADDRESS_TEXT_SIZE];

    if (log != NULL) {
        folder_path(log_path, log);
    }
    start_server(arguments, log == NULL ? NULL : log_path, address);
    return address;
}

bool available(const char *command)
{
    char line[256];

    snprintf(line, sizeof line, "{ %s; } >/dev/null 2>&1 </dev/null", command);
    return system(line) == 0;
}

/* Where a contestant's server shall be: "tcp", or a path in the folder. */
static const char *place(bool tcp, const char *name)
{
    if (tcp) {
        return "tcp";
    }
    (void)keep((struct words){{NULL}}); /* takes an address, too */
    folder_path(addresses[kept_count - 1], name);
    return addresses[kept_count - 1];
}

/* One of Python's, or NULL where there is no Python. */
static const char *serve_known(const struct places *places, const char *model,
                               const char *where)
{
    static char script[1024];

    if (!available("python3 -c 'import socketserver'")) {
        return NULL;
    }
    snprintf(script, sizeof script, "%s/known_server.py", places->sources);
    return serve((struct words){{"python3", script, model, where}}, NULL);
}

static struct pair start_pair(const struct places *places, bool tcp)
{
    const char *limit = places->limit;
    struct pair pair = {.name = tcp ? "TCP" : "UNIX"};

    if (tcp) {
        pair.address = serve(
            (struct words){{places->tcp_server, "-q", "127.0.0.1", "0"}}, NULL);
        pair.client_server = strrchr(pair.address, ':') + 1;
    } else {
        pair.address = serve(
            (struct words){{places->unix_server, "-q", place(tcp, "ours")}},
            NULL);
        pair.client_server = pair.address;
    }
    pair.echo =
        serve((struct words){{limit, "echo", place(tcp, "echo")}}, NULL);
    pair.fork =
        serve((struct words){{limit, "fork", place(tcp, "fork")}}, NULL);
    pair.events =
        serve((struct words){{limit, "events", place(tcp, "events")}}, NULL);
    pair.known_threads =
        serve_known(places, "thread", place(tcp, "known-threads"));
    pair.known_fork = serve_known(places, "fork", place(tcp, "known-fork"));
    return pair;
}

/* Adds a row. Without a label it is called by its pair and size. */
static void add_row(struct list *list, struct row row)
{
    if (list->count == ROWS_MAX) {
        fail("ROWS_MAX is too small");
    }
    if (row.label[0] == '\0') {
        bool large = row.size % (KIB * KIB) == 0;
        bool whole = row.size % KIB == 0;
        snprintf(row.label, sizeof row.label, "%s, %zu %s", row.pair,
                 large   ? row.size / KIB / KIB
                 : whole ? row.size / KIB
                         : row.size,
                 large   ? "MiB"
                 : whole ? "KiB"
                         : "B");
    }
    list->rows[list->count++] = row;
}

/* One row for each size of messages; the targets are for 64 KiB. */
static void add_sizes(struct list *list, struct row model, size_t largest)
{
    model.group = STREAMS;
    model.unit = BYTES_PER_SECOND;
    for (size_t size = 64; size <= largest; size *= 4) {
        struct row row = model;

        row.size = size;
        if (size != 64 * KIB) {
            row.contestants[LIMIT].wanted = 0;
            memset(&row.contestants[KNOWN], 0, sizeof row.contestants[KNOWN]);
        }
        if (size == 64 * KIB && model.type == SOCK_DGRAM) {
            row.size = DATAGRAM_MAX;
        }
        add_row(list, row);
    }
}

static void add_pair_streams(struct list *list, const struct pair *pair)
{
    struct row row = {
        .pair = pair->name, .type = SOCK_STREAM, .measure = measure_stream};

    row.contestants[OURS].address = pair->address;
    row.contestants[LIMIT].address = pair->echo;
    row.contestants[LIMIT].wanted = 0.85;
    row.contestants[KNOWN].address = pair->known_threads;
    row.contestants[KNOWN].wanted = 1;
    add_sizes(list, row, PIECE_MAX);
}

static void add_fifo_streams(struct list *list, const struct places *places)
{
    struct row row = {
        .pair = "FIFO", .type = SOCK_STREAM, .measure = measure_pipeline};
    struct contestant *all = row.contestants;
    static char input[ADDRESS_TEXT_SIZE + 3];
    static char output[ADDRESS_TEXT_SIZE + 3];
    const char *path = fifo_path();

    all[OURS].arguments =
        keep((struct words){{places->fifo_writer, "-q", path, "-"}});
    all[OURS].reader = keep((struct words){{places->fifo_reader, "-q", path}});
    all[LIMIT].arguments = keep((struct words){{places->limit, "write", path}});
    all[LIMIT].reader = keep((struct words){{places->limit, "read", path}});
    if (available("dd if=/dev/null bs=64k")) {
        snprintf(input, sizeof input, "if=%s", path);
        snprintf(output, sizeof output, "of=%s", path);
        all[KNOWN].arguments = keep((struct words){{"dd", "bs=64k", output}});
        all[KNOWN].reader = keep((struct words){{"dd", "bs=64k", input}});
        all[KNOWN].wanted = 0.95;
    }
    add_sizes(list, row, PIECE_MAX);
}

static void add_datagrams(struct list *list, const char *ours,
                          const char *limit)
{
    struct row row = {
        .pair = "UDP", .type = SOCK_DGRAM, .measure = measure_datagrams};

    row.contestants[OURS].address = ours;
    row.contestants[LIMIT].address = limit;
    add_sizes(list, row, 64 * KIB);
}

static void add_client(struct list *list, const struct places *places,
                       const struct pair *pair, bool tcp)
{
    const char *server = pair->client_server;
    struct row row = {.group = CLIENTS,
                      .unit = BYTES_PER_SECOND,
                      .pair = pair->name,
                      .size = 64 * KIB,
                      .measure = measure_pipeline};
    struct contestant *all = row.contestants;
    struct words ours = {{places->unix_client, "-q", server, "-"}};
    struct words netcat = {{"nc", "-N", "-U", server}};
    const char *kind = tcp ? "tcp" : "unix";

    if (tcp) {
        ours = (struct words){
            {places->tcp_client, "-q", "127.0.0.1", server, "-"}};
        netcat = (struct words){{"nc", "-N", "127.0.0.1", server}};
    }
    snprintf(row.label, sizeof row.label, "%s client", pair->name);
    all[OURS].arguments = keep(ours);
    all[LIMIT].arguments =
        keep((struct words){{places->limit, "client", kind, server}});
    all[LIMIT].wanted = 0.85;
    if (available("nc -h 2>&1 | grep -q -e -N")) {
        all[KNOWN].arguments = keep(netcat);
        all[KNOWN].wanted = 1.3;
    }
    add_row(list, row);
}

static void add_trips(struct list *list, const char *pair, int type,
                      const char *ours, const char *limit)
{
    static const size_t sizes[] = {1, KIB};
    struct row row = {.group = TRIPS,
                      .unit = SECONDS,
                      .pair = pair,
                      .type = type,
                      .measure = measure_trips};

    row.contestants[OURS].address = ours;
    row.contestants[LIMIT].address = limit;
    row.contestants[LIMIT].wanted = 0.95;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        row.size = sizes[i];
        add_row(list, row);
    }
}

static void add_connections(struct list *list, const struct pair *pair)
{
    struct row row = {.group = CONNECTIONS,
                      .unit = PER_SECOND,
                      .pair = pair->name,
                      .measure = measure_connections};
    struct contestant *all = row.contestants;

    all[OURS].address = pair->address;
    all[LIMIT].address = pair->fork;
    all[LIMIT].wanted = 0.9;
    all[KNOWN].address = pair->known_fork;
    all[KNOWN].wanted = 1.2;
    all[EVENTS].address = pair->events;
    row.size = 1;
    snprintf(row.label, sizeof row.label, "%s, one after another", pair->name);
    add_row(list, row);
    row.size = AT_ONCE;
    snprintf(row.label, sizeof row.label, "%s, %d at once", pair->name,
             AT_ONCE);
    add_row(list, row);
}

/* The servers for round trips, ours and the bare loop. */
struct partners {
    const char *tcp, *tcp_limit, *udp, *udp_limit, *local, *local_limit;
};

static struct partners start_partners(const struct places *places)
{
    const char *limit = places->limit;
    struct partners partners;

    use_one_processor(true);
    partners.tcp = serve(
        (struct words){{places->tcp_server, "-q", "127.0.0.1", "0"}}, NULL);
    partners.tcp_limit =
        serve((struct words){{limit, "echo", place(true, NULL)}}, NULL);
    partners.udp = serve(
        (struct words){{places->udp_server, "-q", "127.0.0.1", "0"}}, NULL);
    partners.udp_limit = serve((struct words){{limit, "datagrams"}}, NULL);
    partners.local = serve(
        (struct words){{places->unix_server, "-q", place(false, "ours-trips")}},
        NULL);
    partners.local_limit = serve(
        (struct words){{limit, "echo", place(false, "echo-trips")}}, NULL);
    use_one_processor(false);
    return partners;
}

/* Here ours tells its story, into a file, and is compared with itself. */
static void add_story(struct list *list, const struct places *places,
                      const char *tcp, const struct partners *partners)
{
    struct row row = {.group = STORY, .type = SOCK_STREAM, .pair = "TCP"};
    struct contestant *all = row.contestants;

    all[OURS].address = serve(
        (struct words){{places->tcp_server, "127.0.0.1", "0"}}, "tcp.log");
    all[LIMIT].address = tcp;
    row.unit = BYTES_PER_SECOND;
    row.size = 64 * KIB;
    row.measure = measure_stream;
    snprintf(row.label, sizeof row.label, "TCP stream, 64 KiB");
    add_row(list, row);
    row.unit = PER_SECOND;
    row.size = 1;
    row.measure = measure_connections;
    snprintf(row.label, sizeof row.label, "TCP connections, one after another");
    add_row(list, row);

    use_one_processor(true);
    all[OURS].address = serve(
        (struct words){{places->tcp_server, "127.0.0.1", "0"}}, "trips.log");
    all[LIMIT].address = partners->tcp;
    row.unit = SECONDS;
    row.measure = measure_trips;
    snprintf(row.label, sizeof row.label, "TCP round trip, 1 B");
    add_row(list, row);
    all[OURS].address = serve(
        (struct words){{places->udp_server, "127.0.0.1", "0"}}, "udp.log");
    all[LIMIT].address = partners->udp;
    row.type = SOCK_DGRAM;
    snprintf(row.label, sizeof row.label, "UDP round trip, 1 B");
    add_row(list, row);
    use_one_processor(false);
}

static void add_cost(struct list *list, const char *limit, const char *task,
                     const char *label)
{
    struct row row = {.group = COSTS, .unit = SECONDS, .measure = measure_cost};

    row.contestants[OURS].arguments = keep((struct words){{limit, task}});
    snprintf(row.label, sizeof row.label, "%s", label);
    add_row(list, row);
}

size_t make_rows(const struct places *places, struct row rows[ROWS_MAX])
{
    struct list list = {rows, 0};
    struct pair tcp = start_pair(places, true);
    struct pair local = start_pair(places, false);
    const char *udp = serve(
        (struct words){{places->udp_server, "-q", "127.0.0.1", "0"}}, NULL);
    const char *udp_limit =
        serve((struct words){{places->limit, "datagrams"}}, NULL);

    add_pair_streams(&list, &tcp);
    add_pair_streams(&list, &local);
    add_fifo_streams(&list, places);
    add_datagrams(&list, udp, udp_limit);
    add_client(&list, places, &tcp, true);
    add_client(&list, places, &local, false);
    struct partners partners = start_partners(places);
    add_trips(&list, "TCP", SOCK_STREAM, partners.tcp, partners.tcp_limit);
    add_trips(&list, "UDP", SOCK_DGRAM, partners.udp, partners.udp_limit);
    add_trips(&list, "UNIX", SOCK_STREAM, partners.local, partners.local_limit);
    add_connections(&list, &tcp);
    add_connections(&list, &local);
    add_story(&list, places, tcp.address, &partners);
    add_cost(&list, places->limit, "call", "a system call (getppid)");
    add_cost(&list, places->limit, "switch",
             "a byte to another process (pipe)");
    add_cost(&list, places->limit, "birth", "a child (fork, _exit, waitpid)");
    return list.count;
}
