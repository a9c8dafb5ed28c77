#!/usr/bin/env python3
# translation.py - keeps the Chinese pages in step with the English ones.
#
#   python3 translation.py                         prints what is not in step
#   python3 translation.py renew PAGE [HEADING]    a section follows its English
#   python3 translation.py behind PAGE [HEADING]   a section is marked as behind
#
# PAGE is a Chinese page, such as docs/zh/tcp.md; without HEADING all sections
# are meant. Under each heading of it a comment has the hash of the English
# prose that the section follows: <!-- follows: 1f2e3d4c -->. When that prose has
# changed, the test fails until somebody has brought the section up to date, and
# renews the hash. Somebody who reads no Chinese marks it as behind instead: a
# reader then sees BEHIND above the section.
#
# Both have the same headings, paragraphs, blocks, links and tables, in the same
# order. Only blocks of text, which are the diagrams, may differ. What concerns
# Chinese readers alone is marked, and counted: passages from <!-- only here -->
# to <!-- both again -->, and words of other books as （又称环回）.
import gettext
import hashlib
import re
import sys
import unicodedata
from pathlib import Path

import comparison
from names import anchors, follow
from pages import FENCED, ROOT

CHINESE = ROOT / "docs/zh"
GLOSSARY = CHINESE / "glossary.md"
ONLY_HERE = re.compile(r"(?s)<!-- only here -->.*?<!-- both again -->")
UNSEEN = re.compile(r"(?ms)<!--.*?-->|^\[(?:中文|English)[^\n]*")
ALSO = re.compile("（[^（）]*又称[^（）]*）")
BEHIND = "> 本节尚未跟上英文版的改动，请以英文版为准。"
FOLLOWS = re.compile(r"\n<!-- follows: (\w*) -->\n(\n" + re.escape(BEHIND) + "\n)?")

# A Chinese character beside a Latin one or a mark that is not full-width.
HAN = r"[\u4e00-\u9fff]"
MIXED = re.compile(rf"{HAN}[\w`*\[(]*[,.;:?!](?=\s|$|{HAN})|{HAN}[\"'()]|[\"'(]{HAN}"
                   rf"|{HAN}[A-Za-z0-9`]|[A-Za-z0-9`]{HAN}|[，。；：？！、] +[^\s|]", re.A)


def english_of(page):
    name = page.name
    return ROOT / name if name == "README.md" else ROOT / "docs" / name


# The sections of a page: heading, and text up to the next one.
def sections(page):
    text = page.read_text()
    starts = [found.start() for found in re.finditer(r"(?ms)^#+ |^```.*?^```", text)
              if found[0][0] == "#"]
    starts = [0] + starts[1:] + [len(text)]
    return [text[start:end].partition("\n")[::2] for start, end in zip(starts, starts[1:])]


# A section's text without its blocks, comments and the link to the other language.
def prose(text):
    text = UNSEEN.sub("", FENCED.sub("", text))
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


# Of a section's heading, prose and diagrams, however lines are wrapped.
def digest(heading, text):
    drawn = "".join(code for language, code in FENCED.findall(text) if language == "text")
    words = " ".join(prose(f"{heading}\n{text}").split() + drawn.split())
    return hashlib.sha256(words.encode()).hexdigest()[:8]


# Where a section's links lead: the English page, and the heading's place.
def links(page, text):
    for link in re.findall(r"\]\(([^)\s]*)\)", prose(text)):
        target, anchor = follow(page, link)
        place = None
        if anchor:
            there = anchors(target) if target.exists() else []
            place = there.index(anchor) if anchor in there else anchor
        if target.parent == CHINESE:
            target = english_of(target)
        yield link if link.startswith("http") else f"{target.relative_to(ROOT)} {place}"


# For each row of a section's tables the number of cells, and the code in it.
def tables(text):
    return [(len(re.findall(r"(?<!\\)\|", line)), sorted(re.findall(r"`[^`]+`|\bE[A-Z]{4,}\b", line)))
            for line in prose(text).split("\n") if line.startswith("|")]


# What a section's paragraphs are: items of a list, a table, a block, or words.
def shape(text):
    for paragraph in re.split(r"\n\s*\n", UNSEEN.sub("", FENCED.sub("\n\n\0\n\n", text)).strip()):
        items = len(re.findall(r"(?m)^ *(?:-|\d\d?\.) ", paragraph))
        kinds = {"|": "a table", "\0": "a block"}
        yield f"{items} items" if items else kinds.get(paragraph.strip()[:1], "words")


# The lines of a section's blocks; of a diagram only that there is one.
def blocks(text):
    return [line for language, code in FENCED.findall(text)
            for line in [language] + code.split("\n") * (language != "text")]


