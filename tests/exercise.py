#!/usr/bin/env python3
# exercise.py - the judge of the exercises. Start it by exercise.sh, which says how.
#
# CHECKS is the table of what is checked: for each exercise what has to be so, the
# page that explains it, and the conversation that shows it, step by step: who,
# what, and perhaps which bytes. "it" is the program that is judged. All others
# are played here: S is the server of a program that is a client, T a stranger to
# both; A, B, C and numbers are clients. What each can do are the methods of its
# class. <5> is the length 5, as it stands in front of a message.
#
# Nothing is judged by time, except where the task is a time. The deadline only
# ends what hangs. Bytes that go one by one wait until the program has read the
# one before, where that can be seen (Linux: /proc/net/tcp).
import argparse
import contextlib
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as xml

from process import Process, limit

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEADLINE = int(os.environ.get("EXERCISE_DEADLINE", "10"))  # seconds for a check
HOST = "127.0.0.1"
# What stands behind a number or a line, if no other --separator is asked for.
SEPARATORS = {"numbered": b" ", "room": b"\n"}

# The bytes that have a name in the conversations; others stand for themselves.
MIB = bytes(range(256)).upper() * 4096  # with NULs; it is no text
LINES = b"".join(b"\0\xe4%01021d\n" % number for number in range(60))
DATA = {
    b"NOTHING": b"",
    b"ENDLESS": b"x" * len(MIB) * 8,  # no newline in it
    b"60_LINES": LINES,
    b"61_LINES": LINES + b"\n",
    b"1_MIB": MIB,
    b"16_MIB": MIB * 16,
}

# Who connects first is accepted first: when C is heard, all three are in.
ENTER = r"A connects, B connects, C sends in\n, A gets in\n, B gets in\n"
# The program finds a half line, the end of file, and a reset, all at once: of three, as
# has_closed_all overlooks two.
VANISH = "it is_sent STOP, "
VANISH += "".join(f"{i} sends half, {i} ends, {i} resets, " for i in "AEF") + "it is_sent CONT"
MANY = "".join(f"{i} sends {i}\\n, " for i in range(50)) + "it has_no_new_process"
MANY += "".join(f", {i} gets {i}\\n" for i in reversed(range(50)))
# A server that is kept for the next checks: after its first client it has opened what
# stays open.
SERVES = "it serves, Z ends, Z gets_all, it counts_descriptors, "

