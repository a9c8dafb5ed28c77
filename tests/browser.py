# browser.py - a Chromium without a window, driven by its DevTools protocol.
import json
import os
import shutil
import subprocess
import tempfile

from process import Process, limit

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync""".split()
PATIENCE = 115  # seconds, to begin and from each open() to the next: more is a hang


# The path of a browser, or None.
def find():
    return next(filter(None, map(shutil.which, NAMES)), None)


# What a page is when its scripts have run.
def dump(address):
    return subprocess.run([find(), *OPTIONS, "--dump-dom", address], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


# A browser with one page. What it reports, such as requests and errors, is in events.
class Browser:
    def __init__(self):
        limit(PATIENCE)
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        (read_end, self.commands), (self.answers, write_end) = os.pipe(), os.pipe()
        # It reads descriptor 3, and writes 4. (dash knows descriptors up to 9.)
        self.program = Process(
            ["bash", "-c", f'exec 3<&{read_end} 4>&{write_end}; exec "$@"', "bash", find(), *OPTIONS,
             "--remote-debugging-pipe", f"--user-data-dir={self.folder.name}"],
            pass_fds=[read_end, write_end], stderr=subprocess.DEVNULL)
        self.events, self.text, self.session, self.opened = [], b"", {}, 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = {"sessionId": session["sessionId"]}
        self.call("Page.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    # Receives a message.
    def receive(self):
        while b"\0" not in self.text:
            self.text += os.read(self.answers, 1 << 20)
        message, _, self.text = self.text.partition(b"\0")
        return json.loads(message)

    # Calls a method of the protocol, and returns its result.
    def call(self, method, **parameters):
        os.write(self.commands, json.dumps({"id": 1, "method": method, "params": parameters,
                                            **self.session}).encode() + b"\0")
        while "id" not in (answer := self.receive()):
            self.events.append(answer)
        return answer["result"]

    # Opens a file, anew each time, and waits until it has been loaded.
    def open(self, path, place=""):
        limit(PATIENCE)
        self.opened += 1
        target = f"file://{path}?{self.opened}#{place}"
        loader = {"name": "load", "loaderId": self.call("Page.navigate", url=target)["loaderId"]}
        while not any(loader.items() <= one["params"].items() for one in self.events):
            self.events.append(self.receive())

    # The value of a script in the page.
    def run(self, script):
        return self.call("Runtime.evaluate", expression=f"{{{script}}}",
                         returnByValue=True)["result"].get("value")

    def press(self, key):
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key)
