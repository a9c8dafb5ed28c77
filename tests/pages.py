#!/usr/bin/env python3
# pages.py - plays a page: every terminal block, as a reader would type it.
#
#   python3 pages.py PAGE PROGRAMS     plays the blocks of one page
#   python3 pages.py                   checks what all the pages name
#
# PROGRAMS is the folder of the eight programs. Where the system allows it, the
# page gets namespaces of its own: network (only loopback), processes, /tmp, and
# a user "student" whose home is a copy of the project. Elsewhere the scenes that
# need them are skipped.
#
# Exit status: 0; 1 if something is not as the page says; 77 if a scene was
# skipped, which is a failure if the environment has PAGES_REQUIRED.
#
# The rules of the pages. A terminal block is fenced with ```console.
#
# - The text before a block says "first", "second" or "third terminal" (the last
#   one counts); else it is the terminal of the block before. A block with the
#   prompt # is a root shell, in a terminal of its own.
# - A scene goes from a heading, or a paragraph that begins with "**N. ", to the
#   next: new terminals, an empty /tmp, a new network, a new copy of the project.
# - Blocks are played in their order. In a block, "$ command", "> the rest of it"
#   and ^C, ^Z, ^D are typed; lines typed into a program are named in a comment
#   before the block: <!-- typed: one | two -->. All else is output.
# - A block whose next line needs another terminal (after a line of BLOCKED) is
#   left, and compared while the next blocks are played. What remains to be typed
#   in it is typed when its terminal has another block, or the scene ends.
# - Lines of several processes are compared in the order of each process.
# - Code with its name before it (`name.c`:) is saved, for this scene and those
#   that follow, and a terminal block runs it.
# - In a table, the cells of a column whose header has "command" or "terminal" are
#   typed, those of a row each in a terminal of its own, and must exit with 0.
# - <!-- not played: REASON --> before a block leaves it out.
import codecs
import collections
import contextlib
import ctypes
import fcntl
import glob
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("tcp", "udp", "unix", "fifo", "common", "tests", "docs")
DEADLINE = 30  # seconds in which nothing more comes: it hangs
STUDENT = 1000  # the user who types, if root plays
NOT_PLAYED_MAX = 5  # in all pages
NEW_NETWORK = 0x40000000  # CLONE_NEWNET
CHECK = (
    "cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wshadow "
    "-Wconversion -Wstrict-prototypes -Wformat=2 -Werror -fsyntax-only"
).split()
KEYS = {"^C": "\3", "^D": "\4", "^Z": "\32"}

# After such a line a program waits until another terminal does something.
BLOCKED = re.compile(r"waits for (a |the client|the writer)|ready on|listening on")

# What differs from run to run: numbers of processes, ports that the kernel
# chose, dates. The same number in the page has to be the same one in the run.
MASKS = re.compile(
    r"(?<=fork\(\) = )[1-9]\d*|(?<=\w\[)\d+(?=\])|(?<=pid=)\d+|(?<=pid )\d+"
    r"|(?<=^\[\d\] )\d+$|^ *\d+( +\d+)?(?= +[RSDTZ][+sl<N]*( |$))"
    r"|(?<=[\d\]][.:])(3[3-9]|32[7-9]|[456]\d)\d{2,3}\b"
    r"|(?<=htons\()(3[3-9]|32[7-9]|[456]\d)\d{2,3}(?=\))"
    r"|(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d [ \d:]{5}"
)
SPEAKER = re.compile(r"(\w+(\[\d+\])?|IP6? \S+ > \S+): ")

Line = collections.namedtuple("Line", "text number typed")


class Failure(Exception):
    def __init__(self, number, expected, came):
        self.number = number
        super().__init__(f"expected: {expected}\n  came:     {came}")


# --- The page ---


class Block:
    """A fenced block: its language and lines, and the text before it."""

    def __init__(self, language, number, before):
        self.language = language
        self.number = number
        self.lines = []
        text = "\n".join(before)
        self.comments = dict(re.findall("<!-- ([a-z ]+): (.*?) -->", text))
        self.before = re.sub("<!--.*?-->", "", text)
        found = re.search(r"`([\w.-]+\.\w+)`:\s*$", self.before)
        self.name = found and found[1]

    def terminal(self, default):
        named = re.findall(r"(first|second|third)\s+terminal", self.before, re.I)
        root = any(line.startswith("# ") for line in self.lines)
        return (named[-1].lower() if named else default[0], root)

    def script(self):
        """The lines, each with what is typed for it."""
        typed = self.comments.get("typed", "").split(" | ")
        for number, line in enumerate(self.lines, self.number + 1):
            if line in KEYS:
                yield Line(line, number, KEYS[line])
            elif re.match("[$#>] ", line):
                yield Line(line, number, line[2:] + "\n")
            elif line and [line] == typed[:1]:
                yield Line(line, number, typed.pop(0) + "\n")
            else:
                yield Line(line, number, None)
        if any(typed):
            raise Failure(self.number, f"to type {typed}", "a block without it")