CHECKS = rf"""
client
  a message, the end of file, the answer | tcp.md, The calls
    it starts Hello, S gets_all Hello\n, S sends Hi!\n, S ends, it succeeds Hi!\n
  an answer in pieces of one byte | connection.md, Buffers
    it starts one, S gets_all one\n, S sends_slowly 你好, S ends, it succeeds 你好
  an empty message, and no answer | connection.md, Half-close
    it starts NOTHING, S gets_all \n, S ends, it succeeds NOTHING
  1 MiB, with NUL bytes | connection.md, Buffers
    it starts one, S gets_all one\n, S sends a\0b, S ends, it succeeds a\0b,
    it starts one, S gets_all one\n, S sends 1_MIB, S ends, it succeeds 1_MIB
  a reset in the middle: status 1 | connection.md, Reset
    it starts one, S gets_all one\n, S sends_slowly hal, S resets, it fails hal
  nobody listens: status 1 | trouble.md, ECONNREFUSED
    it starts_alone one, it fails NOTHING

poll
  a client, and its end of file | connection.md, Half-close
    it is_sent STOP, A sends one\n, A ends, it is_sent CONT, A gets_all one\n
  pieces of one byte | connection.md, Buffers
    A sends_slowly 你好\n, A gets 你好\n
  one is silent, another is served | connection.md, Two sockets
    A connects, B sends one\n, B gets one\n, A sends two\n, A gets two\n
  50 clients at once, in one process | connection.md, Two sockets
    {MANY}
  16 MiB for one who does not read; another is served | connection.md, When nobody reads
    A sends_all& 16_MIB, A is_stuck, B sends one\n, B gets one\n, A gets_all 16_MIB
  one vanishes while it is answered | connection.md, Reset
    A sends one\n, A gets one\n, C sends one\n, C gets one\n, C resets, D resets, G resets,
    {VANISH}, B sends two\n, B gets two\n, it has_closed_all

timeout
  a question and its answer | udp.md, What to know
    it asks Hello, S gets Hello, S sends Hi!, it succeeds Hi!\n
  empty datagrams | udp.md, What to know
    it asks NOTHING, S gets NOTHING, S sends NOTHING, it succeeds \n
  61,440 bytes, with NUL bytes | udp.md, What to know
    it asks one, S gets one, S sends 60_LINES, it succeeds 61_LINES
  a stranger's answer is none | udp.md, What to know
    it asks one, S gets one, T sends no, S sends ONE, it succeeds ONE\n
  no answer for a second: status 1 | udp.md, What to know
    it asks one, S gets one, it fails NOTHING, it has_lasted 1, S gets_no_more
  nobody listens: status 1 | trouble.md, ECONNREFUSED
    it starts_alone one, it fails NOTHING

numbered
  three questions, and an empty answer | udp.md, Try it
    it asks one||three, S gets 1 one, S sends 1 ONE, S gets 2 , S sends 2 ,
    S gets 3 three, S sends 3 \0, it succeeds ONE\n\n\0\n
  an answer that comes twice | udp.md, Try it
    it asks one|two, S gets 1 one, S sends 1 ONE, S sends 1 ONE, S gets 2 two,
    S sends 2 TWO, it succeeds ONE\nTWO\n
  other numbers, no number, a stranger | udp.md, Try it
    it asks one, S gets 1 one, S sends 2 no, S sends 11 no, S sends NOTHING,
    S sends 1, S sends no, T sends 1 no, S sends 1 ONE, it succeeds ONE\n
  asks again, even while others are answered | udp.md, Try it
    it asks one, S gets 1 one, S repeats& 7 no, S gets 1 one, S sends 1 ONE,
    it has_lasted 1, it succeeds ONE\n
  no answer to three tries: status 1 | udp.md, Try it
    it asks one, S gets 1 one, S gets 1 one, S gets 1 one, it fails NOTHING,
    it has_lasted 3, S gets_no_more

framing
  a message | inside.md, Byte order
    A sends <5>Hello, A gets <5>HELLO, A ends, A gets_all
  three in one piece, one of them empty | connection.md, Buffers
    A sends <1>a<0><1>b, A gets <1>A<0><1>B
  pieces of one byte, also of the length | connection.md, Buffers
    A sends_slowly <4>\0a\xe4\xbd, A gets <4>\0A\xe4\xbd
  1 MiB is not too long | connection.md, Buffers
    A sends <1048576>, A sends 1_MIB, A gets <1048576>, A gets 1_MIB
  1 MiB and a byte is, and 4,294,967,295 | exercises.md, Messages in a stream
    A sends <1048577>, A gets_all, B sends <4294967295>, B gets_all
  the end in the middle of a message | connection.md, Half-close
    A sends <5>Hell, A ends, A gets_all, B sends <1>b, B gets <1>B
  a reset in the middle of a length | connection.md, Reset
    A sends_slowly \0, A resets, C resets, D resets, B sends <0>, B gets <0>, it has_closed_all

transfer
  a file of 1 MiB, and an empty one | connection.md, Half-close
    it serves copy, A sends <1048576>, A sends 1_MIB, it succeeds, it has_copy 1_MIB,
    it serves copy, B sends <0>, it succeeds, it has_copy NOTHING
  the file is there with its last byte | exercises.md, Send a file
    it serves copy, A sends_slowly <2>\0, it has_no_copy, A sends \xe4,
    it succeeds, it has_copy \0\xe4, it has_files 1
  the end too early, twice: status 1, no file | connection.md, Half-close
    it serves copy, A sends <5>Hell, A ends, it fails, it has_files 0,
    it serves copy, B sends \0\0, B ends, it fails, it has_files 0
  a reset: the same | connection.md, Reset
    it serves copy, A sends_slowly <5>Hell, A resets, it fails, it has_files 0
  another file of this name stays | exercises.md, Send a file
    it serves copy, A sends_slowly <5>Hell, it finds_copy old, A sends o, it fails,
    it has_copy old, it has_files 1

chat
  one side speaks, the other is silent | connection.md, Buffers
    it starts, it types one\n, S gets one\n, S sends_slowly 你好\n, it prints 你好\n
  Ctrl-D, and the server goes on | connection.md, Half-close
    it starts, it types one, it ends, S gets_all one, S sends two\n, S ends,
    it succeeds two\n
  the server ends, and it goes on | connection.md, Half-close
    it starts, S sends one\n, S ends, it prints one\n, it types two\n,
    S gets two\n, it types three\n, S gets three\n, it ends, it succeeds
  16 MiB each way, at the same time | connection.md, When nobody reads
    it starts, it types& 16_MIB, S sends 16_MIB, S gets 16_MIB, S ends, it ends,
    it succeeds 16_MIB
  a reset, while nobody types: status 1 | connection.md, Reset
    it starts, S sends_slowly one, S resets, it fails one
  nobody listens: status 1 | trouble.md, ECONNREFUSED
    it starts_alone, it fails NOTHING

room
  what one says all others get | sockets.md, The calls
    {ENTER}, A sends one\n, B gets one\n, B sends two\n, A gets two\n
  pieces of one byte, three lines in one | connection.md, Buffers
    {ENTER}, A sends_slowly 你好\n, B gets 你好\n, A sends one\n\n\0\n, B gets one\n\n\0\n
  half a line waits for its newline | connection.md, Buffers
    {ENTER}, A sends_slowly on, B sends two\n, C gets two\n, A sends e\n, C gets one\n
  a line without end | connection.md, Buffers
    {ENTER}, A sends& ENDLESS, B sends one\n, C gets one\n
  one does not read, the others go on | connection.md, When nobody reads
    {ENTER}, {"A sends 60_LINES, C gets 60_LINES, " * 140}A ends, A gets_all
  one leaves in the middle of a line | connection.md, Half-close
    {ENTER}, A sends half, A ends, A gets_all, B sends one\n, C gets one\n
  one vanishes while it is spoken to | connection.md, Reset
    {ENTER}, D resets, {VANISH}, B sends two\nthree\n, C gets two\nthree\n, it has_closed_all
"""

