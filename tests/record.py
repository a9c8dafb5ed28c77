#!/usr/bin/env python3
# record.py - records the scenes of replay.ini with the real programs, and makes
# of them docs/replay.html, docs/zh/replay.html and docs/replay.svg.
#
#   python3 tests/record.py          writes the three files
#   python3 tests/record.py check    compares with them
#   python3 tests/record.py scene NAME FOLDER    (for itself) records one scene
#
# Needs Linux on x86-64, root (for namespaces), cc, addr2line, tcpdump, ss, nft.
#
# Exit status: 0; 1 if something differs; 77 if a tool or a right is missing,
# which is a failure if the environment has REPLAY_REQUIRED.
import concurrent.futures
import configparser
import faulthandler
import html
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
from stepper import Stepper, Wire, run

ROOT = Path(__file__).resolve().parent.parent
BUILD = "cc -std=c11 -D_POSIX_C_SOURCE=200809L -O0 -g -no-pie".split()
SPACES = "unshare --net --mount --pid --fork --kill-child --mount-proc".split()
# A kernel shall not send again because a program was made to stand still.
SETTINGS = ("ip link set lo up", "mount -t tmpfs tmpfs /tmp",
            "ip route change table local local 127.0.0.1 dev lo rto_min 3s")
STUDENT = 1000  # the user who types
DEADLINE = 60  # seconds for a scene: only a hang takes so long
FLAGS = {"S": "SYN", "F": "FIN", "R": "RST", "P": "PSH", ".": "ACK"}
PLACES = ("first", "second", "third")
LANGUAGES = ("en", "zh")
FORGOTTEN = "\n        result = close(conn_fd);\n        tell(result, \"close(%d)\", conn_fd);\n"

words = configparser.ConfigParser(interpolation=None, delimiters=["=>"], comment_prefixes=["#"])
words.optionxform = str
words.read(ROOT / "tests/replay.ini")
SCENES = [name for name in words.sections() if "-" in name]


# --- A scene is recorded ---


