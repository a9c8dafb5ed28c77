#!/usr/bin/env python3
# pages.py - plays a page: every terminal block, as a reader would type it.
#
#   python3 pages.py PAGE PROGRAMS [LANGUAGE]
#
# PROGRAMS is the folder of the eight programs. LANGUAGE is the one that the system
# speaks: English, or zh_CN, of which an English page may show the other words
# that the table in docs/zh/README.md has. A page is played in namespaces of
# its own (namespaces.py), with a copy of the project as the student's home. Where
# the system allows none, it is skipped; and a scene, where a tool is missing.
#
# Exit status: 0; 1 if something is not as the page says; 77 if something was
# skipped, which is a failure if the environment has PAGES_REQUIRED.
#
# The rules of the pages. A terminal block is fenced with ```console.
#
# - The text before a block says "first", "second" or "third terminal" (the last
#   one counts); else it is the terminal of the block before. A block with the
#   prompt # is a root shell, in a terminal of its own; one without a prompt is of
#   the shell that is there.
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
# - In a table, the cells of a column whose header has "command" or "terminal" are
#   typed, those of a row each in a terminal of its own, and must exit with 0.
import codecs
import collections
import contextlib
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
from pathlib import Path

import comparison
from namespaces import AS_STUDENT, STUDENT, enter, furnish, new_network, run
from process import Hang, is_here, limit

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("tcp", "udp", "unix", "fifo", "common", "tests", "docs")
DEADLINE = 30  # seconds in which nothing more comes: it hangs
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
TYPED = ("console", "row")  # a row of a table is a block of this name
FENCED = re.compile(r"(?ms)^```([^\n]*)\n(.*?)^```")  # language, text
PLACES = {"一": "first", "二": "second", "三": "third"}
KEYS = {"^C": "\3", "^D": "\4", "^Q": "\21", "^S": "\23", "^Z": "\32"}
UNSEEN = ("^D", "^Q", "^S")  # the terminal does not show them

# After such a line a program waits until another terminal does something.
BLOCKED = re.compile(r"waits for (a |the client|the writer)|ready on|listening on")

# Who says a line: the lines of several are compared in the order of each.
SPEAKER = re.compile(r"(\w+(\[\d+\])?|IP6? \S+ > \S+): ")

Line = collections.namedtuple("Line", "text number typed")


class Failure(Exception):
    def __init__(self, number, expected, came):
        super().__init__(f"{number}: expected: {expected}\n  came:     {came}")


# --- The page ---


# A fenced block: its language and lines, and the text before it.
class Block:
    def __init__(self, language, number, before):
        self.language, self.number, self.lines = language, number, []
        text = "\n".join(before)
        self.comments = dict(re.findall("<!-- ([a-z ]+): (.*?) -->", text))
        self.before = re.sub("<!--.*?-->", "", text)

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def terminal(self, default):
        named = re.findall(r"(first|second|third)\s+terminal|第([一二三])个终端",
                           self.before, re.I)
        return (PLACES.get(named[-1][1], named[-1][0].lower()) if named else default[0],
                any(line.startswith("# ") for line in self.lines))

    # The lines, each with what is typed for it.
    def script(self):
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


# The scenes of a page: lists of blocks. A row of a table is one of its own.
def parse(page):
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


