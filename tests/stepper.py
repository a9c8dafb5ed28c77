# stepper.py - lets programs go on one call at a time, and looks at what the
# system holds while all of them stand still.
#
# Needs Linux on x86-64, root, and namespaces of its own (see record.py); and
# programs that were linked with -no-pie, from <folder>/*/<program>.c.
#
# Each terminal is a real shell on a pseudo-terminal. A program that it starts
# from the folder is stopped, by ptrace(2), after each call that its story
# tells and after each line that it prints; and when it has said that it waits,
# before that call: so what arrives is seen in its queue or buffer first.
import contextlib
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import stat
import struct
import subprocess
import termios
import time
from pathlib import Path

QUIET = 0.03  # seconds without an event: what can happen has happened
PATIENCE = 0.5  # seconds until a kernel acknowledges what it has received
DEADLINE = 10  # seconds for a text to come: else something hangs
CALLS = {0: "read", 1: "write", 2: "open", 3: "close", 41: "socket", 42: "connect",
         43: "accept", 44: "sendto", 45: "recvfrom", 48: "shutdown", 49: "bind",
         50: "listen", 54: "setsockopt", 56: "fork", 57: "fork", 61: "waitpid",
         87: "unlink", 133: "mkfifo", 257: "open", 259: "mkfifo", 263: "unlink"}
SLEEPS = ("35", "230")  # nanosleep, clock_nanosleep
INTERRUPTED = range(-516, -511)  # what the kernel returns for a call to be made again
PROMPT = r"(^|\n)[$#] \Z"
KEYS = {"^C": "\3", "^D": "\4", "^Z": "\32"}
PATHS = ("/tmp/unix_pair", "/tmp/fifo_pair")

# Requests and options of ptrace(2), and a call that Python does not have.
CONT, SYSCALL, SEIZE, LISTEN, CALL_INFO = 7, 24, 0x4206, 0x4208, 0x420E
OPTIONS = 1 | 2 | 4 | 8 | 16 | 1 << 20  # each call, each new process, exec, end with us
EVENT_EXEC, EVENT_STOP = 4, 128
ALL_CHILDREN = 0x40000000  # __WALL
GETFD = 438  # pidfd_getfd

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Terminal:
    # A shell in a folder, of a user.
    def __init__(self, folder, user):
        self.text = ""  # what came since the last take()
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            os.chdir(folder)
            os.setgid(user)
            os.setuid(user)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"],
                       {"PATH": os.environ["PATH"], "PS1": "$ " if user else "# ",
                        "LANG": "C.UTF-8", "HOME": str(folder)})
        self.read(PROMPT)

    # Reads what comes, at least until the text matches.
    def read(self, pattern=""):
        while select.select([self.fd], [], [], 0)[0] or not re.search(pattern, self.text):
            if not select.select([self.fd], [], [], DEADLINE)[0]:
                raise TimeoutError(f"{pattern!r} does not come: {self.text!r}")
            self.text += os.read(self.fd, 65536).decode().replace("\r", "")

    # Returns what came. A prompt at its end belongs to what is typed next.
    def take(self):
        self.read()
        prompt = re.search(r"((?<=\n)|^)[$#] \Z|\Z", self.text).start()
        text, self.text = self.text[:prompt], self.text[prompt:]
        return text


class Process:
    # Whatever a shell starts, and its children.
    def __init__(self, pid, terminal, parent):
        self.pid, self.terminal = pid, terminal
        self.name = parent.name if parent else None  # if it is one of the programs
        self.label = f"{self.name}[{pid}]"  # as its story has it
        self.source = parent.source if parent else None
        # Why it stands still: it is to "start", at the "door" of a call, behind a
        # "call", behind a "line" that it printed, "other", "suspended", "end".
        self.held = None
        self.doing = None  # the call that it is in
        self.call = None  # the call that was made, and not yet told
        self.waits = None  # the call that it has said it waits in
        self.line = parent.line if parent else 0  # its place in the source
        self.arguments = ()
        self.status = None  # that of wait(2), when it has ended


