#!/usr/bin/env bash
# The plugin in gst-launch-1.0: inspection, a pipeline with the messages, errors.
. "$(dirname "$0")/common.sh"

gst-inspect-1.0 seedvr2upscale >"$work/out" 2>"$work/err" || die "gst-inspect-1.0 fails"
says 'seedvr2upscale'
says 'batch-size +:'

timeout 100 gst-launch-1.0 -m filesrc location="$clip" ! matroskademux ! decodebin ! videoconvert ! \
    seedvr2upscale backend=cpu scale=1 ! filesink location="$work/raw" >"$work/out" 2>"$work/err" ||
    die "gst-launch-1.0 fails"
says 'seedvr2-plan'
says 'seedvr2-batch.*frames=\(guint64\)5'
says 'seedvr2-memory.*vram-peak'
[ "$(stat -c %s "$work/raw")" -eq $((12 * 160 * 90 * 3 / 2)) ] || die "not 12 frames came out"

if timeout 60 gst-launch-1.0 videotestsrc num-buffers=1 ! seedvr2upscale model="$work/none" ! fakesink \
    >"$work/out" 2>"$work/err"; then
    die "a missing model is no error"
fi
grep -q 'none' "$work/err" || die "the error does not name the model"
echo ok
