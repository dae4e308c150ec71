#!/usr/bin/env bash
# An installed tree, moved to another place: the plugin and the command find the models, presets are there, and a
# program is built with pkg-config alone.  Arguments behind the usual ones: BUILD SOURCE.
. "$(dirname "$0")/common.sh"
build=$4 source=$5
unset SEEDVR2_MODEL_PATH GST_PRESET_PATH

meson install -C "$build" --no-rebuild --quiet --destdir "$work/root" >"$work/out" 2>"$work/err" ||
    die "meson install fails"
pc=$(find "$work/root" -name seedvr2.pc)
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$work/root
# some pkg-config put the sysroot in front of variables, some do not
variable() {
    local value
    value=$(pkg-config --variable="$1" seedvr2)
    echo "$work/root${value#"$work/root"}"
}
root=$(variable prefix) lib=$(variable libdir) models=$(variable modeldir)
[ -f "$models/nano_dit.safetensors" ] || die "modeldir of seedvr2.pc holds no models"

# the engine, with the warnings that users have on
flags="-Wall -Wextra -Wpedantic -Werror"
# shellcheck disable=SC2046,SC2086
cc -std=c11 $flags "$source/examples/engine.c" $(pkg-config --cflags --libs seedvr2) -o "$work/engine" \
    >"$work/out" 2>"$work/err" || die "the example of the engine does not compile"
LD_LIBRARY_PATH=$lib "$work/engine" "$models" "$work/small.ppm" "$work/large.ppm" >"$work/out" 2>"$work/err" ||
    die "the example of the engine fails"
says '^cpu: peak memory [0-9.]+ MB, planned [0-9.]+ MB$'
head -c 15 "$work/large.ppm" | grep -aq '^P6 128 96 255' || die "the picture is not of twice the size"
# it is the painted one: near its enlargement by repetition
python3 - "$work/small.ppm" "$work/large.ppm" <<'PY' || die "the picture is not like its input"
import sys

def read(path):
    head, data = open(path, "rb").read().split(b"\n", 1)
    return int(head.split()[1]), data

(w, small), (_, large) = read(sys.argv[1]), read(sys.argv[2])
error = sum((large[3 * (y * 2 * w + x) + c] - small[3 * (y // 2 * w + x // 2) + c]) ** 2
            for y in range(96) for x in range(128) for c in range(3)) / (96 * 128 * 3)
print("mean square error", error)
sys.exit(not 0 < error < 700)
PY
# the same headers in C++, where there is a compiler for it
if command -v c++ >/dev/null; then
    cat >"$work/engine.cc" <<'CC'
#include <pipeline/upscaler.h>
int main()
{
    svr_upscaler_options options;
    svr_stream_config config;
    svr_upscaler *upscaler = nullptr;
    svr_error error{};

    svr_upscaler_options_init(&options);
    svr_stream_config_init(&config);
    options.backend = SVR_BACKEND_CPU;
    options.model_path = options.vae_path = "/nowhere/model.safetensors";
    return config.batch_size == 5 && svr_upscaler_create(&options, &upscaler, &error) == SVR_ERR_IO && !upscaler ? 0 : 1;
}
CC
    # shellcheck disable=SC2046,SC2086
    c++ -std=c++17 $flags "$work/engine.cc" $(pkg-config --cflags --libs seedvr2) -o "$work/engine-cc" \
        >"$work/out" 2>"$work/err" || die "the headers are not C++"
    LD_LIBRARY_PATH=$lib "$work/engine-cc" >"$work/out" 2>"$work/err" || die "the engine in C++ does not answer"
fi

got=0
LD_LIBRARY_PATH=$lib "$work/engine" "$work/nowhere" "$work/a" "$work/b" >"$work/out" 2>"$work/err" || got=$?
[ $got -eq 1 ] && grep -q 'nowhere/nano_' "$work/err" || die "a missing model is no error of the engine"

# the library exports what the headers mark, and the plugin nothing of it
grep -rhoE '^SVR_API .*\(' "$(variable includedir)/seedvr2" | sed -E 's/.*[ *](svr_[a-z0-9_]+)\(/\1/' | sort >"$work/marked"
nm -D --defined-only "$lib/libseedvr2.so" | awk '{print $3}' | sort >"$work/exported"
diff "$work/marked" "$work/exported" >"$work/out" || die "libseedvr2 does not export what its headers mark"
[ "$(wc -l <"$work/marked")" -ge 25 ] || die "hardly anything is marked"
! nm -D --defined-only "$lib/gstreamer-1.0/libgstseedvr2.so" | grep ' svr_' >"$work/out" ||
    die "the plugin exports the engine"

# the command and the plugin, with the models of this tree
"$root/bin/seedvr2" selftest --backend cpu --size 64x48 --json >"$work/out" 2>"$work/err" ||
    die "the installed command fails"
export GST_PLUGIN_PATH_1_0=$lib/gstreamer-1.0 GST_REGISTRY=$work/registry.bin
export GST_PRESET_PATH=$root/share/gstreamer-1.0/presets
gst-inspect-1.0 seedvr2upscale >"$work/out" 2>"$work/err" || die "the installed plugin is not found"
says "Filename +$lib/gstreamer-1.0/libgstseedvr2.so"
says '"low-vram": '
timeout 100 gst-launch-1.0 -m videotestsrc num-buffers=3 ! video/x-raw,width=32,height=32 ! \
    seedvr2upscale backend=cpu @preset=low-vram ! fakesink >"$work/out" 2>"$work/err" ||
    die "the installed plugin fails"
grep -F 'seedvr2-model' "$work/out" | tr -d '\\' | grep -Fq "$models/nano_dit" ||
    die "the installed plugin takes other models"
says 'seedvr2-plan.*streamed-blocks=\(int\)6'

# all three open the CUDA module of this tree: one that holds nothing is refused as such
refuses() {
    ! env -u LD_LIBRARY_PATH "$@" >"$work/out" 2>&1 || die "$1 takes an empty CUDA module"
    says 'libseedvr2-cuda.so has no svr_cuda_.*another version'
}
cc -shared -x c /dev/null -o "$lib/libseedvr2-cuda.so"
refuses "$root/bin/seedvr2" selftest --backend cuda
refuses gst-launch-1.0 videotestsrc num-buffers=1 ! seedvr2upscale backend=cuda ! fakesink
sed 's/SVR_BACKEND_CPU/SVR_BACKEND_CUDA/' "$source/examples/engine.c" >"$work/engine-cuda.c"
# shellcheck disable=SC2046
cc "$work/engine-cuda.c" $(pkg-config --cflags --libs seedvr2) -Wl,-rpath,"$lib" -o "$work/engine-cuda"
refuses "$work/engine-cuda" "$models" "$work/a" "$work/b"
echo ok