class Stepper:
    # sources: the lines of each file, by its path.
    def __init__(self, folder, sources):
        self.folder, self.sources = folder, sources
        self.terminals, self.processes, self.inodes = [], {}, {}
        self.current = None  # whose turn it is
        self.helpers = "|".join(re.findall(r"\b(\w+)\(", "".join(sources["common/helper.h"])))
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def open_terminal(self, user):
        self.terminals.append(Terminal(self.folder, user))
        self.ptrace(SEIZE, self.terminals[-1].shell, OPTIONS)

    def ptrace(self, request, pid, data=0, address=0):
        if libc.ptrace(request, pid, address, data) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace {request}")

    def resume(self, pid, number=0):
        process = self.processes.get(pid)
        if process:
            process.held = None
        with contextlib.suppress(ProcessLookupError):  # killed meanwhile
            self.ptrace(SYSCALL if process and process.name else CONT, pid, number)

    # Takes what happens, until all programs stand still or wait for something other
    # than the clock, and the kernels have acknowledged what they received.
    def pump(self):
        limit = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(ChildProcessError):
                while (found := os.waitpid(-1, os.WNOHANG | ALL_CHILDREN)) != (0, 0):
                    self.take_stop(*found)
            if not (signal.sigtimedwait([signal.SIGCHLD], QUIET)
                    or any(map(self.is_running, self.living()))
                    or "unacked:" in run("ss", "-Htni") and time.monotonic() < limit):
                return

    @staticmethod
    def is_running(process):
        with contextlib.suppress(OSError):  # it has ended
            state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]
            call = Path(f"/proc/{process.pid}/syscall").read_text().split()[0]
            return not process.held and (state != "S" or call in SLEEPS)
        return False

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
        elif process and event == EVENT_EXEC:
            self.begin_program(process, Path(os.readlink(f"/proc/{pid}/exe")))
        elif number == signal.SIGTRAP | 0x80:
            self.take_call(process)
        else:
            self.resume(pid, 0 if event else number)

    def begin_process(self, pid):
        parent = int(re.search(r"PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
        owner = self.processes.get(parent)
        terminal = owner.terminal if owner else next(
            one for one in self.terminals if one.shell == parent)
        process = self.processes[pid] = Process(pid, terminal, owner)
        if process.name:
            process.call, process.held = "fork", "call"
        else:
            self.resume(pid)

    def begin_program(self, process, path):
        if path.is_relative_to(self.folder):
            process.name = process.label = path.name
            process.source = next(one for one in self.sources if one.endswith(f"/{path.name}.c")
                                  and ("no_close" in one) == ("no_close" in path.parts))
            process.held = "start"
        else:
            self.resume(process.pid)

    # A call begins or returns: its process stands still, or goes on.
    def take_call(self, process):
        info = ctypes.create_string_buffer(88)
        self.ptrace(CALL_INFO, process.pid, ctypes.addressof(info), len(info))
        begins, stack, number, *arguments = struct.unpack_from("<B15xQq6q", info)
        if begins == 1:
            self.begin_call(process, CALLS.get(number), arguments, stack)
        elif number not in INTERRUPTED:
            held = {None: None, "waitpid": None, "output": "line"}.get(process.doing, "call")
            process.held = held or (None if process is self.current else "other")
        if not process.held:
            self.resume(process.pid)

    def begin_call(self, process, name, arguments, stack):
        process.doing = None
        output = name == "write" and os.readlink(
            f"/proc/{process.pid}/fd/{arguments[0]}").startswith("/dev/pts/")
        line = name and self.find_line(process, stack, self.helpers if output else name)
        if output:
            process.doing = "output"
            process.line = process.line if process.call else line or process.line
        elif line:
            process.doing = process.call = name
            process.line, process.arguments = line, arguments
            process.held = "door" if name == process.waits else None
            process.waits = process.held and name

    # The line of the program's own file from which it came to this call; None if
    # the C library made it. Of the words on the stack those are return addresses
    # before which the source calls what was called.
    def find_line(self, process, stack, call):
        with open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
            memory.seek(stack)
            data = memory.read(16384)
        words = [hex(word - 1) for word, in struct.iter_unpack("<Q", data[:len(data) & -8])
                 if 0x401000 <= word < 0x440000]
        places = run("addr2line", "-f", "-e", f"/proc/{process.pid}/exe", *words) if words else ""
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
        return [one for one in self.processes.values() if one.name and one.held != "end"]

    # Whether it waits, or would if it were let into its call.
    def is_blocked(self, process):
        if process.held == "door" and process.call in ("accept", "read", "recvfrom"):
            return not self.borrow(process.pid, process.arguments[0], lambda copy: select.select(
                [copy], [], [], 0)[0])
        return process.held is None

    # What look() finds in a copy of a process's descriptor.
    @staticmethod
    def borrow(pid, fd, look):
        pidfd = os.pidfd_open(pid)
        copy = libc.syscall(GETFD, pidfd, fd, 0)
        found = look(copy)
        os.close(copy)
        os.close(pidfd)
        return found

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
            if process.held == "door":
                self.resume(process.pid)  # only so can the signal reach it
        self.pump()
        while not programs() and not re.search(PROMPT, terminal.text):
            self.pump()
            terminal.read()

    # What the system holds, a row for each socket, path and rule of the firewall: an
    # identity, state, two addresses, Recv-Q and Send-Q, and its descriptors, which
    # are pairs of a process and a number.
    def look(self):
        rows, holders = [], {}
        for process in self.living():
            for fd in Path(f"/proc/{process.pid}/fd").iterdir():
                if int(fd.name) > 2:
                    holders.setdefault(os.readlink(fd), []).append((process.pid, int(fd.name)))
        for line in run("ss", "-Hatuxne").split("\n")[:-1]:
            kind, state, received, sent, local, peer, *rest = line.split()
            identity, inode = f"{kind} {local} {peer}", re.findall(r"ino:(\d+)", line)
            if kind.startswith("u_"):
                inode, peer = [peer], rest[0]
                identity = "unix %d" % self.inodes.setdefault(inode[0], len(self.inodes))
            if local != "127.0.0.1:1":
                rows.append([identity, state, local, peer, int(received), int(sent),
                             holders.get(f"socket:[{(inode + [0])[0]}]", [])])
        for path in filter(os.path.lexists, PATHS):
            held = holders.get(path, [])
            size = self.borrow(*held[0], lambda fd: struct.unpack("i", fcntl.ioctl(
                fd, termios.FIONREAD, b"1234"))[0]) if held else 0
            is_fifo = stat.S_ISFIFO(os.lstat(path).st_mode)
            rows.append([path, "FIFO" if is_fifo else "socket file", path, "", size, 0, held])
        rules = run("nft", "list", "ruleset") if len(self.terminals) > 2 else ""
        for rule, count, verdict in re.findall(r"(\w+ .*) counter packets (\d+) .* (\w+)", rules):
            rows.append([rule, verdict, rule, "", int(count), 0, []])
        return sorted(rows, key=lambda row: (row[1] != "LISTEN", row[0]))


# What crosses loopback, as tcpdump sees it.
class Wire:
    def __init__(self):
        self.mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.mark.bind(("127.0.0.1", 1))
        self.tool = subprocess.Popen("tcpdump -i lo -ntxl --immediate-mode -s 200".split(),
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while "listening on" not in self.tool.stderr.readline():
            continue

    # Returns what came since the last time, up to a datagram of ours: pairs of the
    # line that tcpdump printed, and the bytes.
    def take(self):
        self.mark.sendto(b"", ("127.0.0.1", 1))
        found = [["", b""]]
        while "127.0.0.1.1 > 127.0.0.1.1:" not in found[-1][0] or len(found[-1][1]) < 28:
            line = self.tool.stdout.readline()
            if line.startswith("\t"):
                found[-1][1] += bytes.fromhex(line.split(":")[1])
            else:
                found.append([line.strip(), b""])
        return found[1:-1]
