# shellcheck shell=bash
# Sourced by scripts with the arguments BUILD [RUNTIME]: sets `root`, `build`, `work` (a folder that goes with the script)
# and the environment in which the element is found; RUNTIME is a folder with a carried GStreamer and a file `env` to
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
