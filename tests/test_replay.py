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
from names import anchors

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIZE_MAX = 400 * 1024  # bytes of a page
STEP = "document.querySelectorAll('.shown tr:not([hidden]) th[scope=row]').length"
# What is shown at a step. An arrow is seen by where its head is.
SHOWN = """(() => {
  const all = (what, get, from = document) => [...from.querySelectorAll(what)].map(get);
  const text = one => one.textContent;
  const side = one => [text(one), getComputedStyle(one, '::after').right < '0' ? 'right' : 'left'];
  const bottom = Math.max(...all('#kernel, #code', one => one.getBoundingClientRect().bottom));
  return {
    rows: all('.shown tbody tr:not([hidden])', row => all('td:not(.says)', text, row)),
    now: all('.shown .now[aria-current=step] th', text), arrows: all('.shown .now .arrow', side),
    code: all('.proc', one => [text(one.querySelector('h3')), ...all('.here', text, one)]),
    kernel: all('#kernel tbody tr:not(.gone)', text), caption: text(document.querySelector('#caption')),
    place: location.hash, fits: bottom <= innerHeight && document.body.scrollWidth <= innerWidth };
})()"""
# The texts that are hard to read: less than 4.5 to 1 against what is behind them.
PALE = """(() => {
  const parts = color => color.match(/[\\d.]+/g).map(Number);
  const light = color => parts(color).slice(0, 3).map(one => one / 255)
    .map(one => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
    .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = one => !one ? 'rgb(255,255,255)' : parts(getComputedStyle(one).backgroundColor)[3] === 0
    ? behind(one.parentElement) : getComputedStyle(one).backgroundColor;
  return [...document.querySelectorAll('body *')].filter(one => one.offsetParent
    && !one.disabled && [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())).filter(one => {
    const [low, high] = [light(getComputedStyle(one).color), light(behind(one))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05) * Math.min(1, getComputedStyle(one).opacity) < 4.5;
  }).map(one => one.outerHTML.slice(0, 100));
})()"""


def same(what, is_now, should_be):
    if is_now != should_be:
        raise AssertionError(f"{what}\n  is:        {is_now}\n  should be: {should_be}")


# Compares what is shown at a step with what was recorded.
def check_step(browser, data, scene, step, cells):
    shown = browser.run(SHOWN)
    name, row = f"{scene['id']}, step {step}", scene["rows"][step - 1]
    labels = {pid: label for pid, label, *_ in scene["processes"]}
    sources = {pid: data["sources"][source] for pid, _, _, source in scene["processes"]}
    same(f"{name}: the terminals and the wire", shown["rows"], cells[:step])
    same(f"{name}: the row that is marked", shown["now"], [str(step)])
    for text, side in shown["arrows"]:
        from_left = re.match("(from |从)(the |)(server|reader|服务器|读者)", text)
        same(f"{name}: the arrow {text}", side, "right" if from_left else "left")
    for (title, *here), pid in zip(shown["code"], row[3], strict=True):
        line = row[3][pid][1]
        same(f"{name}: the process", title.startswith(labels[int(pid)]), True)
        same(f"{name}: the line of {title}", [re.sub(r"^▸ *\d+", "", text).strip() for text in here],
             [sources[int(pid)][line - 1].strip()] if line else [])
    for text, (_, state, local, _, count, _, fds) in zip(
            shown["kernel"], scene["states"][row[2]], strict=True):
        wanted = [state, local.replace("*", ""), *[f"{labels[pid]}: {fd}" for pid, fd in fds]]
        same(f"{name}: {text}", [one for one in wanted + [str(count)] * (state != "socket file")
                                 if one not in text], [])
    same(f"{name}: the step is announced", str(step) in shown["caption"], True)
    same(f"{name}: the address", shown["place"].startswith(f"#{scene['id']}/"), True)
    same(f"{name}: it fits 1280 x 720", shown["fits"], True)


