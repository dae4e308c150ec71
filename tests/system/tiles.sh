#!/usr/bin/env bash
# `seedvr2 verify --tiles`: tiles with shared statistics do not show, the reference's do.
. "$(dirname "$0")/common.sh"

# row NAME: the three numbers of its line
row() {
    grep -E "^$1 +encode" "$work/out" | grep -oE -- '(-?[0-9.]+|inf|nan) dB' | cut -d' ' -f1
}

# compare LEAST ARGUMENT…: shared tiles reach LEAST dB in both halves and in both together, and are
# 25 dB better than the reference's
compare() {
    local least=$1
    shift
    run 0 verify --backend cpu "$@"
    python3 - "$least" "$(row 'shared statistics')" "$(row "the reference's")" <<'PY' || die "tiles show"
import sys
shared, reference = ([float(x) for x in text.split()] for text in sys.argv[2:])
assert len(shared) == len(reference) == 3, (shared, reference)
assert min(shared) >= float(sys.argv[1]), shared
assert all(a >= b + 25 for a, b in zip(shared, reference)), (shared, reference)
PY
}

compare 120 --tiles 64 --size 160x96 --frames 5 --picture "$data/clips/bbb_640x360.mp4" \
    "$models/nano_vae.safetensors"
compare 80 --tiles 48 --size 96x64 --dtype f16 "$models/nano_vae.safetensors"
# norms of random weights
compare 100 --tiles 80 --size 96x80 "$data/goldens/vae_a_weights.safetensors"

run 2 verify --tiles 96 --size 7x7 "$models/nano_vae.safetensors"
complains 'like 1280x720'
run 2 verify --tiles 96 --frames 4 "$models/nano_vae.safetensors"
complains '4n[+]1'
run 2 verify --backend cpu --tiles 8 --size 64x48 "$models/nano_vae.safetensors"
complains 'give at least 28'
run 2 verify --backend cpu --tiles 96 --picture "$0" "$models/nano_vae.safetensors"
complains 'no picture'
run 2 verify --backend cpu --tiles 96 --ladder "$models/nano_vae.safetensors"
complains 'do not go together'
echo "$checks checks"
