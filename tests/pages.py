#!/usr/bin/env python3
# pages.py - plays a page: every terminal block, as a reader would type it.
#
#   python3 pages.py PAGE PROGRAMS     plays the blocks of one page
#   python3 pages.py                   checks what all the pages name
#
# PROGRAMS is the folder of the eight programs. Where the system allows it, the
# page gets namespaces of its own: network (only loopback), processes, /tmp, and
# a user "student" whose home is a copy of the project. Elsewhere one page at a
# time is played, in a folder, and the scenes that need more are skipped.
#
# Exit status: 0; 1 if something is not as the page says; 77 if a scene was
# skipped, or a name is not known here, where tools may be missing. This is a
# failure if the environment has PAGES_REQUIRED.
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
#   before the block: <!-- typed: one | two -->. All else is output, up to where
#   the program sleeps: a block that shows its end has a command after it.
# - A block whose next line needs another terminal (after a line of BLOCKED, and a
#   key that ends the block) is left, and compared while the next blocks are
#   played. What remains to be typed in it is typed when its terminal has another
#   block, or the scene ends.
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
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of Linux
NAMESPACES = os.environ.get("PAGES_IN")  # root or user, once they are entered
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
CHECK = """cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Wshadow
    -Wconversion -Wstrict-prototypes -Wformat=2 -Werror -fsyntax-only""".split()
CODE = ("c", "python", "lua", "cpp", "diff")
TYPED = ("console", "row")  # a row of a table is a block of this name
TERMINAL = r"^(\$ |# [a-z]|\w+_\w+.*: )"  # lines of a terminal
FENCED = re.compile(r"(?ms)^```([^\n]*)\n(.*?)^```")  # language, text
KEYS = {"^C": "\3", "^D": "\4", "^Z": "\32"}

# After such a line a program waits until another terminal does something.
BLOCKED = re.compile(r"waits for (a |the client|the writer)|ready on|listening on")

# What differs from run to run: dates, blanks (columns), and numbers of processes
# and of ports that the kernel chose. The same number in a scene has to be the same in the run.
DATES = re.compile("(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \\d+ \\d\\d:\\d\\d")
NUMBERS = re.compile(
    r"(?<=fork\(\) = )[1-9]\d*|(?<=\w\[)\d+(?=\])|(?<=pid=)\d+|(?<=pid )\d+"
    r"|(?<=^\[\d\] )\d+$|^\d+( \d+)?(?= [RSDTZ][+sl<N]*( |$))"
    r"|((?<=[\d\]][.:])|(?<=htons\())(3[3-9]\d|32[7-9]|[456]\d\d)\d\d\b"
)
SPEAKER = re.compile(r"(\w+(\[\d+\])?|IP6? \S+ > \S+): ")

# What needs namespaces, or root: tcpdump gives up root's rights.
SKIP_WITHOUT = {"root": "(?!)", "user": "^# tcpdump",
                None: r"^# |student|localhost|/tmp|unix_|fifo_|\b(ip|ps|ss|pgrep|pkill) "}

Line = collections.namedtuple("Line", "text number typed")


class Failure(Exception):
    def __init__(self, number, expected, came):
        super().__init__(f"{number}: expected: {expected}\n  came:     {came}")


# --- The page ---


class Block:
    """A fenced block: its language and lines, and the text before it."""

    def __init__(self, language, number, before):
        self.language, self.number, self.lines = language, number, []
        text = "\n".join(before)
        self.comments = dict(re.findall("<!-- ([a-z ]+): (.*?) -->", text))
        self.before = re.sub("<!--.*?-->", "", text)
        self.name = (re.findall(r"`([\w.-]+\.\w+)`[:：]\s*$", self.before) or [None])[0]

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def terminal(self, default):
        named = re.findall(r"(first|second|third)\s+terminal", self.before, re.I)
        return (named[-1].lower() if named else default[0],
                any(line.startswith("# ") for line in self.lines))

    def script(self):
        """The lines, each with what is typed for it."""
        typed = self.comments.get("typed", "").split(" | ")
        command = False
        for number, line in enumerate(self.lines, self.number + 1):
            keys, goes_on = KEYS.get(line), command and line.startswith("> ")
            command = goes_on or line.startswith(("$ ", "# "))
            if command:
                keys = line[2:] + "\n"
            elif line and [line] == typed[:1]:
                keys = typed.pop(0) + "\n"
            yield Line(line, number, keys)
        if any(typed):
            raise Failure(self.number, f"to type {typed}", "a block without it")


