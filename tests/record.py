#!/usr/bin/env python3
# record.py - records the scenes of replay.ini with the real programs, and makes
# of them docs/replay.html, docs/zh/replay.html and docs/replay.svg.
#
#   python3 tests/record.py          writes the three files
#   python3 tests/record.py check    compares with them
#   python3 tests/record.py scene NAME FOLDER    (for itself) records one scene
#
# Needs Linux on x86-64, root (for namespaces), cc, addr2line, tcpdump, ss, nft,
# and Chromium, in which the script of replay_template.html makes the tables.
#
# Exit status: 0; 1 if something differs; 77 if a tool or a right is missing,
# which is a failure if the environment has REPLAY_REQUIRED.
import configparser
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

import browser
import process
from namespaces import SPACES, STUDENT, run
from stepper import Stepper

ROOT = Path(__file__).resolve().parent.parent
BUILD = "cc -std=c11 -D_POSIX_C_SOURCE=200809L -O0 -g -no-pie".split()
# A kernel shall not send again because a program was made to stand still.
SETTINGS = """ip link set lo up; mount -t tmpfs tmpfs /tmp; sysctl -q net.ipv4.tcp_early_retrans=0
    ip route change table local local 127.0.0.1 dev lo rto_min 3s"""
BREAKS = ("no_close", "no_reuse")

words = configparser.ConfigParser(interpolation=None, delimiters=["=>"], comment_prefixes=["#"])
words.optionxform = str
words.read(ROOT / "tests/replay.ini")
SCENES = [name for name in words.sections() if "-" in name]