class Recording:
    # The rows: what is typed, a line that is printed, a segment, an end. `text` is what
    # a terminal shows; `event` names what happened, for the sentences of replay.ini.
    def __init__(self, folder):
        sources = {str(path.relative_to(folder)): path.read_text().rstrip().split("\n")
                   for path in Path(folder).rglob("*.[ch]")}
        self.stepper, self.wire = Stepper(folder, sources), Wire()
        self.rows, self.states, self.owners, self.queue, self.ports = [], [[]], {}, [], 0
        self.scales = {}  # of the windows that an end of a connection names

    # Does a line of a script.
    def act(self, action):
        place, _, text = action.partition(": ")
        if not text:
            return self.let_time_pass()
        while len(self.stepper.terminals) < int(place[0]):
            is_root = place.endswith("#") and len(self.stepper.terminals) == 2
            self.stepper.open_terminal(0 if is_root else STUDENT)
        terminal = self.stepper.terminals[int(place[0]) - 1]
        before = set(self.stepper.processes)
        self.pin()
        self.stepper.type(terminal, text)
        new = [one.label for pid, one in self.stepper.processes.items()
               if pid not in before and one.name]
        event = f"types {text}" + (f" and starts {', '.join(new)}" if new else "")
        self.add([self.row("typed", event, terminal, terminal.take(), typed=text),
                  *self.ends(), *self.segments()])
        return self.settle()

    # Until somebody has waited for long enough, or a kernel has sent again.
    def let_time_pass(self):
        for process in self.stepper.living():
            if process.held == "door":
                self.stepper.resume(process.pid)
        segments = []
        while not segments and all(map(self.stepper.is_blocked, self.stepper.living())):
            self.stepper.pump()
            segments = self.segments()
        self.add(segments)
        self.settle()

    # As on one processor: who has been ready longest goes on until it waits. A new child
    # comes first.
    def settle(self):
        while True:
            ready = [one for one in self.stepper.living()
                     if one.held != "suspended" and not self.stepper.is_blocked(one)]
            new = [one for one in ready if one not in self.queue]
            self.queue = [one for one in new if one.call == "fork"] + [
                one for one in self.queue if one in ready] + [
                one for one in new if one.call != "fork"]
            if not self.queue:
                return
            process = self.queue.pop(0)
            if not self.go(process):
                self.queue.insert(0, process)

    # The numbers that the kernel gives next shall be the same in each recording.
    def pin(self):
        last = max([300, *self.stepper.processes])
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(last))
        port = 40312 + 2 * self.ports
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{port} {port}")

    # Lets a process go on to its next line. Returns whether it is the others' turn.
    def go(self, process):
        self.pin()
        awaited, calls, text, told, segments = process.waits, 0, "", None, []
        if process.held != "call":
            self.stepper.turn(process)
        while process.held == "call":
            calls += 1
            self.ports += process.call == "socket"
            segments += self.segments(process)
            self.stepper.turn(process)
        if process.held == "line":
            process.terminal.read("\n")
            text, told = process.terminal.take(), process.call
            process.call = process.waits = None
            if waits := re.search(r": (\w+)\(.* waits for ", text):
                process.waits = waits[1]
                self.stepper.turn(process)  # to the door of the call
                self.add([self.row("wait", text, process.terminal, text, process)])
                return True
        segments += self.segments(process)
        own = []
        if text.startswith(process.label + ": "):
            own = [self.row("call" if told else "say", text, process.terminal, text, process)]
        elif text:
            own = [self.row("print", "prints", process.terminal, text, process)]
        elif process.held is None and (calls or not awaited):
            own = [self.row("inside", f"inside {process.call or process.doing}",
                            process.terminal, "", process)]
        first, second = (segments, own) if awaited and text and calls < 2 else (own, segments)
        self.add(first + second)
        self.add(self.ends())
        return told == "connect"

    def row(self, kind, event, terminal, text="", process=None, **more):
        return {"kind": kind, "event": event.strip(), "text": text,
                "terminal": self.stepper.terminals.index(terminal),
                "process": process and process.pid, "line": process and process.line, **more}

    # Rows for what crossed the wire, the first of it for this process.
    def segments(self, process=None):
        rows = []
        for text, data in self.wire.take():
            source, target, what = re.match(r"IP (\S+) > (\S+): (.*)", text).groups()
            flags = [FLAGS[flag] for flag in (re.findall(r"Flags \[(.*?)\]", what) or [""])[0]]
            size = int(re.search(r"length (\d+)", what)[1])
            start = 4 * (data[0] & 15)
            start += 4 * (data[start + 12] >> 4) if flags else 8
            label = ", ".join(flags) or ("ICMP" if "ICMP" in what else "UDP")
            self.scales.update({source: int(one) for one in re.findall(r"wscale (\d+)", what)})
            window = int((re.findall(r" win (\d+)", what) or [0])[0])
            window <<= 0 if "SYN" in flags else self.scales.get(source, 0)
            rows.append(self.row(
                "segment", f"sends {label} {size} window {window}", self.stepper.terminals[0],
                label=label, size=size, window=window,
                data=data[start:start + size].decode(errors="backslashreplace"),
                ends=[re.sub(r"\.(\d+)$", r":\1", end) for end in (source, target)]))
        for row in rows[:1] if process else ():
            self.owners.setdefault(row["ends"][0], process.pid)
        return rows

    # Rows for the processes that have ended since the last time.
    def ends(self):
        rows = []
        for process in self.stepper.processes.values():
            if process.name and process.status is not None:
                how = (signal.Signals(os.WTERMSIG(process.status)).name
                       if os.WIFSIGNALED(process.status) else os.WEXITSTATUS(process.status))
                rows.append(self.row("end", f"{process.label}: ends {how}", process.terminal,
                                     process.terminal.take(), process))
                process.status = None
        return rows

    # Adds rows. What the system holds was seen after the last segment, or the last row.
    def add(self, rows):
        seen = max([i for i, row in enumerate(rows) if row["kind"] == "segment"]
                   or [len(rows) - 1])
        for i, row in enumerate(rows):
            if i == seen:
                found = self.stepper.look()
                self.states += [found] if found != self.states[-1] else []
                for one in found:
                    if one[6]:
                        self.owners[one[0]] = self.owners[one[2]] = one[6][0][0]
            row["state"] = len(self.states) - 1
            row["status"] = {one.pid: self.status(one) for one in self.stepper.living()}
            self.rows.append(row)

    def status(self, process):
        if process.held == "suspended":
            return "suspended"
        blocked = self.stepper.is_blocked(process)
        return f"waits {process.call or process.waits or process.doing}" if blocked else "ready"

    # All of it, with the processes at the ends of each segment.
    def result(self):
        for row in self.rows:
            if "ends" in row:
                row["ends"] = [self.owners.get(end) for end in row["ends"]]
        processes = {one.pid: [one.label, self.stepper.terminals.index(one.terminal), one.source]
                     for one in self.stepper.processes.values() if one.name}
        places = {(one[0], one[1]) for one in processes.values()}
        for one in processes.values():  # two of a name
            if sum(name == one[0] for name, _ in places) > 1:
                one[0] += " " + "①②③"[one[1]]
        return {"rows": self.rows, "states": self.states, "processes": processes,
                "owners": self.owners,
                "sources": {one[2]: self.stepper.sources[one[2]] for one in processes.values()}}


