#!/usr/bin/env python3
"""strangers.py - programs in other languages take either side of each pair.

    python3 strangers.py PROGRAMS

PROGRAMS is the folder of the eight programs. CONVERSATIONS below is the table
of what is played: programs in Lua and C++, as lecture notes write them, and
nc, socat, cat and echo. Each side has to print just what the table says, and
both end with status 0. (Programs in Python are on the page docs/strangers.md.)

A stranger that is not installed is left out. Exit status: 0; 1 if a
conversation failed; 77 if one was left out, which is a failure if the
environment has STRANGERS_REQUIRED.

Nothing waits for time: who serves takes port 0, and says on standard error
when and where it can be reached. The deadline only ends what hangs.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

DEADLINE = 60  # seconds for one conversation

# A side that says this line can be reached, at the port that ends it if there
# is one. nc is Listening, socat is listening; a FIFO's side waits.
READY = re.compile(r"(?:ready on|istening on|waits for a) (?:.*[^\d\n])?(\d*)$")

FILES = {
    "client.lua": """
local client = require("socket").udp()
client:setpeername("127.0.0.1", arg[1])
client:send("Hello, server!")
print(client:receive())
""",
    "server.lua": """
local server = require("socket").udp()
server:setsockname("127.0.0.1", 0)
io.stderr:write("ready on ", select(2, server:getsockname()), "\\n")
local question, host, port = server:receivefrom()
print(question)
server:sendto("你好，客户端！", host, port)
""",
    # The client gets a port; the server takes a free one.
    "stranger.cpp": """
#include <arpa/inet.h>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sys/socket.h>
#include <unistd.h>
using namespace std;

int main(int argc, char *argv[])
{
    const char *message = argc > 1 ? "Hello, server!" : "Hello, client!";
    char buffer[1024] = {0};
    int sock = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address;
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = inet_addr("127.0.0.1");
    address.sin_port = htons(argc > 1 ? atoi(argv[1]) : 0);

    if (argc > 1) {
        connect(sock, (sockaddr *)&address, sizeof(address));
        send(sock, message, strlen(message), 0);
        recv(sock, buffer, sizeof(buffer), 0);
    } else {
        socklen_t size = sizeof(address);
        bind(sock, (sockaddr *)&address, sizeof(address));
        listen(sock, 5);
        getsockname(sock, (sockaddr *)&address, &size);
        cerr << "ready on " << ntohs(address.sin_port) << endl;
        int client = accept(sock, nullptr, nullptr);
        recv(client, buffer, sizeof(buffer), 0);
        send(client, message, strlen(message), 0);
        close(client);
    }
    cout << buffer << endl;
    close(sock);
}
""",
}

# Strangers, and a command that fails if one is not here; a shell always is.
# There are other programs named nc, which know neither -N nor -U.
STRANGERS = {
    "Lua": "lua5.4 -e 'require(\"socket\")'",
    "C++": "g++ -o stranger stranger.cpp",
    "nc": "nc -h 2>&1 | grep OpenBSD",
    "socat": "socat -V",
}

# The stranger; the command of the side that comes first, and what it prints;
# and those of the other, which comes when the first can be reached at {port},
# or at ./path. Most answer once, whatever they are asked: so do ours then.
CONVERSATIONS = [
    ("C++", "tcp_server -n 1 127.0.0.1 0 'Hello, client!'", "",
     "./stranger {port}", "Hello, client!\n\n"),
    ("C++", "./stranger", "Hello, server!\n\n",
     "tcp_client 127.0.0.1 {port}", "Hello, client!"),
    ("nc", "tcp_server -n 1 127.0.0.1 0", "",
     "echo 'Hello, server!' | nc -N 127.0.0.1 {port}", "Hello, server!\n"),
    ("Lua", "udp_server -n 1 127.0.0.1 0 'Hello, client!'", "",
     "lua5.4 client.lua {port}", "Hello, client!\n"),
    ("Lua", "lua5.4 server.lua", "Hello, server!\n",
     "udp_client 127.0.0.1 {port}", "你好，客户端！\n"),
    ("socat", "udp_server -n 1 127.0.0.1 0", "",
     "printf 你好 | socat -t 60 - UDP:127.0.0.1:{port},readbytes=6", "你好"),
    ("nc", "unix_server -n 1 path 'Hello, client!'", "",
     "echo 'Hello, server!' | nc -NU path", "Hello, client!\n"),
    ("socat", "echo 'Hello, client!' | socat -d -d -t 60 UNIX-LISTEN:path -",
     "Hello, server!\n", "unix_client path", "Hello, client!\n"),
    ("shell", "fifo_reader path", "你好，读者！\n",
     "echo '你好，读者！' >path", ""),
    ("shell", "fifo_writer path", "", "cat path", "Hello, reader!\n"),
]


class Side:
    """One side of a conversation: a command line, with its processes."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            command, shell=True, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.story = f"$ {command}\n"

    def wait_until_ready(self):
        """Returns the port, which may be empty; or None if it has ended."""
        for line in self.process.stderr:
            self.story += line
            if match := READY.search(line):
                return match.group(1)
        return None

    def is_right(self, expected):
        """Waits for its end, and returns whether it printed just that."""
        printed, rest = self.process.communicate()
        status = self.process.returncode
        self.story += f"{rest}It ended with {status}, printed {printed!r}\n"
        return status == 0 and printed == expected

    def kill(self):
        """Ends what still runs of it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)


def play(first, first_prints, second, second_prints):
    """Plays one conversation, and returns whether it went as it should."""
    sides = [Side(first)]
    timer = threading.Timer(DEADLINE, lambda: [side.kill() for side in sides])
    timer.start()
    port = sides[0].wait_until_ready()
    is_right = port is not None
    if is_right:
        sides.append(Side(second.format(port=port)))
        is_right = sides[1].is_right(second_prints)
    if not is_right:
        sides[0].kill()  # it would wait for another one
    is_right = sides[0].is_right(first_prints) and is_right
    timer.cancel()
    print("ok:" if is_right else "FAILED:", first, "|", second)
    if not is_right:
        print("to print", repr(first_prints), "and", repr(second_prints))
        print(*[side.story for side in sides], sep="\n")
    return is_right


def main():
    """Plays all conversations for which the strangers are here."""
    missing, right = set(), []
    os.environ["PATH"] = f"{os.path.abspath(sys.argv[1])}:{os.environ['PATH']}"
    os.environ["PYTHONUTF8"] = "1"  # whatever the locale is
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, text in FILES.items():
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        for stranger, probe in STRANGERS.items():
            if subprocess.call(f"{{ {probe}; }} >/dev/null 2>&1", shell=True):
                print("not installed:", stranger)
                missing.add(stranger)
        for stranger, *conversation in CONVERSATIONS:
            if stranger not in missing:
                right.append(play(*conversation))
                subprocess.call(["rm", "-f", "path"])  # some leave it behind
        os.chdir("/")
    if not all(right) or (missing and os.environ.get("STRANGERS_REQUIRED")):
        sys.exit(1)
    sys.exit(77 if missing else 0)


if __name__ == "__main__":
    main()
