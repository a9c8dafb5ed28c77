# process.py - what a test in Python starts ends with it, and what hangs ends the
# test. Also: whether a command is on this system.
import atexit
import contextlib
import os
import re
import signal
import subprocess

# Commands that another program may have the name of, or that lack something.
PROBES = {"lua5.4": "lua5.4 -e 'require(\"socket\")'",
          "nc": "nc -h 2>&1 | grep OpenBSD"}


# Something took longer than it may.
class Hang(AssertionError):
    pass


# From now on the main thread may take so many seconds, until it calls this again: else
# Hang is raised in it. 0: there is no limit.
def limit(seconds):
    def hang(*_):
        raise Hang(f"the program hangs: {seconds} s are over")

    signal.signal(signal.SIGALRM, hang)
    # Once more each second, as Python drops what a finalizer raises.
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)


# Whether a command is on this system, and is the one that is meant.
def is_here(command):
    probe = PROBES.get(command, f"type {command}")
    return subprocess.call(["sh", "-c", probe], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


# A program, in a session of its own. It ends with this one, if that is not killed:
# Python then does what atexit is told.
class Process(subprocess.Popen):
    story = ""  # what it has said, as far as it was read

    def __init__(self, command, **options):
        super().__init__(command, start_new_session=True, **options)
        atexit.register(self.end)
        # A SIGTERM ends this program as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    # Sends a signal to the program, and to all that it has started.
    def send(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    # Reads what it says on standard error, up to a line that has a pattern. Returns the
    # match; fails, if it ends before.
    def read_until(self, pattern):
        for line in self.stderr:
            self.story += line
            if match := re.search(pattern, line):
                return match
        raise AssertionError(f"it ended before it said: {pattern}")

    # Ends it, and all that it has started, if it still runs.
    def end(self):
        if self.poll() is None:
            self.send(signal.SIGKILL)
            self.wait()