# Records a scene, in namespaces of its own, and prints it as JSON.
def play(name, folder):
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    for command in SETTINGS:
        run(*command.split())
    recording = Recording(folder)
    for action in words[name]["script"].strip().split("\n"):
        recording.act(action)
    print(json.dumps(recording.result()))


# A copy of the project with its programs, and the changed one of exercise 6.
def build(folder):
    for name in ("tcp", "udp", "unix", "fifo", "common"):
        shutil.copytree(ROOT / name, folder / name)
    source = (folder / "tcp/tcp_server.c").read_text()
    if source.count(FORGOTTEN) != 1:
        sys.exit("tcp_server.c: the close that exercise 6 forgets is not there")
    changed = folder / "no_close/tcp_server.c"
    changed.parent.mkdir()
    changed.write_text(source.replace(FORGOTTEN, "\n"))
    (folder / "build").mkdir()
    for path in folder.glob("*/*_*.c"):
        place = changed.parent if path == changed else folder / "build"
        run(*BUILD, path, *folder.glob("common/*.c"), "-o", place / path.stem)


def record():
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        build(Path(folder))

        def one(name):
            return json.loads(run(*SPACES, sys.executable, __file__, "scene", name, folder))
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            return dict(zip(SCENES, pool.map(one, SCENES)))


# --- The pages are made ---