# A shell on a pseudo-terminal, and what the page expects of it.
class Terminal:
    def __init__(self, name, scene):
        self.name, root = name
        self.scene = scene
        self.prompt = "# " if root else "$ "
        # What the page expects; what came before it did; all that came.
        self.expected, self.early, self.story = collections.deque(), [], []
        self.number = 0  # the line of the page that is next, or was last
        # What may be typed (nothing, a "block", or the "rest" of it), and was.
        self.turn = self.typing = self.group = None
        self.last = self.tail = ""  # the last line, and what has no newline yet
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.shell, self.fd = pty.fork()
        if self.shell == 0:
            self.start_shell(root)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", 50, 80, 0, 0))

    def start_shell(self, root):
        shell = ["env", "-i", "PATH=" + PATH, "HOME=" + os.getcwd(), "TERM=dumb",
                 "PS1=" + self.prompt, "NO_COLOR=1", *self.scene.house.language,
                 "bash", "--norc", "--noprofile", "--noediting", "-i"]
        os.closerange(3, 1024)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)  # whoever ignores it, as Python does
        command = shell if root else AS_STUDENT[self.scene.house.rights] + shell
        os.execvp(command[0], command)

    # Takes what has come, and compares its whole lines.
    def read(self):
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

    # Removes a line from those that may come now, which are for each process its first
    # one up to the next line that is typed.
    def take(self, came):
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
            if self.scene.comparison.same(line.text, came):
                self.expected.remove(line)
                return
        texts = " or: ".join(line.text for line in first.values())
        raise Failure(self.number, texts or "nothing more", came)

    # Adds the lines of a block, and compares what has come already.
    def expect(self, lines):
        self.last = ""
        self.expected.extend(lines)
        early, self.early = self.early, []
        for line in early:
            self.take(line)

    # Types what the page has next, when it is its turn.
    def type_next(self):
        line = self.expected[0] if self.expected else None
        if not self.turn or not line or not line.typed or line is self.typing:
            return
        is_command = line.typed == line.text[2:] + "\n"
        if is_command and (not self.tail.endswith(line.text[:2])
                           or self.states(self.group) & set("RSD")):
            return
        if self.is_blocked() or line.text in KEYS and self.is_starting():
            return
        if line.typed.startswith("kill "):  # the number that was printed here
            line = line._replace(**{key: self.scene.comparison.came_for(getattr(line, key))
                                    for key in ("text", "typed")})
            self.expected[0] = line
        self.typing = line
        self.last = ""
        # What a key ends or stops may go on for a moment, and take what is typed next.
        self.group = os.tcgetpgrp(self.fd) if line.text in ("^C", "^Z") else None
        if line.text in UNSEEN:
            self.expected.popleft()
        os.write(self.fd, line.typed.encode())

    # Whether what the page has next in a new block needs another terminal.
    def is_blocked(self):
        return self.turn == "block" and BLOCKED.search(self.last) and self.expected and (
            not self.expected[0].typed
            or len(self.expected) == 1 and self.expected[0].text in KEYS)

    # Whether the shell has a command, and not yet given it the terminal.
    def is_starting(self):
        return os.tcgetpgrp(self.fd) == self.shell and not self.at_prompt()

    def at_prompt(self):
        return self.tail.endswith(self.prompt) and os.tcgetpgrp(self.fd) == self.shell

    # The states of the processes of a group: R, S, T, Z, ...
    @staticmethod
    def states(group):
        states = set()
        for stat in Path("/proc").glob("[0-9]*/stat") if group else ():
            with contextlib.suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                states |= {fields[0]} if int(fields[2]) == group else set()
        return states

    # Whether the shell waits for a command, or all that runs sleeps.
    def is_settled(self):
        group = os.tcgetpgrp(self.fd)
        return not self.states(group) & set("RD") and (
            group != self.shell or self.tail == self.prompt)

    def is_done(self):
        return self.is_blocked() or not self.expected and self.is_settled()


