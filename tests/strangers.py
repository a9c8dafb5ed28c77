#!/usr/bin/env python3
# strangers.py - programs that are not ours take either side of each pair.
#
#   python3 strangers.py PROGRAMS
#
# PROGRAMS is the folder of the eight programs. CONVERSATIONS below is the table
# of what is played: programs in Lua, as lecture notes write them, and nc, socat,
# cat and echo. Each side has to print just what the table says, and both end with
# status 0. (Programs in Python and C++ are on the page docs/strangers.md.)
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

from process import Process, is_here, limit

DEADLINE = 60  # seconds for one conversation

# A side that says this line can be reached, at the port that ends it if there
# is one. nc is Listening, socat is listening; a FIFO's side waits.
READY = r"(?:ready on|istening on|waits for a) (?:.*[^\d\n])?(\d*)$"

# They send no more than their words, read once, and close.
FILES = {
    "tcp_client.lua": """
local client = require("socket").connect("127.0.0.1", arg[1])
client:send("Hello, server!")
print((client:receive()))
""",
    "tcp_server.lua": """
local server = require("socket").bind("127.0.0.1", 0)
io.stderr:write("ready on ", select(2, server:getsockname()), "\\n")
local client = server:accept()
print((client:receive()))
client:send("Hello, client!")
""",
    "udp_client.lua": """
local client = require("socket").udp()
client:setpeername("127.0.0.1", arg[1])
client:send("Hello, server!")
print(client:receive())
""",
    "udp_server.lua": """
local server = require("socket").udp()
server:setsockname("127.0.0.1", 0)
io.stderr:write("ready on ", select(2, server:getsockname()), "\\n")
local question, host, port = server:receivefrom()
print(question)
server:sendto("你好，客户端！", host, port)
""",
}

# The command that has to be here; the command of the side that comes first, and
# what it prints; and those of the other, which comes when the first can be reached
# at {port}, or at ./path. Most answer once, whatever they are asked: so do ours.
CONVERSATIONS = [
    ("lua5.4", "tcp_server -n 1 127.0.0.1 0 'Hello, client!'", "",
     "lua5.4 tcp_client.lua {port}", "Hello, client!\n"),
    ("lua5.4", "lua5.4 tcp_server.lua", "Hello, server!\n",
     "tcp_client 127.0.0.1 {port}", "Hello, client!"),
    ("nc", "tcp_server -n 1 127.0.0.1 0", "",
     "echo 'Hello, server!' | nc -N 127.0.0.1 {port}", "Hello, server!\n"),
    ("lua5.4", "udp_server -n 1 127.0.0.1 0 'Hello, client!'", "",
     "lua5.4 udp_client.lua {port}", "Hello, client!\n"),
    ("lua5.4", "lua5.4 udp_server.lua", "Hello, server!\n",
     "udp_client 127.0.0.1 {port}", "你好，客户端！\n"),
    ("socat", "udp_server -n 1 127.0.0.1 0", "",
     "printf 你好 | socat -t 60 - UDP:127.0.0.1:{port},readbytes=6", "你好"),
    ("nc", "unix_server -n 1 path 'Hello, client!'", "",
     "echo 'Hello, server!' | nc -NU path", "Hello, client!\n"),
    ("socat", "echo 'Hello, client!' | socat -d -d -t 60 UNIX-LISTEN:path -",
     "Hello, server!\n", "unix_client path", "Hello, client!\n"),
    ("sh", "fifo_reader path", "你好，读者！\n",
     "echo '你好，读者！' >path", ""),
    ("sh", "fifo_writer path", "", "cat path", "Hello, reader!\n"),
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
    os.environ["PATH"] = f"{os.path.abspath(sys.argv[1])}:{os.environ['PATH']}"
    os.environ["PYTHONUTF8"] = "1"  # whatever the locale is
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, text in FILES.items():
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        for stranger, *conversation in CONVERSATIONS:
            if not is_here(stranger):
                missing.add(stranger)
                continue
            right.append(play(*conversation))
            subprocess.call(["rm", "-f", "path"])  # some leave it behind
        os.chdir("/")
    for stranger in sorted(missing):
        print("Skipped:", stranger, "is missing, or not the one that is meant")
    if not all(right) or (missing and os.environ.get("STRANGERS_REQUIRED")):
        sys.exit(1)
    sys.exit(77 if missing else 0)


if __name__ == "__main__":
    main()