class Page:
    def __init__(self, language):
        self.language = LANGUAGES.index(language)

    # The words for a key, in this language.
    def word(self, key, section="words"):
        return words[section][key].strip().split("\n")[self.language]

    # The sentence for what happened: that of the first rule that fits, as HTML.
    def sentence(self, event, **values):
        for rule in words["sentences"]:
            if found := re.search(rule, event):
                text = self.word(rule, "sentences").format(found[0], *found.groups(), **values)
                return re.sub("`(.*?)`", r"<code>\1</code>", html.escape(text, quote=False))
        raise KeyError(f"replay.ini has no sentence for: {event}")

    def role(self, scene, pid):
        if pid is None:
            return self.word("nobody")
        return self.word(re.search("_([a-z]+)", scene["processes"][str(pid)][0])[1])

    # What happened, and what has changed.
    def sentences(self, scene, row, before):
        ends = [self.role(scene, pid) for pid in row.get("ends", ())]
        name = scene["processes"].get(str(row["process"]), [""])[0]
        yield self.sentence(row["event"], who=f"`{name}`", ends=ends,
                            terminal=self.word(f"terminal {row['terminal'] + 1}"))
        old = {one[0]: one for one in scene["states"][before]}
        for one in scene["states"][row["state"]]:
            was = old.get(one[0], [one[0], "none", "", "", 0, 0, []])
            end = self.role(scene, scene["owners"].get(one[0], scene["owners"].get(one[2])))
            if one[:6] != was[:6]:
                event = f"socket {one[1]} {one[4]} {one[0].split()[0]} was {was[1]} {was[4]}"
                yield self.sentence(event, end=end)
            if len(one[6]) < len(was[6]) and row["kind"] != "typed":
                yield self.sentence(f"left to {len(one[6])}", end=end,
                                    who=self.names(scene, dict(one[6])))

    # Who waits, and who may go on, if there is a choice.
    def others(self, scene, row):
        waits = {pid: f" ({status.split()[1]})" for pid, status in row["status"].items()
                 if status.startswith("waits")}
        ready = [pid for pid, status in row["status"].items() if status == "ready"]
        if waits:
            yield self.sentence("waits", who=self.names(scene, waits, waits))
        if len(ready) > 1:
            yield self.sentence("ready", who=self.names(scene, ready))

    @staticmethod
    def names(scene, pids, notes=()):
        return ", ".join(f"`{scene['processes'][str(pid)][0]}`{dict(notes).get(pid, '')}"
                         for pid in pids)

    # The cells of a row: the first terminal, the wire, the other terminals.
    def cells(self, scene, row):
        cells = ["", "", ""]
        place = 2 if row["terminal"] else 0
        text = html.escape(row["text"].rstrip("\n") or row.get("typed", ""), quote=False)
        if row["kind"] == "segment":
            cells[1] = self.arrow(scene, row["ends"], row["label"], row["size"], row["window"], row["data"])
        elif text:
            text = re.sub(r"(?s)^(\w+(?:\[\d+\])?:) (.*)", r"<i>\1</i> \2", text)
            cells[place] = f'<pre class="{row["kind"]} c{row["terminal"] + 1}">{text}</pre>'
        # Without a wire: what a process hands over to the kernel.
        handed = re.match(r"(?:unix|fifo)_.*: (connect|write)\(3.* = (\d+)", row["text"])
        if handed or re.match(r"unix_server.*: write.* = (\d+)", row["text"]):
            other = next(int(pid) for pid, one in scene["processes"].items()
                         if (one[1] == 0) != (place == 0))
            size = int(re.search(r" = (\d+)", row["text"])[1])
            cells[1] = self.arrow(scene, [row["process"], other], "" if size else "connect", size)
        return cells

    def arrow(self, scene, ends, label, size, window=None, data=""):
        places = [scene["processes"][str(pid)][1] if pid else 1 for pid in ends]
        way = self.word("way").format(one=self.role(scene, ends[0]), other=self.role(scene, ends[1]))
        if size:
            label = f"<small>{label}</small> " + self.word("bytes").format(size=size)
        if window is not None and window < 4096 and "ACK" in label:
            label += " <small>" + self.word("window").format(size=window) + "</small>"
        if data:
            data = json.dumps(data[:20], ensure_ascii=False)[:-1] + ('"' if len(data) <= 20 else "…")
            label += f" <code>{html.escape(data, quote=False)}</code>"
        return (f'<span class="arrow to-{"right" if places[0] < places[1] else "left"}">'
                f'<span class="unseen">{way}: </span>{label}</span>')

    def table(self, name, scene):
        rows = []
        for number, row in enumerate(scene["rows"], 1):
            before = scene["rows"][number - 2]["state"] if number > 1 else 0
            first, wire, second = self.cells(scene, row)
            says = " ".join(text for text in self.sentences(scene, row, before) if text != "-")
            others = " ".join(self.others(scene, row))
            rows.append(f'<tr id="{name}/{row["name"]}"><th scope="row">{number}</th><td class="t1">'
                        f'{first}</td><td class="w">{wire}</td><td class="t2">{second}</td>'
                        f'<td class="says">{says} <small>{others}</small></td></tr>')
        return "\n".join(rows)

    # What the script needs of a scene.
    def data(self, name, scene):
        pids = [int(pid) for pid in scene["processes"]]
        return {"id": name, "title": self.word("title", name), "begin": words[name].get("begin"),
                "question": self.word("question", name), "states": scene["states"],
                "processes": [[pid, *scene["processes"][str(pid)]] for pid in pids],
                "rows": [[row["kind"], row["process"], row["line"], row["state"], row["status"],
                          row["terminal"]] for row in scene["rows"]]}

    def text(self, scenes):
        parts = {key: self.word(key) for key in words["words"]}
        sources = {}
        for scene in scenes.values():
            sources.update(scene["sources"])
        dump = {"scenes": [self.data(*item) for item in scenes.items()], "sources": sources,
                "words": parts}
        parts["lang"] = LANGUAGES[self.language]
        parts["data"] = json.dumps(dump, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
        template = (ROOT / "tests/replay_template.html").read_text()
        before, section, after = re.split("<!-- each scene -->", template)
        section = "".join(fill(section, {
            **parts, "id": name, "wire": self.word("wire" if name[:3] in ("tcp", "udp") else "handed"),
            "terminal 2": " · ".join(f'<span class="c{place}">{self.word(f"terminal {place}")}</span>'
                                     for place in (2, 3) if place == 2 or any(
                                         row["terminal"] == 2 for row in scene["rows"])), "number": str(number), "rows": self.table(name, scene),
            **{f"scene {key}": self.word(key, name) for key in ("title", "question", "link")}})
            for number, (name, scene) in enumerate(scenes.items(), 1))
        return fill(before, parts) + section + fill(after, parts)

# Gives each row a name, for its address, which stays when others come or go.
def name_rows(scene):
    names = []
    for row in scene["rows"]:
        label = scene["processes"].get(str(row["process"]), [""])[0]
        who = re.sub(r"\w+_(\w+)", r"\1", re.sub(r"\[.*", "-child", label).replace(" ", ""))
        verb = re.search(r"^(?:\w+(?:\[\d+\])?: )?(\w+)", row["event"])[1]
        name = f"{who or PLACES[row['terminal']]}.{verb}" + "-waits" * (row["kind"] == "wait")
        if row["kind"] == "segment":
            name = row["label"].lower().replace(", ", "-")
        names.append(name)
        row["name"] = name + (f"-{names.count(name)}" if names.count(name) > 1 else "")


# The picture of README: the rows of the first scene between two names.
def picture(scene, first="client.connect-waits", last="client.prints"):
    names = [row["name"] for row in scene["rows"]]
    lines = []
    for y, row in enumerate(scene["rows"][names.index(first):names.index(last) + 1], 3):
        y *= 20
        if row["kind"] == "segment":
            start, end = (392, 528) if scene["processes"][str(row["ends"][0])][1] == 0 else (528, 392)
            label = row["label"] + (f" {row['size']}" if row["size"] else "")
            lines.append(f'<path d="M{start} {y}H{end}"/><text x="460" y="{y - 4}">{label}</text>')
        else:
            text = re.sub(r"^\w+?(\[\d+\])?: ", r"\1 ", row["text"]).strip()
            lines.append(f'<text x="{550 if row["terminal"] else 10}" y="{y}" class="c{row["terminal"] + 1}">'
                         f"{html.escape(text)}</text>")
    template = (ROOT / "tests/replay_picture.svg").read_text()
    return fill(template, {"rows": "\n".join(lines), "height": str(20 * len(lines) + 60)})


def fill(template, parts):
    return re.sub("{{(.*?)}}", lambda found: parts[found[1]], template)


# The steps of a page: name, what the table has, place in the source, what the kernel holds.
def steps(page):
    data = json.loads(re.search("const data = (.*);\n", page)[1].replace("<\\/", "</"))
    rows = re.findall('(?s)<tr id="([^"]*)">(.*?)</tr>', page)
    flat = [(scene, row) for scene in data["scenes"] for row in scene["rows"]]
    return [(name, re.sub(r"(<[^>]*>|\s)+", " ", text), row[:3] + row[4:], scene["states"][row[3]])
            for (name, text), (scene, row) in zip(rows, flat)], data["sources"]


# Says where two pages differ.
def compare(path, old, new):
    (old_steps, old_sources), (new_steps, new_sources) = steps(old), steps(new)
    for was, now in itertools.zip_longest(old_steps, new_steps):
        if was != now:
            print(f"{path}: step {(was or now)[0]}\n  is:        {was}\n  should be: {now}")
            return
    for name, lines in new_sources.items():
        for number, pair in enumerate(itertools.zip_longest(old_sources.get(name, []), lines), 1):
            if pair[0] != pair[1]:
                print(f"{path}: {name}, line {number}\n  is:        {pair[0]}\n  should be: {pair[1]}")
                return
    print(f"{path}: it is not what replay_template.html and replay.ini make")


# What is missing here.
def missing():
    tools = [name for name in ("cc", "addr2line", "tcpdump", "ss", "nft", "ip", "unshare")
             if not shutil.which(name)]
    if not tools and subprocess.run([*SPACES, "ip", "link"], capture_output=True).returncode:
        tools = ["root's rights"]
    return tools if os.uname().machine == "x86_64" else ["x86-64"]


def main():
    if missing():
        print("Skipped, for want of " + ", ".join(missing()))
        return 1 if "REPLAY_REQUIRED" in os.environ else 77
    scenes = record()
    for scene in scenes.values():
        name_rows(scene)
    files = {"docs/replay.html": Page("en").text(scenes),
             "docs/zh/replay.html": Page("zh").text(scenes),
             "docs/replay.svg": picture(scenes["tcp-hello"])}
    differs = [path for path, text in files.items()
               if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    for path in differs:
        if sys.argv[1:] != ["check"]:
            (ROOT / path).write_text(files[path])
        elif path.endswith("html"):
            compare(path, (ROOT / path).read_text(), files[path])
    if differs and sys.argv[1:] == ["check"]:
        print("To renew " + ", ".join(differs) + ": python3 tests/record.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(play(*sys.argv[2:]) if sys.argv[1:2] == ["scene"] else main())
