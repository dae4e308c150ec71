#!/usr/bin/env bash
# `seedvr2 bench`: tables and JSON with sensible numbers.
. "$(dirname "$0")/common.sh"

phases="input encode dit decode colour download"
run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 1
says "^rates: +[0-9.]+ TFLOP/s product of [0-9]+\^3, [0-9]+ GB/s copy, [0-9.]+ GB/s up, [0-9.]+ GB/s down"
for phase in $phases total; do
    says "^$phase +[0-9.]+ +[0-9.]+ "
done
says "^decode +conv3d +20 "
says "^dit +linear +[0-9]+ "
says "^colour +rgb_to_lab +15 "
says "^download +pack +5 +.* - +- +[0-9.]+ +[0-9.]+$"

run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 2 --json --dtype f16
python3 - "$work/out" $phases <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
names, p, rates = sys.argv[2:], r["phases"], r["rates"]
assert r["dtype"] == "f16" and r["backend"] == "cpu", r
assert list(p) == names + ["total"], p
assert all(v["ms"] > 0 and v["host_ms"] > 0 for v in p.values()), p
assert all(v > 0 for v in rates.values()) and rates["gemm_size"] >= 512, rates
# operations for each output pixel of five frames, as the model's description counts them
pixels = 64 * 48 * 5
assert 150e3 < p["total"]["gflop"] * 1e9 / pixels < 600e3, p
# ops count what the phases count, which comes from another run
for name in ("encode", "dit", "decode"):
    ops = [o for o in r["ops"] if o["phase"] == name]
    assert abs(sum(o["gflop"] for o in ops) / p[name]["gflop"] - 1) < 1e-3, (name, ops)
# packing reads a picture of floats and writes 12 bits a pixel
pack = [o for o in r["ops"] if o["op"] == "pack"]
assert len(pack) == 1 and pack[0]["calls"] == 5 and pack[0]["phase"] == "download", pack
assert pack[0]["bytes"] == pixels * 12 + pixels * 3 // 2 and pack[0]["gflop"] == 0, pack
times = [o["ms"] for o in r["ops"]]
assert times == sorted(times, reverse=True), times
assert r["peak_bytes"] > r["weight_bytes"] > 1e6, r
PY

run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 2 --end-to-end
says "end to end: batches of 5, 2 counted"
for phase in $phases total; do
    says "^$phase +[0-9.]+ +[0-9.]+$"
done
run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 2 --end-to-end --json
python3 - "$work/out" $phases <<'PY'
import json, sys
r = json.load(open(sys.argv[1]))
p = r["phases"]
assert list(p) == sys.argv[2:] + ["total"] and all(v["ms"] > 0 for v in p.values()), p
assert abs(sum(v["ms"] for k, v in p.items() if k != "total") - p["total"]["ms"]) < 0.01, p
assert r["frames_per_second"] > 0 and r["peak_bytes"] > 1e6, r
PY

# the picture does not depend on the memory, and a plan is kept to the byte
for options in "" "--vram-mode economy" "--vram-mode extreme-economy" "--vram-budget 14MB"; do
    # shellcheck disable=SC2086 # several words
    run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 2 --end-to-end --json $options
    python3 - "$work/out" "$work/checksum" "$options" <<'PY'
import json, os, sys
r = json.load(open(sys.argv[1]))
assert r["peak_bytes"] == r["predicted_peak_bytes"] > 0, r
assert r["budget_bytes"] == 0 or r["peak_bytes"] <= r["budget_bytes"], r
assert (r["streamed_blocks"] > 0) == ("extreme" in sys.argv[3] or "budget" in sys.argv[3]), r
if os.path.exists(sys.argv[2]):
    assert open(sys.argv[2]).read() == r["checksum"], r
open(sys.argv[2], "w").write(r["checksum"])
PY
done
# frames that are parked in 8 bits
copied() { # ARGUMENT…: bytes out of a stream of little memory
    run 0 bench --backend cpu --width 64 --height 48 --frames 5 --runs 1 --end-to-end --json --vram-budget 9MiB "$@"
    python3 -c 'import json, sys; r = json.load(sys.stdin); print(r["parked_precision"], r["copied_out_bytes"])' <"$work/out"
}
read -r plain_form plain <<<"$(copied)"
read -r int8_form int8 <<<"$(copied --parked-precision int8)"
[ "$plain_form $int8_form" = "16-bit int8" ] || die "parked as $plain_form and $int8_form"
[ "$int8" -gt 0 ] && [ "$int8" -lt "$plain" ] || die "$int8 bytes in 8 bits, $plain in 16"
run 1 bench --backend cpu --width 64 --height 48 --end-to-end --vram-budget 1MB
complains "smallest vram-budget that works is [0-9]+ MiB"
run 2 bench --backend cpu --width 64 --height 48 --end-to-end --vram-budget lots
complains "vram-budget"
run 2 bench --backend cpu --width 64 --height 48 --vram-mode economy
complains "end-to-end"
echo "$checks checks"
