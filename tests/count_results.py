#!/usr/bin/env python3
"""Adds up Meson's test logs and prints the closing line "N passed, N failed, N skipped".

    count_results.py testlog.json…        exit status 1 when a test failed or none passed
"""
import json
import sys

counts = {"passed": 0, "failed": 0, "skipped": 0}
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as log:
        for line in log:
            result = json.loads(line)["result"]
            kind = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(result, "failed")
            counts[kind] += 1
print(", ".join(f"{n} {kind}" for kind, n in counts.items()))
sys.exit(1 if counts["failed"] or not counts["passed"] else 0)