# The terminals of one scene, and the numbers that the page stands for.
class Scene:
    def __init__(self, page, blocks, house):
        self.page, self.blocks, self.house = page, blocks, house
        self.terminals = {}
        self.comparison = comparison.Comparison()

    def terminal(self, name):
        if name not in self.terminals:
            self.terminals[name] = Terminal(name, self)
        return self.terminals[name]

    # Lets all terminals go on until done() holds twice while nothing comes.
    def wait(self, terminal, done):
        quiet = 0
        files = {one.fd: one for one in self.terminals.values()}
        try:
            limit(DEADLINE)
            while quiet < 2:
                for one in files.values():
                    one.type_next()
                ready = select.select(files, [], [], 0.01)[0]
                for fd in ready:
                    files[fd].read()
                    limit(DEADLINE)
                quiet = quiet + 1 if not ready and done() else 0
        except Hang:
            texts = [line.text for line in terminal.expected] + ["the end"]
            raise Failure(terminal.number, texts[0],
                          f"nothing, after: {terminal.tail or terminal.last}")
        finally:
            limit(0)

    # Types and compares what the page has for a terminal: a new block as far as it can
    # come now, or the rest.
    def take_turn(self, terminal, turn):
        terminal.turn = turn
        self.wait(terminal, terminal.is_done)
        terminal.turn = None

    # Types each command into a terminal of its own; each must exit with 0.
    def play_row(self, row):
        terminals = [self.terminal((place, False)) for place in range(len(row.lines))]
        for terminal, line in zip(terminals, row.script()):
            self.wait(terminal, terminal.at_prompt)
            os.write(terminal.fd, line.typed.encode())
            # The shell has read it when the terminal has shown it.
            self.wait(terminal, lambda t=terminal: t.story and t.is_settled())
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
            if block.language == "console":
                name = block.terminal(name)
                root = (name[0], True)
                if name not in self.terminals and root in self.terminals and not any(
                        line.startswith("$ ") for line in block.lines):
                    name = root
                terminal = self.terminal(name)
                self.take_turn(terminal, "rest")
                terminal.expect(block.script())
                self.take_turn(terminal, "block")
        for terminal in self.terminals.values():
            self.take_turn(terminal, "rest")
        for terminal in self.terminals.values():
            terminal.expect([])

    # What the scene needs that is not on this system.
    def missing(self):
        text = "".join(block.text() for block in self.blocks if block.language in TYPED)
        lines = "\n".join(re.findall(r"(?m)^[$#] (.*)", text))
        words = {*re.findall(r"(?m)(?:^|[|;&] | \w+[.]sh )([a-z][\w.+-]*)(?= |$)", lines)}
        missing = [word for word in words if not is_here(word)]
        # tcpdump gives them up; and there is no other user, whose path is not one's own.
        if self.house.rights == "user" and re.search("# tcpdump|# chmod 777", text):
            missing.append("root's rights")
        return missing

    def report(self, failure):
        print(f"{self.page}:{failure}")
        for terminal in self.terminals.values():
            print(f"  The {terminal.name} terminal:", end="\n    ")
            print(*terminal.story[-12:], terminal.tail, sep="\n    ")


# --- Where a page is played ---


# A copy of the project for each scene: in namespaces it is the student's home.
class House:
    def __init__(self, programs, rights, language):
        self.rights, self.language = rights, ["LANG=C.UTF-8"]
        house = Path(tempfile.mkdtemp())
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
        self.folder = furnish(house, rights)
        if language:
            self.learn(language)

    # Makes a locale here, and lets the shells speak its language.
    def learn(self, language):
        locale = language + ".UTF-8"
        self.language = [f"LANG={locale}", f"LANGUAGE={language}", f"LOCPATH={self.folder}"]
        command = ["localedef", "-i", language, "-f", "UTF-8", self.folder / locale]
        with contextlib.suppress(OSError):
            subprocess.run(command, check=False, capture_output=True)
        probe = ["env", *self.language, "cat", "/nothing"]
        if subprocess.run(probe, check=False, capture_output=True).stderr.isascii():
            print(f"Skipped: the system does not speak {language} (of Debian: locales)")
            sys.exit("PAGES_REQUIRED" in os.environ or 77)

    # The network, /tmp and home of a new scene.
    def prepare(self):
        home = self.folder / "student"
        new_network()
        run("find", "/tmp", "-mindepth", "1", "-delete")
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.folder / "copy", home)
        if self.rights == "root":
            run("chown", "-R", f"{STUDENT}:{STUDENT}", home)
        os.chdir(home)


# Plays a scene in a process of its own; returns whether it failed.
def play_scene(scene):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            scene.house.prepare()
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
        os.kill(-1, signal.SIGKILL)  # all but this one, which is the first here
    return status != 0


def main():
    os.environ["PATH"] = PATH
    page = Path(sys.argv[1]).resolve().relative_to(ROOT)
    scenes = parse(page)  # the house hides /tmp and /home
    rights = enter()
    if not rights:
        print("Skipped: the system allows no namespaces (of Linux, by unshare)")
        sys.exit("PAGES_REQUIRED" in os.environ or 77)
    language = sys.argv[3] if len(sys.argv) > 3 else None
    if language and "zh" not in page.parts:
        comparison.learn((ROOT / "docs/zh/README.md").read_text())
    house = House(Path(sys.argv[2]).resolve(), rights, language)
    skipped = failed = 0
    for blocks in scenes:
        scene = Scene(page, blocks, house)
        missing = scene.missing()
        if missing:
            print(f"Skipped: a scene, for want of {', '.join(missing)}")
        skipped += bool(missing)
        failed += not missing and play_scene(scene)
    sys.exit(1 if failed or skipped and "PAGES_REQUIRED" in os.environ
             else 77 if skipped else 0)


if __name__ == "__main__":
    main()
