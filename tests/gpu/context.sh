#!/usr/bin/env bash
# Which CUDA contexts the engine and the element work in, what they share with GStreamer's own CUDA elements,
# and what is left after a fault.  Run it on a machine with an NVIDIA GPU over a build of this tree (which may
# come from another machine).
#
#     tests/gpu/context.sh BUILD [RUNTIME]    BUILD: Meson build folder; RUNTIME: folder with a carried GStreamer
#                                             and a file `env` to source, where the machine has none
#
# A line "ok …" or "FAIL …" for each check; "seen: …" tells what the driver did.  Exits 1 after a failure, 77 without
# a GPU or without GStreamer's cudaupload.
set -uo pipefail
# shellcheck source-path=SCRIPTDIR source=runtime.sh
. "$(dirname "$0")/runtime.sh"

skipped=0
for fault in "" fault fault-given; do
    timeout --kill-after 10 300 "$build/tests/gpu/test_context" "$root/models" ${fault:+"$fault"} || { echo "FAIL test_context $fault"; failed=1; }
done
for fault in "" fault fault-two fault-front fault-neighbour; do
    timeout --kill-after 10 300 "$build/tests/gpu/gst_context" ${fault:+"$fault"}
    case $? in
    0) ;;
    77) skipped=1 ;;
    *) echo "FAIL gst_context $fault"; failed=1 ;;
    esac
done
[ $failed = 0 ] || exit 1
[ $skipped = 0 ] || exit 77
