#!/usr/bin/env python3
# record.py - records the scenes of replay.ini with the real programs, and makes
# of them docs/replay.html, docs/zh/replay.html and docs/replay.svg.
#
#   python3 tests/record.py          records, and writes the three files
#   python3 tests/record.py check    records, and compares with what is there
#   python3 tests/record.py scene NAME FOLDER    (for itself) records one scene
#
# Needs Linux on x86-64, root (for namespaces), a C compiler, addr2line, tcpdump,
# ss, and nft. Exit status: 0; 1 if it differs; 77 if something is missing here,
# which is a failure if the environment has REPLAY_REQUIRED.
import concurrent.futures
import configparser
import html
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

from stepper import Stepper, Wire, run

ROOT = Path(__file__).resolve().parent.parent
BUILD = "cc -std=c11 -D_POSIX_C_SOURCE=200809L -O0 -g -no-pie".split()
SPACES = "unshare --net --mount --pid --fork --kill-child --mount-proc".split()
STUDENT = 1000  # the user who types
PLACES = ("first", "second", "third")
FLAGS = {"S": "SYN", "F": "FIN", "R": "RST", "P": "PSH", ".": "ACK"}


def read_words():
    words = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#")
    words.optionxform = str
    words.read(ROOT / "tests/replay.ini")
    return words


# --- One scene ---


class Recording:
    """The rows of a scene: each is what one terminal, or the wire, shows."""

    def __init__(self, folder):
        self.sources = {path.name: path.read_text().split("\n")
                        for path in Path(folder).glob("**/*.[ch]")}
        self.stepper, self.wire = Stepper(folder, self.sources), Wire()
        self.rows, self.state, self.sockets, self.queue = [], [], 0, []

    def act(self, action):
        """Does a line of the script: "1: text" is typed in the first terminal; "..."
        lets the time go on for those that wait with a limit."""
        number, _, text = action.partition(": ")
        if action == "...":
            return self.let_time_pass()
        while len(self.stepper.terminals) < int(number[0]):
            self.stepper.open_terminal(0 if number.endswith("#") else STUDENT)
        terminal = self.stepper.terminals[int(number[0]) - 1]
        before = set(self.stepper.processes)
        self.pin()
        self.stepper.type(terminal, text)
        new = [process for pid, process in self.stepper.processes.items()
               if pid not in before and process.name]
        self.add("typed", terminal, terminal.take(), typed=text,
                 who=[process.pid for process in new])
        for process in list(self.stepper.processes.values()):
            self.report_end(process)
        return self.settle()

    def let_time_pass(self):
        for process in self.stepper.living():
            if process.held == "door":
                self.stepper.resume(process.pid)
        while not any(map(self.stepper.is_ready, self.stepper.living())):
            self.stepper.pump()
        self.settle()

    def settle(self):
        """As on one processor: who has been ready longest goes on until it waits."""
        while True:
            ready = [one for one in self.stepper.living() if self.stepper.is_ready(one)]
            self.queue = [one for one in self.queue if one in ready]
            self.queue += [one for one in ready if one not in self.queue]
            if not self.queue:
                return
            process = self.queue.pop(0)
            if not self.go(process):
                self.queue.insert(0, process)

    def pin(self):
        """Chooses the numbers that the kernel gives next, so that they are the same
        in each recording."""
        last = max([300, *self.stepper.processes])
        Path("/proc/sys/kernel/ns_last_pid").write_text(str(last))
        port = 40312 + 2 * self.sockets
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{port} {port}")

    def go(self, process):
        """A turn: up to the next line that the process prints, or its next wait.
        Returns whether the others come next."""
        waited, told, text = process.waits, None, ""
        self.pin()
        if process.held != "call":
            self.stepper.turn(process)
        segments = self.wire.take()
        if process.held == "call":
            self.sockets += process.call == "socket"
            self.stepper.turn(process)
        if process.held == "line":
            process.terminal.wait_for("\n")
            text, told = process.terminal.take(), process.call
            process.waits, process.call = " waits for " in text, None
            if process.waits:
                self.stepper.turn(process)  # to the door of the call
                self.add("wait", process.terminal, text, process)
                return True
        batch = [("segment", process.terminal, "", None, segment) for segment in segments]
        if text:
            own = text.startswith(process.label() + ":")
            kind = "call" if told else "say" if own else "print"
            batch.insert(len(batch) if waited else 0,
                         (kind, process.terminal, text, process, None))
        elif process.held is None and not waited:
            batch.insert(0, ("inside", process.terminal, "", process, None))
        last = max([i for i, row in enumerate(batch) if row[4]] or [0])
        for i, row in enumerate(batch):
            self.add(*row, keep=i < last)
        self.report_end(process)
        return told == "connect"

    def report_end(self, process):
        if process.held == "end" and process.status is not None and process.name:
            self.add("end", process.terminal, process.terminal.take(), process,
                     ended=process.status)
            process.status = None

    def add(self, kind, terminal, text, process=None, segment=None, keep=False, **more):
        """Adds a row; keep: the state after it was not observed."""
        state = self.state if keep else self.stepper.look()
        self.state = state
        living = self.stepper.living()
        self.rows.append({
            "kind": kind, "terminal": self.stepper.terminals.index(terminal), "text": text,
            "process": process and process.pid, "line": process and process.line,
            "state": state, "segment": segment and self.read_segment(segment),
            "status": {one.pid: self.status(one) for one in living}, **more})

    def status(self, process):
        if process.held == "suspended":
            return "suspended"
        if self.stepper.is_blocked(process):
            return process.call or process.doing or "wait"
        return "ready"

    @staticmethod
    def read_segment(segment):
        """The fields of a line of tcpdump, and the data behind the headers."""
        text, data = segment["text"], segment["bytes"]
        source, target = re.match(r"IP (\S+) > (\S+):", text).groups()
        flags = (re.findall(r"Flags \[(.*?)\]", text) or [""])[0]
        size = int(re.search(r"length (\d+)", text)[1])
        start = 4 * (data[0] & 15)
        start += 4 * (data[start + 12] >> 4) if flags else 8
        window = (re.findall(r" win (\d+)", text) or [None])[0]
        return {"from": source, "to": target, "flags": [FLAGS[flag] for flag in flags],
                "icmp": " ICMP " in text, "size": size, "window": window,
                "data": data[start:start + size].decode("latin-1")}

    def result(self):
        terminals = self.stepper.terminals
        processes = [[one.pid, one.label(), terminals.index(one.terminal), one.source,
                      bool(one.parent)] for one in self.stepper.processes.values() if one.name]
        return {"rows": self.rows, "processes": processes, "terminals": len(terminals)}


