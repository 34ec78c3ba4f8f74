#!/usr/bin/env python3
"""Fails on an #include that the architecture does not allow.

The edges below are the architecture: a folder may include itself and the folders listed for it.
Seams are single headers that a folder may see without seeing the rest of theirs. Also checked:
no real clock, no sleep and no environment outside the files named here.
Usage: check_includes.py TOP
"""
import pathlib
import re
import sys

# folder -> folders whose headers it may include
EDGES = {
    "core/base": [],
    "core/telemetry": ["core/base"],
    "core/model": ["core/base"],
    "core/relabel": ["core/base", "core/model"],
    "core/exposition": ["core/base", "core/model"],
    "core/config": ["core/base", "core/model", "core/relabel"],
    "core/fetch": ["core/base", "core/model", "core/telemetry"],
    "core/append": ["core/base", "core/model", "core/telemetry", "proto/storage"],
    "core/spool": ["core/base", "core/append"],
    "core/discovery": ["core/base", "core/model", "core/config", "core/telemetry"],
    "core/scrape": ["core/base", "core/model", "core/relabel", "core/exposition", "core/config",
                    "core/telemetry", "seam/fetch", "seam/append", "seam/discovery"],
    "client/stream": ["core/base", "grpc"],
    "client/append": ["core/base", "core/append", "client/stream", "proto/storage", "grpc"],
    "client/store": ["core/base", "core/model", "core/append", "core/telemetry", "core/fetch",
                     "proto/storage", "proto/prometheus", "grpc", "seam/reflection"],
    "client/store/sqlite": ["core/base", "core/model", "core/relabel", "core/append", "client/store",
                            "proto/storage"],
    "client/store/program": ["core/base", "client/store", "client/store/sqlite", "proto/storage",
                             "grpc", "seam/reflection", "seam/listen", "seam/version"],
    "client/trawlctl": ["core/base", "core/model", "core/config", "core/fetch", "core/append",
                        "core/spool", "client/discovery", "proto/discovery", "proto/storage",
                        "proto/status", "grpc", "seam/sample_reader", "seam/version"],
    "client/discovery": ["core/base", "client/stream", "proto/discovery", "grpc"],
    "server": ["*"],
}
SEAMS = {
    "core/fetch/fetcher.h": "seam/fetch",
    "core/fetch/body_budget.h": "seam/fetch",
    "core/fetch/resolver.h": "seam/fetch",
    "core/append/appender.h": "seam/append",
    "core/discovery/desired_targets.h": "seam/discovery",
    "server/reflection_service.h": "seam/reflection",
    "server/grpc_compat.h": "seam/reflection",
    "server/rpc_server.h": "seam/listen",
    "server/listen_address.h": "seam/listen",
    "server/version.h": "seam/version",
    "client/store/sqlite/sample_reader.h": "seam/sample_reader",
    "client/store/sqlite/store_summary.h": "seam/sample_reader",
}
# library headers that have one wrapping folder each: prefix -> folders that may include them
WRAPPED = {
    "yaml-cpp/": ["core/config"],
    "re2/": ["core/relabel"],
    "curl/": ["core/fetch"],
    "ares": ["core/fetch"],
    "sqlite3.h": ["client/store/sqlite"],
    "httplib.h": ["server"],
    "spdlog/": ["core/base"],
}
# what only the named files may use, so that time is injected everywhere else
RESERVED = {
    r"\babsl::Now\(\)|\b(system|steady)_clock::now\(\)|\bclock_gettime\(":
        ["core/base/clock.cc", "client/trawlctl/connection.cc", "server/grpc_compat.cc", "tests/bench/",
         "tests/client/append/grpc_append_stream_test.cc"],  # gRPC waits in real time
    r"\bgetenv\(": ["server/run_trawld.cc", "server/flags.cc", "client/trawlctl/check_command.cc",
                    "client/store/program/main.cc", "tests/"],
    r"\bsleep_for\(|\bSleepFor\(|\busleep\(|\bnanosleep\(": ["tests/e2e/", "tests/bench/"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def folder_of(path):
    """The longest architecture folder that holds a path; None outside of them."""
    best = None
    for folder in EDGES:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def names_of(included):
    """What an include counts as, in the words of EDGES: a folder, and perhaps a seam."""
    names = {SEAMS[included]} if included in SEAMS else set()
    proto = re.match(r"(?:trawl/)?(\w+)/v1/.*(\.grpc)?\.pb\.h$", included)
    if proto:
        names.add("proto/" + proto.group(1))
    folder = folder_of(included)
    if folder:
        names.add(folder)
    return names


def check_include(path, kind, included):
    folder = folder_of(path)
    allowed = EDGES[folder]
    for prefix, wrappers in WRAPPED.items():
        if included.startswith(prefix) and folder not in wrappers:
            return f"{included} is wrapped by {', '.join(wrappers)}"
    if included.startswith(("grpcpp/", "grpc/")) or included.endswith(".grpc.pb.h"):
        if "grpc" not in allowed and "*" not in allowed:
            return "gRPC has no place in this folder"
    if "*" in allowed:
        return None
    names = names_of(included)
    if kind == '"' and names and folder not in names and not names & set(allowed):
        return f"{folder} must not know {sorted(names)[0]}"
    return None


def check_file(path, text):
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match and folder_of(path):
            problem = check_include(path, match.group(1), match.group(2))
            if problem:
                problems.append(f"{path}:{number}: {match.group(2)}: {problem}")
        code = line.split("//")[0]
        for pattern, files in RESERVED.items():
            if re.search(pattern, code) and not path.startswith(tuple(files)):
                problems.append(f"{path}:{number}: reserved to {', '.join(files)}: {code.strip()}")
    return problems


def check_top(top):
    allowed = {"CMakeLists.txt", "README.md", "proto", "server", "client", "core", "tests",
               "deploy", "build"}
    extra = {p.name for p in top.iterdir() if not p.name.startswith(".")} - allowed
    return [f"{name}: not an entry of the top level" for name in sorted(extra)]


def main():
    top = pathlib.Path(sys.argv[1])
    problems, files = check_top(top), 0
    for part in ("core", "server", "client", "tests"):
        for path in sorted((top / part).rglob("*")):
            if path.suffix in (".h", ".cc"):
                files += 1
                problems += check_file(str(path.relative_to(top)), path.read_text())
    if files < 50:
        problems.append(f"only {files} files found: wrong directory?")
    print("\n".join(problems) or f"{files} files: every include is allowed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
