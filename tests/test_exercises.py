#!/usr/bin/env python3
# test_exercises.py - the judge (exercise.sh) passes the solutions of docs/solutions,
# and fails each of them after one typical mistake is put into it, for that reason. The
# breaks leave the sources as they are. What the judge names in the pages is there.
#
#   python3 test_exercises.py [PROGRAMS]
#
# Exit status: 0; 1 if something was wrong, and what was said is printed; 77 if it
# was skipped. (PROGRAMS, which all tests get, is not used.)
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "docs/solutions"
CC = "cc -std=c11 -D_POSIX_C_SOURCE=200809L"
WARNINGS = ("-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes"
            " -Wformat=2 -Werror")

# The solution, perhaps with options; a text in it, what takes its place, and what the
# judge has to say; ;; stands between several.
WRONG = r"""
client | shutdown(fd, SHUT_WR) == -1 | fd == -1 | the program hangs
client | while ((size = read( | if ((size = read( | FAILED: an answer in pieces
poll | while (i < CLIENTS_MAX && | while (0 && | FAILED: one is silent
poll | (size_t)size; ;; ssize_t written | (size_t)size; return true; ;; if (!recv(fd, (char[1]){0}, 1, MSG_PEEK)) return false; ssize_t written | FAILED: a client, and
poll | fcntl(fd, F_SETFL, O_NONBLOCK) | 0 | FAILED: 16 MiB for one who
poll | signal(SIGPIPE, SIG_IGN) | 0 | the program: SIGPIPE
poll | return size == -1 && | return size == -1 && dup(fd) && | FAILED: one vanishes ;; what is not closed?) ;; Two sockets
timeout | select(fd + 1, &readable, NULL, NULL, &limit) | 1 | the program hangs
timeout | if (ready == 0) { | if (ready == 0) return 0; if (0) { | "" status 0
timeout | answer, (size_t)size + 1, | answer, strlen(answer), | with NUL bytes
numbered | < prefix || memcmp( | < 0 && memcmp( | expected: "ONE\nTWO\n"
numbered | left = end - now() | left = PATIENCE | FAILED: asks again
framing | ntohl(length) | length | see docs/inside.md, Byte order
framing | done += (size_t)result | done = size | FAILED: pieces of one byte
framing | size > MESSAGE_MAX | size >= MESSAGE_MAX | FAILED: 1 MiB is not too long
transfer | ntohl(length) | length | (4,096 bytes) ;; md, Send a file
transfer | if (unlink(part) | if (is_complete && unlink(part) | its files
transfer | if (result <= 0) | if (result == 0) return true; else if (0) | "" status 0
transfer | is_complete && link( | is_complete && unlink(argv[3]) < 2 && link( | stays
transfer | mkstemp(part) ;; link(part, argv[3]) ;; unlink(part) | fileno(fopen(argv[3], "w")) ;; 0 ;; 0 | before its last byte has come ;; md, Send a file
chat | = fork() | = 0 | waits for the program to read
chat | shutdown(fd, SHUT_WR) | close(fd) | FAILED: Ctrl-D
chat | if (!is_received) | if (1) | see docs/connection.md, Half-close
room | i != speaker | i >= 0 | expected: "two\n"
room | fcntl(fd, F_SETFL, O_NONBLOCK) | 0 | FAILED: one does not read
room | client->size += size > 0 | client->size = 1 | FAILED: pieces of one byte
client | argc != 4 | system("seq 9 >&2") == 0 | status 2; its standard error: ;;   6 ;;   ... ;;   usage: client
framing | if (result <= 0) | if (result == -1) dup(fd); if (result <= 0) | what is not closed?) ;; Two sockets
framing | close(fd) == -1 | close(listen_fd) || close(fd) == -1 | listens no more ;; md, The calls
room | if (size <= 0 || | if (size < 0) fail("read"); if (size <= 0 || | pieces of one byte ;; md, Reset
client | buffer, (size_t)size) | buffer, strlen(buffer)) | before a NUL ;; What was read
poll | (void)fprintf(stderr, "poll: ready | (void)printf("poll: ready | Nothing appears
client | write_all(fd, "\n", 1); | ; | all but the newline
client | argv[3], strlen(argv[3])); | "", 0); | came:     "\n" ;; md, The calls
client | while ((size = read( | while ((size = 0 * read( | "Hi!\n" status 0 ;; is nothing ;; md, The calls
client | exit(1); | exit(2); | a reset in the middle: status 1 ;; md, Reset
--separator ';' room | '\n' | ';' | 7 of 7 passed
--separator : numbered | - | - | expected: "1:one"
--length 8 framing | uint32_t ;; ntohl(length) | uint64_t ;; ntohl((uint32_t)(length >> 32)) | 7 of 7 passed
--length 3 room | - | - | room has no such variant
--keep-going client | argc != 4 | 1 | 0 of 6 passed ;; FAILED: nobody
--junit /dev/stdout client mine | - | - | can't be started ;; right (./)? chmod +x mine? ;; tests="6" failures="6" ;; name="nobody
1 client | - | - | 1 is a break: sh tests/exercise.sh break 1
break client | - | - | no break: client (the judge: exercise.sh client PROGRAM...)
"""