# Steps to the end of a scene and back, guesses, and comes by the address.
def check_scene(browser, page, data, number, scene, rows):
    total = len(scene["rows"])
    browser.press(str((number + 1) % 10))
    browser.press("Home")
    for step in range(1, total + 1):
        check_step(browser, data, scene, step, [cells for _, cells in rows])
        browser.press("PageDown" if step % 2 else "ArrowRight")
    for step in range(total - 1, 0, -1):
        browser.press("PageUp" if step % 2 else "ArrowLeft")
        same(f"{scene['id']}: one step back", browser.run(STEP), step)
    browser.press("End")
    same(f"{scene['id']}: End", browser.run(STEP), total)
    browser.open(page, rows[4][0])
    same(f"the address {rows[4][0]}", browser.run(STEP), 5)
    browser.run("document.getElementById('guess').click()")
    for wanted in (5, 6):
        browser.press("ArrowRight")
        same(f"{scene['id']}: guess first", browser.run(STEP), wanted)


# What a screen reader, a printer, and a reader without JavaScript have.
def check_everybody(browser, page, total):
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [(one["role"]["value"], one.get("name", {}).get("value")) for one in nodes
             if not one["ignored"]]
    for role in ("button", "slider", "checkbox", "combobox"):
        names = [name for one, name in roles if one == role]
        same(f"a label of each {role}", bool(names) and all(names), True)
    same("what is announced", [one for one, _ in roles].count("status"), 1)
    for scheme in ("dark", "light"):
        browser.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme}])
        same(f"pale text, {scheme}", browser.run(PALE), [])
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    same("the pages on paper", len(re.findall(rb"/Type\s*/Page\b", pdf)) > total // 100, True)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(page)
    same("the steps without JavaScript", browser.run(
        "[...document.querySelectorAll('tbody tr')].filter(one => one.offsetHeight).length"), total)
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def check_page(browser, page, folder):
    text = page.read_text()
    same(f"{page}: at most {SIZE_MAX} bytes", len(text.encode()) <= SIZE_MAX, True)
    data = json.loads(re.search("const data = (.*);", text)[1])
    rows = {scene["id"]: [(name, [html.unescape(re.sub("<.*?>", "", cell)) for cell in re.findall(
        r'(?s)<td class="(?:t1|w|t2)">(.*?)</td>', row)]) for name, row in re.findall(
        f'(?s)<tr id="({scene["id"]}/.*?)">(.*?)</tr>', text)] for scene in data["scenes"]}
    for link in re.findall('<a href="(.*?)"', text):
        path, _, anchor = html.unescape(link).partition("#")
        same(f"the link {link}", anchor in anchors(page.parent / path), True)
    for number, scene in enumerate(data["scenes"]):
        browser.open(page)
        check_scene(browser, page, data, number, scene, rows[scene["id"]])
        reported = [one for one in browser.events if one["method"] in (
            "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
            or one["method"] == "Network.requestWillBeSent"
            and one["params"]["request"]["url"].split("?")[0] != f"file://{page}"]
        same("what the browser reports", reported, [])
    for width, height in ((390, 844), (1280, 720)):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=1, mobile=width < 700)
        same(f"it fits {width} columns", browser.run("document.body.scrollWidth"), width)
        picture = browser.call("Page.captureScreenshot")["data"]
        (folder / f"replay-{page.parent.name}-{width}.png").write_bytes(base64.b64decode(picture))
    check_everybody(browser, page, sum(map(len, rows.values())))


# The moments that other pages link to.
def check_links():
    for path in [DOCS.parent / "README.md", *DOCS.glob("**/*.md")]:
        for target, moment in re.findall(r"\(([\w./]*replay\.html)#([^)]+)\)", path.read_text()):
            page = (path.parent / target).read_text()
            same(f"{path}: {moment}", f'id="{moment}"' in page, True)


def main():
    if not find():
        print("Skipped, for want of chromium")
        return 1 if "REPLAY_REQUIRED" in os.environ else 77
    check_links()
    browser = Browser()
    for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
        browser.call(f"{domain}.enable")
    browser.call("Emulation.setDeviceMetricsOverride", width=1280, height=720,
                 deviceScaleFactor=1, mobile=False)
    try:
        for page in (DOCS / "replay.html", DOCS / "zh/replay.html"):
            check_page(browser, page, Path(sys.argv[1]))
    finally:
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
