# stepper.py - lets the programs of a scene go on one call at a time, and looks
# at the system whenever all of them stand still.
#
# Needs Linux on x86-64, root, and namespaces of its own (see record.py).
#
# Each terminal is a real shell on a pseudo-terminal. Every program that it starts
# from the build folder is stopped (ptrace(2)) after each call of the life cycle
# and after each line that it prints; and, when it has said that it waits, before
# the call: what arrives is seen in the queue or the buffer before it is taken.
import contextlib
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
from pathlib import Path

QUIET = 0.06  # seconds in which a kernel sends what it held back (an ACK: 0.04)
DEADLINE = 10  # seconds: something hangs
CALLS = {0: "read", 1: "write", 3: "close", 41: "socket", 42: "connect", 43: "accept",
         44: "sendto", 45: "recvfrom", 48: "shutdown", 49: "bind", 50: "listen",
         54: "setsockopt", 56: "fork", 57: "fork", 2: "open", 257: "open", 87: "unlink",
         263: "unlink", 133: "mkfifo", 259: "mkfifo", 61: "waitpid"}
INTERRUPTED = range(-516, -511)  # ERESTARTSYS and its like
KEYS = {"^C": "\3", "^D": "\4", "^Z": "\32"}
# From ptrace(2) and its headers.
CONT, GETREGS, SYSCALL, SEIZE, LISTEN, SYSCALL_INFO = 7, 12, 24, 0x4206, 0x4208, 0x420E
OPTIONS = 1 | 2 | 4 | 8 | 16 | 1 << 20  # SYSGOOD, the forks, EXEC, EXITKILL
EVENT_EXEC, EVENT_STOP = 4, 128
ALL_CHILDREN = 0x40000000  # __WALL

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Terminal:
    """A shell of an ordinary user on a pseudo-terminal; or root's."""

    def __init__(self, folder, user):
        self.text = ""  # what came since the last take(), but for a prompt
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            os.chdir(folder)
            os.setgid(user)
            os.setuid(user)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"],
                       {"PATH": os.environ["PATH"], "PS1": "# " if user == 0 else "$ ",
                        "LANG": "C.UTF-8", "HOME": folder, "TERM": "dumb"})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 50, 80, 0, 0))

    def wait_for(self, pattern):
        """Reads until the text that came matches."""
        while not re.search(pattern, self.text):
            if not select.select([self.fd], [], [], DEADLINE)[0]:
                raise TimeoutError(f"not {pattern!r}, but {self.text!r}")
            self.text += os.read(self.fd, 65536).decode().replace("\r", "")

    def take(self):
        """Returns what came; the prompt behind it belongs to what is typed next."""
        while select.select([self.fd], [], [], 0)[0]:
            self.text += os.read(self.fd, 65536).decode().replace("\r", "")
        text, prompt = re.fullmatch(r"((?s:.*?))((?<![^\n])[$#] )?", self.text).groups()
        self.text = prompt or ""
        return text


class Process:
    """A program, or a child of one."""

    def __init__(self, pid, terminal, parent=None):
        self.pid, self.terminal, self.parent = pid, terminal, parent
        self.name = parent and parent.name
        self.source = parent and parent.source  # the name of its file
        # Why it stands still ("start", "door" of a call, "call" that returned,
        # "line" that it printed, "suspended", "end"), or None.
        self.held = None
        self.doing = None  # the call that it is in, if it is one of ours
        self.call = self.line = None  # the last one, not yet told; its line
        self.arguments = ()
        self.waits = False  # it has said that its next call waits
        self.status = None

    def label(self):
        return f"{self.name}[{self.pid}]" if self.parent else self.name


