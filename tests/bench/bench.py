# bench.py - measures the four pairs beside bare loops of the same system
# calls, and writes one table and one figure.
#
# usage: bench.py TOOL OUTPUT PROGRAMS [BESIDE]
#
# TOOL is bench_tool, OUTPUT the folder to write into, PROGRAMS the folder of
# the eight programs. BESIDE is the folder of eight others, which take turns
# with them: those of yesterday, for example.
#
# BENCH_QUICK=1     a few seconds: to see that all works, not to compare
# BENCH_DOCS=docs   writes the table into docs/performance.md, too, between its
#                   two marks, and the figure beside it
# BENCH_CHECK=PAGE  fails unless the table in this page has the same rows
import datetime
import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from subprocess import PIPE

sys.path.append(str(Path(__file__).absolute().parent.parent))
from process import Process, limit

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
KIB, MIB = 1024, 1024 * 1024
SIZES = {"64 B": 64, "1 KiB": KIB, "4 KiB": 4 * KIB, "16 KiB": 16 * KIB,
         "64 KiB": 64 * KIB, "1 MiB": MIB}
# How long it takes, and what each contestant does in a round: messages of a
# stream, but not more bytes than this; round trips; connections.
ROUNDS, SECONDS = (2, 5) if QUICK else (25, 95)
MESSAGES, BYTES = (400, 2 * MIB) if QUICK else (40000, 64 * MIB)
TRIPS, CONNECTIONS = (200, 32) if QUICK else (3000, 320)

if len(sys.argv) not in (4, 5):
    sys.exit("usage: bench.py TOOL OUTPUT PROGRAMS [BESIDE]")
if not hasattr(os, "sched_setaffinity"):
    print("Skipped: the system can't keep programs on one processor (Linux can)")
    sys.exit(77)
if os.environ.get("BENCH_DOCS") and not shutil.which("gnuplot"):
    sys.exit("bench: BENCH_DOCS needs gnuplot (Debian: gnuplot-nox)")
tool, output, *folders = [Path(path).absolute() for path in sys.argv[1:]]
programs = dict(zip(("ours", "beside"), folders))
here = Path(__file__).absolute().parent
rows = []

# The path is short, as that of a socket has to be.
scratch = tempfile.TemporaryDirectory(prefix="bench.", dir="/tmp")
paths = (f"{scratch.name}/{number}" for number in itertools.count())
fifo = next(paths)


def start(*command, **streams):
    return Process(list(map(str, command)), text=True, **streams)


# A place is a path, or 127.0.0.1 and a port. This one is for a new server.
def new_place(pair):
    return next(paths) if pair == "UNIX" else ("127.0.0.1", 0)


def operands(place):
    return [place] if isinstance(place, str) else place


def make_socket(place, kind):
    family = socket.AF_UNIX if isinstance(place, str) else socket.AF_INET
    return socket.socket(family, kind)


def connect(place, kind=STREAM):
    client = make_socket(place, kind)
    client.connect(place)
    return client


# Starts one of the programs; returns the place that it says.
def start_server(*command):
    log = next(paths)
    with open(log, "w") as said:
        start(*command, stderr=said)
    limit(20)
    while not (ready := re.search(r"ready on (\S+)\n", Path(log).read_text())):
        time.sleep(0.002)
    limit(0)
    host, _, port = ready[1].partition(":")
    return (host, int(port)) if port else host


# Starts another one, on a socket that is bound already; returns its place.
def start_on_socket(place, kind, *command):
    with make_socket(place, kind) as server:
        server.bind(place)
        if kind == STREAM:
            server.listen(128)
        start(*command, stdin=server)
        return server.getsockname()


# The servers of a pair: the programs, and the bare loop.
def start_pair(pair, *options):
    bare = (DATAGRAM, tool, "answer") if pair == "UDP" else (
        STREAM, tool, "fork")
    places = {"bare loop": start_on_socket(new_place(pair), *bare)}
    for name, folder in programs.items():
        places[name] = start_server(f"{folder}/{pair.lower()}_server",
                                    *options, *operands(new_place(pair)))
    return places


# Runs the tool, which checks every byte. Returns the seconds that it took.
def run(*task, **streams):
    process = start(tool, *task, stderr=PIPE, **streams)
    for stream in streams.values():
        stream.close()
    limit(60)
    said = process.communicate()[1]
    limit(0)
    if process.returncode != 0:
        sys.exit(f"{task}: {said.strip()}")
    return float(said)


# Both sides on one processor: the kernel would choose, and that makes more of
# a difference than anything that is measured.
def on_one_processor(function, *arguments, **streams):
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    result = function(*arguments, **streams)
    os.sched_setaffinity(0, processors)
    return result


