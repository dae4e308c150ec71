#!/usr/bin/env bash
# Help, wrong usage and unusable input: what is said and the exit status.
. "$(dirname "$0")/common.sh"

run 0 --help
for command in upscale info convert verify selftest plan bench; do
    says "^  $command "
done
for command in upscale info convert verify selftest plan bench; do
    run 0 $command --help
    says 'Usage:'
    run 2 $command --no-such-option
    complains 'no-such-option'
done
for command in verify selftest plan bench; do
    run 2 $command --size
    complains '--size|size'
done
for command in selftest plan bench; do
    run 2 $command in.mkv
    complains 'no argument "in.mkv"'
done
run 2 convert "$models/nano_dit.safetensors" "$work/o.safetensors"
complains 'to is needed'
run 2 convert --to int4 "$models/nano_dit.safetensors" "$work/o.safetensors"
complains 'int8, fp8, fp16 or bf16'
run 0 --version
says '^seedvr2 [0-9]+\.[0-9]+\.[0-9]+$'
run 2 frobnicate
complains 'no command "frobnicate"'
run 2
run 2 info
run 2 verify
run 2 verify --dtype f8 "$data"
complains 'f32, f16 or bf16'
run 2 verify --quantization f8 "$data"
complains 'auto-fp16, fp16, bf16, fp8, int8, int8-w8a8 or as-stored'
run 2 bench --quantization f8
complains 'auto-fp16, fp16, bf16, fp8, int8, int8-w8a8 or as-stored'
run 2 verify --quantization bf16 --dtype f16 "$data"
complains 'contradict'
run 2 verify --ladder --quantization fp8 "$data"
complains 'do not go together'
run 2 verify --ladder --parked "$data"
complains 'do not go together'
run 2 bench --end-to-end --parked-precision 4-bit
complains '16-bit, fp8 or int8'
run 2 plan --arch 3b --size 64x64 --parked-precision 4-bit
complains '16-bit, fp8 or int8'
run 2 verify --backend abacus "$data"
complains 'auto, cpu or cuda'
for command in "verify $data" selftest bench; do
    # shellcheck disable=SC2086 # a command and its arguments
    run 2 $command --device=-2
    complains 'device'
done
run 2 bench --width 7
complains 'width is 7; it can be 32'
run 2 bench --capability 70
complains 'capability is 70; it can be 80'
run 2 selftest --size 16x16
complains 'size is "16x16"'
for size in 1280 x720 1280x 1280x720x 1280X720; do
    run 2 selftest --size $size
    complains "size is \"$size\"; give width and height"
done
run 2 selftest --batch-size 0
complains 'batch-size is 0'
run 2 verify --tiles 64 --size 99999999999x64 "$models/nano_vae.safetensors"
complains '1280x720'
for option in --conv-choices '--capability 80'; do
    # shellcheck disable=SC2086 # an option and its value
    run 2 bench --end-to-end $option
    complains 'end-to-end'
done
run 2 bench --runs 1 --model "$work/none.safetensors"
complains 'none\.safetensors'
run 2 upscale "$clip"
run 2 upscale "$work/none.mkv" "$work/o.mkv"
complains 'none\.mkv'
run 2 upscale "$clip" "$work/o.xyz"
complains '\.mkv, \.mp4'
run 2 upscale "$clip" "$work/none/o.mkv"
complains 'folder'
run 2 upscale "$clip" "$work/o%s.png"
complains '%d'
run 2 upscale "$clip" "$work/o.mkv" --scale much
complains 'scale'
run 2 upscale "$clip" "$work/o.mkv" --batch-size=-3
complains 'batch-size'
run 2 upscale "$clip" "$work/o.mkv" --vram-mode thrifty
complains 'vram-mode'
run 2 upscale "$clip" "$work/o.mkv" --vram-budget 4GiBs
complains 'KB, MB, GB, KiB, MiB or GiB'
run 1 upscale "$clip" "$work/o.mkv" --backend cpu --vram-budget 1.5MiB
complains '1\.5 MiB of .*smallest vram-budget that works'
run 2 upscale "$clip" "$work/o.mkv" --device=-2
complains '\-\-device'
cp "$clip" "$work/same.mkv"
run 2 upscale "$work/same.mkv" "$work/same.mkv"
complains 'same file'
cmp "$clip" "$work/same.mkv"

# what cannot be written
run 1 convert --to fp16 "$models/nano_dit.safetensors" "$work/none/o.safetensors"
complains 'none/o.safetensors'
mkdir "$work/taken.mkv"
run 2 upscale "$clip" "$work/taken.mkv"
complains 'taken.mkv: this is a folder'
mkfifo "$work/pipe.mkv"
run 2 upscale "$clip" "$work/pipe.mkv"
complains 'pipe.mkv: is no file'
if [ -w /dev/full ]; then
    status=0
    "$seedvr2" info "$models/nano_vae.safetensors" >/dev/full 2>"$work/err" || status=$?
    [ $status = 1 ] || die "a full disk gives status $status"
    complains 'standard output cannot be written'
fi
echo "$checks checks"
