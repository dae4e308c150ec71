#!/usr/bin/env bash
# Proves that `seedvr2 verify` notices: a file with one changed value must give exit status 1, a file
# that is cut or is no golden 2, and both together 2 with everything compared.
#
#     mutants.sh SEEDVR2 GOLDENS MODELS
set -euo pipefail

seedvr2=$1 goldens=$2 models=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0

# run WANTED_STATUS WHAT PATH…
run() {
    local want=$1 what=$2 got=0
    shift 2
    "$seedvr2" verify --backend cpu --model-dir "$models" "$@" >"$work/out" 2>"$work/err" || got=$?
    if [ "$got" -ne "$want" ]; then
        echo "$what: exit status $got, wanted $want"
        cat "$work/out" "$work/err"
        exit 1
    fi
    passed=$((passed + 1))
}

# Bytes of the safetensors header with its length field.
header_bytes() {
    echo $(($(od -An -tu8 -N8 "$1") + 8))
}

# mutate FILE TENSOR: overwrites the tensor's first value with 1000000.0
mutate() {
    local header offset
    header=$(header_bytes "$1")
    offset=$(head -c "$header" "$1" | tail -c +9 |
        grep -oE "\"$2\":\{[^}]*\"data_offsets\":\[[0-9]+" | grep -oE '[0-9]+$')
    printf '\x00\x24\x74\x49' |
        dd of="$1" bs=1 seek=$((header + offset)) conv=notrunc status=none
}

cp "$goldens"/vae_a_weights.safetensors "$goldens"/vae_a_dec1.safetensors \
    "$goldens"/dit_3b_tiny_a.weights.safetensors "$goldens"/dit_3b_tiny_a.c3.safetensors \
    "$goldens"/pipe_blend.safetensors "$goldens"/pipe_noise.safetensors \
    "$goldens"/dit_7b_rope_angles.safetensors "$goldens"/nano_e3.safetensors "$work"
chmod u+w "$work"/*
run 0 "untouched copies" "$work"
grep -q ' 0 failed$' "$work/out"

# FILE:TENSOR[:CASE]: results and inputs alike; CASE is the file that reads a weights file
for mutant in vae_a_dec1:y vae_a_dec1:z vae_a_weights:decoder.conv_in.bias:vae_a_dec1 \
    dit_3b_tiny_a.c3:out dit_3b_tiny_a.c3:in.text \
    dit_3b_tiny_a.weights:vid_in.proj.bias:dit_3b_tiny_a.c3 pipe_blend:n3.out pipe_blend:n5.prev \
    pipe_noise:seed dit_7b_rope_angles:freqs nano_e3:b0.v nano_e3:out; do
    IFS=: read -r name tensor case <<<"$mutant"
    file=$work/$name.safetensors
    cp "$file" "$work/saved"
    mutate "$file" "$tensor"
    run 1 "$name with another $tensor" "$work/${case:-$name}.safetensors"
    grep -q 'FAIL$' "$work/out"
    mv "$work/saved" "$file"
done

size=$(stat -c %s "$work/vae_a_dec1.safetensors")
head -c $((size / 2)) "$goldens/vae_a_dec1.safetensors" >"$work/cut.safetensors"
run 2 "a file that is cut" "$work/cut.safetensors"
grep -q 'cut.safetensors' "$work/err"
: >"$work/empty.safetensors"
run 2 "an empty file" "$work/empty.safetensors"
run 2 "no such file" "$work/missing.safetensors"
run 2 "text instead of a golden" "$0"

# the others are still compared, and their failures counted
mutate "$work/pipe_blend.safetensors" n3.out
run 2 "a folder with a cut and a changed file" "$work"
grep -q 'pipe_blend/.* FAIL$' "$work/out"
grep -Eq '^[0-9]{2,} passed, [1-9][0-9]* failed$' "$work/out"

# a case without its weights
rm "$work/vae_a_weights.safetensors"
run 2 "a case without weights" "$work/vae_a_dec1.safetensors"
echo "$passed checks"