def parse(page):
    """The scenes of a page: each a list of blocks, or of one row of a table."""
    scenes, before, block, header = [[]], [], None, None
    for number, line in enumerate((ROOT / page).read_text().split("\n"), 1):
        if block and line.startswith("```"):
            scenes[-1].append(block)
            block, before = None, []
        elif block:
            block.lines.append(line)
        elif line.startswith("```"):
            block = Block(line[3:], number, before)
        elif line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip("|"))
            header = header or cells
            row = [
                found[1].replace("\\|", "|")
                for name, cell in zip(header, cells)
                if re.search("command|terminal", name)
                and (found := re.fullmatch(" *`([^`]+)` *", cell))
            ]
            scenes += [[(number, row)], []] if row else []
        else:
            header = None
            if re.match(r"#+ |\*\*\d+\. ", line):
                scenes.append([])
                before = []
            before.append(line)
    return [scene for scene in scenes if scene]


# --- The terminals ---


class Terminal:
    """A shell on a pseudo-terminal, and what the page expects of it."""

    def __init__(self, name, scene):
        self.name, root = name
        self.scene = scene
        self.number = 0  # the line of the page that is next, or was last
        self.prompt = "# " if root else "$ "
        self.expected = collections.deque()
        self.held = True
        self.typing = None  # the line that was typed last
        self.last = self.tail = ""  # the last line, and what has no newline yet
        self.early = []  # what came before the page expects more
        self.story = []
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            self.start_shell(root)
        os.set_inheritable(self.fd, False)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 50, 80, 0, 0))

    def start_shell(self, root):
        shell = ["bash", "--norc", "--noprofile", "--noediting", "-i"]
        if not root and os.environ.get("PAGES_IN") == "user":
            shell = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] + shell
        elif not root and os.getuid() == 0:
            os.setgroups([])
            os.setgid(STUDENT)
            os.setuid(STUDENT)
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
            "HOME": os.getcwd(),
            "PS1": self.prompt,
            "TERM": "dumb",
            "LANG": "C.UTF-8",
        }
        os.execvpe(shell[0], shell, environment)

    def read(self):
        """Takes what has come, and compares its whole lines."""
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if not data:
            raise Failure(self.number, "a shell", "its end")
        text = self.tail + self.decoder.decode(data).replace("\r", "")
        *lines, self.tail = text.split("\n")
        for line in lines:
            self.story.append(line)
            self.last = line
            if self.expected:
                self.take(line)
            else:
                self.early.append(line)

    def take(self, came):
        """Removes a line from those that may come now, which are for each process
        its first one up to the next line that is typed."""
        first = {}
        self.number = self.expected[0].number if self.expected else self.number
        for line in self.expected:
            speaker = SPEAKER.match(line.text)
            if line.typed and first:
                break
            first.setdefault(speaker and speaker[1], line)
            if line.typed:
                break
        if len(first) - (None in first) == 1:  # one process, with its data
            first = {None: self.expected[0]}
        for line in first.values():
            if self.scene.same(line.text, came):
                self.expected.remove(line)
                return
        texts = " or: ".join(line.text for line in first.values())
        raise Failure(self.number, texts or "nothing more", came)

    def expect(self, lines):
        """Adds lines that may come now, and compares what has come already."""
        self.expected.extend(lines)
        early, self.early = self.early, []
        for line in early:
            self.take(line)

    def type_next(self):
        """Types what the page has next, when it is its turn."""
        line = self.expected[0] if self.expected else None
        if self.held or not line or not line.typed or line is self.typing:
            return
        if line.text[:2] == self.prompt and not self.tail.endswith(self.prompt):
            return
        self.typing = line
        self.last = ""
        if line.text == "^D":
            self.expected.popleft()  # the terminal does not show it
        os.write(self.fd, line.typed.encode())

    def is_blocked(self):
        next_one = self.expected and not self.expected[0].typed
        return next_one and BLOCKED.search(self.last)

    def at_prompt(self):
        return self.tail == self.prompt and os.tcgetpgrp(self.fd) == self.shell

    def is_settled(self):
        """Whether the shell waits for a command, or all that runs sleeps."""
        group = os.tcgetpgrp(self.fd)
        if group == self.shell:
            return self.tail == self.prompt
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                fields = Path(stat).read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == group and fields[0] in "RD":
                return False
        return True


