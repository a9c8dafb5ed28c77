#!/usr/bin/env python3
#
# story.py - the story is true: what the programs say on standard error is
# what strace sees them do.
#
# usage: python3 story.py PROGRAMS_FOLDER
#
# Plays conversations and the usual mistakes under strace. A trace has both,
# the calls of each process and the lines that it writes, in their order. Each
# call of the life cycle must be followed by its line, with its arguments, its
# result and its data, before the next call; each line that looks like a call
# must follow it; a call that waits for the other side must follow the line that
# says so; and nothing may follow a hint.
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
     "tcp_client HERE PORT ODD"),
    ('= 6 "reply', "tcp_server -n 1 HERE 0 reply", "tcp_client HERE PORT"),
    ("= 7", "tcp_server -n 1 HERE 0", "tcp_client localhost PORT -"),
    ("SIGTERM", "tcp_server HERE 0"),
    ("ECONNREFUSED", "tcp_client HERE TAKEN_TCP"),
    ("EADDRINUSE", "tcp_server HERE TAKEN_TCP"),
    ("EADDRNOTAVAIL", "tcp_server 192.0.2.1 0"),
    ("multicast", "tcp_server 224.0.0.1 0"),
    ("EAI_NONAME", "tcp_client fe80::1%no 80"),
    ("recvfrom(3, 127", "udp_server -n 1 HERE 0", "udp_client HERE PORT"),
    ('= 5 "reply', "udp_server -n 1 HERE 0 reply", "udp_client HERE PORT ODD"),
    ("= 6", "udp_server -n 3 HERE 0", "udp_client localhost PORT -"),
    ("SIGTERM", "udp_server HERE 0"),
    ("ECONNREFUSED", "udp_client HERE REFUSING_UDP"),
    ("EADDRINUSE", "udp_server HERE TAKEN_UDP"),
    ("EADDRNOTAVAIL", "udp_server 192.0.2.1 0"),
    ("EMSGSIZE", "udp_client HERE TAKEN_UDP LONG"),
    ("try 3 of 3", "udp_client HERE TAKEN_UDP"),
    ("unlink(new)", "unix_server -n 2 new", "unix_client new",
     "unix_client new ODD"),
    ('= 6 "reply', "unix_server -n 1 ODD reply", "unix_client ODD"),
    ("= 7", "unix_server -n 1 new", "unix_client new -"),
    ("SIGTERM", "unix_server killed"),
    ("look at the server", "unix_client closing -"),
    ("ENOENT", "unix_client new"),
    ("ENOENT", "unix_server no_folder/new"),
    ("ECONNREFUSED", "unix_client stale"),
    ("ECONNREFUSED", "unix_client file"),
    ("unlink(stale)", "unix_server -n 1 stale", "unix_client stale"),
    ("EPROTOTYPE", "unix_server live"),
    ("EADDRINUSE", "unix_server file"),
    ("= -1 EEXIST", "fifo_reader new", "fifo_writer new"),
    ("= -1 EEXIST", "fifo_writer ODD ODD", "fifo_reader ODD"),
    ('= 7 "a line', "fifo_reader new", "fifo_writer new -"),
    ("SIGTERM", "fifo_writer new"),
    ("SIGTERM", "fifo_reader new"),
    ("ENOENT", "fifo_reader no_folder/new"),
    ("ENOENT", "fifo_writer no_folder/new"),
    ("not a FIFO", "fifo_reader file"),
    ("not a FIFO", "fifo_writer live"),
)

# The words that a C library, or we, have chosen.
WORDS = (
    (r"(= -1 E\w+) \(.*\)$", r"\1"),
    (r"^(read\(\d+\) = 0), end of file$", r'\1 ""'),
)
# How the story has the addresses and descriptors of a trace. Others keep their
# <path>, and so fit no call below: they are the C library's own.
OPERANDS = (
    (r'\{sa_family=AF_INET, .*?(\d+)\), .*?"(.*?)"\)\}', r"\2:\1"),
    (r'\{sa_family=AF_INET6, .*?(\d+)\), .*?"(.*?)".*?\}', r"[\2]:\1"),
    (r'\{sa_family=AF_UNIX, sun_path="(.*?)"\}', r"\1"),
    (r"\b(\d)<[^<>]*/story-[^<>]*>(\(deleted\))?", r"\1"),
    (r"\b(\d)<socket:[^<>]*>", r"\1"),
    (r"\b([01])<[^<>]*>", r"\1"),
)
# How the story has the calls of the life cycle; both here without ")". Paths
# of the C library's own files are absolute (\x2f is the slash).
PATH = r'(?:at)?\((?:AT_FDCWD\S* )?"(?!\\x2f)(.*?)"'
DATA = r'\((\d+), (".*?"|0x\w+)\.*, \d+'
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
    ("(read|write)" + DATA, r"\1(\2"),
    ("(recvfrom|sendto)" + DATA + ", 0, (NULL|0x).*", r"\1(\2"),
    ("(recvfrom|sendto)" + DATA + r", 0, (\S+), .*", r"\1(\2, \4"),
)
# The calls that wait for the other side; those of UDP's connect, and of the one
# with which unix_server tries the path, do not.
WAITING = r"(accept|open|read|recvfrom)\((?!0)|connect.*(tcp|unix)_client"