def play(name, folder):
    """Records a scene, in namespaces of its own."""
    for command in ("ip link set lo up", "mount -t tmpfs tmpfs /tmp"):
        run(*command.split())
    recording = Recording(folder)
    for action in read_words()[name]["script"].strip().split("\n"):
        recording.act(action.strip())
    print(json.dumps(recording.result()))


def build(folder):
    """Compiles the programs, and the changed copy of exercise 6."""
    (folder / "build").mkdir()
    for path in ROOT.glob("*/*_*.c"):
        if path.parent.name != "tests":
            run(*BUILD, path, *ROOT.glob("common/*.c"), "-o", folder / "build" / path.stem)
    for path in [*ROOT.glob("*/*_*.c"), *ROOT.glob("common/*.[ch]")]:
        (folder / path.name).write_text(path.read_text())


def record():
    """Records all scenes. Returns what they gave, and the sources."""
    names = [name for name in read_words().sections() if "-" in name]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        build(Path(folder))

        def one(name):
            return json.loads(run(*SPACES, sys.executable, __file__, "scene", name, folder))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            scenes = dict(zip(names, pool.map(one, names)))
        sources = {one[3]: (Path(folder) / one[3]).read_text().rstrip().split("\n")
                   for scene in scenes.values() for one in scene["processes"]}
        return scenes, sources


# --- The pages ---