def parse(page):
    """The scenes of a page: lists of blocks. A row of a table is one of its own."""
    scenes, before, block, header = [[]], [], None, None
    for number, line in enumerate((ROOT / page).read_text().split("\n"), 1):
        if line.startswith("```") and block:
            block, before = None, []
        elif block:
            block.lines.append(line)
        elif line.startswith("```"):
            block = Block(line[3:], number, before)
            scenes[-1].append(block)
        elif line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip("|"))
            header = header or cells
            row = Block("row", number, [])
            row.lines = ["$ " + found[1].replace("\\|", "|")
                         for name, cell in zip(header, cells)
                         if re.search("command|terminal", name, re.I)
                         and (found := re.fullmatch(" *`([^`]+)` *", cell))]
            scenes += [[row], []] if row.lines else []
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
        self.prompt = "# " if root else "$ "
        # What the page expects; what came before it did; all that came.
        self.expected, self.early, self.story = collections.deque(), [], []
        self.number = 0  # the line of the page that is next, or was last
        # What may be typed (nothing, a "block", or the "rest" of it), and was.
        self.turn = self.typing = None
        self.last = self.tail = ""  # the last line, and what has no newline yet
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            self.start_shell(root)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 50, 80, 0, 0))

    def start_shell(self, root):
        shell = ["env", "-i", "PATH=" + PATH, "HOME=" + os.getcwd(), "TERM=dumb",
                 "PS1=" + self.prompt, "LANG=C.UTF-8",
                 "bash", "--norc", "--noprofile", "--noediting", "-i"]
        if not root and NAMESPACES == "user":
            shell = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] + shell
        elif not root and os.getuid() == 0:
            os.setgroups([])
            os.setgid(STUDENT)
            os.setuid(STUDENT)
        os.closerange(3, 1024)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it
        os.execvp(shell[0], shell)

    def read(self):
        """Takes what has come, and compares its whole lines."""
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # this is how a terminal tells that nobody has it
            data = b""
        if not data:
            raise Failure(self.number, "a shell", "its end")
        text = self.tail + self.decoder.decode(data).replace("\r", "")
        *lines, self.tail = text.split("\n")
        for self.last in lines:
            self.story.append(self.last)
            if self.expected:
                self.take(self.last)
            else:
                self.early.append(self.last)

    def take(self, came):
        """Removes a line from those that may come now, which are for each process
        its first one up to the next line that is typed."""
        first = {}
        for line in self.expected:
            if line.typed and first:
                break
            speaker = SPEAKER.match(line.text)
            first.setdefault(speaker and speaker[1], line)
            if line.typed:
                break
        if len(first) - (None in first) == 1:  # one process, with its data
            first = {None: self.expected[0]}
        self.number = self.expected[0].number if self.expected else self.number
        for line in first.values():
            if self.scene.same(line.text, came):
                self.expected.remove(line)
                return
        texts = " or: ".join(line.text for line in first.values())
        raise Failure(self.number, texts or "nothing more", came)

    def expect(self, lines):
        """Adds the lines of a block, and compares what has come already."""
        self.last = ""
        self.expected.extend(lines)
        early, self.early = self.early, []
        for line in early:
            self.take(line)

    def type_next(self):
        """Types what the page has next, when it is its turn."""
        line = self.expected[0] if self.expected else None
        if not self.turn or not line or not line.typed or line is self.typing:
            return
        is_command = line.typed == line.text[2:] + "\n"
        if is_command and not self.tail.endswith(line.text[:2]):
            return
        if self.is_blocked() or line.text in KEYS and self.is_starting():
            return
        self.typing = line
        self.last = ""
        if line.text == "^D":
            self.expected.popleft()  # the terminal does not show it
        os.write(self.fd, line.typed.encode())

    def is_blocked(self):
        """Whether what the page has next in a new block needs another terminal."""
        return self.turn == "block" and BLOCKED.search(self.last) and self.expected and (
            not self.expected[0].typed
            or len(self.expected) == 1 and self.expected[0].text in KEYS)

    def is_starting(self):
        """Whether the shell has a command, and not yet given it the terminal."""
        return os.tcgetpgrp(self.fd) == self.shell and not self.at_prompt()

    def at_prompt(self):
        return self.tail.endswith(self.prompt) and os.tcgetpgrp(self.fd) == self.shell

    def is_settled(self):
        """Whether the shell waits for a command, or all that runs sleeps."""
        group = os.tcgetpgrp(self.fd)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] in "RD":
                    return False
        return group != self.shell or self.tail == self.prompt

    def is_done(self):
        return self.is_blocked() or not self.expected and self.is_settled()