# Where to read on: for what a failure has in it; else it is the page of the check.
ADVICE = r"""
waits for a connection | tcp.md, The calls
("ready"|standard output)[^|]*hangs | trouble.md, Nothing appears
SIGPIPE | exercises.md, Do not ignore SIGPIPE
descriptors | connection.md, Two sockets
gets all[^|]*hangs | connection.md, Half-close
the file | exercises.md, Send a file
(all but the newline|can't be started) |
before a NUL | misconceptions.md, What was read is a C string
reset by peer[^|]*status 1|status 1[^|]*reset by peer | connection.md, Reset
listens no more|reset by peer[^|]*status 0 | tcp.md, The calls
the first part | connection.md, Buffers
"""

notes = []  # what happened in this check
others = {}  # who plays in it, by name


# Returns bytes as a text, quoted and cut short.
def show(data):
    text = repr(data[:40].decode(errors="backslashreplace")).replace("\\\\x", "\\x")
    text = text[1:-1].replace('"', '\\"')
    return f'"{text[:40]}"' + (f"... ({len(data):,} bytes)" if len(text) > 40 else "")


# Fails if not just the expected bytes came, or if they ended in another way.
def compare(what, expected, came, end="", ending=""):
    if (came, ending) != (expected, end):
        same = len(os.path.commonprefix([came, expected]))
        where = f"\n  the difference begins at byte {same:,}" if same > 30 else ""
        if same == len(came) < len(expected) and not ending.startswith("-"):
            where += "\n  that is " + ("all but the newline" if expected[same:] == b"\n" else
                                       "the part before a NUL" if expected[same] == 0 else
                                       "the first part" if came else "nothing")
        raise AssertionError(f"{what}\n  expected: {show(expected)} {end}\n"
                             f"  came:     {show(came)} {ending}{where}")


# Waits until the program has done something, and fails if it ends instead.
def wait_for(what, is_done):
    notes.append(f"the judge waits for {what}")
    while not is_done():
        if it.process.poll() is not None and not is_done():
            raise AssertionError("the program ended before")
        time.sleep(0.002)
    notes.pop()


# Returns whether something can be read.
def has_come(sock, seconds=0):
    return bool(select.select([sock], [], [], seconds)[0])


