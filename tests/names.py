#!/usr/bin/env python3
# names.py - what the pages name is there, and each program has what it needs.
#
#   python3 names.py
#
# Links, files, functions, tests; code that is a part of a source; the beginning and
# the end of a page of the course; what is played for each row of a table of symptoms
# or beliefs; for each program of CMakeLists.txt a row, a page and its tests.
#
# Exit status: 0; 1 if something is not there; 77 if a name is not known here,
# where tools may be missing, which is a failure if the environment has
# PAGES_REQUIRED.
import os
import re
import sys
from pathlib import Path

from pages import FENCED, FOLDERS, ROOT, TYPED, parse

TERMINAL = r"^(\$ |# [a-z]|\w+_\w+.*: )"  # lines of a terminal

# Where a program of a folder has to be, and how it stands there.
NEEDS = {
    "README.md": r"(?m)^\|.*`(build/)?{program}`",
    "docs/{folder}.md": r"(?m)^\$ build/{program}\b",
    "tests/test_usage.c": '"{program}"',
    "tests/story.py": r'"{program}\b.*"',
}


# What a page of the course has: its beginning, three questions (or a table of them), its
# end.
FRAME = (r"\*\*You will be able to\*\* ", r"\*\*Takes\*\*\s", r"\*\*Needs\*\*\s",
         r"(?s)(<details>.*){3}|\| question \|", r"(?m)^Next: .*\]\(")
LINK = r"\]\((?!http)([^)\s]*)\)"


# Where a link of a page leads: to a page, and to an anchor there, or "".
def follow(page, link):
    path, _, anchor = link.partition("#")
    return (page.parent / path).resolve() if path else page, anchor


# The anchors of a page's headings, in order, as GitHub makes them; or its ids.
def anchors(page):
    if page.suffix == ".html":
        return re.findall(' id="([^"]+)"', page.read_text())
    text = FENCED.sub("", page.read_text())
    titles = re.findall(r"(?m)^#+ (.*)", text)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


# Words of the sources and the system's headers, and the commands.
def read_words():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
             if path.suffix in (".c", ".h", ".py", ".sh", ".txt")] + [ROOT / "CMakeLists.txt"]
    for folder in ("", "*/sys/", "*/bits/", "*/bits/types/", "netinet/", "arpa/", "linux/"):
        files += Path("/usr/include").glob(folder + "*.h")
    words = {*os.listdir("/usr/bin"), *os.listdir("/usr/sbin")}
    for path in files:
        words.update(re.findall(r"\w+", path.read_text(errors="replace")))
    return words


# The lines without comments, and without the blanks around them.
def squeeze(code):
    lines = re.sub(r"(?s)/\*.*?\*/|//[^\n]*", "", code).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())


# The links, files, functions and tests that a page names, and are not there.
def check_prose(page, prose, words, tests):
    for link in re.findall(LINK, prose):
        target, anchor = follow(page, link)
        if not target.exists() or anchor and anchor not in anchors(target):
            yield f"the link {link}"
    for name in re.findall(r"`([^`\n]+)`", prose):
        if re.match(rf"({'|'.join(FOLDERS)})/[\w./-]*$", name):
            if not (ROOT / name).exists():
                yield f"the file {name}"
        elif re.fullmatch(r"[A-Za-z_]\w*(\(\))?", name) and name.strip("()") not in words:
            yield f"the name {name}"
    for table in re.findall(r"(?m)(?:^\|.*\n)+", prose):
        header, _, *rows = [row.strip("|").split("|") for row in table.strip().split("\n")]
        for place in [place for place, name in enumerate(header) if name.strip() == "test"]:
            for name in "".join(row[place] for row in rows).split("`")[1::2]:
                if name not in tests:
                    yield f"the test {name}"


# What a page's blocks need by the rules of the pages, and do not have.
def check_blocks(page, sources):
    for block in (block for scene in parse(page) for block in scene):
        needs = None
        if block.language in ("", "text"):
            if re.search(TERMINAL, block.text(), re.M):
                needs = "console, as its language"
        elif block.language not in TYPED and not any(
                squeeze(block.text()) in source for source in sources):
            needs = "a source that has these lines"
        if any(len(line) > 80 for line in block.lines):
            needs = "more than 80 columns"
        if needs:
            yield f"what the block of line {block.number} needs: {needs}"


