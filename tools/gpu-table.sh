#!/usr/bin/env bash
# Prints the table of cards in docs/memory.md, planned by `seedvr2 plan`; no GPU is needed, the CUDA
# module of the build is.  Takes some minutes.
#
#     tools/gpu-table.sh BUILD [FILE]      FILE: replaces what is between its marks "gpu-table" instead
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: tools/gpu-table.sh BUILD [FILE]" >&2; exit 2; }
build=$(cd "$1" && pwd)
file=${2:-}
export LD_LIBRARY_PATH=$build/cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# card, GiB, compute capability, multiprocessors; a GiB is left to the context, the display and as margin
cards="RTX 4060,8,89,24
RTX 4070,12,89,46
RTX 4080,16,89,76
RTX 4090,24,89,128
RTX 5090,32,120,170
H100,80,90,132"

# plan ARGUMENT…: one line of JSON, also for what does not fit
plan() {
    local status=0
    "$build/tools/seedvr2" plan "$@" --json || status=$?
    [ "$status" -le 1 ] || exit 1
}

# row CARD GIB CAPABILITY SMS ARCH SIZE: of the table
row() {
    local options=(--arch "$5" --size "$6" --vram "$(($2 - 1))GiB" --capability "$3" --sm-count "$4")
    local largest fixed
    largest=$(plan "${options[@]}" --batch-size 0)
    fixed=$(plan "${options[@]}" --batch-size 21)
    python3 - "$1, $2 GB" "$5" "$6" "$largest" "$fixed" <<'PY'
import json, sys
card, arch, size = sys.argv[1:4]
largest, fixed = json.loads(sys.argv[4]), json.loads(sys.argv[5])

def gib(value):
    return f"{value / 2**30:.1f}"

def hidden(plan):
    return "–" if plan["transfer_bytes_per_batch"] == 0 else "yes" if plan["copies_hidden"] else "no"

def numbers(plan):
    if not plan["fits"]:
        return ["–"] * 5
    return [gib(plan["predicted_peak_bytes"]), f'{plan["streamed_blocks"]} of {plan["blocks"]}',
            gib(plan["host_parked_bytes"]), gib(plan["transfer_bytes_per_batch"]), hidden(plan)]

def largest_batch(plan):
    if not plan["fits"]:
        return ["none", "–", "–"]
    return [str(plan["batch_size"]), gib(plan["host_parked_bytes"]), hidden(plan)]

cells = [card, arch.upper(), size.replace("x", "×")] + largest_batch(largest) + numbers(fixed)
print("| " + " | ".join(cells + [gib(fixed["smallest_budget_bytes"])]) + " |")
PY
}

table() {
    local card gib capability sms arch size sizes
    echo "| card | model | output | largest batch | parked | hidden | batch 21: peak | blocks streamed |" \
         "parked | copied | hidden | smallest budget |"
    echo "|---|---|---|---|---|---|---|---|---|---|---|---|"
    while IFS=, read -r card gib capability sms; do
        sizes="1280x720 1920x1080"
        [ "$gib" -lt 24 ] || sizes+=" 3840x2160"
        for arch in 3b 7b; do
            for size in $sizes; do
                row "$card" "$gib" "$capability" "$sms" "$arch" "$size"
            done
        done
    done <<<"$cards"
}

if [ -z "$file" ]; then
    table
    exit
fi
new=$(mktemp)
trap 'rm -f "$new"' EXIT
table >"$new"
python3 - "$file" "$new" <<'PY'
import re, sys
text, new = open(sys.argv[1]).read(), open(sys.argv[2]).read()
marks = r"(<!-- gpu-table: [^\n]*-->\n).*?(<!-- gpu-table end -->)"
text, count = re.subn(marks, lambda m: m[1] + new + m[2], text, flags=re.S)
if count != 1:
    sys.exit(f"{sys.argv[1]}: the marks of the table are not there once, but {count} times")
open(sys.argv[1], "w").write(text)
PY
