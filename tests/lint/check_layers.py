#!/usr/bin/env python3
"""Fails when a source file includes against the direction of docs/architecture.md, or uses what its room
may not use.

    check_layers.py SOURCE_ROOT
"""
import pathlib
import re
import sys

LEVEL = {"base": 0, "backend": 1, "cpu": 2, "weights": 2, "video": 2, "cuda": 2,
         "memory": 3, "vae": 4, "dit": 4, "pipeline": 5}
# gst/ and tools/ are on top; gst/ sees the public API only
GST_ALLOWED = {"base", "pipeline", "video"}
FORBIDDEN = {
    "src": re.compile(r"\b(printf|exit|abort|getenv|puts)\s*\("),
    "cuda": re.compile(r"\b(exit|abort|getenv|cudaDeviceSynchronize|cudaDeviceReset)\s*\("),
}
GLIB = re.compile(r'#include\s*[<"](glib|gst/|gobject)')
INCLUDE = re.compile(r'^\s*#include\s*"([^"]+)"', re.M)
CODE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\"", re.S)


def room(path, root):
    parts = path.relative_to(root).parts
    return parts[1] if parts[0] == "src" else parts[0]


def problems(path, root):
    text = path.read_text(encoding="utf-8")
    top = path.relative_to(root).parts[0]
    here = room(path, root)
    for include in INCLUDE.findall(text):
        there = include.split("/")[0]
        if there not in LEVEL:
            continue
        if "../" in include:
            yield f"includes {include} by a relative path"
        if here == "gst":
            if there not in GST_ALLOWED:
                yield f"gst may not include {include}"
        elif here in LEVEL and there != here and LEVEL[there] >= LEVEL[here]:
            yield f"{here} (level {LEVEL[here]}) may not include {include} (level {LEVEL[there]})"
        if top == "src" and there == "cuda":
            yield f"src may not include {include}"
    if top in ("src", "cuda") and GLIB.search(text):
        yield "GLib and GStreamer belong in gst/ and tools/"
    if top in FORBIDDEN:
        for match in FORBIDDEN[top].finditer(CODE.sub("", text)):
            yield f"calls {match.group(1)}()"


def main():
    root = pathlib.Path(sys.argv[1])
    files = [p for top in ("src", "cuda", "gst", "tools")
             for p in sorted((root / top).rglob("*")) if p.suffix in {".c", ".h", ".cu", ".cuh"}]
    bad = [(p, text) for p in files for text in problems(p, root)]
    for path, text in bad:
        print(f"{path.relative_to(root)}: {text}")
    print(f"{len(files)} files, {len(bad)} problems")
    return 1 if bad or not files else 0


sys.exit(main())
