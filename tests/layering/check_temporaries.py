#!/usr/bin/env python3
"""Fails on a loop or a reference into what a temporary pointer holds.

`for (const auto& pool : manager.Snapshot()->pools)` reads freed memory once a newer snapshot is
published: in C++20 the pointer that Snapshot() returned dies before the loop's first turn. The same
is true of `const auto& pools = manager.Snapshot()->pools;`. No warning of the compilers at hand
tells it. Functions that return an owner by value are found by their declarations.
Usage: check_temporaries.py TOP
"""
import pathlib
import re
import sys

OWNER = re.compile(r"\b(?:std::(?:shared_ptr|unique_ptr|optional)|absl::StatusOr)<[^;={}()]*>\s+"
                   r"(?:\w+::)*(\w+)\(")
LOOP = re.compile(r"\bfor \(")
REFERENCE = re.compile(r"(?:&|\bstring_view|\bspan<[\w: ]+>) (?:\w+|\[[\w, ]+\]) = ([^;{}]*);")

# The check's own test: code -> whether it is wrong, with Get() and Find() returning owners.
EXAMPLES = {
    "for (const auto& pool : snapshot.Get()->pools) {}": True,
    "for (const auto& pool : *snapshot_.Get()) {}": True,
    "for (const auto& [name, value] :\n     guard->Get(First(1))->of[2].headers) {}": True,
    "for (int i = 0; const auto& row : Find(id).value()) {}": True,
    "const Labels& labels = registry.Get()->labels;": True,
    "const auto& [first, second] = *Find(1);": True,
    "std::string_view name = Find(1)->name;": True,
    "for (const auto& owner : OwnersOf(*snapshot.Get())) {}": False,
    "for (const auto& pool : snapshot->pools) {}": False,
    "for (const auto& page : table.at(Find(1))->pages) {}": False,
    "for (int i = 0; i < Get()->size; ++i) {}": False,
    "const auto& size = snapshot.Get()->size();": False,
    "const Labels labels = registry.Get()->labels;": False,
}


def closing(text, start):
    """Where the bracket that opens at `start` is closed."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] in "([{") - (text[at] in ")]}")
        if depth == 0:
            return at
    return len(text)


def without_arguments(expression):
    """`f(g(1))->x[2]` as `f()->x[]`: what stands inside of brackets lives by rules of its own."""
    out, at = "", 0
    while at < len(expression):
        out += expression[at]
        if expression[at] in "([{":
            at = closing(expression, at)
            out += expression[at:at + 1]
        at += 1
    return " ".join(out.split())


def references(text):
    """(offset, expression) of everything that a loop's or a declaration's reference is bound to."""
    for match in LOOP.finditer(text):
        head = text[match.end():closing(text, match.end() - 1)]
        parts = re.split(r"(?<!:):(?!:)", without_arguments(head.rsplit(";", 1)[-1]), maxsplit=1)
        if len(parts) == 2:
            yield match.start(), parts[1].strip()
    for match in REFERENCE.finditer(text):
        yield match.start(), without_arguments(match.group(1))


def dangles(expression, owners):
    call = rf"\b(?:{'|'.join(sorted(owners))})\(\)"
    inside = rf"{call}(?:->|\.value\(\)(?!\())(?:\w+|\.|->|\[\])*$"
    return bool(re.search(inside, expression) or re.fullmatch(rf"\*[^()]*{call}", expression))


def check_text(name, text, owners):
    return [f"{name}:{text.count(chr(10), 0, offset) + 1}: the owner is gone while this is read: "
            f"keep it in a variable: {expression}"
            for offset, expression in references(text) if dangles(expression, owners)]


def check_examples():
    return [f"example judged wrongly: {code}" for code, wrong in EXAMPLES.items()
            if bool(check_text("", code, {"Get", "Find"})) != wrong]


def main():
    top = pathlib.Path(sys.argv[1])
    texts = {path.relative_to(top): path.read_text()
             for part in ("core", "server", "client", "tests")
             for path in sorted((top / part).rglob("*")) if path.suffix in (".h", ".cc")}
    owners = {name for text in texts.values() for name in OWNER.findall(text)}
    problems = check_examples()
    for name, text in texts.items():
        problems += check_text(name, text, owners)
    if len(owners) < 50:
        problems.append(f"only {len(owners)} functions that return an owner: wrong directory?")
    print("\n".join(problems) or f"{len(texts)} files, {len(owners)} functions that return an owner")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
