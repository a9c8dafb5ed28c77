# stepper.py - lets programs go on one call at a time, and looks at what the
# system holds while all of them stand still.
#
# Needs Linux on x86-64, root, and namespaces of its own (see record.py). A
# program is linked with -no-pie, and its source is beside it in the folder.
#
# Each terminal is a real shell on a pseudo-terminal. A program that it starts
# from the folder is stopped, by ptrace(2), after each call that its story
# tells and after each line that it prints; and when it has said that it waits,
# before that call: so what arrives is seen in its queue or buffer first.
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import termios
import time
from pathlib import Path

from namespaces import run

QUIET = 0.03  # seconds without an event: what can happen has happened
PATIENCE = 0.5  # seconds until a kernel acknowledges what it has received
CALLS = {0: "read", 1: "write", 3: "close", 41: "socket", 42: "connect", 43: "accept",
         44: "sendto", 45: "recvfrom", 48: "shutdown", 49: "bind", 50: "listen", 54: "setsockopt",
         56: "fork", 61: "waitpid", 87: "unlink", 257: "open", 259: "mkfifo"}  # as glibc has them
SLEEPS = ("35", "230")  # nanosleep, clock_nanosleep
INTERRUPTED = range(-516, -511)  # what the kernel returns for a call to be made again
UNACKNOWLEDGED = r"(?m)^ *\d+: (\S+ ){4}01:"  # in /proc/net/tcp: it may be sent again
OTHERS = r"(?m)^(?!.* 127.0.0.1:1 ).+"  # sockets, but for one of record.py
PROMPT = r"(^|\n)[$#] \Z"
KEYS = {"^C": "\3", "^D": "\4", "^Z": "\32"}

# Requests and options of ptrace(2), and a call that Python does not have.
CONT, SYSCALL, SEIZE, LISTEN, CALL_INFO = 7, 24, 0x4206, 0x4208, 0x420E
OPTIONS = 1 | 2 | 4 | 8 | 16 | 1 << 20  # each call, each new process, exec, end with us
EVENT_EXEC, EVENT_STOP = 4, 128
ALL_CHILDREN = 0x40000000  # __WALL
GETFD = 438  # pidfd_getfd

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


# A shell in a folder, of a user.
class Terminal:
    def __init__(self, folder, user):
        self.text = ""  # what came since the last take()
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            os.chdir(folder)
            os.setgid(user)
            os.setuid(user)
            os.execlpe("bash", "bash", "--norc", "--noprofile", "--noediting", "-i",
                       {"PATH": os.environ["PATH"], "PS1": "$ " if user else "# "})
        self.read(PROMPT)

    # Reads what comes, at least until the text matches.
    def read(self, pattern=""):
        while select.select([self.fd], [], [], 0)[0] or not re.search(pattern, self.text):
            self.text += os.read(self.fd, 65536).decode().replace("\r", "")

    # Returns what came. A prompt at its end belongs to what is typed next.
    def take(self):
        self.read()
        text, self.text = re.fullmatch(r"(?s)(.*?)((?<![^\n])[$#] )?", self.text).groups("")
        return text


# Whatever a shell starts, and its children.
# - held: why it stands still: it is to "start", at the "door" of a call, behind a "call",
#   behind a "line" that it printed, for "others", "suspended", "end"; or None.
# - doing: the call that it is in. call: the one that was made, and not yet told; fd: its
#   descriptor. waits: the one that it has said it waits in.
# - status: that of wait(2), when it has ended.
class Process:
    held = doing = call = fd = waits = status = None

    def __init__(self, pid, terminal, parent):
        self.pid, self.terminal, self.parent = pid, terminal, parent
        self.source = parent and parent.source  # its file, if it is one of the programs
        self.line = parent and parent.line  # its place there

    # As its story has it.
    def label(self):
        return Path(self.source).stem + (f"[{self.pid}]" if self.parent else "")


# Whether it is not held, and does not wait for more than the clock.
def is_running(process):
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]
    call = Path(f"/proc/{process.pid}/syscall").read_text().split()[0]
    return not process.held and (state != "S" or call in SLEEPS)


# What a function finds in a copy of a process's descriptor.
def borrow(pid, fd, look):
    with open(os.pidfd_open(pid), "rb", 0) as pidfd, open(
            libc.syscall(GETFD, pidfd.fileno(), fd, 0), "rb", 0) as copy:
        return look(copy)


