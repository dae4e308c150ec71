#!/usr/bin/env python3
"""Times this engine against the PyTorch oracles on the same machine, threads and sizes, interleaved.

    bench_vs_oracle.py --seedvr2 build/tools/seedvr2 --oracles FOLDER --models models
                       [--width 640 --height 360 --frames 5] [--threads N] [--rounds 5]

FOLDER holds oracle_vae.py and oracle_dit.py.  Needs torch and safetensors.  Each round runs
`seedvr2 bench --json` once and the oracles once, so that a machine that slows down slows down both.
Prints the medians of each phase and their ratio (above 1: this engine is faster).  Run by hand.

What is timed: the networks alone, without unpacking, resizing and colour."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

PHASES = ("encode", "dit", "decode")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seedvr2", required=True, help="the command to measure")
    parser.add_argument("--oracles", required=True, help="folder of oracle_vae.py and oracle_dit.py")
    parser.add_argument("--models", required=True, help="folder of the nano model")
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--frames", type=int, default=5, help="4n+1")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


class Oracle:
    """The nano networks in PyTorch, float32, on random frames of the padded size."""

    def __init__(self, args):
        sys.path.insert(0, args.oracles)
        import oracle_dit
        import oracle_vae
        import torch
        from safetensors import safe_open

        def load(name):
            with safe_open(os.path.join(args.models, name), "pt") as file:
                tensors = {k: file.get_tensor(k).float() for k in file.keys()}
                return tensors, json.loads(file.metadata()["config"])

        torch.set_num_threads(args.threads)
        torch.manual_seed(0)
        self.torch = torch
        weights, c = load("nano_vae.safetensors")
        self.vae = oracle_vae.VAE(
            oracle_vae.VAEConfig(tuple(c["block_out_channels"]), c["layers_per_block"],
                                 norm_groups=c["norm_groups"], eps=c["eps"]), weights)
        weights, c = load("nano_dit.safetensors")
        self.text = weights["positive_conditioning"]
        self.dit = oracle_dit.Oracle(
            oracle_dit.DiTConfig.seedvr2_3b(
                dim=c["dim"], heads=c["heads"], head_dim=c["head_dim"], layers=c["layers"],
                split_layers=c["mm_layers"], rope_dim=c["rope_dim"], txt_in=c["txt_in_dim"],
                mlp_ratio=c["mlp_ratio"], eps=c["eps"]), weights)
        padded = [-(-n // 16) * 16 for n in (args.height, args.width)]
        self.x = torch.rand(1, 3, args.frames, *padded) * 2 - 1

    def run(self):
        """Seconds of each phase."""
        torch = self.torch
        with torch.no_grad():
            marks = [time.perf_counter()]
            z = self.vae.encode(self.x, 4)[0]
            marks.append(time.perf_counter())
            latent = self.vae.to_model(z)[0].permute(1, 2, 3, 0)
            rows = latent.reshape(-1, 16)
            noise = torch.randn_like(rows)
            v = self.dit(torch.cat([noise, rows, torch.ones_like(rows[:, :1])], 1),
                         tuple(latent.shape[:3]), self.text, 1000.0)
            marks.append(time.perf_counter())
            restored = (noise - v).reshape(latent.shape).permute(3, 0, 1, 2)[None]
            self.vae.decode(self.vae.from_model(restored), 4)
            marks.append(time.perf_counter())
        return dict(zip(PHASES, (b - a for a, b in zip(marks, marks[1:]))))


def engine(args):
    """Seconds of each phase: one counted run after a warm-up."""
    command = [args.seedvr2, "bench", "--backend", "cpu", "--json", "--runs", "1",
               "--width", str(args.width), "--height", str(args.height),
               "--frames", str(args.frames), "--threads", str(args.threads)]
    env = dict(os.environ, SEEDVR2_MODEL_PATH=args.models)
    result = json.loads(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
    return {phase: result["phases"][phase]["ms"] / 1e3 for phase in PHASES}


def main():
    args = arguments()
    oracle = Oracle(args)
    oracle.run()
    ours, theirs = [], []
    for _ in range(args.rounds):
        ours.append(engine(args))
        theirs.append(oracle.run())
    for runs in ours, theirs:
        for run in runs:
            run["sum"] = sum(run[phase] for phase in PHASES)
    print(f"{args.width}x{args.height}, {args.frames} frames, {args.threads} threads, "
          f"medians of {args.rounds} rounds")
    print(f"{'phase':8} {'engine s':>10} {'oracle s':>10} {'ratio':>7}")
    for phase in PHASES + ("sum",):
        a, b = (statistics.median(run[phase] for run in runs) for runs in (ours, theirs))
        print(f"{phase:8} {a:10.3f} {b:10.3f} {b / a:7.2f}")


if __name__ == "__main__":
    main()
