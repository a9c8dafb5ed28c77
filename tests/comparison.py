# comparison.py - whether a line that came is the one that was expected, but for
# what differs from run to run, and from one release of a tool to the next.
import re

# Dates, and numbers of processes and of ports that the kernel chose.
DATES = re.compile(r"([A-Z][a-z]{2} )?[A-Z][a-z]{2} \d+ \d\d:\d\d(:\d\d \d{4})?")
NUMBERS = re.compile(
    r"(?<=fork\(\) = )[1-9]\d*|(?<=\w\[)\d+(?=\])|(?<=pid=)\d+|(?<=pid )\d+"
    r"|(?<=^\[\d\] )\d+$|^\d+( \d+)?(?= [RSDTZ][+sl<N]*( |$))"
    r"|((?<=[\d\]][.:])|(?<=htons\())(3[3-9]\d|32[7-9]|[456]\d\d)\d\d\b"
)
OURS = re.compile(r"(tcp|udp|unix|fifo)_[a-z]+(\[\d+\])?: ")
# What tools that are not ours print in other releases than Debian 13, which the
# pages show; blanks, too, but they never count. No line of ours is looked at.
FOREIGN = [
    # ss of Debian 12 and older: there is this column, even without -p.
    (r"(?<=Address:Port) Process$", ""),
    # bash of 5.3 and newer: the command that was killed, too.
    ("^Killed .+", "Killed"),
]


# Has the words that a table has for those of a page: | `Stopped` | `已停止` |.
def learn(text):
    FOREIGN[:0] = [(re.escape(word), ours) for ours, word in rows(text)]


# The first two cells of the rows of that table.
def rows(text):
    return re.findall(r"(?m)^\| `([ -~]+)` \| `([^`]*[^ -~`][^`]*)` \|", text)


# Of the lines of a scene: the same number has to be the same in the run.
class Comparison:
    def __init__(self):
        self.numbers = {}  # what was expected: what came for it

    # Whether the line that was expected and the one that came are the same.
    def same(self, *lines):
        expected, came = map(self.plain, lines)
        pairs = [re.findall(r"\d+", " ".join(found[0] for found in NUMBERS.finditer(line)))
                 for line in (expected, came)]
        numbers = {**self.numbers, **dict(zip(*pairs))}
        if (NUMBERS.sub("#", expected) != NUMBERS.sub("#", came)
                or len(pairs[0]) != len(pairs[1]) or self.numbers.items() - numbers.items()
                or len(set(numbers.values())) < len(numbers)):
            return False
        self.numbers = numbers
        return True

    # A text of the page, with the numbers that came for its own.
    def came_for(self, text):
        return re.sub(r"\d+", lambda found: self.numbers.get(found[0], found[0]), text)

    @staticmethod
    def plain(line):
        line = DATES.sub("date", " ".join(line.split()))
        for pattern, form in () if OURS.match(line) else FOREIGN:
            line = re.sub(pattern, form, line)
        return line