class Scene:
    """The terminals of one scene, and the numbers that the page stands for."""

    def __init__(self, page, blocks):
        self.page, self.blocks = page, blocks
        self.number = 0
        self.terminals = {}
        self.stands_for = {}

    def same(self, expected, came):
        """Whether the lines are the same, but for what MASKS lets differ."""
        if MASKS.sub("#", expected.rstrip()) != MASKS.sub("#", came.rstrip()):
            return False
        pairs = list(zip(*(
            re.findall(r"\d+", " ".join(found[0] for found in MASKS.finditer(text)
                                        if not found[0][0].isalpha()))
            for text in (expected, came))))
        for here, there in pairs:
            known = self.stands_for.get(here, there)
            if known != there or (here not in self.stands_for
                                  and there in self.stands_for.values()):
                return False
        for here, there in pairs:
            self.stands_for[here] = there
        return True

    def terminal(self, name):
        if name not in self.terminals:
            self.terminals[name] = Terminal(name, self)
        return self.terminals[name]

    def wait(self, terminal, done):
        """Lets all terminals go on until done() holds twice while nothing comes."""
        deadline = time.monotonic() + DEADLINE
        quiet = 0
        while quiet < 2:
            for one in self.terminals.values():
                one.type_next()
            files = {one.fd: one for one in self.terminals.values()}
            ready = select.select(files, [], [], 0.01)[0]
            for fd in ready:
                files[fd].read()
                deadline = time.monotonic() + DEADLINE
            quiet = quiet + 1 if not ready and done() else 0
            if time.monotonic() > deadline:
                texts = [line.text for line in terminal.expected][:1]
                raise Failure(terminal.number, texts or "an end",
                              f"nothing more, after: {terminal.tail or terminal.last}")

    def finish(self, terminal):
        """Types and compares all that the page still expects of a terminal."""
        terminal.held = False
        self.wait(terminal, lambda: not terminal.expected and terminal.is_settled())
        terminal.held = True

    def play_block(self, block, terminal):
        self.finish(terminal)
        terminal.expect(block.script())
        terminal.held = False
        self.wait(terminal, lambda: terminal.is_blocked() or (
            not terminal.expected and terminal.is_settled()))
        terminal.held = True

    def play_row(self, number, commands):
        """Types each command into a terminal of its own; each must exit with 0."""
        self.number = number
        for place, command in enumerate(commands + ["exit status: $?"] * len(commands)):
            terminal = self.terminal((place % len(commands), False))
            self.wait(terminal, terminal.is_settled)
            if place >= len(commands):
                if not terminal.at_prompt():
                    os.write(terminal.fd, b"\3")
                self.wait(terminal, terminal.at_prompt)
                command = "echo exit status: $?"
            os.write(terminal.fd, command.encode() + b"\n")
            self.wait(terminal, terminal.is_settled)
            if place >= len(commands) and not re.search(": (0|130)$", terminal.last):
                raise Failure(number, "exit status: 0", terminal.last)

    def play(self):
        name = ("first", False)
        for block in self.blocks:
            if isinstance(block, tuple):
                return self.play_row(*block)
            if block.language == "console" and "not played" not in block.comments:
                self.number = block.number
                name = block.terminal(name)
                self.play_block(block, self.terminal(name))
        for terminal in self.terminals.values():
            self.finish(terminal)
        for terminal in self.terminals.values():
            terminal.expect([])

    def missing(self):
        """The commands of the scene that are not on this system."""
        lines = [line[2:] for block in self.blocks if not isinstance(block, tuple)
                 for line in block.lines
                 if block.language == "console" and re.match("[$#] ", line)]
        words = re.findall(r"(?:^|[|;&] )([a-z][\w.-]*)(?= |$)", "\n".join(lines), re.M)
        return [word for word in sorted(set(words)) if subprocess.run(
            ["bash", "-c", "type " + word], capture_output=True).returncode != 0]

    def report(self, failure):
        print(f"{self.page}:{failure.number}: {failure}")
        for terminal in self.terminals.values():
            print(f"  The {terminal.name} terminal:")
            for line in terminal.story[-12:] + [terminal.tail]:
                print(f"    {line}")


