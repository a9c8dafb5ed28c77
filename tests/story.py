#!/usr/bin/env python3
#
# story.py - the story is true: what the programs say on standard error is
# what strace sees them do.
#
# usage: python3 story.py PROGRAMS_FOLDER
#
# Plays conversations and the usual mistakes under strace. A trace has both,
# the calls of each process and the lines that it writes, in their order. Each
# call of the life cycle must be followed by its line, with its arguments and
# its result, before the next call; each such line must follow its call; and
# the call that a process says it waits in must be its next.
#
# Exit status: 0 true, 1 not true, 77 skipped: strace is missing or may not
# trace here (with STORY_REQUIRED in the environment that is 1, too).
import os
import re
import socket
import subprocess
import sys
import tempfile

from process import Process, limit

DEADLINE = 30  # seconds for a scene: only a hang takes so long

# What must be said, or the signal that ends the program; and the programs,
# each started when the one before waits, or has ended if it is a client. PORT
# is that of the ready line. For HERE, ports such as TAKEN_TCP, and what is at
# the paths, see open_stage().
SCENES = (
    ("accept(3, 127", "tcp_server -n 2 HERE 0", "tcp_client HERE PORT",
     "tcp_client HERE PORT One"),
    ('= 6 "reply', "tcp_server -n 1 HERE 0 reply", "tcp_client HERE PORT"),
    ("= 7", "tcp_server -n 1 HERE 0", "tcp_client localhost PORT -"),
    ("SIGTERM", "tcp_server HERE 0"),
    ("ECONNREFUSED", "tcp_client HERE TAKEN_TCP"),
    ("EADDRINUSE", "tcp_server HERE TAKEN_TCP"),
    ("EADDRNOTAVAIL", "tcp_server 192.0.2.1 0"),
    ("recvfrom(3, 127", "udp_server -n 1 HERE 0", "udp_client HERE PORT"),
    ('= 5 "reply', "udp_server -n 1 HERE 0 reply", "udp_client HERE PORT"),
    ("= 6", "udp_server -n 3 HERE 0", "udp_client localhost PORT -"),
    ("SIGTERM", "udp_server HERE 0"),
    ("ECONNREFUSED", "udp_client HERE REFUSING_UDP"),
    ("EADDRINUSE", "udp_server HERE TAKEN_UDP"),
    ("EADDRNOTAVAIL", "udp_server 192.0.2.1 0"),
    ("try 3 of 3", "udp_client HERE TAKEN_UDP"),
    ("unlink(new)", "unix_server -n 2 new", "unix_client new",
     "unix_client new One"),
    ('= 6 "reply', "unix_server -n 1 new reply", "unix_client new"),
    ("= 7", "unix_server -n 1 new", "unix_client new -"),
    ("SIGTERM", "unix_server new"),
    ("ENOENT", "unix_client new"),
    ("ENOENT", "unix_server no_folder/new"),
    ("ECONNREFUSED", "unix_client stale"),
    ("ECONNREFUSED", "unix_client file"),
    ("unlink(stale)", "unix_server -n 1 stale", "unix_client stale"),
    ("EPROTOTYPE", "unix_server live"),
    ("EADDRINUSE", "unix_server file"),
    ("= -1 EEXIST", "fifo_reader new", "fifo_writer new"),
    ("= -1 EEXIST", "fifo_writer new", "fifo_reader new"),
    ('= 7 "a line', "fifo_reader new", "fifo_writer new -"),
    ("SIGTERM", "fifo_writer new"),
    ("SIGTERM", "fifo_reader new"),
    ("ENOENT", "fifo_reader no_folder/new"),
    ("ENOENT", "fifo_writer no_folder/new"),
    ("lstat(file) = 0", "fifo_reader file"),
    ("lstat(file) = 0", "fifo_writer file"),
)

