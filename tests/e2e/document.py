"""What a document shows: sessions with their output, lines to type, code in the text, flags; and
how what a program says today compares with it.
"""
import re
from typing import List, NamedTuple

FENCE = re.compile(r"^\s*```(\w*)\s*$")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")


class Block(NamedTuple):
    """The inside of a fence. `line` is that of its first line, from 1."""
    language: str
    line: int
    lines: List[str]


class Command(NamedTuple):
    line: int
    text: str  # as typed, continued lines joined by a newline
    output: List[str]


def blocks(text):
    found, inside = [], None
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and inside is None:
            inside = Block(fence[1], number + 1, [])
        elif fence:
            found.append(inside)
            inside = None
        elif inside is not None:
            inside.lines.append(line)
    assert inside is None, f"line {inside.line}: a fence that does not end"
    return found


def _typed(lines, first):
    """(line, text, what follows it) of each line, joined with those that it is continued on."""
    number = 0
    while number < len(lines):
        start = number
        while lines[number].endswith("\\"):
            number += 1
        number += 1
        yield first + start, "\n".join(lines[start:number]), number


def sessions(text):
    """The commands behind a `$ `, with what stands under them up to the next one or the fence."""
    found = []
    for block in blocks(text):
        if not any(line.startswith("$ ") for line in block.lines):
            continue
        assert block.lines[0].startswith("$ "), f"line {block.line}: output without a command"
        starts = [(line, typed, after) for line, typed, after in _typed(block.lines, block.line)
                  if typed.startswith("$ ")]
        ends = [line - block.line for line, _, _ in starts[1:]] + [len(block.lines)]
        for (line, typed, after), end in zip(starts, ends):
            output = block.lines[after:end]
            while output and not output[-1].strip():
                output.pop()
            found.append(Command(line, typed[2:], output))
    return found


def typed_lines(text):
    """The lines of the blocks marked as sh, without their comments."""
    found = []
    for block in blocks(text):
        if block.language == "sh":
            for line, typed, _ in _typed(block.lines, block.line):
                typed = re.sub(r"\s+#.*$", "", typed)
                if typed.strip():
                    found.append(Command(line, typed, []))
    return found


def prose(text):
    """The document without what is inside of fences."""
    kept, inside = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def spans(text):
    """Code in the text: what stands between backquotes, on one line or over its end."""
    return [re.sub(r"\s+", " ", s) for s in re.findall(r"`([^`]+)`", prose(text))]


def flags(text):
    return sorted(set(FLAG.findall(text)))


def normal(lines, varies):
    """Lines in which what must differ from run to run has one form: `varies` are (pattern,
    replacement). Columns stand two blanks apart, however wide they were."""
    out = []
    for line in lines:
        indent = re.match(r" *", line)[0]
        line = indent + re.sub(r" {2,}", "  ", line.strip())
        for pattern, replacement in varies:
            line = re.sub(pattern, replacement, line)
        out.append(line)
    return out


def shows(printed, actual):
    """Whether `actual` is what is printed, where `...` stands for any lines."""
    def matches(p, a):
        if p == len(printed):
            return a == len(actual)
        if printed[p] == "...":
            return any(matches(p + 1, b) for b in range(a, len(actual) + 1))
        return a < len(actual) and printed[p] == actual[a] and matches(p + 1, a + 1)
    return matches(0, 0)