# --- The namespaces ---


def enter_namespaces():
    """Starts this program again in namespaces of its own, if the system lets it."""
    kind = "root" if os.geteuid() == 0 else "user"
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
               "--mount-proc"] + (["--user", "--map-root-user"] if kind == "user" else [])
    if shutil.which("unshare") and not subprocess.run(
            command + ["true"], stderr=subprocess.DEVNULL).returncode:
        os.environ["PAGES_IN"] = kind
        os.execvp("unshare", command + [sys.executable] + sys.argv)


def run(*command):
    subprocess.run(command, check=True)


def make_house(programs):
    """The copy of the project that each scene gets, and in namespaces a /tmp, a
    home, a student and a list of hosts. Returns the copy, and the home."""
    if "PAGES_IN" not in os.environ:
        house = Path(tempfile.mkdtemp())
        os.chmod(house, 0o755)
    else:
        outside = [str(ROOT), str(programs), tempfile.gettempdir()]
        house = next(Path(place) for place in ("/mnt", "/media", "/srv", "/opt")
                     if not any(one.startswith(place + "/") for one in outside))
        run("mount", "-t", "tmpfs", "tmpfs", house)
    copy = house / "copy"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder)
    for file in ("README.md", "CMakeLists.txt", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    (copy / "build").mkdir()
    for source in ROOT.glob("[tuf]*/*_*.c"):
        if source.parent.name != "tests":
            shutil.copy(programs / source.stem, copy / "build")
    if "PAGES_IN" not in os.environ:
        return copy, house / "student"
    user = STUDENT if os.environ["PAGES_IN"] == "root" else 0
    for name, line in (("passwd", f"student:x:{user}:{user}::/home/student:/bin/bash\n"),
                       ("group", f"student:x:{user}:\n"),
                       ("hosts", "127.0.0.1 localhost\n::1 localhost\n")):
        old = "" if name == "hosts" else Path("/etc", name).read_text()
        (house / name).write_text(line + old)
        run("mount", "--bind", house / name, "/etc/" + name)
    (house / "home").mkdir()
    run("mount", "--bind", house / "home", "/home")
    run("mount", "-t", "tmpfs", "tmpfs", "/tmp")
    return copy, Path("/home/student")


def prepare(copy, home, saved):
    """The network, /tmp and home of a new scene."""
    if "PAGES_IN" in os.environ:
        ctypes.CDLL(None).unshare(NEW_NETWORK)
        run("ip", "link", "set", "lo", "up")
        run("find", "/tmp", "-mindepth", "1", "-delete")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(copy, home)
    for block in saved:
        (home / block.name).write_text("".join(line + "\n" for line in block.lines))
        if re.search(r"\bmain\(", "\n".join(block.lines)) and block.language == "c":
            run(*CHECK, home / block.name)
    if os.getuid() == 0 and os.environ.get("PAGES_IN") != "user":
        run("chown", "-R", f"{STUDENT}:{STUDENT}", home)
    os.chdir(home)


def play_scene(scene, copy, home, saved):
    """Plays a scene in a process of its own; returns its status."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 0
        try:
            prepare(copy, home, saved)
            scene.play()
        except Failure as failure:
            scene.report(failure)
            status = 1
        sys.stdout.flush()
        os._exit(status)
    ended = None
    while ended != child:  # in a namespace others end up here, too
        ended, status = os.wait()
    with contextlib.suppress(ProcessLookupError):
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status)


def play(page, programs):
    """Plays all scenes of a page. Returns the exit status."""
    if "PAGES_IN" not in os.environ:
        enter_namespaces()
    copy, home = make_house(programs)
    saved, skipped, failed = [], 0, 0
    for blocks in parse(page):
        scene = Scene(page, blocks)
        saved += [block for block in blocks if getattr(block, "name", None)]
        missing = scene.missing()
        if missing:
            print(f"{page}: a scene is skipped, for there is no {missing} here")
        skipped += bool(missing)
        failed += not missing and play_scene(scene, copy, home, saved)
    if "PAGES_IN" not in os.environ:
        shutil.rmtree(copy.parent)
    return 1 if failed else 77 if skipped else 0


# --- What the pages name ---


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"(?ms)^```.*?^```", "", (ROOT / page).read_text())
    titles = re.findall(r"(?m)^#+ (.*)", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def known_words():
    """Words of the sources and the system's headers, and the commands."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
             if path.suffix in (".c", ".h", ".py", ".sh", ".txt")]
    headers = [path for folder in ("", "*/sys/", "*/bits/", "netinet/", "arpa/", "linux/",
                                   "asm-generic/", "*/bits/types/", "net/")
               for path in glob.glob(f"/usr/include/{folder}*.h")]
    words = set(os.listdir("/usr/bin") + os.listdir("/usr/sbin"))
    for path in files + [ROOT / "CMakeLists.txt"] + headers:
        words.update(re.findall(r"\w+", Path(path).read_text(errors="replace")))
    return words


