#!/usr/bin/env bash
# An uninstalled build in `meson devenv`: plugin, models, presets and command are found.  Arguments behind the usual
# ones: BUILD.
. "$(dirname "$0")/common.sh"
build=$4
unset SEEDVR2_MODEL_PATH GST_PLUGIN_PATH_1_0 GST_PRESET_PATH GST_REGISTRY

# meson devenv wants the name of a command, and gives it the build folder as the current one
timeout 100 meson devenv -C "$build" gst-launch-1.0 -m videotestsrc num-buffers=3 ! \
    video/x-raw,width=32,height=32 ! seedvr2upscale backend=cpu @preset=balanced ! fakesink \
    >"$work/out" 2>"$work/err" || die "gst-launch-1.0 fails in meson devenv"
says 'seedvr2-plan.*batch-size=\(int\)21'
says 'seedvr2-summary, frames=\(guint64\)3'
meson devenv -C "$build" seedvr2 --version >"$work/out" 2>"$work/err" || die "the command is not found"
says '^seedvr2 [0-9]+\.[0-9]+\.[0-9]+$'
echo ok
