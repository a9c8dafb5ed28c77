# browser.py - a Chromium without a window, driven by its DevTools protocol.
import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
""".split()
DEADLINE = 60  # seconds for an answer: it hangs


def find():
    """The path of a browser, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


# What a page has become when its scripts have run.
def dump(address):
    return subprocess.run([find(), *OPTIONS, "--dump-dom", address], check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


class Browser:
    """A page in a browser of its own. What it reports, such as a request or an error,
    is in events."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        pipes = [os.pipe(), os.pipe()]  # commands; answers
        self.commands, self.answers = pipes[0][1], pipes[1][0]

        def place_pipes():  # the browser reads 3 and writes 4
            ends = [os.dup(pipes[0][0]), os.dup(pipes[1][1])]
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)
        self.process = subprocess.Popen(
            [find(), *OPTIONS, "--remote-debugging-pipe", "--user-data-dir=" + self.folder, "about:blank"],
            preexec_fn=place_pipes, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(pipes[0][0])
        os.close(pipes[1][1])
        self.events, self.buffer, self.number, self.session = [], b"", 0, None
        target = self.call("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in target if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    def receive(self):
        while b"\0" not in self.buffer:
            if not select.select([self.answers], [], [], DEADLINE)[0]:
                raise TimeoutError("the browser does not answer")
            data = os.read(self.answers, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **parameters):
        """Calls a method of the protocol, and returns its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event):
        """Receives until an event of this name has come."""
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self.receive())

    def run(self, script):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def press(self, key):
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)

    def picture(self, path, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        data = self.call("Page.captureScreenshot")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        with contextlib.suppress(EOFError, BrokenPipeError):
            self.session = None
            self.call("Browser.close")
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