# How lines of the story are compared: without words that a C library, or we,
# have chosen.
SAID = (
    (r"(= -1 E\w+) \(.*\)$", r"\1"),
    (r"^getaddrinfo\(\S+, \d+\) = 0$", "getaddrinfo() = 0"),
    (r"^ready on (.*:\d+)$", r"getsockname(\1) = 0"),
    (r"^(read\(\d+\) = 0), end of file$", r"\1"),
    (r"^(lstat\(.*\) = 0), not a FIFO of this user$", r"\1"),
)
# How the story has the addresses and descriptors of a trace. Descriptors that
# are no socket and no file of ours keep their <path>, and so fit no call below:
# they are standard input, output and error, or the C library's own.
OPERANDS = (
    (r'\{sa_family=AF_INET, .*?(\d+)\), .*?"(.*?)"\)\}', r"\2:\1"),
    (r'\{sa_family=AF_INET6, .*?(\d+)\), .*?"(.*?)".*?\}', r"[\2]:\1"),
    (r'\{sa_family=AF_UNIX, sun_path="(.*?)"\}', r"\1"),
    (r"(\d)<(?!pipe)(\w+:\[|/[^<>]*/story-)[^<>]*>(\(deleted\))?", r"\1"),
)
# How the story has the calls of the life cycle; both here without ")". Paths
# of the C library's own files are absolute.
PATH = r'(?:at)?\((?:AT_FDCWD\S+ )?"([^/].*?)"'
DATA = r'\((\d+), ("(?:[^"\\]|\\.)*"|0x\w+), \d+'
CALLS = (
    (r"socket\((\w+), (\w+), \w+", r"socket(\1, \2"),
    (r"setsockopt\((\d+), \w+, (\w+?)(_OLD)?, .*", r"setsockopt(\1, \2"),
    (r"(bind|connect)\((\d+, \S+), \d+", r"\1(\2"),
    (r"(listen|shutdown|close)\(\d+[^<]*", r"\g<0>"),
    (r"getsockname\(\d+, (\S+), .*", r"getsockname(\1"),
    (r"accept4?\((\d+), (NULL|0x).*", r"accept(\1"),
    (r"accept4?\((\d+, \S+), .*", r"accept(\1"),
    (r"v?fork\(|clone3?\(.*SIGCHLD.*", r"fork("),
    ("mknod" + PATH + r", S_IFIFO\|(\d+)", r"mkfifo(\1, \2"),
    ("open" + PATH + r", (O_[A-Z]+).*", r"open(\1, \2"),
    ("unlink" + PATH + ".*", r"unlink(\1"),
    ("(lstat|newfstat)" + PATH + ".*", r"lstat(\2"),
    ("(read|write)" + DATA, r"\1(\2"),
    ("(recvfrom|sendto)" + DATA + ", 0, (NULL|0x).*", r"\1(\2"),
    ("(recvfrom|sendto)" + DATA + r", 0, (\S+), .*", r"\1(\2, \4"),
)


# Puts something into the folder. Returns what the words in capitals stand for,
# and sockets that keep the ports and `live`.
def open_stage():
    values = {"HERE": "127.0.0.1"}
    sockets = []
    for name in ("TAKEN_TCP", "TAKEN_UDP", "REFUSING_UDP", "stale", "live"):
        family = socket.AF_UNIX if name.islower() else socket.AF_INET
        datagrams = socket.SOCK_DGRAM if "UDP" in name else 0
        sockets.append(socket.socket(family, datagrams or socket.SOCK_STREAM))
        sockets[-1].bind(name if name.islower() else ("127.0.0.1", 0))
        if name.isupper():
            values[name] = str(sockets[-1].getsockname()[1])
    sockets[2].connect(sockets[2].getsockname())  # refuses all but itself
    sockets[3].close()
    sockets[4].listen()
    os.close(os.open("file", os.O_CREAT))
    return values, sockets


