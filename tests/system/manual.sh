#!/usr/bin/env bash
# The page tools/seedvr2.1: its commands and their options are those of --help, and groff has nothing to complain about.
# Arguments behind the usual ones: PAGE.
. "$(dirname "$0")/common.sh"
page=$4

# COMMAND --OPTION[=METAVAR] of the page, a line each, without roff's escapes and fonts
sed -nE '/^\.SS /{s/\.SS ([a-z]+) .*/\1/;h;p}
         /^\.SH /{s/.*//;h}
         /^\.BI? \\-\\-/{G;s/\\-/-/g;s/^\.BI? (\S+) ?(.*)\n(.+)$/\3 \1\2/p}' "$page" | sort >"$work/told"
run 0 --help
cp "$work/out" "$work/commands"
for command in $(sed -nE 's/^  ([a-z]+) .*/\1/p' "$work/commands"); do
    echo "$command"
    "$seedvr2" "$command" --help | sed -nE "s/^  (-., )?(--[^ ]+).*/$command \2/p" | grep -v -- '--help$'
done | sort >"$work/there"
diff "$work/there" "$work/told" >"$work/out" || die "the page (>) is not like --help (<):"
[ "$(wc -l <"$work/there")" -ge 80 ] || die "--help was not understood"

if command -v groff >/dev/null; then
    groff -man -Tutf8 -ww -z "$page" >"$work/out" 2>"$work/err"
    [ ! -s "$work/err" ] || die "groff complains:"
fi
echo "$(wc -l <"$work/there") commands and options"
