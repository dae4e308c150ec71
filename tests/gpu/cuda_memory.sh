#!/usr/bin/env bash
# Frames in CUDA memory against the same through system memory: equal bytes, with neighbours on one side, on the other
# and on both, and a peak of device memory as planned.  Run it on a machine with an NVIDIA GPU over a build of this tree (which may come from another machine).
#
#     tests/gpu/cuda_memory.sh BUILD [RUNTIME]    BUILD: Meson build folder; RUNTIME: folder with a carried GStreamer
#                                                 and a file `env` to source, where the machine has none
#
# A line "ok …", "FAIL …" or "skip …" for each check, and "seen: …" with times.  Exits 1 after a failure, 77 without a GPU
# or without GStreamer's cudaupload.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=runtime.sh
. "$(dirname "$0")/runtime.sh"

has() { gst-inspect-1.0 --exists "$1"; }
has cudaupload || { echo "skipped: GStreamer has no cudaupload"; exit 77; }

cuda='video/x-raw(memory:CUDAMemory)' system='video/x-raw'

# NAME: the summary among a run's messages says that its peak was the plan's, to the byte
expect_plan() {
    local summary planned peak
    summary=$(grep seedvr2-summary "$work/$1.log" | tail -n 1)
    planned=$(sed -nE 's/.*vram-planned=\(guint64\)([0-9]+).*/\1/p' <<<"$summary")
    peak=$(sed -nE 's/.*vram-peak=\(guint64\)([0-9]+).*/\1/p' <<<"$summary")
    if [ -n "$planned" ] && [ "$planned" = "$peak" ]; then
        echo "ok plan of $1: $peak bytes"
    else
        echo "FAIL plan of $1: peak ${peak:-unknown}, planned ${planned:-unknown}"
        failed=1
    fi
}

# twice these widths leave no padding at the ends of rows, whose bytes nobody defines
for format in NV12 I420 RGBA; do
    for size in 320x180 324x182; do
        source="videotestsrc num-buffers=13 pattern=ball ! $system,format=$format,width=${size%x*},height=${size#*x}"
        ours="seedvr2upscale backend=cuda batch-size=5 temporal-overlap=1"
        case=$format-$size
        want=$(record "$case-system" "$source ! $ours ! $system,format=$format") || { echo "FAIL $case-system"; failed=1; continue; }
        expect "$case-cuda-in" "$want" "$source ! cudaupload ! $cuda ! $ours ! $system,format=$format"
        expect "$case-cuda-out" "$want" "$source ! $ours ! $cuda ! cudadownload ! $system,format=$format"
        expect "$case-both" "$want" "$source ! cudaupload ! $cuda ! $ours ! $cuda ! cudadownload ! $system,format=$format"
        expect_plan "$case-system"
        expect_plan "$case-both"
    done
done

# as they negotiate by themselves: the same memory behind as in front
expect by-itself "$want" "$source ! cudaupload ! $ours ! cudadownload ! $system,format=$format"
two="$ours scale=1 ! queue ! seedvr2upscale backend=cuda batch-size=3"
want=$(record two-system "$source ! $two ! $system,format=$format")
expect two "$want" "$source ! cudaupload ! $cuda ! $ours scale=1 ! $cuda ! queue ! seedvr2upscale backend=cuda batch-size=3 ! $cuda ! cudadownload ! $system,format=$format"

encoder=
for e in x264enc openh264enc; do has $e && encoder=$e && break; done
if has nvh264dec && [ -n "$encoder" ] && has h264parse; then
    record film "videotestsrc num-buffers=30 pattern=ball ! $system,format=I420,width=640,height=360 ! $encoder ! h264parse ! video/x-h264,stream-format=byte-stream" >/dev/null
    film="filesrc location=$work/film ! h264parse ! nvh264dec"
    want=$(record decoded-system "$film ! $system ! $ours ! $system,format=NV12")
    expect decoder "$want" "$film ! $cuda ! $ours ! $cuda ! cudadownload ! $system,format=NV12"
    expect decoder-mixed "$want" "$film ! $cuda ! $ours ! $system,format=NV12"
    if has nvh264enc; then
        if record encoded "$film ! $cuda ! $ours ! $cuda ! nvh264enc ! h264parse" >/dev/null; then
            echo "ok encoder"
        else
            echo "FAIL encoder"
            failed=1
        fi
    else
        echo "skip encoder: there is no nvh264enc"
    fi
else
    echo "skip decoder: there is no nvh264dec, h264parse or software encoder"
fi
exit $failed