# The program that is judged. It prints to files: so it never waits for the judge.
class Program:
    process = None

    def run(self, port, words):
        self.is_sent(b"KILL")
        self.files = [tempfile.NamedTemporaryFile() for _ in range(2)]
        operands = [] if words is None else words.decode().split("|")
        command = [*OPTIONS.program, HOST, str(port), *operands]
        notes[-1] = f"$ {subprocess.list2cmdline(command)}"
        self.begin = time.monotonic()
        try:
            self.process = Process(command, bufsize=0, stdin=subprocess.PIPE,
                                   stdout=self.files[0], stderr=self.files[1])
        except OSError as error:
            raise AssertionError(f"{command[0]} can't be started: {error.strerror}\n  is the path"
                                 f" right (./)? chmod +x {command[0]}? python3 in front?")

    def is_sent(self, name):
        if self.process and self.process.poll() is None:
            self.process.send(signal.Signals[f"SIG{name.decode()}"])

    # As a client of TCP; its operands stand between |.
    def starts(self, words=None):
        server = socket.create_server((HOST, 0))
        self.run(server.getsockname()[1], words)
        wait_for("a connection", lambda: has_come(server))
        others["S"] = Peer(server.accept()[0])

    # As a client of UDP.
    def asks(self, words):
        others.update(S=Datagrams(type=socket.SOCK_DGRAM), T=Datagrams(type=socket.SOCK_DGRAM))
        others["S"].bind((HOST, 0))
        self.run(others["S"].getsockname()[1], words)

    def starts_alone(self, words=None):
        self.run(1, words)  # at this port there is nobody

    # As a server, at a port below those that kernels choose from.
    def serves(self, name=None):
        self.port = 0
        while self.port == 0 or socket.socket().connect_ex((HOST, self.port)) == 0:
            self.port = random.randrange(10000, 32000)
        self.folder = tempfile.TemporaryDirectory()
        self.copy = pathlib.Path(self.folder.name, "copy")
        self.run(self.port, name and bytes(self.copy))
        wait_for('a line with "ready" (is it printed at once?)',
                 lambda: re.search(b"ready.*\n", self.printed(0) + self.printed(1)))
        self.before = self.processes()

    def printed(self, i=0):
        return pathlib.Path(self.files[i].name).read_bytes()

    def processes(self):
        return subprocess.getoutput(f"ps -L -o lwp= -g {self.process.pid} 2>/dev/null").encode()

    def has_no_new_process(self):
        compare("the process numbers:", self.before, self.processes())

    # How many descriptors are open, where that can be seen (Linux).
    def descriptors(self):
        return len(list(pathlib.Path(f"/proc/{self.process.pid}/fd").glob("*")))

    def counts_descriptors(self):
        self.at_first = self.descriptors()

    # With no client left, after a moment for it to see that. (A language may open one
    # or two of its own.)
    def has_closed_all(self):
        others.clear()
        wait_for(f"{self.at_first} descriptors, as without clients (what is not closed?)",
                 lambda: self.descriptors() <= self.at_first + 2)

    def types(self, data):
        self.process.stdin.write(data)

    def ends(self):
        self.process.stdin.close()

    def prints(self, data):
        wait_for("standard output", lambda: len(self.printed()) >= len(data))
        compare("standard output:", data, self.printed())

    def end(self):
        status = self.process and self.process.poll()
        if status is None:
            return "it runs" if self.process else "not started"
        return signal.Signals(-status).name if status < 0 else f"status {status}"

    def succeeds(self, output=None, end="status 0"):
        wait_for("its end", lambda: self.process.poll() is not None)
        output = self.printed() if output is None else output
        compare("standard output, the end:", output, self.printed(), end, self.end())

    def fails(self, output=None):
        self.succeeds(output, "status 1")

    def has_lasted(self, seconds):
        lasted = time.monotonic() - self.begin
        if not 0 <= lasted - int(seconds) < 4:
            raise AssertionError(f"but it took {lasted:.1f} s")

    def has_no_copy(self):
        if self.copy.exists():
            raise AssertionError("the file is there before its last byte has come")

    def has_copy(self, data):
        came = self.copy.read_bytes() if self.copy.exists() else b"(no file)"
        compare("the file:", data, came)

    def finds_copy(self, data):
        self.copy.write_bytes(data)

    def has_files(self, number):
        compare("its files:", number, b"%d" % len(os.listdir(self.folder.name)))


