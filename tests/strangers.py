#!/usr/bin/env python3
# strangers.py - programs of others take either side of each pair.
#
#   python3 strangers.py PROGRAMS [STRANGER...]
#
# PROGRAMS is the folder of the eight programs; without a STRANGER all are played.
# CONVERSATIONS below is the table: nc, socat, cat and echo, and the services of
# inetd, whose ports need namespaces. Each side has to print just what the table says,
# and both end with status 0. (Python, Lua and C++ are on docs/strangers.md.)
#
# A stranger that is missing is left out. Exit status: 0; 1 if a conversation
# failed; 77 if one was left out, which is a failure if the environment has
# STRANGERS_REQUIRED.
#
# Nothing waits for time: who serves takes port 0, and says on standard error
# when and where it can be reached. The deadline only ends what hangs.
import os
import subprocess
import sys
import tempfile

from namespaces import enter, new_network
from process import Process, is_here, limit

DEADLINE = 60  # seconds for one conversation

# A side that says this line can be reached, at the port that ends it if there
# is one. nc is Listening, socat is listening; a FIFO's side waits.
READY = r"(?:ready on|istening on|waits for a|registered) (?:.*[^\d\n])?(\d*)$"

# One service of inetd, which SIGTERM ends.
INETD = """
echo "127.0.0.1:$* root internal" >inetd.conf
inetutils-inetd --debug --pidfile=path inetd.conf || [ $? -eq 143 ]
"""

# The command that has to be here; the command of the side that comes first, and
# what it prints; and those of the other, which comes when the first can be reached
# at {port}, or at ./path. Most answer once, whatever they are asked: so do ours.
CONVERSATIONS = [
    ("socat", "tcp_server -n 1 127.0.0.1 0 'Hello, client!'", "",
     "printf Hello | socat -t 60 - TCP:127.0.0.1:{port},readbytes=15,shut-none",
     "Hello, client!\n"),
    ("socat", "socat -d -d TCP-LISTEN:0,bind=127.0.0.1 SYSTEM:'read line; echo Hi'",
     "", "tcp_client 127.0.0.1 {port}", "Hi\n"),
    ("nc", "tcp_server -n 1 127.0.0.1 0", "",
     "echo 'Hello, server!' | nc -N 127.0.0.1 {port}", "Hello, server!\n"),
    ("socat", "udp_server -n 1 127.0.0.1 0", "",
     "printf 你好 | socat -t 60 - UDP:127.0.0.1:{port},readbytes=6", "你好"),
    ("nc", "unix_server -n 1 path 'Hello, client!'", "",
     "echo 'Hello, server!' | nc -NU path", "Hello, client!\n"),
    ("socat", "echo 'Hello, client!' | socat -d -d -t 60 UNIX-LISTEN:path -",
     "Hello, server!\n", "unix_client path", "Hello, client!\n"),
    ("sh", "fifo_reader path", "你好，读者！\n",
     "echo '你好，读者！' >path", ""),
    ("sh", "fifo_writer path", "", "cat path", "Hello, reader!\n"),
] + [
    ("inetutils-inetd", f"sh inetd.sh {service}", "",
     f"{client}; kill $(cat path)", prints)
    for service, client, prints in (
        ("echo stream tcp nowait", "tcp_client 127.0.0.1 7", "Hello, server!\n"),
        ("echo dgram udp wait", "udp_client 127.0.0.1 7", "Hello, server!\n"),
        ("discard stream tcp nowait", "tcp_client 127.0.0.1 9; echo $?", "0\n"),
        ("daytime stream tcp nowait",
         "tcp_client 127.0.0.1 13 - >date && grep -c ..:..:.. date", "1\n"),
        ("time stream tcp nowait",
         "tcp_client 127.0.0.1 37 - >time && head -c 4 time | wc -c", "4\n"),
        ("chargen stream tcp nowait",
         "(tcp_client 127.0.0.1 19 -; echo $? >status) | head -c 9; cat status",
         " !\"#$%&'(1\n"),
    )
]


# Starts one side of a conversation: a command line, with its processes.
def start(command):
    return Process(command, shell=True, text=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)


# Waits for its end, and fails unless it printed just that.
def expect(side, expected):
    printed, rest = side.communicate()
    side.story += f"{rest}It ended with {side.returncode}, printed {printed!r}\n"
    if (side.returncode, printed) != (0, expected):
        raise AssertionError(f"expected: {expected!r}, and status 0")


# Plays one conversation, and returns whether it went as it should.
def play(first, first_prints, second, second_prints):
    sides = []
    try:
        limit(DEADLINE)
        sides.append(start(first))
        port = sides[0].read_until(READY)[1]
        sides.append(start(second.format(port=port)))
        expect(sides[1], second_prints)
        expect(sides[0], first_prints)
        print("ok:", first, "|", second)
        return True
    except AssertionError as error:
        limit(0)
        print("FAILED:", first, "|", second, "|", error)
        for side in sides:
            side.end()
            rest = "" if side.stderr.closed else side.stderr.read()
            print(f"$ {side.args}", side.story + rest, sep="\n")
        return False


# Plays all conversations for which the strangers are here.
def main():
    right, missing = [], set()
    if enter():
        new_network()
    else:
        missing.add("inetutils-inetd")
    os.environ["PATH"] = f"{os.path.abspath(sys.argv[1])}:{os.environ['PATH']}:/usr/sbin"
    os.environ["PYTHONUTF8"] = "1"  # whatever the locale is
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("inetd.sh", "w") as file:
            file.write(INETD)
        for stranger, *conversation in CONVERSATIONS:
            if sys.argv[2:] and stranger not in sys.argv[2:]:
                continue
            if stranger in missing or not is_here(stranger):
                missing.add(stranger)
                continue
            right.append(play(*conversation))
            subprocess.call(["rm", "-f", "path"])  # some leave it behind
        os.chdir("/")
    for stranger in sorted(missing):
        print("Skipped:", stranger, "is missing, or can not be used here")
    if not all(right) or (missing and os.environ.get("STRANGERS_REQUIRED")):
        sys.exit(1)
    sys.exit(77 if missing else 0)


if __name__ == "__main__":
    main()
