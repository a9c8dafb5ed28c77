#!/usr/bin/env python3
# test_exercises.py - the judge (exercise.sh) passes the solutions of docs/solutions,
# and fails each of them after one typical mistake is put into it, for that reason.
#
#   python3 test_exercises.py [PROGRAMS]
#
# Exit status: 0; 1 if the judge was wrong, and what it said is printed; 77 if it
# was skipped. (PROGRAMS, which all tests get, is not used.)
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent
SOLUTIONS = TESTS.parent / "docs/solutions"
WARNINGS = ("-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes"
            " -Wformat=2 -Werror")

# The solution, a text in it, what takes its place, what the judge has to say.
WRONG = r"""
client | shutdown(fd, SHUT_WR) == -1 | fd == -1 | the program hangs
client | while ((size = read( | if ((size = read( | FAILED: an answer in pieces
client | buffer, (size_t)size) | buffer, strnlen(buffer, 4096)) | FAILED: 1 MiB
poll | while (i < CLIENTS_MAX && | while (0 && | FAILED: one is silent
poll | fcntl(fd, F_SETFL, O_NONBLOCK) | 0 | FAILED: 16 MiB for one who
poll | signal(SIGPIPE, SIG_IGN) | 0 | the program: SIGPIPE
timeout | select(fd + 1, &readable, NULL, NULL, &limit) | 1 | the program hangs
timeout | if (ready == 0) { | if (ready == 0) return 0; if (0) { | "" status 0
timeout | answer, (size_t)size + 1, | answer, strlen(answer), | with NUL bytes
numbered | TRIES = 3 | TRIES = 1 | FAILED: asks again
numbered | < prefix || memcmp( | < 0 && memcmp( | expected: "ONE\nTWO\n"
numbered | left = end - now() | left = PATIENCE | FAILED: asks again
framing | ntohl(length) | length | see docs/sockets.md, Byte order
framing | done += (size_t)result | done = size | FAILED: pieces of one byte
framing | size > MESSAGE_MAX | size >= MESSAGE_MAX | FAILED: 1 MiB is not too long
transfer | if (unlink(part) | if (is_complete && unlink(part) | its files
transfer | if (result <= 0) | if (result == 0) return true; else if (0) | "" status 0
transfer | is_complete && link( | is_complete && unlink(argv[3]) < 2 && link( | stays
chat | = fork() | = 0 | waits for the program to read
chat | shutdown(fd, SHUT_WR) | close(fd) | FAILED: Ctrl-D
chat | if (!is_received) | if (1) | see docs/connection.md, Half-close
room | i != speaker | i >= 0 | expected: "two\n"
room | fcntl(fd, F_SETFL, O_NONBLOCK) | 0 | FAILED: one does not read
room | client->size += size > 0 | client->size = 1 | FAILED: pieces of one byte
"""


# Returns whether the judge says these words of a solution that was made wrong;
# or, without words, whether a solution as it is passes.
def is_judged(name, old="", new="", words=""):
    source = (SOLUTIONS / f"{name}.c").read_text()
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, name)
        program.with_suffix(".c").write_text(source.replace(old, new))
        command = f"""cc -std=c11 -D_POSIX_C_SOURCE=200809L {program}.c -o {program} \
            {'-w' if old else WARNINGS} && EXERCISE_DEADLINE={8 if old else 30} \
            sh '{TESTS}/exercise.sh' {name} {program}"""
        judge = subprocess.run(command, shell=True, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, encoding="utf-8")
    is_right = old in source and words in judge.stdout and judge.returncode == bool(old)
    print("ok:" if is_right else "FAILED:", name, "|", old, "|", words)
    if not is_right:
        print(judge.stdout, f"The exit status was {judge.returncode}.", sep="")
    return is_right


def main():
    if not shutil.which("cc") or not pathlib.Path("/proc/net/tcp").exists():
        print("Skipped: no cc, or no /proc/net/tcp, where the judge sees what was read")
        sys.exit(77)
    jobs = [[path.stem] for path in sorted(SOLUTIONS.glob("*.c"))]
    jobs += [line.split(" | ") for line in WRONG.split("\n") if line]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        right = list(pool.map(lambda job: is_judged(*job), jobs))
    sys.exit(not all(right))


main()
