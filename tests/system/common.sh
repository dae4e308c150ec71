# Shared by the system tests: sourced with SEEDVR2 DATA MODELS as arguments.
set -euo pipefail
seedvr2=$1 data=$2 models=$3
clip=$data/clips/dogs_160x90_audio.mkv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
checks=0

die() {
    echo "$1"
    cat "$work/out" "$work/err" 2>/dev/null || true
    exit 1
}

# run WANTED_STATUS ARGUMENT…: runs the command; output in $work/out and $work/err
run() {
    local want=$1 got=0
    shift
    "$seedvr2" "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" -eq "$want" ] || die "seedvr2 $*: exit status $got, wanted $want"
    checks=$((checks + 1))
}

# says PATTERN: standard output has a line like it
# complains PATTERN: standard error does, and there is only that complaint (besides progress)
says() {
    grep -Eq -- "$1" "$work/out" || die "no \"$1\" on standard output"
}
complains() {
    grep -Eq -- "$1" "$work/err" || die "no \"$1\" on standard error"
    [ "$(grep -c '^seedvr2' "$work/err")" -eq 1 ] || die "not exactly one complaint"
}

# stock ARGUMENT…: gst-launch-1.0 with the distribution's elements only
stock() {
    env -u GST_PLUGIN_PATH_1_0 GST_REGISTRY="$work/stock-registry.bin" \
        timeout 60 gst-launch-1.0 "$@"
}

# count FILE video|audio: buffers of the first stream of that kind, still compressed
count() {
    stock -v filesrc location="$1" ! parsebin name=p \
        p. ! queue ! "$2/${3:-x-h264}" ! fakesink name=counted silent=false sync=false 2>/dev/null |
        grep -c 'counted: last-message = chain' || true
}