# One end of a connection; the program has the other one.
class Peer:
    def __init__(self, sock=None):
        try:
            self.sock = sock or socket.create_connection((HOST, it.port))
            ports = self.sock.getpeername()[1], self.sock.getsockname()[1]
        except OSError:  # refused, or reset at once
            raise AssertionError("the program listens no more, or has ended (one client only?)")
        self.line = re.compile(r":%04X \w+:%04X \w\w \w+:(\w+)" % ports)

    def connects(self):
        pass  # it is done

    def sends(self, data):
        with contextlib.suppress(OSError):  # if the program has closed, it shows later
            self.sock.sendall(data)

    def sends_all(self, data):
        self.sends(data)
        self.ends()

    # Byte by byte: each when the one before has been read.
    def sends_slowly(self, data):
        for i in range(len(data)):
            self.sends(data[i:i + 1])
            wait_for("the program to read that", self.is_read)

    # Returns whether the program has read all that was sent.
    def is_read(self):
        for table in sorted(pathlib.Path("/proc/net").glob("tcp*")):
            if found := next(filter(None, map(self.line.search, table.open())), None):
                return int(found[1], 16) == 0
        return True  # it has closed

    # Waits until nothing more is taken of what a thread sends.
    def is_stuck(self):
        while threading.active_count() > 1 and select.select([], [self.sock], [], 1)[1]:
            time.sleep(0.01)

    def gets(self, data, end=""):
        came, ending = b"", ""
        try:
            while not ending and data[:len(came)] == came and (end or came != data):
                piece = self.sock.recv(len(data) - len(came) or 1)
                came += piece
                ending = "" if piece else "the end of file"
        except (AssertionError, OSError) as error:
            ending = f"- {error}"
        compare("what came from the program:", data, came, end, ending)

    def gets_all(self, data=b""):
        self.gets(data, "the end of file")

    def ends(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def resets(self):
        # To linger (any number but 0) for no time.
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"yes!" + bytes(4))
        self.sock.close()


# A socket of UDP. The program's address is known when S has been asked.
class Datagrams(socket.socket):
    def gets(self, data):
        wait_for("a question", lambda: has_come(self))
        came, self.address = self.recvfrom(65536)
        compare("what came from the program:", data, came)

    # Goes on until the next check.
    def repeats(self, data):
        while others.get("S") is self:
            self.sendto(data, self.address)
            time.sleep(0.2)

    def gets_no_more(self):
        compare("what came then:", b"", self.recv(65536) if has_come(self) else b"")

    def sends(self, data):
        self.sendto(data, others["S"].address)


# Plays a conversation. What ends with & goes on while the next steps are played.
def play(script):
    notes.clear()
    others.clear()
    if not it.process and not re.match("it (starts|asks|serves)", script):
        script = SERVES + script  # the first check, or one after a failure
    for step in script.split(", "):
        who, verb, *data = step.split(" ", 2)
        data = [raw.encode().decode("unicode_escape").encode("latin1") for raw in data]
        data = [re.sub(b"<(\\d+)>", length, DATA.get(word, word)) for word in data]
        if OPTIONS.separator:
            data = [word.replace(SEPARATORS[OPTIONS.name], OPTIONS.separator) for word in data]
        name = {"it": "the program", "S": "the server", "T": "a stranger"}.get(who)
        action = verb.rstrip("&")
        words = [name or f"client {who}", action.replace("_", " "), *map(show, data)]
        notes.append(" ".join(words))
        if who != "it" and who not in others:
            others[who] = Peer()
        action = getattr(others.get(who, it), action)
        if verb.endswith("&"):
            threading.Thread(target=action, args=data, daemon=True).start()
        else:
            action(*data)


# The bytes of a length: <5>.
def length(match):
    return min(int(match[1]), 256 ** OPTIONS.length - 1).to_bytes(OPTIONS.length, "big")