class Stepper:
    def __init__(self, folder, sources):
        """sources: the lines of each file, by its name."""
        self.folder, self.sources = folder, sources
        self.terminals, self.processes, self.shells = [], {}, {}
        self.paths = ("/tmp/unix_pair", "/tmp/fifo_pair")
        self.current = None  # whose turn it is
        self.places = {}  # what addr2line said
        header = "".join(sources["helper.h"])
        self.helpers = "|".join(set(re.findall(r"\b(\w+)\(", header)))
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])

    def open_terminal(self, user):
        terminal = Terminal(self.folder, user)
        terminal.wait_for(r"[$#] $")
        self.ptrace(SEIZE, terminal.shell, OPTIONS)
        self.shells[terminal.shell] = terminal
        self.terminals.append(terminal)

    # --- ptrace ---

    def ptrace(self, request, pid, data=0, address=0):
        if libc.ptrace(request, pid, address, data) == -1:
            raise OSError(ctypes.get_errno(), f"ptrace {request}")

    def resume(self, pid, number=0):
        process = self.processes.get(pid)
        if process:
            process.held = None
        with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
            self.ptrace(SYSCALL if process and process.name else CONT, pid, number)

    def pump(self):
        """Takes what happens, until nothing does."""
        while True:
            with contextlib.suppress(ChildProcessError):
                while (found := os.waitpid(-1, os.WNOHANG | ALL_CHILDREN)) != (0, 0):
                    self.take_stop(*found)
            if self.current and self.current.held == "line" or not signal.sigtimedwait(
                    [signal.SIGCHLD], QUIET):
                return

    def take_stop(self, pid, status):
        process, number, event = self.processes.get(pid), os.WSTOPSIG(status), status >> 16
        if not os.WIFSTOPPED(status):
            if process:
                process.held, process.status = "end", status
        elif event == EVENT_STOP and number != signal.SIGTRAP:
            process.held = "suspended"
            self.ptrace(LISTEN, pid)
        elif pid in self.shells:
            self.resume(pid, 0 if event else number)
        elif process is None:
            parent = int(re.search(r"PPid:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
            owner = self.processes.get(parent)
            process = Process(pid, owner.terminal if owner else self.shells[parent], owner)
            self.processes[pid] = process
            if process.name:
                process.call, process.line, process.held = "fork", owner.line, "call"
            else:
                self.resume(pid)
        elif event == EVENT_EXEC:
            program = Path(os.readlink(f"/proc/{pid}/exe"))
            process.parent = None
            process.name = program.name if Path(self.folder) in program.parents else None
            process.source = process.name and self.source_of(process)
            if process.name:
                process.held = "start"
            else:
                self.resume(pid)
        elif number == signal.SIGTRAP | 0x80:
            self.take_call(process)
        else:
            self.resume(pid, 0 if event else number)

    def take_call(self, process):
        """A call begins or returns: decides whether its process is to stand still."""
        info = ctypes.create_string_buffer(88)
        self.ptrace(SYSCALL_INFO, process.pid, ctypes.addressof(info), len(info))
        kind, stack, *rest = struct.unpack_from("<B15xQ7q", info)
        if kind == 1:  # it begins
            self.begin_call(process, CALLS.get(rest[0]), rest[1:], stack)
        elif rest[0] in INTERRUPTED:  # by a signal; it will be made again
            pass
        elif process.doing == "output":
            process.held = "line"
        elif process.doing == "waitpid":
            process.call = None
        elif process.doing:
            process.held = "call"
        if kind != 1 and not process.held and process is not self.current:
            process.held = "idle"
        if not process.held:
            self.resume(process.pid)

    def begin_call(self, process, name, arguments, stack):
        process.doing = None
        output = name == "write" and arguments[0] in (1, 2)
        line = name and self.find_line(process, stack, self.helpers if output else name)
        if output:
            process.doing = "output"
            process.line = process.line if process.call else line
        elif line:
            process.doing = process.call = name
            process.line, process.arguments = line, arguments
            if process.waits and name != "waitpid":
                process.held = "door"

    # --- The place in the source ---

    def source_of(self, process):
        names = run("addr2line", "-e", f"/proc/{process.pid}/exe", self.symbol(process, "main"))
        return os.path.basename(names.split(":")[0])

    def symbol(self, process, name):
        table = run("nm", f"/proc/{process.pid}/exe")
        return re.search(rf"(\w+) T {name}\n", table)[1]

    def find_line(self, process, stack, call):
        """The line of the program's own file from which it came to this call, or
        None: the C library made it. Of the words on the stack, those are return
        addresses before which the source calls what has been called."""
        with open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
            memory.seek(stack)
            data = memory.read(16384)
        low, high = self.text_of(process)
        words = [word - 1 for word, in struct.iter_unpack("<Q", data[:len(data) // 8 * 8])
                 if low <= word < high]
        self.look_up(process, words)
        for word in words:
            function, file, number = self.places[process.name, word]
            if file in self.sources and re.search(
                    rf"\b({call})\(", self.sources[file][number - 1]):
                if file == process.source:
                    return number
                call = function
        return None

    def text_of(self, process):
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        low, high = re.search(r"(\w+)-(\w+) r-xp .*" + re.escape(process.name), maps).groups()
        return int(low, 16), int(high, 16)

    def look_up(self, process, words):
        new = [word for word in dict.fromkeys(words) if (process.name, word) not in self.places]
        if new:
            lines = run("addr2line", "-f", "-e", f"/proc/{process.pid}/exe", *map(hex, new))
            for word, function, place in zip(new, *[iter(lines.split("\n"))] * 2):
                file, _, number = place.partition(":")
                number = int((re.match(r"\d+", number) or ["0"])[0])
                self.places[process.name, word] = function, os.path.basename(file), number

    # --- Who can go on ---

    def is_ready(self, process):
        if process.held == "door" and process.call in ("accept", "read", "recvfrom"):
            return self.has_input(process, process.arguments[0])
        return process.held in ("start", "door", "call", "idle", "line")

    def has_input(self, process, fd):
        pidfd = os.pidfd_open(process.pid)
        copy = libc.syscall(438, pidfd, fd, 0)  # pidfd_getfd
        os.close(pidfd)
        poll = select.poll()
        poll.register(copy, select.POLLIN)
        ready = poll.poll(0)
        os.close(copy)
        return bool(ready)

    # --- A turn ---

    def turn(self, process):
        """Lets a process go on to where it stands still again, or really waits."""
        self.current = process
        self.resume(process.pid)
        self.pump()
        self.current = None

    def type(self, terminal, text):
        """Types a line, or a key."""
        key = KEYS.get(text)
        terminal.wait_for("" if self.in_front(terminal) else r"[$#] $")
        os.write(terminal.fd, (key or text + "\n").encode())
        if key != "\4":
            terminal.wait_for(r"\^[CZ]|[^$#] ?.*\n" if key else r"\n")
        if key in ("\3", "\32"):
            for process in self.of(terminal):
                if process.held == "door":
                    self.resume(process.pid)
        self.pump()
        while self.in_front(terminal) and not any(
                process.held != "suspended" for process in self.of(terminal)):
            self.pump()
        if not self.in_front(terminal):
            terminal.wait_for(r"(^|\n)[$#] $")

    def in_front(self, terminal):
        """Whether the shell has given the terminal to something else."""
        return os.tcgetpgrp(terminal.fd) != terminal.shell

    def of(self, terminal):
        return [process for process in self.living() if process.terminal is terminal]

    # --- What the system holds ---

    def is_blocked(self, process):
        """Whether it waits, or would if it were let into its call."""
        return process.held is None or process.held == "door" and not self.is_ready(process)

    def look(self):
        """Everything that the system shows of the processes and what they hold. A row
        for each socket, firewall rule and path: its kind, state, two addresses, two
        queues, and holders, which are pairs of a process and a descriptor."""
        holders, fifos = {}, {}
        for process in self.living():
            for fd in Path(f"/proc/{process.pid}/fd").iterdir():
                target = os.readlink(fd)
                if int(fd.name) > 2 and target.startswith("socket:"):
                    holders.setdefault(target[8:-1], []).append((process.pid, int(fd.name)))
                elif target in self.paths and target.startswith("/"):
                    holders.setdefault(target, []).append((process.pid, int(fd.name)))
                    fifos[target] = process, int(fd.name)
        rows = []
        for line in run("ss", "-Hatuxne").split("\n")[:-1]:
            kind, state, received, sent, *rest = line.split()
            if kind[0] == "u" and kind != "udp":
                local, inode, peer, other = rest[:4]
                kind = "unix"
                local, peer = local.replace("*", inode), peer.replace("*", other)
            else:
                local, peer = rest[:2]
                inode = (re.findall(r"ino:(\d+)", line) or ["0"])[0]
            if local != "127.0.0.1:1":
                rows.append([kind, state, local, peer, int(received), int(sent),
                             holders.get(inode, [])])
        return sorted(rows)

    def living(self):
        return [process for process in self.processes.values()
                if process.name and process.held != "end"]


class Wire:
    """tcpdump on loopback."""

    def __init__(self):
        self.mark = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.mark.bind(("127.0.0.1", 1))
        self.tool = subprocess.Popen(
            "tcpdump -i lo -n -t -x -l --immediate-mode -s 200".split(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while "listening on" not in self.tool.stderr.readline():
            continue

    def take(self):
        """What crossed the wire since the last time: up to a datagram of ours."""
        self.mark.sendto(b"", ("127.0.0.1", 1))
        found = []
        while not (found and len(found[-1]["bytes"]) == 28
                   and "127.0.0.1.1 > 127.0.0.1.1:" in found[-1]["text"]):
            line = self.tool.stdout.readline()
            if line.startswith("\t"):
                found[-1]["bytes"] += bytes.fromhex(line.split(":")[1])
            else:
                found.append({"text": line.strip(), "bytes": b""})
        return found[:-1]
