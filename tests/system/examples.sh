#!/usr/bin/env bash
# examples/upscale.* on a short clip: what they tell, the file that they write, errors with details, and Ctrl-C.
# Arguments behind the usual ones: COMMAND… of the example.  Exit status 77: a Python without gi.
. "$(dirname "$0")/common.sh"
shift 3
example=("$@")
case $1 in
*python*) "$1" -c 'import gi; gi.require_version("Gst", "1.0"); from gi.repository import Gst' 2>"$work/err" || {
    cat "$work/err"
    exit 77
} ;;
esac
export SEEDVR2_MODEL_PATH=$models

timeout 60 "${example[@]}" "$clip" "$work/o.mkv" low-vram >"$work/out" 2>"$work/err" || die "the example fails"
tr '\r' '\n' <"$work/out" >"$work/lines" && mv "$work/lines" "$work/out"
says '^Loading the model: 100 %'
says '^The model is loaded'
says '^batch 2: 2 frames at .*\.40.* [0-9.]+ frames/s'
says '^12 frames in [0-9.]+ s of computation, peak memory [0-9]+ MB'
[ "$(count "$work/o.mkv" video)" -eq 12 ] || die "not 12 frames were written"

got=0
SEEDVR2_MODEL_PATH=/nowhere timeout 60 "${example[@]}" "$clip" "$work/x.mkv" >"$work/out" 2>"$work/err" || got=$?
[ $got -eq 1 ] || die "without models the example ends with $got"
grep -q '^upscale: There is no file /nowhere/nano_dit' "$work/err" || die "the error is not told"
grep -q '^suggestion: ' "$work/err" || die "the details are not told"

stock -q videotestsrc num-buffers=2 ! video/x-raw,format=I420,width=64,height=48,colorimetry=bt2100-pq ! x264enc ! \
    matroskamux ! filesink location="$work/hdr.mkv" >"$work/out" 2>"$work/err" || die "no clip to be warned of"
timeout 60 "${example[@]}" "$work/hdr.mkv" "$work/z.mkv" >"$work/out" 2>"$work/err" || die "a warning ends the example"
grep -q '^warning: .*HDR' "$work/err" || die "the warning is not told"

# Ctrl-C behind the first batch: the film ends early, but properly
stock -q videotestsrc pattern=blue num-buffers=300 ! video/x-raw,width=160,height=120 ! x264enc ! matroskamux ! \
    filesink location="$work/long.mkv" >"$work/out" 2>"$work/err" || die "no clip to interrupt"
"${example[@]}" "$work/long.mkv" "$work/y.mkv" >"$work/out" 2>"$work/err" &
pid=$!
for _ in $(seq 900); do
    grep -q '^batch 0' "$work/out" && break
    sleep 0.1
done
kill -INT $pid || die "the example ended by itself"
got=0
wait $pid || got=$?
[ $got -eq 0 ] || die "an interrupted example ends with $got"
says 'finishing the frames at hand'
frames=$(sed -nE 's/^([0-9]+) frames in .*/\1/p' "$work/out")
[ "$(count "$work/y.mkv" video)" -eq "${frames:-0}" ] || die "the interrupted file is not complete"
# so small a file is read to its end then: without dropping there would be 300
[ "$frames" -lt 120 ] || die "the example went on for long"
echo ok
