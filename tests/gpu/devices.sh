#!/usr/bin/env bash
# A machine with several GPUs: the command and the element work on the one that is asked for, with the same pictures, on
# two at once, and with frames in that one's memory.  Run it over a build of this tree (which may come from another
# machine).
#
#     tests/gpu/devices.sh BUILD [RUNTIME]    BUILD: Meson build folder; RUNTIME: folder with a carried GStreamer
#                                             and a file `env` to source, where the machine has none
#
# A line "ok …" or "FAIL …" for each check.  Exits 1 after a failure, 77 with fewer than two GPUs or without GStreamer's
# cudaupload.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=runtime.sh
. "$(dirname "$0")/runtime.sh"

[ "$(nvidia-smi -L | wc -l)" -ge 2 ] || { echo "skipped: one GPU"; exit 77; }
gst-inspect-1.0 --exists cudaupload || { echo "skipped: GStreamer has no cudaupload"; exit 77; }
seedvr2=$build/tools/seedvr2 cuda='video/x-raw(memory:CUDAMemory)'

check() { # NAME COMMAND…: is to succeed
    local name=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        echo "ok $name"
    else
        echo "FAIL $name"
        tail -n 5 "$work/out"
        failed=1
    fi
}

# MiB of a GPU that this machine's programs take
used() { nvidia-smi --id="$1" --query-gpu=memory.used --format=csv,noheader,nounits; }

for device in 0 1; do
    other=$((1 - device)) before=$(used $((1 - device)))
    "$seedvr2" bench --backend cuda --device $device --dtype f16 --end-to-end --width 640 --height 360 --frames 5 \
        --runs 1000 >"$work/bench" 2>&1 &
    bench=$! busy=0
    while kill -0 $bench 2>/dev/null && [ "$busy" -lt 300 ]; do
        busy=$(used $device)
        sleep 0.2
    done
    check "bench takes $busy MiB of GPU $device" [ "$busy" -ge 300 ]
    check "and leaves GPU $other alone" [ "$(used $other)" -le $((before + 64)) ]
    check "bench on GPU $device" wait $bench
    check "selftest on GPU $device" "$seedvr2" selftest --backend cuda --device $device
done
check "no such GPU" grep -q 'there is no GPU 64' <("$seedvr2" bench --backend cuda --device 64 2>&1)

source="videotestsrc num-buffers=13 pattern=ball ! video/x-raw,format=NV12,width=320,height=180"
element="seedvr2upscale backend=cuda device-id"
want=$(record first "$source ! $element=0") || { echo "FAIL first"; exit 1; }
expect second "$want" "$source ! $element=1"
queue="queue max-size-buffers=0 max-size-bytes=0 max-size-time=0"
expect both "$want" "$source ! tee name=t t. ! $queue ! $element=0 ! filesink location=$work/other t. ! $queue ! $element=1"
check "both, the other one" cmp "$work/other" "$work/first"
expect "both in a row" "$(record row "$source ! $element=0 scale=1 ! $element=0 scale=1")" \
    "$source ! $element=0 scale=1 ! $element=1 scale=1"
expect memory-of-second "$want" \
    "$source ! cudaupload cuda-device-id=1 ! $cuda ! $element=1 ! $cuda ! cudadownload ! video/x-raw,format=NV12"
expect neighbours-follow "$want" \
    "$source ! cudaupload ! $cuda ! $element=1 ! $cuda ! cudadownload ! video/x-raw,format=NV12"
record wrong "$source ! cudaupload cuda-device-id=0 ! $cuda ! $element=1" >"$work/refused" 2>&1
check "frames of another GPU are refused" grep -q 'memory of GPU 0, but this element works on GPU 1' "$work/refused"
exit $failed