# What a program has to have, and does not: where, and its name.
def check_programs():
    lists = (ROOT / "CMakeLists.txt").read_text()
    for folder, program in re.findall(r"(?m)^add_program\((\w+) (\w+)\)", lists):
        for file, pattern in NEEDS.items():
            path = ROOT / file.format(folder=folder)
            text = path.read_text() if path.exists() else ""
            if not re.search(pattern.format(program=program), text):
                yield path.relative_to(ROOT), f"the program {program}"


# Whether the section that a link leads to has a terminal block, or names where it is
# played.
def is_played(page, link, goes_on=True):
    page, anchor = follow(page, link)
    text = FENCED.sub(r"\0\1\n", page.read_text())
    start = dict(zip(anchors(page), re.finditer("(?m)^#+ ", text))).get(anchor)
    if not start:
        return page.suffix == ".html"
    section = re.split(f"(?m)^#{{1,{len(start[0]) - 1}}} ", text[start.end():])[0]
    links = re.findall(LINK, section.partition("**Played**")[2])
    return re.search(r"(?m)\0console|^\|.*\bcommand\b", section) or goes_on and any(
        is_played(page, other, False) for other in links)


# What a page of the course lacks; what a row of a table leads to, and is not played.
def check_course():
    course = re.search(r"(?ms)^1\. .*?\n\n", (ROOT / "README.md").read_text())[0]
    for name in re.findall(LINK, course):
        text = (ROOT / name).read_text()
        for part in FRAME:
            if not re.search(part, text):
                yield name, f"what each page of the course has: {part}"
    for name in ("docs/trouble.md", "docs/misconceptions.md"):
        table = re.search(r"(?m)(^\|.*\n)+", (ROOT / name).read_text())[0]
        for link in re.findall(LINK, table):
            if not is_played(ROOT / name, link):
                yield name, f"a terminal block where {link} leads"


# Hints that only the programs have, or only the table of docs/trouble.md: each with the
# call and error after which it is printed, if it is one of common/helper.c's table.
def check_hints():
    helper = (ROOT / "common/helper.c").read_text()
    sources = helper + "".join(path.read_text() for path in ROOT.glob("*/*_*.c"))
    rows = {(f"{call}: {error}".strip(": "), hint) for error, call, hint
            in re.findall(r'\{(E\w+), "(\w*)", "([^"]+)"\}', helper)}
    printed = {hint for _, hint in rows} | {*re.findall(r'give_up_with\("([^"]+)"', sources)}
    table = (ROOT / "docs/trouble.md").read_text().partition("\n## All hints\n")[2]
    listed = {(after.replace("`", ""), hint)
              for hint, cell in re.findall(r"(?m)^\| `([^`]+)` \| (.*?) \|", table)
              for after in cell.split(", ")}
    errors = {(after, hint) for after, hint in listed if re.search(r"(^|: )E[A-Z]+$", after)}
    for what in [*(rows ^ errors), *(printed ^ {hint for _, hint in listed})]:
        yield f"in programs and table alike the hint {what}"


# What is named in the pages and is not there: the page, and what.
def check_pages():
    pages = [ROOT / "README.md"] + sorted((ROOT / "docs").rglob("*.md"))
    lists = "".join(path.read_text() for path in ROOT.glob("tests/**/CMakeLists.txt"))
    tests = set(re.findall(r"add_(?:play|script|test)\((?:NAME )?(\w+)", lists))
    tests.update("page_" + page.stem for page in pages)
    sources = [squeeze(path.read_text()) for pattern in ("*/**/*.[ch]", "docs/examples/*")
               for path in ROOT.glob(pattern)]
    words = read_words() | tests
    for what in check_hints():
        yield "docs/trouble.md", what
    for page in pages:
        text = page.read_text()
        own = {*re.findall(r"\w+", "".join(code for _, code in FENCED.findall(text)))}
        name = page.relative_to(ROOT)
        for what in [*check_prose(page, FENCED.sub("", text), words | own, tests),
                     *check_blocks(page, sources)]:
            yield name, what


def main():
    status = 0
    for place, what in [*check_pages(), *check_course(), *check_programs()]:
        unknown = what.startswith("the name") and "PAGES_REQUIRED" not in os.environ
        print(f"{'Skipped: ' if unknown else ''}{place}: there is not {what}")
        status = 77 if unknown and status != 1 else 1
    sys.exit(status)


if __name__ == "__main__":
    main()
