#!/usr/bin/env bash
# All checks that need a GPU, in one call of at most 8 minutes on 16 cores.  Run it on a machine with an NVIDIA GPU
# that nobody else uses, over a build of this tree (which may come from another machine).
#
#     tests/gpu/check.sh BUILD [OUT]      BUILD: Meson build folder, OUT: folder for the full logs
#
# Checks at full size need weights: tests/gpu/make_full_size.py.
# Last line: "N passed, N failed, N skipped".  Exits 77 without a GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
out=${2:-$(mktemp -d)}
mkdir -p "$out"
export LD_LIBRARY_PATH="$build/cuda:${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64" PATH="$PATH:/usr/local/cuda/bin"
export SEEDVR2_MODEL_PATH="$here/models"
test_ops=$build/tests/ops/test_ops
seedvr2=$build/tools/seedvr2
goldens=$here/tests/data/goldens
passed=0 failed=0 skipped=0 names=()

command -v nvidia-smi >/dev/null && nvidia-smi -L || { echo "no NVIDIA GPU"; exit 77; }

start() { # NAME COMMAND…: in the background
    local name=$1
    shift
    names+=("$name")
    (
        SECONDS=0 status=0
        timeout --kill-after 10 420 "$@" >"$out/$name.log" 2>&1 || status=$?
        echo "$status $SECONDS" >"$out/$name.status"
    ) &
}

finish() { # waits for all that was started, and counts
    local name status seconds
    wait
    for name in "${names[@]}"; do
        read -r status seconds <"$out/$name.status"
        if [ "$status" = 0 ]; then
            passed=$((passed + 1))
            echo "ok   $name ($seconds s): $(tail -n 1 "$out/$name.log")"
        elif [ "$status" = 77 ] && [ "$name" = ops-dnn ]; then
            skipped=$((skipped + 1))
            echo "skip $name: $(tail -n 1 "$out/$name.log")"
        else
            failed=$((failed + 1))
            [ "$status" = 124 ] && echo "no verdict in time" >>"$out/$name.log"
            echo "FAIL $name ($seconds s, status $status)"
            tail -n 5 "$out/$name.log"
        fi
    done
    names=()
}

sanitize() { # TOOL NAME COMMAND…
    local tool=$1 name=$2
    shift 2
    # each one listens at a port: the default of 10 is fewer than run at a time
    start "$tool-$name" compute-sanitizer --tool "$tool" --max-connections 64 --error-exitcode 9 "$@"
}

# These look at what is free of the device's memory, so nothing else may use it meanwhile.
start faults "$build/tests/faults/test_faults" cuda "$here/models"
finish
start selftest "$seedvr2" selftest --backend cuda --data "$goldens"
finish

start bypass "$build/tests/unit/video/test_video_bypass" cuda
start ops "$test_ops" cuda
start ops-portable "$test_ops" cuda-portable
start ops-dnn "$test_ops" cuda-dnn
for dtype in f32 f16 bf16; do
    start "goldens-$dtype" "$seedvr2" verify --backend cuda --dtype $dtype --model-dir "$here/models" "$goldens"
done
for quantization in int8 int8-w8a8; do
    start goldens-$quantization "$seedvr2" verify --backend cuda --dtype f16 --quantization $quantization \
        --model-dir "$here/models" "$goldens"
done
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
if [ "${capability:-0}" -ge 89 ]; then
    start goldens-fp8 "$seedvr2" verify --backend cuda --dtype f16 --quantization fp8 --model-dir "$here/models" "$goldens"
else
    skipped=$((skipped + 1))
fi
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck; do
        sanitize $tool conv "$test_ops" cuda --small conv3d
        sanitize $tool upsample "$test_ops" cuda --small upsample tap_sum group_norm group_moments depth_to_space
        sanitize $tool products "$test_ops" cuda --small linear swiglu integers quantized exact
        sanitize $tool attention "$test_ops" cuda --small frame_attention window_attention
        sanitize $tool tokens "$test_ops" cuda --small qk_norm_rope rms_norm runs rows patches copy copy_rows copy_window lincomb find_overflow noise guidance
        sanitize $tool pixels "$test_ops" cuda --small frames resize to_model crop blur colour
        sanitize $tool portable "$test_ops" cuda-portable --small conv3d frame_attention window_attention
    done
    sanitize memcheck streamed "$seedvr2" bench --backend cuda --dtype f16 --width 64 --height 64 --runs 1 \
        --end-to-end --vram-mode extreme-economy
    # whole networks, whose memory nobody initialised before; in F32, because initcheck does not see what cuBLASLt's
    # 16-bit kernels write through the copy engine
    sanitize initcheck networks "$seedvr2" verify --backend cuda --dtype f32 --model-dir "$here/models" \
        "$goldens"/{vae_a_dec2,vae_a_enc9_sliced,dit_3b_tiny_a.c3,dit_7b_tiny_a.c3,nano_e3,pipe_color}.safetensors
else
    echo "no compute-sanitizer"
    skipped=$((skipped + 1))
fi
finish

start bench "$seedvr2" bench --backend cuda --dtype f16 --width 320 --height 180 --runs 1 --json
start bench-stream "$seedvr2" bench --backend cuda --dtype f16 --width 320 --height 180 --runs 2 --end-to-end
finish
echo "$passed passed, $failed failed, $skipped skipped, $SECONDS s"
[ $failed = 0 ]