# Plays a scene. The traces of its programs are 0, 1, ...
def play(folder, said, commands, values):
    programs = []
    for command in commands:
        name, *words = [values.get(word, word) for word in command.split()]
        # -D: the program is our child; strace, behind it, keeps standard error
        # open until all is traced. -y shows what a descriptor is.
        program = Process(
            ["strace", "-D", "-f", "-q", "-y", "-s", "999",
             "-o", str(len(programs)), folder + "/" + name, *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8")
        programs.append(program)
        printer = program if "client" in name else programs[0]
        for _ in range(3 if words[-1] == "-" else 0):
            program.stdin.write("a line\n")
            program.stdin.flush()
            printer.stdout.readline()
        if "client" in name:
            program.communicate()
        elif command != commands[-1] or said == "SIGTERM":
            values["PORT"] = program.read_until(r"waits for a |ready on .*?(\d*)$")[1]
    if said == "SIGTERM":
        program.terminate()
    for program in reversed(programs):
        if not program.stdin.closed:
            program.communicate()


# Returns the lines of each process in a trace, interrupted ones in one piece.
def lines_of(path):
    lines = {}
    with open(path, encoding="utf-8") as trace:
        for line in trace:
            process, text = line.rstrip().split(maxsplit=1)
            own = lines.setdefault(process, [])
            if text.startswith("<... "):
                text = text.split(" resumed>")[1]
                text = own.pop().replace(" <unfinished ...>", text)
            own.append(text)
    return lines


def replaced(text, table):
    for pattern, form in table:
        text = re.sub(pattern, form, text)
    return text


# Returns how the story must tell a line of the trace, and the data that may
# follow; or twice "", if it is no call of the life cycle.
def told_for(text):
    call = re.match(r"(.*?) *\) += (\?|-?\d+(?: E[A-Z]+)?)", text)
    for pattern, form in CALLS if call else ():
        match = re.fullmatch(pattern, call[1])
        if match:
            return (match.expand(form) + ") = " + call[2],
                    " " + match[3] if DATA in pattern else "")
    return "", ""


# Follows a process; `made` is what it has to tell first. Returns what it has
# said; and, up to the first fault, trace and story side by side. Need not be
# told:
# - what the C library does, for the loader and the locale (see OPERANDS and
#   PATH), and before the line of getaddrinfo for that;
# - calls that a signal has interrupted: the next one has to be the same;
# - a write that would have to wait, where poll waits (EAGAIN);
# - what the handler of SIGTERM does, where stdio must not be used;
# - lstat, unless something that is no FIFO is in the way.
def follow(lines, speaker, made):
    data = awaited = unsaid = story = fault = ""
    in_handler = False
    rows = []
    for text in lines:
        text = replaced(text, OPERANDS)
        told, told_data = told_for(text)
        if re.match(r"writev?\(2<", text):
            line = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text))
            line = line.encode().decode("unicode_escape")
            story += line
            rows.append("%-76s | %s" % ("", line.rstrip("\n")))
            name, _, said = line.partition(": ")
            said = replaced(said.rstrip("\n"), SAID)
            waits = re.match(r"(\w+\((?!0).+)\) waits for", said)
            if name != speaker or line.find("\n") != len(line) - 1:
                fault = "no whole line of this process"
            elif made or re.match(r"\w+\(.*\) = ", said):
                if said not in (made, made + data, unsaid):
                    fault = "told, but the call was: " + made
                made = ""
            elif waits:
                awaited = waits[1]
        elif text.startswith("+++ killed"):
            story += text
            awaited = made = ""
        elif re.match("--- SIGTERM|rt_sigreturn", text):
            in_handler = text[0] == "-"
        elif told.startswith("lstat"):
            unsaid = told
        elif told and not in_handler and not made.startswith("getaddrinfo"):
            rows.append("%-76.76s |" % text)
            if made or not told.startswith(awaited):
                fault = "called, but this was due: " + made + awaited
            awaited = ""
            if re.search(r"= (\?|-1 EINTR)", told):
                awaited = told.split(")")[0]
            elif not re.match("write.*EAGAIN", told):
                made = told
                data = told_data
        if fault:
            return story, rows + [fault]
    if made or awaited:
        return story, rows + ["at the end this was due: " + made + awaited]
    return story, []


# Compares the stories of a scene with its traces. Returns whether they agree.
def is_true(said, commands):
    all_said = ""
    faults = []
    for i, command in enumerate(commands):
        speaker = name = command.split()[0]
        made = "getaddrinfo() = 0" if name[:3] in ("tcp", "udp") else ""
        for process, lines in lines_of(str(i)).items():
            if made == "fork() = 0":
                speaker = "%s[%s]" % (name, process)
            story, rows = follow(lines, speaker, made)
            made = "fork() = 0"
            all_said += story
            faults += rows
    if said not in all_said:
        faults += [all_said + "not said: " + said]
    print("\n".join(faults), end="\n" if faults else "")
    return not faults


def main():
    folder = os.path.realpath(sys.argv[1])
    # A leak checker can't work in a program that is traced.
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    if subprocess.call("strace -D -qq -o /dev/null true 2>/dev/null",
                       shell=True) != 0:
        print("Skipped: strace is missing, or may not trace here")
        return 1 if "STORY_REQUIRED" in os.environ else 77
    failures = 0
    with tempfile.TemporaryDirectory(prefix="story-") as stage:
        os.chdir(stage)
        values, sockets = open_stage()
        for said, *commands in SCENES:
            print("---- " + " | ".join(commands), flush=True)
            limit(DEADLINE)
            play(folder, said, commands, values)
            failures += not is_true(said, commands)
        os.chdir("/")
    print("%d of %d scenes are not true" % (failures, len(SCENES)))
    return 1 if failures else 0


sys.exit(main())
