#!/usr/bin/env bash
# run.sh with a gst-validate-1.0 that says what this test wants: it passes and fails where it should.
# Arguments: run.sh
set -euo pipefail
run=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# IDENTITY and ELEMENT are "STATUS ISSUES", no issues where nothing is said; in seek_forward BAD is taken instead of both
cat >"$work/gst-validate-1.0" <<'SH'
#!/usr/bin/env bash
answer=
case " $* " in
*" --set-scenario=seek_forward "*) answer=${BAD:-} ;;
esac
case " $* " in
*" ! identity ! "*) answer=${answer:-$IDENTITY} ;;
*" ! seedvr2upscale "*) answer=${answer:-$ELEMENT} ;;
*) exit 3 ;;
esac
read -r status issues <<<"$answer"
[ -z "$issues" ] || printf '\n=======> Test %s (Return value: %s)\n\n\nIssues found: %u\n' PASSED "$status" "$issues"
exit "$status"
SH
chmod +x "$work/gst-validate-1.0"

# expect STATUS LINES-THAT-ARE-OK WHAT [SCENARIO…]
expect() {
    local want=$1 ok=$2 what=$3 got=0
    shift 3
    PATH=$work:$PATH bash "$run" "$@" >"$work/out" 2>&1 || got=$?
    [ "$got" -eq "$want" ] && [ "$(grep -c '^ok ' "$work/out" || true)" -eq "$ok" ] && return
    echo "$what: exit status $got, wanted $want and $ok scenarios ok"
    cat "$work/out"
    exit 1
}

export IDENTITY="0 2"
ELEMENT="0 2" expect 0 10 "equal numbers of issues"
ELEMENT="0 1" expect 0 10 "fewer issues"
ELEMENT="0 3" expect 1 0 "more issues"
ELEMENT="0 10" expect 1 0 "many more issues"
ELEMENT="18 2" expect 1 0 "critical issues"
ELEMENT="124" expect 1 0 "a run that hangs"
ELEMENT="0" expect 1 0 "a run that says nothing"
IDENTITY="0" ELEMENT="0 0" expect 1 0 "identity says nothing"
ELEMENT="0 2" BAD="18 3" expect 0 10 "a scenario that does not suit"
ELEMENT="0 2" BAD="18 3" expect 1 1 "no scenario that suits" seek_forward
IDENTITY="18 1" ELEMENT="0 0" expect 1 10 "no scenario that identity passes"
IDENTITY="18 1" ELEMENT="18 2" expect 1 0 "more issues where neither passes"
echo ok
