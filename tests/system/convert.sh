#!/usr/bin/env bash
# `seedvr2 convert`: every type, files that load without the original, and failures that leave nothing.
. "$(dirname "$0")/common.sh"

nano=$models/nano_dit.safetensors

# nothing but the files named is in $work
only() {
    [ "$(cd "$work" && ls | grep -v -e '^out$' -e '^err$' | sort | xargs)" = "$*" ] ||
        die "left behind: $(ls "$work")"
}

for type in int8 fp8 fp16 bf16; do
    run 0 convert --to $type "$nano" "$work/$type.safetensors"
    says "$type\.safetensors: [0-9.]+ MB, from 5\.47 MB"
    run 0 info --check "$work/$type.safetensors"
    says 'all finite'
    says 'prompt inside +yes'
    says 'parameters +2730270'
done
run 0 info --tensors "$work/int8.safetensors"
says 'quantised +40 matrices of i8 with scales'
says ' blocks\.0\.mlp\.vid\.proj_in\.weight i8 \[256, 192\]'
says ' blocks\.0\.mlp\.vid\.proj_in\.weight_scale f32 \[256\]'
says ' vid_in\.proj\.weight f16 '
run 0 info "$work/fp8.safetensors"
says 'quantised +40 matrices of f8_e4m3 with scales'
run 0 info --tensors "$work/bf16.safetensors"
says ' blocks\.0\.mlp\.vid\.proj_in\.weight bf16 '
says ' vid_in\.proj\.bias bf16 '
[ "$(stat -c %s "$work/int8.safetensors")" -lt $(($(stat -c %s "$nano") * 6 / 10)) ] ||
    die "int8 saves too little"
only bf16.safetensors fp16.safetensors fp8.safetensors int8.safetensors

# what is in this type already is copied, and the same file comes out
for type in int8 fp8 fp16 bf16; do
    run 0 convert --to $type "$work/$type.safetensors" "$work/again.safetensors"
    cmp "$work/$type.safetensors" "$work/again.safetensors" || die "$type is changed by itself"
done

# upscale_with TRANSFORMER OUT ARGUMENT…: one picture, with that file in the place of the nano model
upscale_with() {
    local out=$work/$2
    rm -rf "$work/models"
    mkdir "$work/models"
    cp "$1" "$work/models/nano_dit.safetensors"
    cp "$models/nano_vae.safetensors" "$work/models"
    shift 2
    SEEDVR2_MODEL_PATH=$work/models run 0 upscale "$work/in.png" "$out" --backend cpu --scale 1 \
        --precision fp16 "$@"
}

# a file in 8 bits as it is gives the picture of the original quantised while it loads; without
# quantisation it gives that of its values in 16 bits
stock -q filesrc location="$clip" ! matroskademux ! decodebin ! videoconvert ! pngenc snapshot=true ! \
    filesink location="$work/in.png"
upscale_with "$nano" plain.png
for type in int8 fp8; do
    upscale_with "$nano" load.png --quantization $type
    cmp -s "$work/load.png" "$work/plain.png" && die "$type is not quantised"
    for quantization in as-stored $type; do
        upscale_with "$work/$type.safetensors" $quantization.png --quantization $quantization
        cmp "$work/load.png" "$work/$quantization.png" || die "$quantization differs from $type"
    done
    upscale_with "$work/$type.safetensors" loaded.png
    run 0 convert --to fp16 "$work/$type.safetensors" "$work/again.safetensors"
    upscale_with "$work/again.safetensors" converted.png
    cmp "$work/loaded.png" "$work/converted.png" || die "$type as fp16 is not its fp16 file"