def marked(text):
    """Text with `code` as HTML."""
    return re.sub(r"`(.*?)`", r"<code>\1</code>", html.escape(text, quote=False))


class Page:
    def __init__(self, words, language):
        self.words, self.language = words, language

    def say(self, key, **values):
        return self.words[self.language][key].format(**values)

    def title(self, name, key):
        return self.words[name][f"{key}.{self.language}"]

    # Who is who.

    def label(self, scene, pid):
        return next(f"`{one[1]}`" for one in scene["processes"] if one[0] == pid)

    def end(self, scene, address):
        """Whose end of a conversation an address is: by who has held it."""
        for row in scene["rows"]:
            for socket in row["state"]:
                if socket[2] == address and socket[6]:
                    name = self.label(scene, socket[6][0][0])
                    return self.say("role." + re.search("_([a-z]+)", name)[1])
        return address

    # A sentence for a row.

    def sentence(self, scene, index):
        row = scene["rows"][index]
        what = getattr(self, "say_" + row["kind"])(scene, row)
        old = scene["rows"][index - 1]["state"] if index else []
        also = [self.label(scene, int(pid)) for pid, status in row["status"].items()
                if status == "ready" and int(pid) != row["process"]]
        return [what, *self.changes(scene, row, old)], also

    def say_typed(self, scene, row):
        key = "start" if row["who"] else row["typed"] if row["typed"][0] == "^" else "text"
        return self.say("typed." + key, terminal=self.say(f"terminal.{row['terminal'] + 1}"),
                        programs=", ".join(self.label(scene, pid) for pid in row["who"]))

    def say_say(self, scene, row):
        found = re.search(r": (getaddrinfo|ready|hint)", row["text"])
        return self.say("say." + (found[1] if found else "other"),
                        who=self.label(scene, row["process"]))

    def say_wait(self, scene, row):
        call = re.search(r": (\w+)\(", row["text"])[1]
        text = self.say("wait." + call, who=self.label(scene, row["process"]))
        if call != "connect" and row["status"][str(row["process"])] == "ready":
            text += " " + self.say("wait.ready")
        return text

    def say_call(self, scene, row):
        call, operands, result, rest = re.search(
            r": (\w+)\((.*)\) = (\S+)(.*)", row["text"]).groups()
        fd, _, arg = operands.partition(", ")
        key = "call." + call
        if result == "-1":
            key, rest = "call.error", rest.split()[0]
        elif f"{key}.{result.strip(',')}" in self.words[self.language]:
            key = f"{key}.{result.strip(',')}"
        elif call == "connect" and any(one[1] == "LISTEN" and one[4] for one in row["state"]):
            key += ".queued"
        return self.say(key, who=self.label(scene, row["process"]), call=call, fd=fd,
                        arg=f"`{arg or operands}`", result=result, error=f"`{rest}`")

    def say_print(self, scene, row):
        return self.say("print", who=self.label(scene, row["process"]))

    def say_inside(self, scene, row):
        return self.say("inside", who=self.label(scene, row["process"]),
                        call=row["status"][str(row["process"])])

    def say_end(self, scene, row):
        who = self.label(scene, row["process"])
        if os.WIFSIGNALED(row["ended"]):
            return self.say("end.signal", who=who,
                            signal=signal.Signals(os.WTERMSIG(row["ended"])).name)
        return self.say("end.child" if "[" in who else "end", who=who,
                        status=os.WEXITSTATUS(row["ended"]))

    def say_segment(self, scene, row):
        segment = row["segment"]
        return self.say("segment." + self.kind(segment), size=segment["size"],
                        **{"from": self.end(scene, segment["from"])})

    @staticmethod
    def kind(segment):
        flags = segment["flags"]
        for flag in ("RST", "FIN"):
            if flag in flags:
                return flag
        return "data" if segment["size"] else "-".join(flags)

    def changes(self, scene, row, old):
        """What is different in the kernel, but for new sockets and their holders."""
        before = {(one[0], one[2], one[3]): one for one in old}
        after = {(one[0], one[2], one[3]): one for one in row["state"]}
        for key, one in after.items():
            was = before.get(key, [0, "", 0, 0, 0, 0])
            end = self.end(scene, one[2])
            if one[1] == "LISTEN" and one[4] != was[4]:
                yield self.say("change.queue", new=one[4])
            elif one[4] > was[4] and row["kind"] == "segment":
                yield self.say("change.received", new=one[4], end=end)
            if one[1] != was[1] and one[1] != "LISTEN":
                yield self.say("change.state", end=end, new=one[1])
        for key in before.keys() - after.keys():
            yield self.say("change.gone", end=self.end(scene, key[1]))

    # The table.

    def rows(self, scene, name):
        lines = []
        for index, (row, slug) in enumerate(zip(scene["rows"], scene["names"])):
            cells = ["", "", ""]
            place = 1 if row["segment"] else 0 if row["terminal"] == 0 else 2
            cells[place] = (self.arrow(scene, row["segment"]) if row["segment"]
                            else self.terminal_text(row))
            what, also = self.sentence(scene, index)
            says = marked(" ".join(what))
            if also:
                says += f' <span class="also">{marked(self.also(also))}</span>'
            lines.append(
                f'<tr id="{name}/{slug}"><th scope="row">{index + 1}</th>'
                f'<td class="t1 p{row["terminal"] + 1}">{cells[0]}</td><td class="w">{cells[1]}</td>'
                f'<td class="t2 p{row["terminal"] + 1}">{cells[2]}</td><td class="says">{says}</td></tr>')
        return "\n".join(lines)

    def also(self, also):
        return self.say("also", who=", ".join(also))

    def terminal_text(self, row):
        text = html.escape(row["text"].rstrip("\n"), quote=False)
        if row["kind"] == "typed":
            text = f'<span class="typed">{text or html.escape(row["typed"])}</span>'
        elif row["kind"] == "print":
            text = f'<span class="data">{text}</span>'
        else:
            text = re.sub(r"^(\w+(?:\[\d+\])?:) (.*)", r"<i>\1</i> <b>\2</b>", text)
        return f"<pre>{text}</pre>" if text else ""

    def arrow(self, scene, segment):
        right = self.place(scene, segment["from"]) < self.place(scene, segment["to"])
        flags = ", ".join(segment["flags"])
        label = flags
        if segment["size"]:
            data = json.dumps(segment["data"][:32], ensure_ascii=False)
            label = f"<small>{flags}</small> {html.escape(data, quote=False)}"
        way = self.say("page.way", one=self.end(scene, segment["from"]),
                       other=self.end(scene, segment["to"]))
        return (f'<span class="arrow to-{"right" if right else "left"}">'
                f'<span class="unseen">{way}</span>{label}</span>')

    def place(self, scene, address):
        """The terminal whose process holds, or held, this address."""
        places = {one[0]: one[2] for one in scene["processes"]}
        for row in scene["rows"]:
            for socket in row["state"]:
                if socket[2] == address and socket[6]:
                    return places[socket[6][0][0]]
        return 1 - places[scene["processes"][0][0]]

    def section(self, scene, name, number):
        link = self.title(name, "link") if f"link.{self.language}" in self.words[name] else (
            self.words[name]["link"])
        heads = (("n", self.say("page.step")), ("", self.say("terminal.1")),
                 ("w", self.say("page.wire")), ("", self.say("terminal.2")),
                 ("says", self.say("page.what")))
        head = "".join(f'<th scope="col" class="{style}">{text}</th>' for style, text in heads)
        return (f'<section id="{name}">\n<h2>{number}. {self.title(name, "title")}</h2>\n'
                f'<p>{self.title(name, "question")} '
                f'<a href="{link}">{self.say("page.read")}</a></p>\n'
                f'<div class="scroll"><table class="rows"><thead><tr>{head}</tr></thead><tbody>\n'
                f"{self.rows(scene, name)}\n</tbody></table></div>\n</section>")

    # What the script has.

    def data(self, scenes, sources):
        return {"sources": sources, "scenes": [self.scene_data(scene, name)
                                               for name, scene in scenes.items()]}

    def scene_data(self, scene, name):
        pids = [one[0] for one in scene["processes"]]
        states, statuses, rows = [], [], []

        def place(table, value):
            if value not in table:
                table.append(value)
            return table.index(value)
        for row, after in zip(scene["rows"], scene["rows"][1:] + [None]):
            state = [self.state_data(scene, one) for one in row["state"]]
            status = {pids.index(int(pid)): self.status(text)
                      for pid, text in row["status"].items()}
            rows.append([pids.index(row["process"]) if row["process"] else -1, row["line"] or 0,
                         place(states, state), place(statuses, status),
                         after and self.actor(scene, after)])
        return {"id": name, "title": self.title(name, "title"),
                "question": self.title(name, "question"), "rows": rows, "states": states,
                "status": statuses,
                "processes": [[one[1], one[2], one[3], one[0]] for one in scene["processes"]]}

    def status(self, text):
        if text in ("ready", "suspended"):
            return self.say("page." + text)
        return self.say("page.wait", call=text)

    def actor(self, scene, row):
        if row["kind"] == "segment":
            return self.say("actor.kernel")
        if row["kind"] == "typed":
            return self.say("actor.user", terminal=self.say(f"terminal.{row['terminal'] + 1}"))
        return self.label(scene, row["process"]).strip("`")

    def state_data(self, scene, one):
        kind, state, local, peer, received, sent, holders = one
        names = [f"{self.label(scene, pid).strip('`')} {fd}" for pid, fd in holders]
        listens = state == "LISTEN"
        return [f"{kind} {local} {peer}", state, local if listens else f"{local} – {peer}",
                self.say("page.queue", new=received, most=sent) if listens else received,
                "" if listens else sent, ", ".join(names) or self.say("page.none")]

    def write(self, path, scenes, sources):
        words = {key: self.say("page." + key) for key in ("gone", "show", "next", "empty")}
        section = self.words[self.language]
        words |= {"was": section["page.was"], "asks": section["page.next-acts"],
                  "count": section["page.count"],
                  "columns": [section["page." + key] for key in (
                      "state", "addresses", "received", "sent", "holders")]}
        parts = {"lang": self.language, "words": json.dumps(words, ensure_ascii=False),
                 "data": json.dumps(self.data(scenes, sources), ensure_ascii=False,
                                    separators=(",", ":")).replace("</", "<\\/"),
                 "scenes": "\n".join(self.section(scene, name, number) for number, (name, scene)
                                     in enumerate(scenes.items(), 1))}
        template = (ROOT / "tests/replay_template.html").read_text()
        path.write_text(re.sub(r"\{\{(.*?)\}\}", lambda found: parts.get(
            found[1]) or section[found[1]], template))