# Puts something into the folder. Returns what the words in capitals stand for,
# and sockets that have the ports and the paths.
def open_stage():
    values = {"HERE": "127.0.0.1", "LONG": 70000 * "x",
              "ODD": 'q"\\n管\033' + 30 * "é"}
    sockets = {}
    for name in ("TAKEN_TCP", "TAKEN_UDP", "REFUSING_UDP", "stale", "live",
                 "closing"):
        family = socket.AF_UNIX if name.islower() else socket.AF_INET
        datagrams = socket.SOCK_DGRAM if "UDP" in name else 0
        one = socket.socket(family, datagrams or socket.SOCK_STREAM)
        one.bind(name if name.islower() else ("127.0.0.1", 0))
        if name.isupper():
            values[name] = str(one.getsockname()[1])
        if name == "REFUSING_UDP":
            one.connect(one.getsockname())  # refuses all but itself
        if name == "stale":
            one.close()
        if name in ("live", "closing"):
            one.listen()
        sockets[name] = one
    os.close(os.open("file", os.O_CREAT))
    return values, sockets


# Plays a scene. The traces of its programs are 0, 1, ...
def play(folder, said, commands, values, sockets):
    programs = []
    for command in commands:
        name, *words = command.split()
        # -D: the program is our child; strace, behind it, keeps standard error
        # open until all is traced. -y shows what a descriptor is.
        program = Process(
            ["strace", "-D", "-f", "-q", "-y", "-xx", "-s", "999",
             "-o", str(len(programs)), folder + "/" + name,
             *[values.get(word, word) for word in words]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8")
        programs.append(program)
        if words[0] == "closing":
            sockets["closing"].accept()[0].close()
            words = program.stderr.read()  # its input is still open
        printer = program if "client" in name else programs[0]
        for _ in range(3 if words[-1] == "-" else 0):
            program.stdin.write("a line\n")
            program.stdin.flush()
            printer.stdout.readline()
        if "client" in name:
            program.communicate()
        elif command != commands[-1] or said == "SIGTERM":
            line = " "
            while line and not re.search("waits for a |ready on ", line):
                line = program.stderr.readline()
            values["PORT"] = line.rpartition(":")[2].strip()
    if said == "SIGTERM":
        program.terminate()
    for program in reversed(programs):
        if not program.stdin.closed:
            program.communicate()


# Returns the lines of each process in a trace, interrupted ones in one piece.
def lines_of(path):
    lines = {}
    with open(path, encoding="ascii") as trace:
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


# A text of strace, in which all is \x.., or of the story, with its escapes. Each
# character of the result is a byte.
def read_back(text):
    return re.sub(r"(?s)\\(x..|.)", lambda match: chr(int(match[1][1:], 16))
                  if match[1][1:] else match[1].replace("n", "\n"), text)


# Returns how the story must tell a line of the trace; or "", if it is no call of
# the life cycle, or one of standard input and output that works.
def told_for(text):
    text = re.sub("<.*?>", lambda match: read_back(match[0]), text)
    call = re.match(r"(.*?) *\) += (\?|-?\d+(?: E[A-Z]+)?)",
                    replaced(text, OPERANDS))
    if not call or re.match(r"\w+\([01], .* = \d", call[0]):
        return ""
    for pattern, form in CALLS:
        match = re.fullmatch(pattern, call[1])
        if match:
            told = match.expand(form) + ") = " + call[2]
            if DATA in pattern and call[2].isdigit():
                told += " " + match[3]
            return read_back(told)
    return ""


# Whether a line tells this; data may be cut short after 32 bytes on the screen.
def tells(line, told):
    begin, _, data = line.partition(' "')
    cut = len(data) >= 32 + len('..."') and data.endswith('..."')
    return read_back(line) == told or cut and told.startswith(
        read_back(line[:-4]))


# Follows a process; `made` is what it has to tell first. Returns what it has
# said; and, up to the first fault, trace and story side by side. What the C
# library does before the line of getaddrinfo need not be told.
def follow(lines, speaker, made):
    awaited = own = story = fault = ""
    rows = []
    for text in lines:
        said = re.match(r'write\(2<.*?>, "(.*)", \d+\) += \d+$', text)
        told = told_for(text)
        if said:
            line = read_back(said[1])
            rows.append("%-76s | %s" % ("", line.rstrip("\n")))
            name, _, said = line.rstrip("\n").partition(": ")
            said = replaced(said, WORDS)
            waits = re.match(r"(\w+\((?!0).+)\) waits for ", said)
            if name != speaker or line.find("\n") != len(line) - 1:
                fault = "no whole line of this process"
            elif re.search(": hint: .*\n.", story):
                fault = "the hint before this is not the last line"
            elif made == "getaddrinfo" or re.match(r"\w+\(.*\) = ", said):
                if not tells(said, made) and said.partition("(")[0] != made:
                    fault = "told, but the call was: " + made
                made = ""
            elif made:
                fault = "said, but this was due: " + made
            elif re.match(r"ready on .*:\d+$", said) and said != own:
                fault = "it is " + own
            elif waits:
                awaited = read_back(waits[1])
            story += line
        elif text.startswith("+++ killed"):
            story += text
            made = awaited = ""
        elif re.match(r"read\(0<", text) and "read(0) waits for" not in story:
            fault = "standard input is read, and nothing said so"
        elif told.startswith("getsockname"):
            own = re.sub(r"getsockname\((.*)\) = 0", r"ready on \1", told)
        elif told and made != "getaddrinfo":
            rows.append("%-76.76s |" % read_back(text))
            if made or not told.startswith(awaited):
                fault = "called, but this was due: " + made + awaited
            elif re.match(WAITING, told + speaker) and not awaited:
                fault = "it waits, and nothing said so"
            if not told.endswith("?"):  # stopped, and made again; or killed
                made, awaited = told, ""
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
        made = "getaddrinfo" if name[:3] in ("tcp", "udp") else ""
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
            play(folder, said, commands, values, sockets)
            failures += not is_true(said, commands)
        os.chdir("/")
    print("%d of %d scenes are not true" % (failures, len(SCENES)))
    return 1 if failures else 0


sys.exit(main())
