#!/usr/bin/env bash
# All checks that need a GPU, in one call of a few minutes.  Run it on a machine with an NVIDIA GPU over a build
# of this tree (the build may come from another machine; python3 with torch and safetensors is wanted for the
# random full-size models only, tests/gpu/make_full_size.py).
#
#     tests/gpu/check.sh BUILD [OUT] [--long]      BUILD: Meson build folder, OUT: folder for the full logs,
#                                                  --long: racecheck and initcheck too, many minutes
#
# Last line: "N passed, N failed, N skipped".  Exits 77 without a GPU.
set -uo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
out=${2:-$(mktemp -d)}
mkdir -p "$out"
export LD_LIBRARY_PATH="$build/cuda:${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64"
passed=0 failed=0 skipped=0

command -v nvidia-smi >/dev/null && nvidia-smi -L || { echo "no NVIDIA GPU"; exit 77; }

check() { # NAME COMMAND…
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$out/$name.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name ($((SECONDS - start)) s): $(tail -n 1 "$out/$name.log")"
    else
        failed=$((failed + 1))
        echo "FAIL $name ($((SECONDS - start)) s)"
        tail -n 5 "$out/$name.log"
    fi
}

check ops "$build/tests/ops/test_ops" cuda
check ops-portable "$build/tests/ops/test_ops" cuda-portable
for dtype in f32 f16 bf16; do
    check "goldens-$dtype" "$build/tools/seedvr2" verify --backend cuda --dtype $dtype \
        --model-dir "$here/models" "$here/tests/data/goldens"
done
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
if [ "${capability:-0}" -ge 89 ]; then
    check goldens-fp8 "$build/tools/seedvr2" verify --backend cuda --dtype f16 --quantization fp8 \
        --model-dir "$here/models" "$here/tests/data/goldens"
else
    skipped=$((skipped + 1))
fi
if command -v compute-sanitizer >/dev/null; then
    tools=memcheck
    [ "${3:-}" = --long ] && tools="memcheck racecheck initcheck"
    for tool in $tools; do
        check "ops-$tool" compute-sanitizer --tool $tool --error-exitcode 9 \
            "$build/tests/ops/test_ops" cuda
    done
else
    skipped=$((skipped + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
