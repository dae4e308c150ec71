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

# input that is cut says so; what is there is made
head -c 6000 "$clip" >"$work/cut.mkv"
run 2 upscale "$work/cut.mkv" "$work/cut-up.mkv" --backend cpu --scale 1
complains 'cut\.mkv: holds no frame'
[ ! -e "$work/cut-up.mkv" ] || die "a file without a frame is left"
head -c 7500 "$clip" >"$work/cut.mkv"
run 0 upscale "$work/cut.mkv" "$work/cut-up.mkv" --backend cpu --scale 1
grep -Eq ': [0-9] frames .*about 12, it is cut' "$work/err" || die "a cut input is not told"

# a broken model stops with the reader's error
head -c 5000 "$models/nano_vae.safetensors" >"$work/cut.safetensors"
run 1 upscale "$clip" "$work/x.mkv" --vae-model "$work/cut.safetensors"
complains 'cut\.safetensors'
[ ! -e "$work/x.mkv" ] && [ ! -e "$work/x.mkv.part" ] || die "a failed run left a file"

# interrupt OUT LINE ARGUMENT…: a long run gets Ctrl-C once its log has LINE, and ends with 1
stock -q videotestsrc num-buffers=2000 ! video/x-raw,width=160,height=96 ! x264enc speed-preset=ultrafast ! \
    matroskamux ! filesink location="$work/long.mkv"
interrupt() {
    local out=$1 line=$2 got=0
    shift 2
    : >"$work/log"
    GST_DEBUG=seedvr2core:5 GST_DEBUG_FILE="$work/log" GST_DEBUG_NO_COLOR=1 \
        "$seedvr2" upscale "$work/long.mkv" "$out" --backend cpu "$@" 2>"$work/err" &
    local pid=$!
    for _ in $(seq 600); do
        grep -q -- "$line" "$work/log" && break
        sleep 0.1
    done
    kill -INT $pid || die "a long run ended by itself"
    wait $pid || got=$?
    [ $got -eq 1 ] || die "an interrupted run ends with $got"
    complains 'stopped'
}

# Ctrl-C: no output, but a proper file of the frames that are finished, where there are any
for kind in mkv mp4; do
    interrupt "$work/y.$kind" 'batch 2:' --scale 2 --batch-size 1
    complains "stopped; the frames finished so far, [0-9]+, are in .*y\.$kind\.part"
    said=$(sed -nE 's/.*finished so far, ([0-9]+), .*/\1/p' "$work/err")
    got=$(count "$work/y.$kind.part" video)
    [ "$said" -ge 1 ] && [ "$got" -eq "$said" ] || die "$got frames are there, $said were announced"
    [ ! -e "$work/y.$kind" ] || die "an interrupted run looks complete"
done
rm "$work/y.mkv.part"
# a batch that takes any machine longer than it takes to see that it began
interrupt "$work/y.mkv" 'plan:' --scale 4 --batch-size 41
[ ! -e "$work/y.mkv" ] && [ ! -e "$work/y.mkv.part" ] || die "a run without a frame left a file"

# disk full
if [ -w /dev/full ]; then
    ln -s /dev/full "$work/z.mkv.part"
    run 1 upscale "$clip" "$work/z.mkv" --backend cpu --scale 1
    complains 'z\.mkv.*z\.mkv\.part$'
    [ ! -e "$work/z.mkv" ] || die "a run without space left a file"
fi
echo "$checks checks"
