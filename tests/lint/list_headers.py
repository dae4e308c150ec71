#!/usr/bin/env python3
"""Prints the headers below some folders of the source tree, one a line, as they are included.

    list_headers.py SOURCE_ROOT FOLDER...
"""
import pathlib
import sys

root = pathlib.Path(sys.argv[1])
for folder in sys.argv[2:]:
    for path in sorted((root / folder).rglob("*.h")):
        print(path.relative_to(root / folder))