def check_page(page, words, tests):
    """What a page names that does not exist, and other breaches of the rules."""
    text = (ROOT / page).read_text()
    folder = (ROOT / page).parent
    sources = ["\n".join(line.strip() for line in path.read_text().split("\n"))
               for path in ROOT.glob("[tufcd]*/**/*.[ch]")]
    prose = re.sub(r"(?ms)^```.*?^```", "", text)
    words = words | set(re.findall(r"\w+", "".join(re.findall(r"(?ms)^```.*?^```", text))))
    commands = "\n".join(re.findall(r"(?m)^[$#] .*", text))

    for link in re.findall(r"\]\((?!http)([^)\s]*)\)", prose):
        path, _, anchor = link.partition("#")
        target = folder / path if path else ROOT / page
        if not target.exists() or anchor and anchor not in anchors(target):
            yield f"the link {link}"
    for name in re.findall(r"`([^`\n]+)`", prose):
        if re.match(rf"({'|'.join(FOLDERS)})/[\w./-]*$", name):
            if not (ROOT / name).exists():
                yield f"the file {name}"
        elif re.fullmatch(r"[A-Za-z_]\w*(\(\))?", name) and name.strip("()") not in words:
            yield f"the name {name}"
    for table in re.findall(r"(?m)(?:^\|.*\n)+", prose):
        header, _, *rows = [row.strip("|").split("|") for row in table.strip().split("\n")]
        for place, name in enumerate(header):
            if name.strip() == "test":
                for cell in "".join(row[place] for row in rows).split("`")[1::2]:
                    if cell not in tests:
                        yield f"the test {cell}"
    for scene in parse(page):
        for block in scene:
            if isinstance(block, tuple):
                continue
            code = "\n".join(block.lines)
            if block.language == "text" and re.search(r"(?m)^\$ ", code):
                yield f"a terminal in a block of text, line {block.number}"
            elif block.language == "c" and not block.name:
                if "\n".join(line.strip() for line in block.lines) not in "".join(sources):
                    yield f"a source with the lines {block.number} and so on"
            elif block.language in ("c", "python", "lua", "diff"):
                if not block.name or block.name not in commands:
                    yield f"a command that runs the code of line {block.number}"
            if any(len(line) > 80 for line in block.lines):
                yield f"room in 80 columns for the block of line {block.number}"


def check_names():
    """Checks what can be checked without playing, in all pages."""
    pages = [ROOT / "README.md"] + sorted((ROOT / "docs").rglob("*.md"))
    text = (ROOT / "tests/CMakeLists.txt").read_text()
    tests = set(re.findall(r"add_(?:play|script|test)\((?:NAME )?(\w+)", text))
    tests.update("page_" + page.stem for page in pages)
    words = known_words()
    missing = not_played = 0
    for page in pages:
        page = str(page.relative_to(ROOT))
        for what in check_page(page, words, tests):
            print(f"{page}: there is not: {what}")
            missing += 1
        for reason in re.findall("<!-- not played: (.*) -->", (ROOT / page).read_text()):
            print(f"{page}: not played: {reason}")
            not_played += 1
    print(f"{not_played} blocks are not played, of at most {NOT_PLAYED_MAX}")
    return 1 if missing or not_played > NOT_PLAYED_MAX else 0


def main():
    if len(sys.argv) == 3:
        page = str(Path(sys.argv[1]).resolve().relative_to(ROOT))
        status = play(page, Path(sys.argv[2]).resolve())
    else:
        status = check_names()
    if status == 77 and os.environ.get("PAGES_REQUIRED"):
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
