#!/usr/bin/env bash
# `seedvr2 bench`: a table and JSON with sensible numbers.
. "$(dirname "$0")/common.sh"

run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 1
for phase in encode dit decode finish total; do
    says "^$phase +[0-9.]+"
done
run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 2 --json --dtype f16
python3 - "$work/out" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
p = r["phases"]
assert r["dtype"] == "f16" and r["backend"] == "cpu", r
assert all(p[k]["ms"] > 0 for k in ("encode", "dit", "decode", "finish", "total")), p
# operations for each output pixel of five frames, as the model's description counts them
pixels = 64 * 48 * 5
assert 150e3 < p["total"]["gflop"] * 1e9 / pixels < 600e3, p
assert r["peak_bytes"] > r["weight_bytes"] > 1e6, r
PY
echo "$checks checks"
