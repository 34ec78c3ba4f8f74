#!/usr/bin/env python3
"""Fails on a metric that is declared, and so exposed, and that nothing ever sets.

A metric is a member of a class in core/telemetry/*_metrics.h. It has a writer if it is named behind
a "." or "->" outside of core/telemetry (there it may be read at most besides), or if
core/telemetry itself sets it, in a function that others call.
Usage: check_metrics.py TOP
"""
import pathlib
import re
import sys

MEMBER = re.compile(r"^\s*(?:prometheus::\w+&|Labelled\w+) (\w+);", re.MULTILINE)


def without_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def declared(top):
    """Names of metrics, by file."""
    for path in sorted((top / "core" / "telemetry").glob("*_metrics.h")):
        for name in MEMBER.findall(without_comments(path.read_text())):
            yield path.relative_to(top), name


def sources(top):
    inside, outside = "", ""
    for part in ("core", "server", "client"):
        for path in sorted((top / part).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            text = without_comments(path.read_text())
            if path.parent == top / "core" / "telemetry":
                inside += text
            else:
                outside += text
    return inside, outside


def main():
    top = pathlib.Path(sys.argv[1])
    inside, outside = sources(top)
    metrics = list(declared(top))
    problems = [
        f"{path}: {name}: nothing sets it" for path, name in metrics
        if not re.search(rf"(?:\.|->){name}\b", outside)
        and not re.search(rf"\b{name}\.(?:Set|Increment|Observe)\(", inside)]
    if len(metrics) < 50:
        problems.append(f"only {len(metrics)} metrics found: wrong directory?")
    print("\n".join(problems) or f"{len(metrics)} metrics: each has a writer")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
