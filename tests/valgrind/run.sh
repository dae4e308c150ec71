#!/usr/bin/env bash
# run.sh PROGRAM [ARGUMENT…]: runs a test program under memcheck.  Fails on any error, and on memory that nothing points
# to at the end: what the program leaves reachable is GLib's, GStreamer's and the run-time libraries' own.
# Exits 77 where there is no valgrind.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

command -v valgrind >/dev/null || { echo "there is no valgrind"; exit 77; }
# one process, blocks of their own, and no threads that spin while they wait
export CK_FORK=no CK_DEFAULT_TIMEOUT=1200 G_SLICE=always-malloc OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
exec valgrind --quiet --fair-sched=yes --error-exitcode=9 --num-callers=24 --leak-check=full \
    --show-leak-kinds=definite --errors-for-leak-kinds=definite --suppressions="$here/system.supp" "$@"
