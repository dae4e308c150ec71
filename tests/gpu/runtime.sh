# shellcheck shell=bash
# Sourced by scripts with the arguments BUILD [RUNTIME]: sets `root`, `build`, `work` (a folder that goes with the script),
# `failed` (0, 1 after a failure) and the environment in which the element is found; RUNTIME is a folder with a carried GStreamer and a file `env` to
# source.  Exits 77 without a GPU.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$1" && pwd)

if ! command -v nvidia-smi >/dev/null || ! nvidia-smi -L; then
    echo "no NVIDIA GPU"
    exit 77
fi
# shellcheck disable=SC1091 # the carried runtime's own
[ -n "${2:-}" ] && . "$(cd "$2" && pwd)/env"
export LD_LIBRARY_PATH="$build/cuda:${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64"
export GST_PLUGIN_PATH_1_0="$build/gst" SEEDVR2_MODEL_PATH="$root/models"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GST_REGISTRY="$work/registry.bin"
failed=0

# NAME PIPELINE…: runs it into $work/NAME, whose checksum is printed
record() {
    local name=$1 begin=$EPOCHREALTIME
    shift
    # shellcheck disable=SC2068 # a launch line is words
    timeout --kill-after 10 120 gst-launch-1.0 -m $@ ! filesink location="$work/$name" >"$work/$name.log" 2>&1 || {
        cat "$work/$name.log" >&2
        return 1
    }
    echo "seen: $name took $(awk "BEGIN { print $EPOCHREALTIME - $begin }") s" >&2
    [ -s "$work/$name" ] && sha256sum <"$work/$name"
}

# NAME WANTED-CHECKSUM PIPELINE…
expect() {
    local name=$1 want=$2 got
    shift 2
    if got=$(record "$name" "$@") && [ "$got" = "$want" ]; then
        echo "ok $name"
    else
        echo "FAIL $name: ${got:-no result}, wanted ${want:-a checksum}"
        failed=1
    fi
}
