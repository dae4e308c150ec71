#!/usr/bin/env bash
# run.sh [SCENARIO…]: gst-validate's scenarios with the element, each beside the same pipeline with `identity`, since a
# scenario may not suit a short test source.  Fails where identity passes and the element does not, where the element
# has more issues, where a run that passes does not say how many it found, and where no scenario suits identity.
# Exits 77 where there is no gst-validate, as in Debian 12.
# The environment says where the plugin and the models are, as for the tests of the element.
set -uo pipefail

scenarios=(change_state_intensive pause_resume simple_seeks seek_forward seek_backward seek_with_stop
           scrub_forward_seeking fast_forward reverse_playback force_key_unit)
[ $# -eq 0 ] || scenarios=("$@")
# a crash makes gst-validate wait for a debugger
limit=100

command -v gst-validate-1.0 >/dev/null || { echo "there is no gst-validate-1.0"; exit 77; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# ELEMENT… -> sets rc and issues, which is "no" where the run does not say how many
run() {
    timeout --kill-after=5 $limit gst-validate-1.0 --set-scenario="$scenario" \
        videotestsrc num-buffers=500 ! video/x-raw,format=I420,width=32,height=16,framerate=25/1 ! \
        queue ! "$@" ! queue ! fakesink sync=true >"$log" 2>&1
    rc=$?
    issues=$(sed -n 's/.*Issues found: *\([0-9][0-9]*\).*/\1/p' "$log" | tail -1)
    issues=${issues:-no}
}

# a run that passed has told its issues
told() {
    [ "$1" -ne 0 ] || [ "$2" != no ]
}

passes() {
    told $baseline_rc "$baseline_issues" && told $rc "$issues" || return 1
    [ $baseline_rc -ne 0 ] || [ $rc -eq 0 ] || return 1
    [ "$baseline_issues" = no ] || [ "$issues" = no ] || [ "$issues" -le "$baseline_issues" ]
}

status=0 suited=0
for scenario in "${scenarios[@]}"; do
    run identity
    baseline_rc=$rc baseline_issues=$issues
    [ $rc -ne 0 ] || suited=$((suited + 1))
    run seedvr2upscale backend=cpu batch-size=5
    line="$scenario: status $rc, $issues issues; identity: status $baseline_rc, $baseline_issues issues"
    if passes; then
        echo "ok   $line"
    else
        echo "FAIL $line"
        tail -40 "$log"
        status=1
    fi
done
[ $suited -gt 0 ] || { echo "FAIL identity passes no scenario"; status=1; }
exit $status