# What crosses loopback, as tcpdump sees it.
class Wire:
    MARK = ("127.0.0.1", 1)  # the address of datagrams that end what was asked for

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(self.MARK)
        self.tool = process.Process("tcpdump -i lo -ntxl --immediate-mode -s 200".split(),
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.tool.read_until("listening on")

    # Returns what came since the last time: texts of tcpdump, each with its bytes.
    def take(self):
        self.socket.sendto(b"", self.MARK)
        text = ""
        while not re.search(r"127.0.0.1.1 > 127.0.0.1.1:.*(\n.*){2}\n", text):
            text += self.tool.stdout.readline()
        return text.split("IP ")[1:-1]


# The rows of a scene. Each has an event, which says what happened: what was typed, the
# line that a program printed, what tcpdump printed, how a process ended.
class Recording:
    def __init__(self, folder):
        sources = {str(path.relative_to(folder)): path.read_text().rstrip().split("\n")
                   for path in Path(folder).rglob("*.[ch]")}
        self.stepper, self.wire = Stepper(folder, sources), Wire()
        self.rows, self.held, self.order = [], [], []

    # Does a line of a script.
    def act(self, action):
        place, _, text = action.partition(": ")
        terminals = self.stepper.terminals
        if not text:
            return self.let_time_pass()
        self.pin()
        while len(terminals) < int(place[0]):
            self.stepper.open_terminal(0 if place.endswith("#") and len(terminals) == 2 else STUDENT)
        self.stepper.type(terminals[int(place[0]) - 1], text)
        typed = self.row("typed", terminals[int(place[0]) - 1], f"types {text}")
        self.add(typed, *self.segments())
        self.settle(place[2:])

    # Until somebody has waited for long enough, or a kernel has sent again.
    def let_time_pass(self):
        for one in self.stepper.living():
            if one.held == "door":
                self.stepper.resume(one.pid)
        rows = []
        while not rows and all(map(self.stepper.is_blocked, self.stepper.living())):
            self.stepper.pump()
            rows = self.segments()
        self.stepper.pump()  # to the end of what has begun
        self.add(*rows, *self.segments())
        self.settle()

    # As on one processor: each goes on until it waits, then the one that has not for longest.
    # A new one comes first. Not beyond a line that has a certain text.
    def settle(self, last=""):
        while True:
            living = self.stepper.living()
            self.order = [one for one in living if one not in self.order] + self.order
            ready = [one for one in self.order
                     if one in living and not self.stepper.is_blocked(one)]
            if not ready or last and last in self.rows[-1]["text"]:
                return
            yields = self.go(ready[0])
            self.order.remove(ready[0])
            self.order.insert(len(self.order) if yields else 0, ready[0])

    # The numbers that the kernel gives next shall be the same in each recording.
    def pin(self):
        last = max([300, *self.stepper.processes])
        port = 40312 + 2 * str(self.rows).count("socket(AF_")
        run("sysctl", f"kernel.ns_last_pid={last}", f"net.ipv4.ip_local_port_range={port} {port}")

    # Lets a process go on to its next line. Returns whether it is the others' turn.
    def go(self, one):
        self.pin()
        awaited, calls, own, segments = one.waits, 0, [], []
        if one.held != "call":
            self.stepper.turn(one)
        while one.held == "call":
            calls += 1
            segments += self.segments(one)
            self.stepper.turn(one)
        told = one.held == "line" and one.call
        if one.held == "line":
            one.terminal.read("\n")
            own = [self.row("line", one.terminal, "", one)]
            waits = re.search(r": (\w+)\(.* waits for ", own[0]["text"])
            one.call, one.waits = None, waits and waits[1]
            if waits:
                self.stepper.turn(one)  # to the door of the call
        elif one.held is None and (calls or not awaited):
            own = [self.row("inside", one.terminal, f"inside {one.call or one.doing}", one)]
        segments += self.segments(one)
        # A call that waits is told when it is over, after what it sent.
        self.add(*(segments + own if awaited and told and calls < 2 else own + segments))
        return bool(one.waits) or told == "connect"

    def row(self, kind, terminal, event="", one=None, **more):
        text = terminal.take() if terminal else ""
        place = terminal and self.stepper.terminals.index(terminal)
        return {"kind": kind, "event": event or text, "text": text, "terminal": place,
                "process": one and one.pid, **more}

    # Rows for what crossed the wire, the first of it for this process.
    def segments(self, one=None):
        return [self.row("segment", None, text, None, sender=one and one.pid)
                for text in self.wire.take()]

    # Adds rows. What the system holds was seen after the last segment, or the last row:
    # of the rows before nothing is known. Adds one for each process that has ended, too.
    def add(self, *rows):
        seen = max([i for i, row in enumerate(rows) if row["kind"] == "segment"]
                   or [len(rows) - 1])
        for i, row in enumerate(rows):
            self.held = self.stepper.look() if i == seen else self.held
            row["held"] = self.held if i >= seen else None
            row["status"] = {one.pid: [self.status(one), one.line] for one in
                             self.stepper.processes.values() if one.source
                             and (one.held != "end" or one.status is not None)}
            self.rows.append(row)
        for one in self.stepper.processes.values():
            if one.source and one.status is not None:
                event, one.status = f"{one.label()}: ends {one.status}", None
                self.add(self.row("end", one.terminal, event, one))

    # In which call a process waits, or why it stands still.
    def status(self, one):
        waits = one.held != "suspended" and self.stepper.is_blocked(one)
        return f"waits {one.call or one.waits or one.doing}" if waits else one.held


# Records a scene, in namespaces of its own, and prints it as JSON.
def play(name, folder):
    run("sh", "-ec", SETTINGS)
    recording = Recording(folder)
    for action in words[name]["script"].strip().split("\n"):
        process.limit(60)  # only a hang takes so long
        recording.act(action)
    programs = [one for one in recording.stepper.processes.values() if one.source]
    print(json.dumps({
        "rows": recording.rows,
        "processes": [[one.pid, one.label(), recording.stepper.terminals.index(one.terminal),
                       one.source] for one in programs],
        "sources": {one.source: recording.stepper.sources[one.source] for one in programs}}))


# A copy of the project, each program beside its source and in build/; and the servers of
# two exercises.
def build(folder):
    run("cp", "-r", *[ROOT / name for name in ("tcp", "udp", "unix", "fifo", "common")], folder)
    run("mkdir", folder / "build", *[folder / name for name in BREAKS])
    for name in BREAKS:
        (folder / name / "tcp_server.c").write_text(
            run("sed", "-f", ROOT / f"docs/breaks/{name}.sed", ROOT / "tcp/tcp_server.c"))
    for path in folder.glob("*/*_*.c"):
        run(*BUILD, path, *folder.glob("common/*.c"), "-o", path.with_suffix(""))
        name = path.parent.name if path.parent.name in BREAKS else path.stem
        (folder / "build" / name).symlink_to(path.with_suffix(""))


# Records all scenes. Returns what the script of the pages needs.
def record():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        build(Path(folder))
        command = [*SPACES, sys.executable, "-B", __file__, "scene"]
        tools = {name: process.Process([*command, name, folder], stdout=subprocess.PIPE)
                 for name in SCENES}
        scenes = {name: json.loads(tool.communicate()[0]) for name, tool in tools.items()}
    return {"scenes": scenes, "words": {name: dict(words[name]) for name in words.sections()}}


# What the script makes of them: a page in a language, or the picture.
def make(recorded, language, part=""):
    text = json.dumps({**recorded, "language": language, "part": part}).replace("</", "<\\/")
    template, script = [(ROOT / "tests" / name).read_text() for name in (
        "replay_template.html", "replay_tables.js")]
    with tempfile.NamedTemporaryFile("w", suffix=".html") as file:
        file.write(template.replace("{{tables}}", script.replace("{{recorded}}", text)))
        file.flush()
        made = browser.dump(f"file://{file.name}")
    if 'id="build"' in made:
        sys.exit("The page could not be made: " + re.search("<body.*?>(.*)", made)[1])
    return re.search("(?s)<svg.*?</svg>\n", made)[0] if part else made


# The lines of a page without the memory of what waits in UDP and UNIX sockets: kernels
# differ in that.
def lines(page):
    return re.sub(r'(\["(?:udp|unix) [^]]*?),\d+,\d+,', r"\1,", page).split("\n")


def main():
    missing = [one for one in ("cc", "addr2line", "tcpdump", "ss", "nft", "unshare", "pkill")
               if not process.is_here(one)] + ([] if browser.find() else ["chromium"])
    if missing or subprocess.run([*SPACES, "ip", "link"], capture_output=True).returncode:
        print("Skipped: not here:", ", ".join(missing) or "root's rights")
        return 1 if "REPLAY_REQUIRED" in os.environ else 77
    recorded = record()
    files = {"docs/replay.html": make(recorded, 0), "docs/zh/replay.html": make(recorded, 1),
             "docs/replay.svg": make(recorded, 0, "picture")}
    for path, text in files.items():
        if "check" not in sys.argv:
            (ROOT / path).write_text(text)
            continue
        pairs = zip_longest(lines((ROOT / path).read_text()), lines(text))
        for was, now in [pair for pair in pairs if pair[0] != pair[1]][:1]:
            print(f"{path}\n  is:        {was}\n  should be: {now}\n"
                  "It is not what is recorded now. To renew it: python3 tests/record.py")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(play(*sys.argv[2:]) if sys.argv[1:2] == ["scene"] else main())