def slugs(scene):
    """A name for each row, which stays the same when other rows change."""
    names = []
    labels = {one[0]: one for one in scene["processes"]}
    for row in scene["rows"]:
        if row["segment"]:
            name = Page.kind(row["segment"]).lower()
        elif row["kind"] == "typed":
            name = PLACES[row["terminal"]] + ".types"
        else:
            process = labels[row["process"]]
            found = re.search(r": (\w+)", row["text"])
            verb = found[1] if found and row["kind"] in ("call", "say", "wait") else row["kind"]
            name = re.search("_([a-z]+)", process[1])[1] + ("-child" if process[4] else "")
            name += "." + verb + ("-waits" if row["kind"] == "wait" else "")
        count = sum(re.sub(r"-\d+$", "", other) == name for other in names)
        names.append(name if count == 0 else f"{name}-{count + 1}")
    return names


def main():
    scenes, sources = record()
    for scene in scenes.values():
        scene["names"] = slugs(scene)
    words = read_words()
    Page(words, "en").write(ROOT / "docs/replay.html", scenes, sources)
    Page(words, "zh").write(ROOT / "docs/zh/replay.html", scenes, sources)


if __name__ == "__main__":
    if sys.argv[1:2] == ["scene"]:
        play(*sys.argv[2:])
    else:
        main()
