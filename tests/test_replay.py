#!/usr/bin/env python3
# test_replay.py - replay.html, as a browser shows it.
#
#   python3 test_replay.py FOLDER
#
# Steps through every scene of both pages and compares what is shown with what was
# recorded. FOLDER gets two pictures of each page, to be looked at.
#
# Exit status: 0; 1 if something is not as it should be; 77 without a browser, which
# is a failure if the environment has REPLAY_REQUIRED.
import base64
import html
import json
import os
import re
import sys
from pathlib import Path

from browser import Browser, find
from names import anchors, follow

DOCS = Path(__file__).resolve().parent.parent / "docs"
CHECKS = (DOCS.parent / "tests/replay_checks.js").read_text()


def same(what, is_now, should_be):
    if is_now != should_be:
        raise AssertionError(f"{what}\n  is:        {is_now}\n  should be: {should_be}")


# Compares what is shown at a step with what was recorded.
def check_step(shown, data, scene, step, cells):
    state = next(row[2] for row in scene["rows"][step - 1::-1] if row[2] is not None)
    status = scene["rows"][step - 1][3]
    labels = {pid: label for pid, label, *_ in scene["processes"]}
    name = f"{scene['id']}, step {step}: "
    same(name + "the terminals and the wire", shown["rows"], cells[:step])
    same(name + "the mark", shown["now"], [str(step)])
    for text, is_right in shown["arrows"]:
        same(name + text, is_right, bool(re.match("(from the |从)(server|reader|服务器|读者)", text)))
    sources = {pid: data["sources"][source] for pid, _, _, source in scene["processes"]}
    for (title, *here), pid in zip(shown["code"], status, strict=True):
        line = [sources[int(pid)][status[pid][1] - 1].strip()] if status[pid][1] else []
        same(name + title, [labels[int(pid)] in title, *[text.lstrip("▸ 0123456789") for text in here]],
             [True, *line])
    for text, row in zip(shown["kernel"], state, strict=True):
        wanted = [row[1], row[2].replace("*", ""), *[f"{labels[pid]} {fd}" for pid, fd in row[6]],
                  str(row[4]) if row[3] or row[4] else ""]
        same(name + text, [one for one in wanted if one not in text], [])
    same(name + "the address", shown["place"].startswith(f"#{scene['id']}/"), True)
    same(name + "is announced, fits 1280 x 720", (str(step) in shown["caption"], shown["fits"]),
         (True, True))


# Steps to the end of a scene and back, guesses, and comes by the address.
def check_scene(browser, page, data, number, rows):
    scene = data["scenes"][number]
    browser.events.clear()
    browser.press(str((number + 1) % 10))
    browser.press("Home")
    for step in range(1, len(rows) + 1):
        check_step(browser.run(CHECKS + "shown()"), data, scene, step, [cells for _, cells in rows])
        browser.press("PageDown" if step % 2 else "ArrowRight")
    for step in range(len(rows) - 1, 0, -1) if page.parent == DOCS else ():
        browser.press("PageUp" if step % 2 else "ArrowLeft")
        same(f"{scene['id']}: a step back", browser.run(CHECKS + "step()"), step)
    browser.press("End")
    same(f"{scene['id']}: End", browser.run(CHECKS + "step()"), len(rows))
    browser.open(page, rows[4][0])
    same(f"the address {rows[4][0]}", browser.run(CHECKS + "step()"), 5)
    browser.run("document.getElementById('guess').click()")
    for wanted in (5, 6):
        browser.press("ArrowRight")
        same(f"{scene['id']}: guess first", browser.run(CHECKS + "step()"), wanted)
    same("errors, and requests to others", [one for one in browser.events if re.search(
        "exception|console|entryAdded", one["method"])
        or "requestWill" in one["method"] and f"file://{page}?" not in str(one)], [])


# What a screen reader, a printer, and a reader without JavaScript have.
def check_everybody(browser, page, total):
    nodes = [one for one in browser.call("Accessibility.getFullAXTree")["nodes"] if not one["ignored"]]
    for role in ("button", "slider", "checkbox", "combobox"):
        names = [one["name"]["value"] for one in nodes if one["role"]["value"] == role]
        same(f"labels of each {role}", names and all(map(re.compile(r"[^\W\d]").search, names)), True)
    for scheme in ("dark", "light"):
        browser.call("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": scheme}])
        same(f"pale text, {scheme}", browser.run(CHECKS + "pale()"), [])
    browser.call("Emulation.setEmulatedMedia", media="print")
    same("all steps on paper", browser.run(CHECKS + "steps()"), total)
    same("a PDF", base64.b64decode(browser.call("Page.printToPDF")["data"])[:4], b"%PDF")
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    same("all steps without JavaScript", browser.run(CHECKS + "steps()"), total)


def check_page(browser, page, folder):
    text = page.read_text()
    same(f"{page}: it has at most 400 KB", len(text.encode()) <= 400 * 1024, True)
    data = json.loads(re.search("(?s)const data = (.*?);\n", text)[1])
    rows = [(name, [html.unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(
        r'(?s)<td class="(?:t1|w|t2)">(.*?)</td>', row)]) for name, row in re.findall(
        '(?s)<tr id="(.*?)">(.*?)</tr>', text)]
    for link in map(html.unescape, re.findall('<a href="(.*?)"', text)):
        target, anchor = follow(page, link)
        same(f"the link {link}", anchor in ["", *anchors(target)], True)
    browser.open(page, rows[25][0])
    for width, height in ((390, 844), (1280, 720)):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=width < 700)
        picture = base64.b64decode(browser.call("Page.captureScreenshot")["data"])
        (folder / f"replay-{page.parent.name}-{width}.png").write_bytes(picture)
        same(f"it fits {width} columns, and shows the step", browser.run(
            CHECKS + "[document.body.scrollWidth, isSeen()]"), [width, True])
    for number, scene in enumerate(data["scenes"]):
        browser.open(page)
        check_scene(browser, page, data, number,
                    [row for row in rows if row[0].startswith(scene["id"] + "/")])
    check_everybody(browser, page, len(rows))


def main():
    if not find():
        print("Skipped: not here: chromium")
        return 1 if "REPLAY_REQUIRED" in os.environ else 77
    for page in (DOCS / "replay.html", DOCS / "zh/replay.html"):
        browser = Browser()
        for domain in ("Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable")
        check_page(browser, page, Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
