# namespaces.py - a place of its own for what is played: a network with loopback
# alone, processes, an empty /tmp, a list of hosts, and a user "student". Of
# Linux; the caller is root, or a user whom the system lets make namespaces.
import contextlib
import ctypes
import os
import subprocess
import sys
from pathlib import Path

STUDENT = 1000  # the user who types, if root plays
NEW_NETWORK = 0x40000000  # CLONE_NEWNET of Linux
SPACES = "unshare --net --mount --pid --fork --kill-child --mount-proc".split()
# By whose rights the place was made, and what turns those into a student's.
AS_STUDENT = {
    "root": f"setpriv --reuid={STUDENT} --regid={STUDENT} --clear-groups".split(),
    "user": "setpriv --bounding-set=-all --inh-caps=-all".split(),
}


# Runs a command, which must succeed, and returns what it printed.
def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


# Starts this program again, in new namespaces. Returns by whose rights, "root" or
# "user", if it is in them already; None, if the system does not let it.
def enter():
    rights = "root" if os.geteuid() == 0 else "user"
    command = SPACES + (["--user", "--map-root-user"] if rights == "user" else [])
    if "NAMESPACES_BY" in os.environ:
        return os.environ.pop("NAMESPACES_BY")
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        subprocess.run(command + ["ip", "link"], check=True, capture_output=True)
        os.environ["NAMESPACES_BY"] = rights
        os.execvp("unshare", command + [sys.executable, "-B"] + sys.argv)
    return None


# Makes a folder the home of all, and gives them an empty /tmp, a student, and the hosts
# that the pages show. Returns what the folder is called now.
def furnish(house, rights):
    user = STUDENT if rights == "root" else 0
    for name, line in (("passwd", f"student:x:{user}:{user}::/home:/bin/bash\n"),
                       ("group", f"student:x:{user}:\n"),
                       ("hosts", "127.0.0.1 localhost\n::1 localhost\n")):
        old = "" if name == "hosts" else Path("/etc", name).read_text()
        (house / name).write_text(line + old)
        run("mount", "--bind", house / name, "/etc/" + name)
    run("mount", "--bind", house, "/home")
    run("umount", house)
    house.rmdir()
    run("mount", "-t", "tmpfs", "tmpfs", "/tmp")
    return Path("/home")


# Gives this process, which is in namespaces, a new network with loopback alone.
def new_network():
    ctypes.CDLL(None).unshare(NEW_NETWORK)
    run("ip", "link", "set", "lo", "up")