# What is not in step in two pages.
def compare(english, chinese):
    here, there = sections(english), sections(chinese)
    levels = [[heading.partition(" ")[0] for heading, _ in page] for page in (here, there)]
    if levels[0] != levels[1]:
        yield f"headings: {levels[0]} and {levels[1]}"
        return
    for (heading, original), (title, text) in zip(here, there):
        text = ONLY_HERE.sub("", text)
        mark = FOLLOWS.match("\n" + text)
        if not mark or not mark[2] and mark[1] != digest(heading, original):
            yield f"{title}: does not follow what is now below {heading}"
        for what, one, other in (
                ("paragraphs", list(shape(original)), list(shape(text))),
                ("blocks", blocks(original), blocks(text)),
                ("links", sorted(links(english, original)), sorted(links(chinese, text))),
                ("tables", tables(original), tables(text))):
            if one != other:
                differ = [pair for pair in zip(one + [None], other + [None])
                          if pair[0] != pair[1]][0]
                yield f"{title}: {what}: {differ[0]!r} and {differ[1]!r}"


# Marks and words that a Chinese page does not use.
def check_style(page, avoided):
    text = page.read_text()
    for line in prose(text).split("\n"):
        plain = re.sub("`[^`]*`", "`x`", re.sub(r"\]\([^)]*\)", "]", line))
        for found in MIXED.finditer(plain):
            yield f"punctuation or space: ...{plain[max(0, found.start() - 9):found.end() + 9]}"
        for word in avoided if page != GLOSSARY else []:
            if word in ALSO.sub("", line):
                yield f"{word}: the glossary has another term: {line}"
    for _, code in FENCED.findall(text):
        for line in code.split("\n"):
            if sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in line) > 80:
                yield f"wider than 80 columns: {line}"


# The words in a column of a glossary.
def words(glossary, column):
    rows = re.findall(r"(?m)^\| (?!\*\*|--)(.*) \|$", glossary.read_text())[1:]
    cells = ",".join(re.sub(r"\(.*?\)|（.*?）", "", row.split(" | ")[column]) for row in rows)
    return {word.strip() for word in cells.split(",")}


# What the table of the README says that tools print in Chinese, and they do not: by their
# own translations, where these are installed.
def check_tools(page):
    tools = [gettext.translation(name, "/usr/share/locale", ["zh_CN"], fallback=True).gettext
             for name in ("bash", "libc", "coreutils")]
    if any(tool("Permission denied") == "权限不够" for tool in tools):
        for row in comparison.rows(page.read_text()):
            word, theirs = (re.sub(r"^\[1\]\+ | 1$", "", cell) for cell in row)
            if theirs not in {tool(word + end).removesuffix(end) for tool in tools
                              for end in ("", " %d", " %s")} and word[-1:].isalpha():
                yield f"tools do not print {theirs} for {word}"


# Writes the present hash below a heading, or all; or marks it as behind.
def mark(page, heading, behind):
    text = page.read_text()
    for (name, original), (title, body) in zip(sections(english_of(page)), sections(page)):
        if heading in (None, title.lstrip("# ")):
            old = FOLLOWS.match("\n" + body)
            rest = body[old.end() - 1:] if old else body
            has, note = digest(name, original), ""
            if behind:
                has, note = old[1] if old else "", f"\n{BEHIND}\n"
            new = f"<!-- follows: {has} -->\n{note}{rest}"
            text = text.replace(f"{title}\n{body}", f"{title}\n{new}")
    page.write_text(text)


def main():
    if len(sys.argv) > 1:
        if len(sys.argv) < 3 or sys.argv[1] not in ("renew", "behind"):
            sys.exit("usage: translation.py [renew|behind PAGE [HEADING]]")
        heading = sys.argv[3] if len(sys.argv) > 3 else None
        mark(Path(sys.argv[2]).resolve(), heading, sys.argv[1] == "behind")
        return 0
    avoided = [word for cell in re.findall(r"(?m)^\|.*\| *(.*?) *\|$", GLOSSARY.read_text())[2:]
               for word in cell.split("、") if word]
    wrong = only = 0
    for page in sorted(CHINESE.glob("*.md")):
        only += len(ONLY_HERE.findall(page.read_text())) + len(ALSO.findall(page.read_text()))
        other = compare(english_of(page), page) if page != GLOSSARY else [
            f"{word}: only one of both editions has it"
            for word in (words(english_of(page), 0) ^ words(page, 1)) - {""}]
        tools = check_tools(page) if page.name == "README.md" else []
        for what in [*other, *tools, *check_style(page, avoided)]:
            print(f"{page.relative_to(ROOT)}: {what}")
            wrong += 1
        if BEHIND in page.read_text():
            print(f"{page.relative_to(ROOT)}: has sections that are behind")
    print(f"{only} passages and words only for Chinese readers")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
