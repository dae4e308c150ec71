#!/usr/bin/env bash
# leaks.sh CONTROL TEST…: runs the element's tests under GStreamer's leaks tracer.  No mini object or object may be
# alive at the end; CONTROL leaks one, which must be seen.
set -euo pipefail
export GST_TRACERS=leaks GST_DEBUG=GST_TRACER:7 GST_DEBUG_NO_COLOR=1 CK_FORK=no
log=$(mktemp)
trap 'rm -f "$log"' EXIT

if "$1" >"$log" 2>&1 || ! grep -q ':0:: object-alive' "$log"; then
    echo "the tracer did not see the control's leak"
    exit 1
fi
shift
for test in "$@"; do
    if ! "$test" >"$log" 2>&1 || grep -q ':0:: object-alive' "$log"; then
        grep -E ':0:: object-alive|Checks|Failure' "$log" || true
        echo "$test fails or leaks"
        exit 1
    fi
done
echo "$# tests leak nothing"
