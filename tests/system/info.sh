#!/usr/bin/env bash
# `seedvr2 info` on good, wrong and hostile files.
. "$(dirname "$0")/common.sh"

run 0 info --check "$models/nano_vae.safetensors"
says '^kind +VAE$'
says '^channels +16 32 64$'
says '^parameters +2063923$'
says 'all finite'
run 0 info "$models/nano_dit.safetensors"
says '^kind +3B-type DiT$'
says '^layers +6, 2 with'
run 0 info --tensors "$models/text_emb.safetensors"
says '^pos +58 tokens of width 5120$'
says '^  neg bf16 \[64, 5120\]$'
run 0 info "$data/goldens/dit_7b_tiny_a.weights.safetensors"
says '^kind +7B-type DiT$'

# one clear error each, and status 2
run 2 info "$work/missing.safetensors"
complains 'missing\.safetensors'
run 2 info "$work"
complains '.'
run 2 info "$0"
complains 'info\.sh'
: >"$work/empty.safetensors"
run 2 info "$work/empty.safetensors"
complains 'empty\.safetensors'
head -c 100000 "$models/nano_vae.safetensors" >"$work/cut.safetensors"
run 2 info "$work/cut.safetensors"
complains 'cut\.safetensors'
run 2 info "$data/goldens/pipe_blend.safetensors"
complains 'no known model'
printf '\xff\xff\xff\xff\xff\xff\xff\x7f{}' >"$work/huge.safetensors"
run 2 info "$work/huge.safetensors"
complains 'huge\.safetensors'
printf '\x02\x00\x00\x00\x00\x00\x00\x00{]' >"$work/json.safetensors"
run 2 info "$work/json.safetensors"
complains 'json\.safetensors'
text='{"pos":{"dtype":"F32","shape":[4,4],"data_offsets":[0,999999]}}'
{ printf "\\x$(printf %x ${#text})\\0\\0\\0\\0\\0\\0\\0"; printf '%s' "$text"; } >"$work/range.safetensors"
run 2 info "$work/range.safetensors"
complains 'pos'

# a value that is not finite: status 1, the tensor named; without --check the header is fine
cp "$models/nano_vae.safetensors" "$work/nan.safetensors"
chmod u+w "$work/nan.safetensors"
size=$(stat -c %s "$work/nan.safetensors")
printf '\xff\x7f' | dd of="$work/nan.safetensors" bs=1 seek=$((size - 2)) conv=notrunc status=none
run 0 info "$work/nan.safetensors"
run 1 info --check "$work/nan.safetensors"
complains 'not a finite number'
echo "$checks checks"