class Scene:
    """The terminals of one scene, and the numbers that the page stands for."""

    def __init__(self, page, blocks):
        self.page, self.blocks = page, blocks
        self.terminals = {}
        self.numbers = {}

    def same(self, *lines):
        """Whether the page's line and the one that came are the same, but for what
        differs from run to run."""
        page, came = (DATES.sub("date", " ".join(line.split())) for line in lines)
        pairs = [re.findall(r"\d+", " ".join(found[0] for found in NUMBERS.finditer(line)))
                 for line in (page, came)]
        numbers = {**self.numbers, **dict(zip(*pairs))}
        if (NUMBERS.sub("#", page) != NUMBERS.sub("#", came)
                or len(pairs[0]) != len(pairs[1]) or self.numbers.items() - numbers.items()
                or len(set(numbers.values())) < len(numbers)):
            return False
        self.numbers = numbers
        return True

    def terminal(self, name):
        if name not in self.terminals:
            self.terminals[name] = Terminal(name, self)
        return self.terminals[name]

    def wait(self, terminal, done):
        """Lets all terminals go on until done() holds twice while nothing comes."""
        deadline = time.monotonic() + DEADLINE
        quiet = 0
        files = {one.fd: one for one in self.terminals.values()}
        while quiet < 2:
            for one in files.values():
                one.type_next()
            ready = select.select(files, [], [], 0.01)[0]
            for fd in ready:
                files[fd].read()
                deadline = time.monotonic() + DEADLINE
            quiet = quiet + 1 if not ready and done() else 0
            if time.monotonic() > deadline:
                texts = [line.text for line in terminal.expected] + ["the end"]
                raise Failure(terminal.number, texts[0],
                              f"nothing, after: {terminal.tail or terminal.last}")

    def take_turn(self, terminal, turn):
        """Types and compares what the page has for a terminal: a new block as far as
        it can come now, or the rest."""
        terminal.turn = turn
        self.wait(terminal, terminal.is_done)
        terminal.turn = None

    def play_row(self, row):
        """Types each command into a terminal of its own; each must exit with 0."""
        terminals = [self.terminal((place, False)) for place in range(len(row.lines))]
        for terminal, line in zip(terminals, row.script()):
            self.wait(terminal, terminal.at_prompt)
            os.write(terminal.fd, line.typed.encode())
            self.wait(terminal, terminal.is_settled)
        for terminal in reversed(terminals):  # clients end by themselves
            if any(map(BLOCKED.search, terminal.story)) and not terminal.at_prompt():
                os.write(terminal.fd, b"\3")
            self.wait(terminal, terminal.at_prompt)
            os.write(terminal.fd, b"echo exit status: $?\n")
            self.wait(terminal, lambda t=terminal: t.last.startswith("exit status"))
            if not re.search(": (0|130)$", terminal.last):
                raise Failure(row.number, "exit status: 0", terminal.last)

    def play(self):
        name = ("first", False)
        for block in self.blocks:
            if block.language == "row":
                return self.play_row(block)
            if block.language == "c" and block.name:
                run(*CHECK, block.name)
            if block.language == "console" and "not played" not in block.comments:
                name = block.terminal(name)
                terminal = self.terminal(name)
                self.take_turn(terminal, "rest")
                terminal.expect(block.script())
                self.take_turn(terminal, "block")
        for terminal in self.terminals.values():
            self.take_turn(terminal, "rest")
        for terminal in self.terminals.values():
            terminal.expect([])

    def missing(self):
        """What the scene needs that is not on this system."""
        text = "".join(block.text() for block in self.blocks if block.language in TYPED)
        lines = "\n".join(re.findall(r"(?m)^[$#] (.*)", text))
        words = {*re.findall(r"(?m)(?:^|[|;&] | \w+[.]sh )([a-z][\w.+-]*)(?= |$)", lines)}
        types = ["env", "PATH=" + PATH, "bash", "-c", 'type "$1"', "sh"]
        missing = [word for word in words if subprocess.run(
            types + [word], capture_output=True).returncode]
        lacks = re.search(SKIP_WITHOUT[NAMESPACES], text, re.M)
        return missing + (["root's rights"] if lacks else [])

    def report(self, failure):
        print(f"{self.page}:{failure}")
        for terminal in self.terminals.values():
            print(f"  The {terminal.name} terminal:", end="\n    ")
            print(*terminal.story[-12:], terminal.tail, sep="\n    ")


