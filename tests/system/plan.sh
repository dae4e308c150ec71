#!/usr/bin/env bash
# `seedvr2 plan`: what docs/memory.md promises of cards with 6 to 24 GB, and the keys of its JSON.
. "$(dirname "$0")/common.sh"

# ask STATUS ARGUMENT…: plans for an RTX 40 whose budget leaves a GiB for context and display
ask() {
    local want=$1
    shift
    run "$want" plan --capability 89 --sm-count 24 --json "$@"
}

# holds CONDITION: of the plan r in $work/out
holds() {
    python3 - "$work/out" "$1" <<'PY' || die "not so: $1"
import json, sys
r = json.load(open(sys.argv[1]))
sys.exit(0 if eval(sys.argv[2]) else 1)
PY
}

# fits CARD_GIB ARGUMENT…: the plan, its peak and the smallest one are within the budget
fits() {
    local budget=$((($1 - 1) << 30))
    shift
    ask 0 --vram "$budget" "$@"
    holds 'r["fits"] is True'
    holds "0 < r['smallest_budget_bytes'] <= r['predicted_peak_bytes'] <= $budget"
    holds 'r["predicted_peak_bytes"] == r["weight_bytes"] + r["state_bytes"] + r["scratch_bytes"]'
    holds '0 <= r["streamed_blocks"] <= r["blocks"] and r["host_parked_bytes"] <= r["host_bytes"]'
    holds 'r["state_on_host"] == (r["host_parked_bytes"] > 0)'
    holds '(r["transfer_bytes_per_batch"] > 0) == (r["host_bytes"] > 0)'
}

"$seedvr2" plan --arch 3b --size 64x64 >"$work/out" 2>"$work/err" || {
    grep -q 'the CUDA module cannot be loaded' "$work/err" || die "seedvr2 plan fails"
    echo "skipped: no CUDA module"
    exit 77
}

ask 0 --arch 3b --size 1280x720 --batch-size 21 --vram 5GiB
python3 - "$work/out" <<'PY'
import json, sys
text = open(sys.argv[1]).read()
r = json.loads(text)
kinds = {"fits": bool, "predicted_peak_bytes": int, "batch_size": int, "tiled": bool,
         "streamed_blocks": int, "state_on_host": bool, "smallest_budget_bytes": int,
         "transfer_bytes_per_batch": int, "weight_bytes": int, "state_bytes": int,
         "scratch_bytes": int, "host_bytes": int, "host_parked_bytes": int, "blocks": int,
         "slots": int, "activation_chunk": int, "vae_streamed": bool, "copies_hidden": bool,
         "parked_precision": str}
assert text.count("\n") == 1, text
assert list(r) == list(kinds), r
assert all(type(r[key]) is kind for key, kind in kinds.items()), r
assert r["batch_size"] == 21 and r["blocks"] == 32, r
PY

# the largest batches: 12 and 16 GB with the 3B, 24 GB with the 7B
for promise in "12 3b 20" "16 3b 40" "24 7b 60"; do
    read -r card arch frames <<<"$promise"
    fits "$card" --arch "$arch" --size 1280x720 --batch-size 0
    holds "$frames <= r['batch_size'] <= 81 and r['batch_size'] % 4 == 1 and not r['tiled']"
done

# small cards work
for promise in "8 3b 1280x720" "8 3b 1920x1080" "8 7b 1280x720" "8 7b 1920x1080" "6 3b 1280x720"; do
    read -r card arch size <<<"$promise"
    for batch in 5 21; do
        fits "$card" --arch "$arch" --size "$size" --batch-size "$batch"
        holds "r['batch_size'] == $batch and not r['tiled']"
    done
done

# tiles make 2160p possible where nothing else does, and only there
for promise in "8 3b 5" "8 7b 5"; do
    read -r card arch batch <<<"$promise"
    fits "$card" --arch "$arch" --size 3840x2160 --batch-size "$batch"
    holds "r['tiled'] and r['state_on_host']"
