#!/usr/bin/env bash
# An uninstalled build in `meson devenv`: plugin, models, presets and command are found, pkg-config finds the library,
# and examples run as they are.  Arguments behind the usual ones: BUILD SOURCE.
. "$(dirname "$0")/common.sh"
build=$4 source=$5
unset SEEDVR2_MODEL_PATH GST_PLUGIN_PATH_1_0 GST_PRESET_PATH GST_REGISTRY

# meson devenv wants the name of a command, and gives it the build folder as the current one
timeout 100 meson devenv -C "$build" gst-launch-1.0 -m videotestsrc num-buffers=3 ! \
    video/x-raw,width=32,height=32 ! seedvr2upscale backend=cpu @preset=balanced ! fakesink \
    >"$work/out" 2>"$work/err" || die "gst-launch-1.0 fails in meson devenv"
says 'seedvr2-plan.*batch-size=\(int\)21'
says 'seedvr2-summary, frames=\(guint64\)3'
meson devenv -C "$build" seedvr2 --version >"$work/out" 2>"$work/err" || die "the command is not found"
says '^seedvr2 [0-9]+\.[0-9]+\.[0-9]+$'

cat >"$work/build-and-run" <<'SH'
set -e
cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$1/examples/engine.c" $(pkg-config --cflags --libs seedvr2) -o "$2/engine"
"$2/engine" "$(pkg-config --variable=modeldir seedvr2)" "$2/small.ppm" "$2/large.ppm"
cc -Wall -Wextra -Werror "$1/examples/upscale.c" $(pkg-config --cflags --libs gstreamer-1.0) -o "$2/upscale"
"$2/upscale" "$3" "$2/o.mkv" low-vram
SH
meson devenv -C "$build" bash "$work/build-and-run" "$source" "$work" "$clip" >"$work/out" 2>"$work/err" ||
    die "the examples do not work in meson devenv"
says '^cpu: peak memory'
says '^12 frames in'
echo ok