# --- The namespaces ---


def enter_namespaces():
    """Starts this program again in namespaces of its own, if the system lets it."""
    kind = "root" if os.geteuid() == 0 else "user"
    command = "unshare --net --mount --pid --fork --kill-child --mount-proc".split()
    command += ["--user", "--map-root-user"] if kind == "user" else []
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(command + ["ip", "link"], check=True, capture_output=True)
        os.environ["PAGES_IN"] = kind
        os.execvp("unshare", command + [sys.executable] + sys.argv)


def run(*command):
    subprocess.run(command, check=True)


def make_house(programs):
    """The copy of the project that each scene gets; in namespaces also a /tmp, a
    home, a student and a list of hosts. Returns the copy, and the home."""
    house = Path(tempfile.mkdtemp())
    if NAMESPACES:
        run("mount", "-t", "tmpfs", "tmpfs", house)
    house.chmod(0o755)
    copy = house / "copy"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder)
    for file in ("README.md", "CMakeLists.txt", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    (copy / "build").mkdir()
    for source in [*ROOT.glob("*/*_server.c"), *ROOT.glob("*/*_client.c"),
                   *ROOT.glob("fifo/*.c")]:
        shutil.copy(programs / source.stem, copy / "build")
    if NAMESPACES:
        user = STUDENT if NAMESPACES == "root" else 0
        for name, line in (("passwd", f"student:x:{user}:{user}::/home:/bin/bash\n"),
                           ("group", f"student:x:{user}:\n"),
                           ("hosts", "127.0.0.1 localhost\n::1 localhost\n")):
            old = "" if name == "hosts" else Path("/etc", name).read_text()
            (house / name).write_text(line + old)
            run("mount", "--bind", house / name, "/etc/" + name)
        run("mount", "--bind", house, "/home")
        run("mount", "-t", "tmpfs", "tmpfs", "/tmp")
        house = Path("/home")
    return house / "copy", house / "student"


def prepare(copy, home, saved):
    """The network, /tmp and home of a new scene."""
    if NAMESPACES:
        ctypes.CDLL(None).unshare(NEW_NETWORK)
        run("ip", "link", "set", "lo", "up")
        run("find", "/tmp", "-mindepth", "1", "-delete")
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(copy, home)
    for block in saved:
        (home / block.name).write_text(block.text())
    if os.getuid() == 0 and NAMESPACES != "user":
        run("chown", "-R", f"{STUDENT}:{STUDENT}", home)
    os.chdir(home)


def play_scene(scene, *places):
    """Plays a scene in a process of its own; returns whether it failed."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            prepare(*places)
            scene.play()
            status = 0
        except Failure as failure:
            scene.report(failure)
        sys.stdout.flush()
        os._exit(status)
    ended = None
    while ended != child:  # in a namespace others that ended come here, too
        ended, status = os.wait()
    with contextlib.suppress(ProcessLookupError):
        if os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
    return status != 0


def play(page, programs):
    """Plays all scenes of a page. Returns the exit status."""
    if not NAMESPACES:
        enter_namespaces()
        lock = open(Path(tempfile.gettempdir(), f"pages-{os.getuid()}.lock"), "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    scenes = parse(page)
    copy, home = make_house(programs)
    saved, skipped, failed = [], 0, 0
    for blocks in scenes:
        scene = Scene(page, blocks)
        saved += [block for block in blocks if block.name]
        missing = scene.missing()
        if missing:
            print(f"{page}: a scene is skipped, for want of {', '.join(missing)}")
        skipped += bool(missing)
        failed += not missing and play_scene(scene, copy, home, saved)
    if not NAMESPACES:
        shutil.rmtree(copy.parent, ignore_errors=True)
    return 1 if failed else 77 if skipped else 0


# --- What the pages name ---


def anchors(page):
    """The anchors of a page's headings, in order, as GitHub makes them."""
    text = FENCED.sub("", page.read_text())
    titles = re.findall(r"(?m)^#+ (.*)", text)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def read_words():
    """Words of the sources and the system's headers, and the commands."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
             if path.suffix in (".c", ".h", ".py", ".sh", ".txt")] + [ROOT / "CMakeLists.txt"]
    for folder in ("", "*/sys/", "*/bits/", "*/bits/types/", "netinet/", "arpa/", "linux/"):
        files += Path("/usr/include").glob(folder + "*.h")
    words = {*os.listdir("/usr/bin"), *os.listdir("/usr/sbin")}
    for path in files:
        words.update(re.findall(r"\w+", path.read_text(errors="replace")))
    return words


def squeeze(text):
    """The lines without the blanks around them."""
    return "\n".join(line.strip() for line in text.split("\n"))


def check_prose(page, prose, words, tests):
    """The links, files, functions and tests that a page names, and are not there."""
    for link in re.findall(r"\]\((?!http)([^)\s]*)\)", prose):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
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
        for place in [place for place, name in enumerate(header) if name.strip() == "test"]:
            for name in "".join(row[place] for row in rows).split("`")[1::2]:
                if name not in tests:
                    yield f"the test {name}"


def check_blocks(page, text, sources):
    """What a page's blocks need by the rules of the pages, and do not have."""
    commands = "\n".join(re.findall(r"(?m)^[$#] .*", text))
    for block in (block for scene in parse(page) for block in scene):
        needs = None
        if block.language not in CODE + TYPED and re.search(TERMINAL, block.text(), re.M):
            needs = "console, as its language"
        elif block.language == "c" and not block.name:
            if not any(squeeze(block.text()) in source for source in sources):
                needs = "a source that has these lines"
        elif block.language in CODE and f"{block.name}" not in commands:
            needs = "a name, and a command that uses it"
        if any(len(line) > 80 for line in block.lines):
            needs = "more than 80 columns"
        if needs:
            yield f"what the block of line {block.number} needs: {needs}"


def check_pages():
    """Checks what can be checked without playing, in all pages."""
    pages = [ROOT / "README.md"] + sorted((ROOT / "docs").rglob("*.md"))
    lists = "".join(path.read_text() for path in ROOT.glob("tests/**/CMakeLists.txt"))
    tests = set(re.findall(r"add_(?:play|script|test)\((?:NAME )?(\w+)", lists))
    tests.update("page_" + page.stem for page in pages)
    sources = [squeeze(path.read_text()) for path in ROOT.glob("*/**/*.[ch]")]
    words = read_words() | tests
    found, not_played = {0}, 0
    for page in pages:
        text = page.read_text()
        own = {*re.findall(r"\w+", "".join(code for _, code in FENCED.findall(text)))}
        prose = FENCED.sub("", text)
        name = page.relative_to(ROOT)
        for what in [*check_prose(page, prose, words | own, tests),
                     *check_blocks(page, text, sources)]:
            print(f"{name}: there is not {what}")
            found.add(77 if what.startswith("the name") else 1)
        for reason in re.findall("<!-- not played: (.*) -->", text):
            print(f"{name}: not played: {reason}")
            not_played += 1
    print(f"{not_played} blocks are not played, of at most {NOT_PLAYED_MAX}")
    found.add(int(not_played > NOT_PLAYED_MAX))
    return 1 if 1 in found else max(found)


def main():
    if len(sys.argv) == 3:
        page = Path(sys.argv[1]).resolve().relative_to(ROOT)
        status = play(page, Path(sys.argv[2]).resolve())
    else:
        status = check_pages()
    sys.exit(1 if status == 77 and os.environ.get("PAGES_REQUIRED") else status)


if __name__ == "__main__":
    main()