# What follows measures a contestant, the last argument, and returns its value.
def stream(size, place):
    count = min(MESSAGES, BYTES // size)
    client = connect(place)
    took = run("stream", size, count, stdin=client, stdout=client)
    return size * count / took / 1e6


# Few enough at a time that all fit a socket's buffer: none is lost.
def datagrams(size, place):
    count = min(MESSAGES, BYTES // size)
    took = run("exchange", size, count, min(16, 64 * KIB // size),
               stdin=connect(place, DATAGRAM))
    return size * count / took / 1e6


# A client, or the two ends of a FIFO: into the first program, and out of the
# last. The contestant is a function that starts them.
def pipeline(size, most, start_all):
    count = min(MESSAGES, most // size)
    if not os.path.exists(fifo):
        os.mkfifo(fifo)
    running = start_all()
    took = run("stream", size, count, stdin=running[-1].stdout,
               stdout=running[0].stdin)
    if any(process.wait() != 0 for process in running):
        sys.exit(f"failed: {running[0].args}")
    return size * count / took / 1e6


def trips(size, kind, place):
    return on_one_processor(run, "exchange", size, TRIPS, 1,
                            stdin=connect(place, kind)) / TRIPS * 1e6


def connections(at_once, place):
    return CONNECTIONS / run("connections", 16, CONNECTIONS, at_once,
                             stdin=connect(place))


def cost(count, task):
    return run(task, 0, count) / count * 1e6


def piped(*commands):
    return lambda: [start(*command, stdin=PIPE, stdout=PIPE)
                    for command in commands]


def bare_client(place):
    with connect(place) as server:
        return [start(tool, "copy", stdin=PIPE, stdout=server),
                start(tool, "copy", stdin=server, stdout=PIPE)]


# A row of the table. The known contestants stand in a column of their own.
def add(label, unit, measure, contestants, known={}):
    everybody = {**contestants, **known}
    rows.append({"label": label, "unit": unit, "measure": measure,
                 "contestants": everybody, "known": next(iter(known), "none"),
                 "values": {name: [] for name in everybody}})


# A row for each size of messages, and the known contestant for 64 KiB.
def add_sizes(pair, measure, contestants, known={}):
    for label, size in SIZES.items():
        if pair != "UDP" or size < 64 * KIB:
            add(f"{pair}, {label}", "MB/s", partial(measure, size),
                contestants, known if size == 64 * KIB else {})


def add_rows():
    quiet = {pair: start_pair(pair, "-q") for pair in ("TCP", "UNIX", "UDP")}

    # Throughput over the size of messages.
    for pair in "TCP", "UNIX":
        python = start_on_socket(new_place(pair), STREAM, sys.executable,
                                 f"{here}/known_server.py")
        add_sizes(pair, stream, quiet[pair], {"Python": python})
    ends = {"bare loop": piped(
        ["sh", "-c", 'exec "$0" copy >"$1"', tool, fifo],
        ["sh", "-c", 'exec "$0" copy <"$1"', tool, fifo])}
    for name, folder in programs.items():
        ends[name] = piped([f"{folder}/fifo_writer", "-q", fifo, "-"],
                           [f"{folder}/fifo_reader", "-q", fifo])
    dd = ["dd", "bs=64k", "status=none"]
    add_sizes("FIFO", lambda size, who: pipeline(size, BYTES, who), ends,
              {"dd": piped([*dd, f"of={fifo}"], [*dd, f"if={fifo}"])})
    add_sizes("UDP", datagrams, quiet["UDP"])

    # The client programs, from end to end.
    for pair in "TCP", "UNIX":
        places = quiet[pair]
        clients = {"bare loop": partial(bare_client, places["ours"])}
        for name, folder in programs.items():
            clients[name] = piped([f"{folder}/{pair.lower()}_client", "-q",
                                   *operands(places[name]), "-"])
        nc = ["nc.openbsd", "-N", *(["-U"] if pair == "UNIX" else []),
              *operands(places["ours"])]
        add(f"{pair} client, 256 MiB", "MB/s",
            partial(pipeline, 64 * KIB, 4 * BYTES), clients,
            {"nc -N": piped(nc)} if shutil.which("nc.openbsd") else {})

    # Round trips.
    for pair in "TCP", "UDP", "UNIX":
        kind = DATAGRAM if pair == "UDP" else STREAM
        alone = on_one_processor(start_pair, pair, "-q")
        for label, size in ("1 B", 1), ("1 KiB", KIB):
            add(f"{pair} round trip, {label}", "µs",
                partial(trips, size, kind), alone)

    # Connections.
    for pair in "TCP", "UNIX":
        events = {"event loop": start_on_socket(new_place(pair), STREAM, tool,
                                                "events")}
        for at_once in 1, 32:
            add(f"{pair} connections, {at_once} at a time", "/s",
                partial(connections, at_once), quiet[pair], events)

    # The price of the story, and what a system call and a fork cost.
    told = start_pair("TCP")
    silent = {"with -q": quiet["TCP"]["ours"]}
    add("calls printed: TCP, 64 KiB", "MB/s", partial(stream, 64 * KIB),
        told, silent)
    add("calls printed: TCP connections, 1 at a time", "/s",
        partial(connections, 1), told, silent)
    add("a system call (getppid)", "µs", partial(cost, MESSAGES),
        {"bare loop": "call"})
    add("a child (fork, _exit, waitpid)", "µs", partial(cost, CONNECTIONS),
        {"bare loop": "child"})


# Each contestant of each row once in a round; who is first changes.
def play():
    begin = time.monotonic()
    for count in range(1, ROUNDS + 1):
        for row in rows:
            names = list(row["contestants"])
            for name in (names * 2)[count % len(names):][:len(names)]:
                try:
                    value = row["measure"](row["contestants"][name])
                except SystemExit as problem:
                    sys.exit(f"bench: {row['label']}, {name}: {problem}")
                row["values"][name].append(value)
        took = time.monotonic() - begin
        print(f"bench: round {count}, {took:.0f} s", file=sys.stderr)
        if took + took / count > SECONDS:
            break
    return count


# The cells of a contestant: the median of its values, and of the ratios of
# ours to it in each round, with what half of those lie between. More than 1 is
# better, also for times.
def cells(row, name):
    values = row["values"].get(name)
    if values is None:
        return ["", ""]
    digits = 0 if median(values) >= 100 else 1 if median(values) >= 10 else 2
    text = f"{median(values):.{digits}f} {row['unit']}"
    power = -1 if row["unit"] == "µs" else 1
    ratios = sorted((a / b) ** power for a, b in zip(
        row["values"].get("ours", []), values))
    if not ratios:
        return [text, ""]
    quarter = len(ratios) // 4
    return [text, f"{median(ratios):.2f} ({ratios[quarter]:.2f} to "
                  f"{ratios[-1 - quarter]:.2f})"]


def make_table(count):
    cpus = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)|$", cpus)[1] or "unknown"
    kind = "quick, not to compare" if QUICK else "full"
    lines = [f"Measured on {datetime.date.today()} with {os.cpu_count()} "
             f"processors ({model}), Linux {os.uname().release}. The run: "
             f"{kind}, rounds: {count}.", "",
             "| what | ours | bare loop | ratio | known | ratio |",
             "|---|--:|--:|--:|--:|--:|"]
    if "beside" in programs:
        lines[2:] = [lines[2] + " beside | ratio |", lines[3] + "--:|--:|"]
    for row in rows:
        known, ratio = cells(row, row["known"])
        line = [row["label"], cells(row, "ours")[0], *cells(row, "bare loop"),
                known and f"{row['known']}: {known}", ratio]
        if "beside" in programs:
            line += cells(row, "beside")
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines) + "\n"


# The streams: for each pair a data set of size, ours, bare loop.
def draw(figure):
    lines = []
    for pair in "TCP", "UNIX", "FIFO", "UDP":
        lines += ["", "", f'"{pair}"']
        for row in rows:
            if row["label"].startswith(f"{pair}, "):
                size = SIZES[row["label"][len(pair) + 2:]]
                lines.append(f"{size} {median(row['values']['ours'])} "
                             f"{median(row['values']['bare loop'])}")
    Path(scratch.name, "data").write_text("\n".join(lines) + "\n")
    subprocess.run(["gnuplot", "-c", here / "throughput.gnuplot",
                    f"{scratch.name}/data", figure], check=True)


# Replaces what is between the marks of the page.
def publish(page, table):
    text = page.read_text(encoding="utf-8")
    begin = text.index("\n", text.index("<!-- measured: begin -->")) + 1
    end = text.index("<!-- measured: end -->")
    page.write_text(text[:begin] + table + text[end:], encoding="utf-8")


def main():
    add_rows()
    table = make_table(play())
    output.mkdir(parents=True, exist_ok=True)
    (output / "performance.md").write_text(table, encoding="utf-8")
    places = [output]
    if docs := os.environ.get("BENCH_DOCS"):
        publish(Path(docs, "performance.md"), table)
        places.append(docs)
    for place in places if shutil.which("gnuplot") else []:
        draw(Path(place, "throughput.svg"))
    print(f"bench: see {output}/performance.md", file=sys.stderr)
    if page := os.environ.get("BENCH_CHECK"):
        wanted, measured = [
            re.findall(r"^\| (\S.*?) \|", text, re.MULTILINE)
            for text in (Path(page).read_text(encoding="utf-8"), table)]
        if wanted != measured:
            sys.exit(f"bench: the rows of {page} are others")


main()
