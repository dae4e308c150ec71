#!/usr/bin/env bash
# `seedvr2 upscale` on a short real clip with audio, through the plugin as built.
. "$(dirname "$0")/common.sh"

frames=$(count "$clip" video)
sound=$(count "$clip" audio x-vorbis)
[ "$frames" -eq 12 ] || die "the clip has $frames frames instead of 12"

# audio is copied as it is, no frame is lost, nothing else is left behind
run 0 upscale "$clip" "$work/o.mkv" --backend cpu --scale 1.5 --temporal-overlap 1
grep -q '^.*o\.mkv: 12 frames' "$work/err" || die "the summary does not say 12 frames"
[ "$(count "$work/o.mkv" video)" -eq "$frames" ] || die "frames were lost"
[ "$(count "$work/o.mkv" audio x-vorbis)" -eq "$sound" ] || die "audio was not copied"
[ ! -e "$work/o.mkv.part" ] || die "the partial file is still there"
stock -v filesrc location="$work/o.mkv" ! parsebin name=p p. ! queue ! \
    video/x-h264 ! fakesink sync=false >"$work/out" 2>/dev/null
says 'video/x-h264.*width=\(int\)240, height=\(int\)13[46]'

# another container, where this audio has to be encoded anew
run 0 upscale "$clip" "$work/o.mp4" --backend cpu --scale 1
[ "$(count "$work/o.mp4" video)" -eq "$frames" ] || die "frames were lost in mp4"
[ "$(count "$work/o.mp4" audio mpeg)" -gt 5 ] || die "no audio in mp4"

# pictures
run 0 upscale "$clip" "$work/f%02d.png" --backend cpu --scale 1
[ "$(ls "$work" | grep -c '^f[0-9][0-9]\.png$')" -eq "$frames" ] || die "not all pictures are there"
run 0 upscale "$work/f00.png" "$work/one.jpg" --backend cpu --scale 2
head -c 3 "$work/one.jpg" | od -An -tx1 | grep -q 'ff d8 ff' || die "one.jpg is no JPEG"

# ten bits stay ten bits
stock -q videotestsrc num-buffers=2 ! video/x-raw,format=I420_10LE,width=64,height=48 ! x264enc ! \
    matroskamux ! filesink location="$work/ten.mkv"
run 0 upscale "$work/ten.mkv" "$work/ten-up.mkv" --backend cpu --scale 1
stock -v filesrc location="$work/ten-up.mkv" ! decodebin ! fakesink sync=false >"$work/out" 2>/dev/null
says 'fakesink.*format=\(string\)I420_10LE'

# white of limited range is white in JPEG, which has none
stock -q videotestsrc pattern=white num-buffers=1 ! video/x-raw,format=I420,width=64,height=48 ! \
    x264enc ! matroskamux ! filesink location="$work/white.mkv"
run 0 upscale "$work/white.mkv" "$work/white.jpg" --backend cpu --scale 1
stock -q filesrc location="$work/white.jpg" ! jpegdec ! videoconvert ! video/x-raw,format=RGB ! \
    filesink location="$work/white.rgb"
red=$(head -c 1 "$work/white.rgb" | od -An -tu1)
[ "$red" -ge 248 ] || die "white came out as $red of 255"

# input that is no video, or holds none
run 2 upscale "$0" "$work/x.mkv"
complains 'upscale\.sh'
stock -q audiotestsrc num-buffers=5 ! vorbisenc ! oggmux ! filesink location="$work/sound.ogg"
run 2 upscale "$work/sound.ogg" "$work/x.mkv"
complains 'no video'
[ ! -e "$work/x.mkv" ] && [ ! -e "$work/x.mkv.part" ] || die "a failed run left a file"

# a broken model stops with the reader's error
head -c 5000 "$models/nano_vae.safetensors" >"$work/cut.safetensors"
run 1 upscale "$clip" "$work/x.mkv" --vae-model "$work/cut.safetensors"
complains 'cut\.safetensors'
[ ! -e "$work/x.mkv" ] && [ ! -e "$work/x.mkv.part" ] || die "a failed run left a file"

# Ctrl-C: status 1 and no half-written output
"$seedvr2" upscale "$clip" "$work/y.mkv" --backend cpu --scale 4 2>"$work/err" &
pid=$!
for _ in $(seq 100); do
    [ -e "$work/y.mkv.part" ] && break
    sleep 0.1
done
sleep 0.3
kill -INT $pid
got=0
wait $pid || got=$?
[ $got -eq 1 ] || die "an interrupted run ends with $got"
grep -q 'stopped' "$work/err" || die "an interrupted run does not say so"
[ ! -e "$work/y.mkv" ] && [ ! -e "$work/y.mkv.part" ] || die "an interrupted run left a file"

# disk full
if [ -w /dev/full ]; then
    ln -s /dev/full "$work/z.mkv.part"
    run 1 upscale "$clip" "$work/z.mkv" --backend cpu --scale 1
    complains 'z\.mkv'
    [ ! -e "$work/z.mkv" ] || die "a run without space left a file"
fi
echo "$checks checks"
