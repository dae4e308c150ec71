#!/usr/bin/env bash
# Runs every test: installs what is missing, checks the layers, builds with warnings as errors, runs all
# suites, a selection under valgrind, then all again under AddressSanitizer and UndefinedBehaviorSanitizer.
# Last line: "N passed, N failed, N skipped"; the exit status is 0 only without failures.
#
#     tools/test.sh [--quick]      --quick: the suites only
set -uo pipefail
cd "$(dirname "$0")/.."

tools/install-deps.sh || exit 1

build=build-test
asan=build-asan
status=0

setup() { # DIR OPTIONS…
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] || meson setup "$dir" -Dwerror=true "$@" || return 1
    ninja -C "$dir"
}

setup $build || { echo "0 passed, 1 failed"; exit 1; }
meson test -C $build --no-rebuild --print-errorlogs || status=1
logs=("$build/meson-logs/testlog.json")

if [ "${1:-}" != --quick ]; then
    # memcheck is slow: files, the store, a stream on stand-in networks, a random sequence through the element
    meson test -C $build --no-rebuild --print-errorlogs --setup valgrind \
        safetensors store pipeline_stream element_random || status=1
    logs+=("$build/meson-logs/testlog-valgrind.json")

    # CUDA has its own sanitizers (tests/gpu/check.sh); without oneDNN the plain loops do all the work
    if setup $asan -Dcuda=disabled -Donednn=disabled -Db_sanitize=address,undefined -Db_lundef=false; then
        # leaks are judged by the element tests' own tracer: GLib and GStreamer keep caches at exit
        ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
            meson test -C $asan --no-rebuild --print-errorlogs --timeout-multiplier 4 || status=1
        logs+=("$asan/meson-logs/testlog.json")
    else
        status=1
    fi
fi

python3 tests/count_results.py "${logs[@]}" || status=1
exit $status