# What the program has said on standard error: the first lines and the last one.
def last_words():
    lines = it.printed(1).decode(errors="backslashreplace").splitlines()
    lines[6:-1] = ["..."] * (len(lines) > 7)
    lines = ["".join(c if c.isprintable() else show(c.encode())[1:-1] for c in line)
             for line in lines]
    return "\n  ".join(["its standard error:", *lines] if lines else ["it said nothing"])


# Plays a check; returns what went wrong, or nothing.
def judge(page, script):
    limit(DEADLINE)
    try:
        play(re.sub(r"\n +", " ", script.strip()))
        return ""
    except (AssertionError, OSError) as error:
        limit(0)
        time.sleep(0.5)  # it may be just ending
        failure = f"  {notes[-1]}\n{error}\nthe program: {it.end()}; {last_words()}"
        rows = [row.split(" |") for row in ADVICE.strip().split("\n")]
        page = next((place for words, place in rows if re.search(words, failure)), page)
        report = [*(f"  {note}" for note in notes[-8:-1]), failure]
        report += [f"see docs/{page.strip()}"] if page else []
        it.is_sent(b"KILL")
        it.process = None
        return "\n".join(report)


# Plays the checks of an exercise; returns whether one failed.
def judge_all():
    rows = CHECKS.partition(f"\n{OPTIONS.name}\n")[2].partition("\n\n")[0] + "\n"
    checks = re.findall(r"^  (\S.*) \| (.*)\n((?:    .*\n)+)", rows, re.M)
    suite = xml.Element("testsuite", name=OPTIONS.name, tests=f"{len(checks)}")
    for words, page, script in checks:
        if waits := re.search(r"has_lasted (\d+)", script):
            print(f"(the next check waits {waits[1]} s)", flush=True)
        report = judge(page, script)
        print(f"FAILED: {words}\n{report}" if report else f"ok: {words}", flush=True)
        case = xml.SubElement(suite, "testcase", classname=OPTIONS.name, name=words)
        if report:
            xml.SubElement(case, "failure", message=f"FAILED: {words}").text = report
            if not OPTIONS.keep_going and not OPTIONS.junit:
                return True
    failures = len(suite.findall("*/failure"))
    suite.set("failures", f"{failures}")
    if OPTIONS.junit:
        xml.ElementTree(suite).write(OPTIONS.junit, "utf-8")
    print(f"{len(checks) - failures} of {len(checks)}",
          "passed" if failures else f"passed; a solution: docs/solutions/{OPTIONS.name}.c")
    return failures > 0


# The command line. A number is the exercise that has it in the page.
def read_command_line():
    parser = argparse.ArgumentParser(
        prog="exercise.sh", usage="sh tests/exercise.sh [OPTION...] NAME PROGRAM...\n"
        "       sh tests/exercise.sh break NAME")
    parser.add_argument("--keep-going", action="store_true", help="go on after a failure")
    parser.add_argument("--junit", metavar="FILE", help="go on; results to FILE, for a CI")
    parser.add_argument("--length", metavar="BYTES", type=int, choices=range(3, 9), default=4,
                        help="framing, transfer: the length has so many bytes, not 4")
    parser.add_argument("--separator", type=os.fsencode, help="numbered, room: another one")
    parser.add_argument("name", metavar="NAME", help="the exercise, or its number")
    parser.add_argument("program", metavar="PROGRAM", nargs=argparse.REMAINDER,
                        help="how yours is started")
    options = parser.parse_args()
    given, known = options.name, re.findall(r"^\w+$", CHECKS, re.M)
    section = (ROOT / "docs/exercises.md").read_text().partition(f"\n### {given}. ")[2]
    if found := re.search(r"exercise\.sh (break )?([a-z_]+)", section):
        options.name = found[2]
    if (ROOT / f"docs/breaks/{options.name}.sed").exists():
        parser.error(f"{given} is a break: sh tests/exercise.sh break {given}")
    if options.name not in known:
        parser.error(f"NAME is the number of an exercise, or one of\n  {' '.join(known)}")
    if not options.program:
        parser.error("how is your program started?")
    if (options.length != 4 and options.name not in ("framing", "transfer")
            or options.separator and options.name not in SEPARATORS):
        parser.error(f"{options.name} has no such variant")
    return options


OPTIONS = read_command_line()
it = Program()
sys.exit(judge_all())
