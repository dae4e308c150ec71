#!/usr/bin/env bash
# `seedvr2 selftest`: passes with the shipped model, fails with damaged ones, and says so.
. "$(dirname "$0")/common.sh"
small="--backend cpu --size 64x64"

# damage FILE BYTES: a copy of a model whose values are zero behind that many bytes of them
damage() {
    local header size
    header=$(($(od -An -tu8 -N8 "$1") + 8 + $2))
    size=$(stat -c %s "$1")
    head -c "$header" "$1"
    head -c $((size - header)) /dev/zero
}

# verdict of a check, by its name
passes() {
    says "^\[pass\] $1: $2"
}

# shellcheck disable=SC2086 # options
run 0 selftest $small --data "$data/goldens"
says '^\[info\] engine: cpu, f32, 32x32 to 64x64, 3 batches of 5$'
passes repeat 'the same clip twice, the same bytes'
passes picture '[0-9.]+ dB .*38 or more'
passes plan 'peak as predicted in 6 of 6 streams'
for mode in auto economy extreme-economy 'auto with a budget'; do
    passes "mode $mode" 'bit-equal to auto, peak '
done
passes 'budget refused' '1 byte and [0-9]+ MiB, before anything is loaded'
passes 'budget smallest' 'bit-equal to auto, peak [0-9.]+ MiB of [0-9.]+ MiB, 6 of 6 blocks'
passes 'cleanup batches' 'from batch 1 to 3: use moves by 0 bytes, page-locked by 0, 0 allocations'
passes 'cleanup destroy' '0 bytes left on the device, 0 page-locked \([0-9.]*[1-9][0-9.]* MiB'
passes 'memory report' '6 of 6 streams .*; 18 of 18 batches'
says '^\[info\] timing: 0\.[0-9]+ s a frame|^\[info\] timing: [0-9.]+ s a frame'
says '^\[info\] peak: auto [0-9.]+ MiB, extreme-economy [0-9.]+ MiB'
passes goldens '2 files .*: [1-9][0-9]* tensors within their f32 limits, 0 not, 0 files unusable'
[ "$(tail -n 1 "$work/out")" = "13 passed, 0 failed, 0 skipped" ] || die "not all 13 checks passed"

# other sizes, odd ones too; JSON; goldens skipped
run 0 selftest --backend cpu --size 53x39 --batch-size 2 --json
python3 - "$work/out" <<'PY'
import json, sys
text = open(sys.argv[1]).read()
r = json.loads(text)
assert text.count("\n") == 1, text
assert (r["passed"], r["failed"], r["skipped"]) == (12, 0, 1), r
verdicts = {c["name"]: c["verdict"] for c in r["checks"]}
assert verdicts["goldens"] == "skip" and verdicts["plan"] == "pass", r
assert verdicts["timing"] == verdicts["peak"] == "info", r
assert all(c["text"] for c in r["checks"]), r
PY

# lost weights make a wrong picture, nothing else; the goldens are those of the shipped model
for model in nano_dit nano_vae; do
    damage "$models/$model.safetensors" 0 >"$work/$model.safetensors"
done
for option in --model=$work/nano_dit --vae-model=$work/nano_vae; do
    # shellcheck disable=SC2086 # options
    run 1 selftest $small "$option.safetensors"
    says '^\[FAIL\] picture: [0-9.]+ dB .*20 or more'
    passes plan 'peak as predicted'
    says '^11 passed, 1 failed, 1 skipped$'
done

# as installed, a model that is damaged in part only
cp "$models/nano_dit.safetensors" "$work/"
damage "$models/nano_vae.safetensors" 2500000 >"$work/nano_vae.safetensors"
SEEDVR2_MODEL_PATH=$work
export SEEDVR2_MODEL_PATH
# shellcheck disable=SC2086 # options
run 1 selftest $small --data "$data/goldens"
says '^\[FAIL\] picture: [0-9.]+ dB .*38 or more'
says '^\[FAIL\] goldens: 2 files .*, [1-9][0-9]* not, 0 files unusable'

# wrong goldens
mkdir "$work/none"
export SEEDVR2_MODEL_PATH=$models
# shellcheck disable=SC2086 # options
run 1 selftest $small --data "$work/none" --json
python3 - "$work/out" <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
assert [c["name"] for c in r["checks"] if c["verdict"] == "fail"] == ["goldens"], r
PY

# what cannot be used
head -c 100000 "$models/nano_vae.safetensors" >"$work/cut.safetensors"
run 2 selftest --backend cpu --vae-model "$work/cut.safetensors"
complains 'cut\.safetensors'
run 2 selftest --backend cpu --model "$work/missing.safetensors"
complains 'missing\.safetensors'
[ ! -s "$work/out" ] || die "a report without a stream"
run 2 selftest --size 31x64
complains '32 to 16384'
run 2 selftest --size 64x64x64
complains '64x64x64'
run 2 selftest --batch-size 0
complains 'batch-size'
run 2 selftest --data "$work/nowhere"
complains 'nowhere'
echo "$checks checks"