done
upscale_with "$work/int8.safetensors" weights.png --quantization int8
upscale_with "$nano" load.png --quantization int8-w8a8
upscale_with "$work/int8.safetensors" file.png --quantization int8-w8a8
cmp "$work/load.png" "$work/file.png" || die "an int8 file differs from int8-w8a8"
cmp -s "$work/load.png" "$work/weights.png" && die "int8-w8a8 is int8"
upscale_with "$nano" stored.png --quantization as-stored
cmp "$work/stored.png" "$work/plain.png" || die "16 bits as stored are quantised"
rm -r "$work/models" "$work"/*.png "$work/again.safetensors" "$work/stock-registry.bin"

# how far 8 bits are from 16
run 0 verify --backend cpu --ladder "$data/goldens/nano_e3.safetensors" \
    "$data/goldens/dit_3b_tiny_a.c3.safetensors" "$data/goldens/pipe_noise.safetensors"
says '^fp8 +nano_e3/out +[56][0-9]\.[0-9] dB, l2 '
says '^fp8 +least of 3: (39|[4-9][0-9])\.[0-9] dB$'
says '^int8 +nano_e3/b0\.v +7[0-9]\.[0-9] dB, l2 '
says '^int8 +least of 3: 5[3-9]\.[0-9] dB$'
says '^int8-w8a8 +nano_e3/b0\.v +(69|7[0-9])\.[0-9] dB, l2 '
says '^int8-w8a8 +least of 3: (49|5[0-9])\.[0-9] dB$'
[ "$(wc -l <"$work/out")" -eq 12 ] || die "another number of lines"

# the same for what VAEs park
run 0 verify --backend cpu --parked "$data/goldens/vae_a_dec4_sliced.safetensors" \
    "$data/goldens/vae_a_enc9_sliced.safetensors" "$data/goldens/pipe_noise.safetensors"
for frames in stream inner residual usual; do
    says "^int8 $frames +least of 2: [56][0-9]\\.[0-9] dB\$"
done
says '^fp8 all +vae_a_dec4_sliced/y +[3-5][0-9]\.[0-9] dB, l2 '
[ "$(wc -l <"$work/out")" -eq 30 ] || die "another number of lines"

# a VAE in 16 bits only
run 0 convert --to bf16 "$models/nano_vae.safetensors" "$work/vae.safetensors"
run 0 info --check "$work/vae.safetensors"
says '^kind +VAE$'
run 2 convert --to int8 "$models/nano_vae.safetensors" "$work/x.safetensors"
complains 'is a VAE'

# files that cannot be used
run 2 convert "$nano" "$work/x.safetensors"
complains 'int8, fp8, fp16 or bf16'
run 2 convert --to int4 "$nano" "$work/x.safetensors"
complains 'int8, fp8, fp16 or bf16'
run 2 convert --to int8 "$nano"
run 2 convert --to int8 "$work/none.safetensors" "$work/x.safetensors"
complains 'none\.safetensors'
run 2 convert --to fp16 "$models/text_emb.safetensors" "$work/x.safetensors"
complains 'neither a transformer nor a VAE'
head -c 100000 "$nano" >"$work/cut.safetensors"
run 2 convert --to int8 "$work/cut.safetensors" "$work/x.safetensors"
complains 'cut\.safetensors'
cp "$nano" "$work/nan.safetensors"
chmod u+w "$work/nan.safetensors"
size=$(stat -c %s "$work/nan.safetensors")
printf '\xff\x7f' | dd of="$work/nan.safetensors" bs=1 seek=$((size - 2)) conv=notrunc status=none
run 2 convert --to bf16 "$work/nan.safetensors" "$work/x.safetensors"
complains 'not finite'
rm "$work/cut.safetensors" "$work/nan.safetensors"

size=$(stat -c %s "$work/int8.safetensors")
head -c $((size - 1000)) "$work/int8.safetensors" >"$work/cut.safetensors"
run 2 info "$work/cut.safetensors"
complains 'cut\.safetensors'
rm "$work/cut.safetensors"

# the input is never written to, whatever it is called
cp "$nano" "$work/same.safetensors"
chmod u+w "$work/same.safetensors"
ln "$work/same.safetensors" "$work/hard"
ln -s same.safetensors "$work/soft.part"
for out in same.safetensors hard soft soft.part; do
    run 2 convert --to int8 "$work/same.safetensors" "$work/$out"
    complains 'same file'
    cmp "$nano" "$work/same.safetensors" || die "the input was changed"
done
rm "$work/same.safetensors" "$work/hard" "$work/soft.part"

# a folder or a pipe keeps its place
mkdir "$work/folder"
mkfifo "$work/pipe"
for out in "$work/folder" "$work/folder/" "$work/pipe"; do
    run 2 convert --to int8 "$nano" "$out"
    complains 'is a folder, device or pipe'
done
[ -p "$work/pipe" ] || die "the output took the place of a pipe"
rmdir "$work/folder"
rm "$work/pipe"

# output that cannot be written: one complaint, nothing left, what had the name stays
run 1 convert --to int8 "$nano" "$work/none/x.safetensors"
complains 'none/x\.safetensors'
echo kept >"$work/x.safetensors"
if [ -w /dev/full ]; then
    ln -s /dev/full "$work/x.safetensors.part"
    run 1 convert --to int8 "$nano" "$work/x.safetensors"
    complains 'x\.safetensors.*No space'
fi
(
    ulimit -f 1000 # KiB; the signal would end the process instead
    trap '' XFSZ
    run 1 convert --to int8 "$nano" "$work/x.safetensors"
)
complains 'x\.safetensors.*too large'
[ "$(cat "$work/x.safetensors")" = kept ] || die "a failure changed the output"
only bf16.safetensors fp16.safetensors fp8.safetensors int8.safetensors vae.safetensors x.safetensors
run 0 convert --to int8 "$nano" "$work/x.safetensors"
cmp "$work/x.safetensors" "$work/int8.safetensors" || die "another file under a name that was taken"
echo "$checks checks"
