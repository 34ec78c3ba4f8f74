#!/usr/bin/env python3
"""Fails on a guarantee without a test, and on a test that a document names and that does not exist.

A guarantee is a table row that begins with a letter and a number (D1, T12); its last cell names its
tests: `Suite.Test`, `.Test` of the suite named before it, `Suite.*` and `Suite` for all of one. What
else stands between backquotes there is a file of the checkout, or one of the words below.
Usage: check_test_names.py TOP
"""
import pathlib
import re
import sys

# Backquoted words in those cells that are neither tests nor files.
WORDS = {"ListSinks", "ScrapeNow", "Gap", "lost", "Ack", "Hello"}
CPP_TEST = re.compile(r"^(?:TYPED_)?TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)", re.MULTILINE)
PYTHON_TEST = re.compile(r"^class (\w+)\(|^    def (test_\w+)\(", re.MULTILINE)
ROW = re.compile(r"^\| ([A-Z]\d+) \|.*\|([^|]*)\|$", re.MULTILINE)


def tests_of(top):
    """suite -> names of its tests."""
    suites = {}
    for path in (top / "tests").rglob("*.cc"):
        for suite, name in CPP_TEST.findall(path.read_text()):
            suites.setdefault(suite, set()).add(name)
    for path in (top / "tests" / "e2e").glob("test_*.py"):
        suite = None
        for found, name in PYTHON_TEST.findall(path.read_text()):
            suite = found or suite
            if name:
                suites.setdefault(suite, set()).add(name)
    return suites


def check_cell(top, cell, suites):
    problems, found, suite = [], 0, None
    for span in re.findall(r"`([^`]+)`", cell):
        if span in WORDS or (top / span).is_file():
            continue
        named, dot, name = span.partition(".")
        suite = named or suite
        if suite not in suites:
            problems.append(f"{span}: no such suite")
        elif dot and name != "*" and name not in suites[suite]:
            problems.append(f"{span}: no such test in {suite}")
        else:
            found += 1
    return problems if found or problems else ["no test"]


def main():
    top = pathlib.Path(sys.argv[1])
    suites, problems, guarantees = tests_of(top), [], 0
    for path in sorted(top.rglob("*.md")):
        relative = path.relative_to(top)
        if relative.parts[0] == "build":
            continue
        for number, cell in ROW.findall(path.read_text()):
            guarantees += 1
            problems += [f"{relative}: {number}: {p}" for p in check_cell(top, cell, suites)]
    if guarantees < 40 or len(suites) < 100:
        problems.append(f"only {guarantees} guarantees and {len(suites)} suites: wrong directory?")
    print("\n".join(problems) or f"{guarantees} guarantees: each test that they name exists")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
