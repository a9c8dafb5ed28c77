#!/usr/bin/env python3
# test_exercises.py - the judge (exercise.sh) passes the solutions of docs/solutions,
# and fails each of them after one typical mistake is put into it, for that reason. The
# breaks leave the sources as they are. What the judge names in the pages is there.
#
#   python3 test_exercises.py [PROGRAMS]
#
# Exit status: 0; 1 if the judge was wrong, and what it said is printed; 77 if it
# was skipped. (PROGRAMS, which all tests get, is not used.)
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

TESTS = pathlib.Path(__file__).resolve().parent
ROOT = TESTS.parent
SOLUTIONS = ROOT / "docs/solutions"
WARNINGS = ("-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes"
            " -Wformat=2 -Werror")

# The solution, perhaps with options; a text in it, what takes its place, and what the
# judge has to say; ;; stands between several.
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
framing | ntohl(length) | length | see docs/inside.md, Byte order
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
client /dev/null | - | - | can't be started: Permission denied ;; chmod +x /dev/null
client | argc != 4 | system("seq 9 >&2") == 0 | status 2; its standard error: ;;   6 ;;   ... ;;   usage: client
framing | close(fd) == -1 | shutdown(fd, SHUT_RDWR) == -1 | what is not closed? ;; Two sockets
client | buffer, (size_t)size) | buffer, strlen(buffer)) | before a NUL ;; What was read
poll | (void)fprintf(stderr, "poll: ready | (void)printf("poll: ready | Nothing appears
client | write_all(fd, "\n", 1); | ; | all but the newline
client | exit(1); | exit(2); | a reset in the middle: status 1 ;; md, Reset
--separator ; room | '\n' | ';' | 7 of 7 passed
--separator : numbered | - | - | expected: "1:one"
--length 8 framing | uint32_t ;; ntohl(length) | uint64_t ;; ntohl((uint32_t)(length >> 32)) | 7 of 7 passed
--length 3 transfer | - | - | FAILED: the file is there
--length 3 room | - | - | room has no such variant
"""


def run(command):
    return subprocess.run(command, shell=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, encoding="utf-8")


# Prints what was tested; returns whether it was right, and else prints why.
def result(is_right, what, output):
    sys.stdout.write(f"ok: {what}\n" if is_right else f"FAILED: {what}\n{output}\n")
    return is_right


# Whether the judge says these words of a solution that was made wrong; or passes it.
def is_judged(call, old="-", new="-", words=" passed"):
    name = next(path.stem for path in SOLUTIONS.glob("*.c") if path.stem in call.split())
    source = (SOLUTIONS / f"{name}.c").read_text()
    is_there = all(text in source for text in old.split(" ;; "))
    for one, other in zip(old.split(" ;; "), new.split(" ;; ")):
        source = source.replace(one, other)
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder, name)
        program.with_suffix(".c").write_text(source)
        judge = run(f"""cc -std=c11 -D_POSIX_C_SOURCE=200809L {program}.c -o {program} \
            {WARNINGS if old == '-' else '-w'} && \
            EXERCISE_DEADLINE={30 if words.endswith(' passed') else 8} \
            sh '{TESTS}/exercise.sh' {call.replace(";", "';'")} {program}""")
    is_right = is_there and all(word in judge.stdout for word in words.split(" ;; "))
    is_right &= (judge.returncode == 0) == words.endswith(" passed")
    return result(is_right, f"{call} | {old} | {words}", f"{judge.stdout}{judge.returncode}")


# Whether all checks are played and reported, if one fails.
def is_reported():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "junit.xml")
        judge = run(f"sh '{TESTS}/exercise.sh' --junit {file} client true")
        suite = xml.parse(file).getroot()
    cases = [len(suite.findall(what)) for what in ("testcase", "testcase/failure")]
    is_right = "0 of 6 passed" in judge.stdout and cases == [6, 6]
    return result(is_right and suite.get("failures") == "6", "--junit", f"{cases}{judge.stdout}")


# Whether each break changes a program, and none a source.
def is_left():
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "copy")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("build*", ".git"))
        before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        output = [run(f"sh {copy}/tests/exercise.sh break {path.stem}").stdout
                  for path in sorted((ROOT / "docs/breaks").glob("*.sed"))]
        shutil.rmtree(copy / "build")
        after = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    is_right = before == after and all(
        re.search(r"changed:\n(?s:.*)\nbuild/\w+ is made\n$", text) for text in output)
    return result(is_right, "break", "".join(output))


# Whether a source of the pages compiles without a warning.
def compiles(path):
    compiler = run(f"cc -std=c11 -D_POSIX_C_SOURCE=200809L {WARNINGS} -fsyntax-only {path}")
    return result(compiler.returncode == 0, path, compiler.stdout)


# Whether a page has a heading that begins like this.
def has_heading(page, words):
    text = (ROOT / "docs" / page).read_text()
    return result(re.search(rf"(?m)^#+ (\d+\. )?{re.escape(words)}", text), f"{page}, {words}", "")


def main():
    if not shutil.which("cc"):
        sys.exit(77)
    jobs = [[is_judged, path.stem] for path in sorted(SOLUTIONS.glob("*.c"))]
    jobs += [[is_judged, *line.split(" | ")] for line in WRONG.split("\n") if line]
    jobs += [[compiles, path] for path in sorted((ROOT / "docs/examples").glob("*.c"))]
    named = re.findall(r"(?m) \| (\w+\.md), (.+)$", (TESTS / "exercise.py").read_text())
    jobs += [[has_heading, *place] for place in sorted(set(named))]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        right = list(pool.map(lambda job: job[0](*job[1:]), [*jobs, [is_left], [is_reported]]))
    sys.exit(not all(right))


main()