done
fits 16 --arch 3b --size 3840x2160 --batch-size 5
holds 'not r["tiled"]'

# and on request, for less memory; not where a frame is one tile
fits 24 --arch 3b --size 1280x720 --batch-size 5
untiled=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["scratch_bytes"])' <"$work/out")
fits 24 --arch 3b --size 1280x720 --batch-size 5 --vae-tile-size 256
holds "r['tiled'] and r['scratch_bytes'] < $untiled"
fits 24 --arch 3b --size 1280x720 --batch-size 5 --vae-tile-size 1280
holds 'not r["tiled"]'
run 2 plan --arch 3b --size 1280x720 --vae-tile-size 64
complains 'give at least 72'

# economy takes turns, extreme-economy streams all, and neither needs more than auto
fits 24 --arch 3b --size 1280x720 --batch-size 21
holds 'r["streamed_blocks"] == 0 and not r["vae_streamed"] and r["transfer_bytes_per_batch"] == 0'
auto=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["predicted_peak_bytes"])' <"$work/out")
fits 24 --arch 3b --size 1280x720 --batch-size 21 --vram-mode economy
holds "r['vae_streamed'] and 0 < r['activation_chunk'] <= 8192 and r['predicted_peak_bytes'] < $auto"
fits 24 --arch 3b --size 1280x720 --batch-size 21 --vram-mode extreme-economy
holds "r['streamed_blocks'] == r['blocks'] and r['predicted_peak_bytes'] < $auto"

# above the threshold auto streams, as long as that helps
fits 24 --arch 3b --size 1280x720 --batch-size 21 --offload-threshold 8GiB
holds 'r["predicted_peak_bytes"] <= 8 << 30 and r["streamed_blocks"] > 0'
fits 24 --arch 3b --size 1280x720 --batch-size 21 --offload-threshold 1GiB
holds 'r["predicted_peak_bytes"] > 1 << 30'

# the smallest budget works, a byte less does not
ask 1 --arch 7b --size 1920x1080 --batch-size 21 --vram 1GiB
holds 'r["fits"] is False and r["predicted_peak_bytes"] == r["smallest_budget_bytes"] > 1 << 30'
least=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["smallest_budget_bytes"])' <"$work/out")
ask 0 --arch 7b --size 1920x1080 --batch-size 21 --vram "$least"
holds "r['fits'] is True and r['predicted_peak_bytes'] <= $least"
ask 1 --arch 7b --size 1920x1080 --batch-size 21 --vram "$((least - 1))"

# frames in CUDA memory wait there: at half the size, two batches of sources and one of finished ones,
# I420, which nothing else on the device changes for
state=
for pads in '' in out both; do
    fits 24 --arch 3b --size 1280x720 --in 640x360 --batch-size 5 ${pads:+--cuda-frames $pads}
    state="$state $(python3 -c 'import json, sys; print(json.load(sys.stdin)["state_bytes"])' <"$work/out")"
done
read -r none in out both <<<"$state"
((in - none == 2 * 5 * 640 * 360 * 3 / 2)) || die "sources take $((in - none)) bytes"
((out - none == 5 * 1280 * 720 * 3 / 2)) || die "finished frames take $((out - none)) bytes"
((both - none == in - none + out - none)) || die "both take $((both - none)) bytes"
run 2 plan --arch 3b --size 64x64 --cuda-frames all
complains 'in, out or both'

# a table for people, and what is wrong with a question
run 0 plan --arch 3b --size 1280x720 --vram 8GiB --batch-size 21
says '^fits +yes$'
says '^smallest budget +[0-9.]+ GiB$'
run 2 plan --arch 3b
complains 'size are needed'
for size in 1280 1280x 1280x720x3 -1280x720 99999999999x720 1280x8; do
    run 2 plan --arch 3b "--size=$size"
    complains '1280x720'
done
run 2 plan --arch 3b --size 64x64 --sm-count 0
complains 'sm-count is 0'
run 2 plan --arch 3b --size 64x64 --batch-size=-1
complains 'batch-size is -1'
echo "$checks checks"