# The address of a socket, as its program has it.
def address_of(file):
    with socket.socket(fileno=os.dup(file.fileno())) as copy:
        return ":".join(map(str, copy.getsockname()))


class Stepper:
    # sources: the lines of each file, by its path.
    def __init__(self, folder, sources):
        self.folder, self.sources = folder, sources
        self.terminals, self.processes = [], {}
        self.current = None  # whose turn it is
        self.helpers = "|".join(re.findall(r"\b(\w+)\(", "".join(sources["common/helper.h"])))
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def open_terminal(self, user):
        self.terminals.append(one := Terminal(self.folder, user))
        self.processes[one.shell] = Process(one.shell, one, None)
        self.ptrace(SEIZE, one.shell, OPTIONS)

    def ptrace(self, request, pid, data=0, address=0):
        if libc.ptrace(request, pid, address, data) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace {request}")

    # Lets a process go on, with a signal or without. It may have been killed meanwhile.
    def resume(self, pid, number=0):
        process = self.processes.get(pid)
        if process:
            process.held = None
        libc.ptrace(SYSCALL if process and process.source else CONT, pid, 0, number)

    # Takes what happens, until all programs stand still or wait for something other
    # than the clock, and the kernels have acknowledged what they received.
    def pump(self):
        limit = time.monotonic() + PATIENCE
        while True:
            while (found := os.waitpid(-1, os.WNOHANG | ALL_CHILDREN)) != (0, 0):
                self.take_stop(*found)
            if not (signal.sigtimedwait([signal.SIGCHLD], QUIET)
                    or any(map(is_running, self.living()))
                    or re.search(UNACKNOWLEDGED, Path("/proc/net/tcp").read_text())
                    and time.monotonic() < limit):
                return

    def take_stop(self, pid, status):
        process, number, event = self.processes.get(pid), os.WSTOPSIG(status), status >> 16
        if not os.WIFSTOPPED(status):
            if process and process.held != "end":
                process.held, process.status = "end", status
        elif event == EVENT_STOP and number != signal.SIGTRAP:
            process.held = "suspended"
            self.ptrace(LISTEN, pid)
        elif process is None and event == EVENT_STOP:
            self.begin_process(pid)
        elif process and number == signal.SIGTRAP | 0x80:
            self.take_call(process)
        else:
            path = Path(os.readlink(f"/proc/{pid}/exe"))
            if event == EVENT_EXEC and path.is_relative_to(self.folder):
                process.source, process.parent = f"{path.relative_to(self.folder)}.c", None
                process.held = "start"
            else:
                self.resume(pid, 0 if event else number)

    def begin_process(self, pid):
        parent = self.processes[int(re.search(
            r"PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])]
        self.processes[pid] = process = Process(pid, parent.terminal, parent)
        if process.source:
            process.call, process.held = "fork", "call"
        else:
            self.resume(pid)

    # A call begins or returns: its process stands still, or goes on.
    def take_call(self, process):
        info = ctypes.create_string_buffer(88)
        self.ptrace(CALL_INFO, process.pid, ctypes.addressof(info), len(info))
        kind, stack, number, fd = struct.unpack_from("<B15xQqq", info)
        if kind == 1:
            self.begin_call(process, CALLS.get(number), fd, stack)
        elif number not in INTERRUPTED:
            held = {None: None, "waitpid": None, "output": "line"}.get(process.doing, "call")
            process.held = held or (None if process is self.current else "others")
        if not process.held:
            self.resume(process.pid)

    def begin_call(self, process, name, fd, stack):
        process.doing = None
        output = name == "write" and os.readlink(
            f"/proc/{process.pid}/fd/{fd}").startswith("/dev/pts/")
        line = name and self.find_line(process, stack, self.helpers if output else name)
        if output:
            process.doing = "output"
            process.line = process.line if process.call else line or process.line
            process.held = None if process is self.current else "others"
        elif line:
            process.doing, process.call = name, name != "waitpid" and name
            process.line, process.fd = line, fd
            process.held = "door" if name == process.waits else None
            process.waits = process.held and name

    # The line of the program's own file from which it came to this call; None if
    # the C library made it. Of the words on the stack those are return addresses
    # before which the source calls what was called; for a helper, which may have a
    # macro as its name, the outermost: its own frame has old addresses in it.
    def find_line(self, process, stack, call):
        with open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
            memory.seek(stack)
            data = memory.read(16384)
        words = [hex(word - 1) for word, in struct.iter_unpack("<Q", data[:len(data) & -8])
                 if 0x401000 <= word < 0x440000]
        words = words[::-1] if call == self.helpers else words
        places = run("addr2line", "-fe", f"/proc/{process.pid}/exe", *words) if words else ""
        for function, place in zip(*[iter(places.split("\n"))] * 2):
            path, _, number = place.split(" ")[0].partition(":")
            name = os.path.relpath(path, self.folder)
            if name in self.sources and re.search(
                    rf"\b({call})\(", self.sources[name][int(number) - 1]):
                if name == process.source:
                    return int(number)
                call = function
        return None

    # The programs that have not ended.
    def living(self):
        return [one for one in self.processes.values() if one.source and one.held != "end"]

    # Whether it waits, or would if it were let into its call, or is suspended.
    def is_blocked(self, process):
        if process.held == "door" and process.call in ("accept", "read", "recvfrom"):
            return not borrow(process.pid, process.fd,
                              lambda copy: select.select([copy], [], [], 0)[0])
        return process.held in (None, "suspended")

    # Lets a process go on, to where it stands still again or waits.
    def turn(self, process):
        self.current = process
        self.resume(process.pid)
        self.pump()
        self.current = None

    # Types a line, or a key, in a terminal, and waits until a program or the shell has it.
    def type(self, terminal, text):
        def programs():
            return [one for one in self.living()
                    if one.terminal is terminal and one.held != "suspended"]
        terminal.read("" if programs() else PROMPT)
        os.write(terminal.fd, (KEYS.get(text) or text + "\n").encode())
        terminal.read({"^C": r"\^C", "^Z": r"\^Z", "^D": ""}.get(text, r"\n"))
        for process in programs() if text in ("^C", "^Z") else ():
            if process.held:
                self.resume(process.pid)  # only so can the signal reach it
        self.pump()
        while not programs() and not re.search(PROMPT, terminal.text):
            self.pump()
            terminal.read()

    # What the system holds, a row for each socket, path and rule of the firewall: an
    # identity, state, two addresses, Recv-Q and Send-Q, and its descriptors, which
    # are pairs of a process and a number.
    def look(self, paths=("/tmp/unix_pair", "/tmp/fifo_pair", "/tmp/fifo_pair (deleted)")):
        rows, held = [], {}
        for one in self.living():
            for fd in Path(f"/proc/{one.pid}/fd").iterdir():
                held.setdefault(os.readlink(fd), []).append([one.pid, int(fd.name)])
        for line in re.findall(OTHERS, run("ss", "-Hatuxnpe")):
            kind, state, received, sent, local, peer, *rest = line.split()
            is_unix = kind.startswith("u_")  # its peer is behind the number of the socket
            rows.append([f"unix {peer}" if is_unix else f"{kind} {local} {peer}", state, local,
                         rest[0] if is_unix else peer, int(received), int(sent),
                         sorted([int(pid), int(fd)] for pid, fd in re.findall(
                             r"pid=(\d+),fd=(\d+)", line))])
        shown = str(rows)
        for file, (first, *more) in held.items():  # those without a connection ss leaves out
            if file.startswith("socket") and str(first) not in shown:
                rows.append([str(first), "socket", borrow(*first, address_of), "", 0, 0,
                             [first, *more]])
        for path in filter(lambda one: one in held or os.path.lexists(one), paths):
            size = borrow(*held[path][0], lambda fd: struct.unpack("i", fcntl.ioctl(
                fd, termios.FIONREAD, b"1234"))[0]) if path in held else 0
            state = "socket file" if Path(path).is_socket() else "FIFO"
            rows.append([path.split()[0], state, path, "", size, 0, held.get(path, [])])
        rules = run("nft", "list", "ruleset") if len(self.terminals) > 2 else ""
        for rule, count, verdict in re.findall(r"(\w+ .*) counter packets (\d+) .* (\w+)", rules):
            rows.append([rule, verdict, rule, "", int(count), 0, []])
        return sorted(rows)