# What else has to be so: a shell exits with 0.
COMMANDS = {
    "the sources of the pages compile":
        f"{CC} {WARNINGS} -fsyntax-only {ROOT}/docs/examples/*.c",
    "each break changes a program, and none a source; else it fails": f"""
        mkdir now; cd now
        for part in common docs fifo tcp tests unix; do cp -R {ROOT}/$part .; done
        cp -R . ../before
        for path in docs/breaks/*.sed; do
          sh tests/exercise.sh break $(basename $path .sed) | grep 'is made'
        done
        rm -r build; diff -r . ../before
        echo '# tcp/tcp_server.c common/helper.c' >docs/breaks/old.sed
        ! sh tests/exercise.sh break old""",
}


# Runs a command in a folder of its own. Returns whether it has ended well, or not, and
# printed all these words; prints so, or else what it printed.
def is_so(what, command, source="", words=(), is_well=True):
    with tempfile.TemporaryDirectory() as folder:
        shell = subprocess.run(["sh", "-ec", f"exec 2>&1\n{command}"], cwd=folder, input=source,
                               encoding="utf-8", stdout=subprocess.PIPE)
    is_right = (shell.returncode == 0) == is_well and all(word in shell.stdout for word in words)
    sys.stdout.write(f"ok: {what}\n" if is_right else
                     f"FAILED: {what}\n{shell.stdout}{shell.returncode}\n")
    return is_right


# The job that judges a solution, which was made wrong or passes.
def judged(call, old="-", new="-", words=" passed"):
    name = next(path.stem for path in SOLUTIONS.glob("*.c") if path.stem in call.split())
    source = (SOLUTIONS / f"{name}.c").read_text()
    for one, other in zip(old.split(" ;; "), new.split(" ;; ")):
        assert one in source, f"not in {name}.c: {one}"
        source = source.replace(one, other)
    is_well = words.endswith(" passed")
    command = f"""{CC} {WARNINGS if old == '-' else '-w'} -x c - -o {name}
        EXERCISE_DEADLINE={30 if is_well else 8} sh {ROOT}/tests/exercise.sh {call} ./{name}"""
    return f"{call} | {old} | {words}", command, source, words.split(" ;; "), is_well


def main():
    if not shutil.which("cc"):
        sys.exit(77)
    jobs = [judged(path.stem) for path in sorted(SOLUTIONS.glob("*.c"))]
    jobs += [judged(*row.split(" | ")) for row in WRONG.strip().split("\n")]
    jobs += COMMANDS.items()
    # Each place that the judge names is a page and how one of its headings begins.
    named = re.findall(r"(?m) \| (\w+\.md),? ?(.*)$", (ROOT / "tests/exercise.py").read_text())
    jobs += [(f"{page}, {words}", f"test '{words}' && grep -E"
              rf" '^#+ ([0-9]+\. )?{words}' {ROOT}/docs/{page}") for page, words in set(named)]
    right = concurrent.futures.ThreadPoolExecutor(16).map(lambda job: is_so(*job), jobs)
    sys.exit(not all(list(right)))


main()
