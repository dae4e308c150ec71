#!/usr/bin/env bash
# The main job on a fresh machine: installs what is missing, builds, restores and upscales a noisy,
# compressed 320x180 clip to 640x360 with the shipped nano model on the CPU, and shows what came of it.
#
#     tools/demo.sh [CLIP]      CLIP: another video, at any size; default the shipped one
#
# Results: demo-output/upscaled.mkv, and for the shipped clip demo-output/side-by-side.png
# (left Lanczos, middle this project, right the original) and PSNR figures.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install-deps.sh
[ -f build/build.ninja ] || meson setup build --buildtype=release
ninja -C build

out=demo-output
clip=${1:-tests/data/clips/bbb_320x180_noisy.mkv}
original=tests/data/clips/bbb_640x360.mp4
mkdir -p "$out"
run() { meson devenv -C build "$@"; }

run seedvr2 upscale "$PWD/$clip" "$PWD/$out/upscaled.mkv" --scale 2

if [ $# -eq 0 ]; then
    gst-launch-1.0 -q filesrc location="$clip" ! decodebin ! videoconvert ! \
        videoscale method=lanczos ! video/x-raw,width=640,height=360 ! videoconvert ! \
        avenc_ffv1 ! matroskamux ! filesink location="$out/lanczos.mkv"
    run seedvr2-compare --picture "$PWD/$out/side-by-side.png" --frame 12 \
        "$PWD/$original" "$PWD/$out/lanczos.mkv" "$PWD/$out/upscaled.mkv"
fi
echo "written: $out/"
ls -l "$out"
