#!/usr/bin/env bash
# run.sh [SCENARIO…]: gst-validate's scenarios with the element, each beside the same pipeline with `identity`, since a
# scenario may not suit a short test source.  Fails where identity passes and the element does not, or where the
# element has more issues.  Exits 77 where there is no gst-validate, as in Debian 12.
# The environment says where the plugin and the models are, as for the tests of the element.
set -uo pipefail

scenarios=(change_state_intensive pause_resume simple_seeks seek_forward seek_with_stop scrub_forward_seeking
           reverse_playback)
[ $# -eq 0 ] || scenarios=("$@")
# a crash makes gst-validate wait for a debugger
limit=100

command -v gst-validate-1.0 >/dev/null || { echo "there is no gst-validate-1.0"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# ELEMENT… -> sets rc and issues
run() {
    timeout --kill-after=5 $limit gst-validate-1.0 --set-scenario="$scenario" \
        videotestsrc num-buffers=500 ! video/x-raw,format=I420,width=32,height=16,framerate=25/1 ! \
        queue ! "$@" ! queue ! fakesink sync=true >"$log" 2>&1
    rc=$?
    issues=$(sed -n 's/.*Issues found: *\([0-9][0-9]*\).*/\1/p' "$log" | tail -1)
    issues=${issues:-0}
}

status=0
for scenario in "${scenarios[@]}"; do
    run identity
    baseline_rc=$rc baseline_issues=$issues
    run seedvr2upscale backend=cpu batch-size=5
    line="$scenario: status $rc, $issues issues; identity: status $baseline_rc, $baseline_issues issues"
    if [ $baseline_rc -eq 0 ] && [ $rc -ne 0 ] || [ "$issues" -gt "$baseline_issues" ]; then
        echo "FAIL $line"
        tail -40 "$log"
        status=1
    else
        echo "ok   $line"
    fi
done
exit $status
