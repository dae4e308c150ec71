#!/usr/bin/env python3
"""Times this engine against the PyTorch oracles on the same GPU, full size, random weights, half precision.

    bench_gpu_vs_oracle.py --seedvr2 build/tools/seedvr2 --oracles FOLDER --text models/text_emb.safetensors
                           [--model 3b|7b] [--width 1280 --height 720 --frames 5] [--runs 5] [--work FOLDER]

FOLDER of the oracles holds oracle_vae.py and oracle_dit.py.  Needs a GPU, torch and safetensors, and 8 GB (3b) or
17 GB (7b) in the work folder for the models (/dev/shm is fast); models that are there already are used again.
Prints, for each phase, the medians of both and their ratio (above 1: this engine is faster), then the engine's own
report.  Run by hand.

The oracles run unmodified with F16 weights and activations, without autocast; inside, their attention and norms are
F32, with TF32 allowed.  They are plain PyTorch that says what is computed, not a tuned program.  What is timed are the
networks alone."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch
from safetensors import safe_open
from safetensors.torch import load_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "gpu"))
import make_full_size  # noqa: E402

PHASES = ("encode", "dit", "decode")
DTYPE, DEVICE = torch.float16, "cuda"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seedvr2", required=True, help="the command to measure")
    parser.add_argument("--oracles", required=True, help="folder of oracle_vae.py and oracle_dit.py")
    parser.add_argument("--text", required=True, help="prompt embeddings, safetensors with `pos`")
    parser.add_argument("--model", choices=("3b", "7b"), default="3b")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    parser.add_argument("--frames", type=int, default=5, help="4n+1")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--work", default="/dev/shm/seedvr2-bench", help="folder of the models")
    return parser.parse_args()


def weights(path, make):
    """The tensors of `path` on the GPU, made first if they are not there."""
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return make(path)
    return {name: tensor.to(DTYPE) for name, tensor in load_file(path, device=DEVICE).items()}


def timed(runs, work):
    """Median seconds of `work` after a run that is not counted."""
    samples = []
    for _ in range(runs + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        result = work()
        torch.cuda.synchronize()
        samples.append(time.perf_counter() - start)
    if not torch.isfinite(result[0]).all():  # a processor that adds up NaNs draws less power
        print("warning: the oracle's result is not finite", flush=True)
    return statistics.median(samples[1:])


def vae_times(oracle, cfg, path, size, runs):
    """Seconds of encode and decode."""
    frames, height, width = size
    model = oracle.VAE(cfg, weights(path, lambda p: make_full_size.vae_weights(oracle, cfg, p, DEVICE)))
    x = torch.rand(1, 3, frames, height, width, device=DEVICE, dtype=DTYPE) * 2 - 1
    times = {"encode": timed(runs, lambda: model.encode(x, 4))}
    z = torch.randn(1, cfg.latent_channels, (frames - 1) // cfg.temporal_factor + 1,
                    height // cfg.spatial_factor, width // cfg.spatial_factor, device=DEVICE, dtype=DTYPE)
    times["decode"] = timed(runs, lambda: model.decode(z, 4))
    return times


def dit_time(oracle, cfg, kind, path, grid, text, runs):
    model = oracle.Oracle(cfg, weights(path, lambda p: make_full_size.dit_weights(oracle, cfg, p, kind, DEVICE)))
    latent = torch.randn(grid[0] * grid[1] * grid[2], cfg.in_ch, device=DEVICE, dtype=DTYPE)
    torch.set_default_device(DEVICE)  # the oracle makes its tables there
    seconds = timed(runs, lambda: model(latent, grid, text, 1000.0))
    torch.set_default_device(None)
    return seconds


@torch.no_grad()
def oracle_times(args, vae_path, dit_path):
    sys.path.insert(0, args.oracles)
    import oracle_dit
    import oracle_vae

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    height, width = (-(-n // 16) * 16 for n in (args.height, args.width))
    cfg = oracle_vae.VAEConfig()
    times = vae_times(oracle_vae, cfg, vae_path, (args.frames, height, width), args.runs)
    torch.cuda.empty_cache()
    with safe_open(args.text, "pt") as file:
        text = file.get_tensor("pos").to(DEVICE, DTYPE)
    grid = ((args.frames - 1) // 4 + 1, height // cfg.spatial_factor, width // cfg.spatial_factor)
    times["dit"] = dit_time(oracle_dit, getattr(oracle_dit.DiTConfig, f"seedvr2_{args.model}")(), args.model,
                            dit_path, grid, text, args.runs)
    print(f"oracles: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory at most", flush=True)
    torch.cuda.empty_cache()
    return times


def engine(args, vae_path, dit_path, form):
    command = [args.seedvr2, "bench", "--backend", "cuda", "--dtype", "f16", "--runs", str(args.runs),
               "--width", str(args.width), "--height", str(args.height), "--frames", str(args.frames),
               "--model", dit_path, "--vae-model", vae_path, "--text-embedding", args.text] + form
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    args = arguments()
    vae_path = f"{args.work}/vae_full_weights.safetensors"
    dit_path = f"{args.work}/dit_{args.model}_full.weights.safetensors"
    theirs = oracle_times(args, vae_path, dit_path)
    result = json.loads(engine(args, vae_path, dit_path, ["--json"]))
    ours = {phase: result["phases"][phase]["ms"] / 1e3 for phase in PHASES}
    print(f"{torch.cuda.get_device_name()}, {args.model}, {args.width}x{args.height}, {args.frames} frames, f16, "
          f"medians of {args.runs} runs")
    print(f"{'phase':8} {'engine ms':>10} {'oracle ms':>10} {'ratio':>7}")
    for times in ours, theirs:
        times["sum"] = sum(times[phase] for phase in PHASES)
    for phase in PHASES + ("sum",):
        print(f"{phase:8} {ours[phase] * 1e3:10.1f} {theirs[phase] * 1e3:10.1f} {theirs[phase] / ours[phase]:7.2f}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
