#!/usr/bin/env python3
"""Writes full-size random models and golden files made from them by the PyTorch oracles on the GPU.

    make_full_size.py --oracles FOLDER --out FOLDER [--model 3b|7b] [--size WxH] [--weights-only]

FOLDER of the oracles holds oracle_vae.py and oracle_dit.py.  The files have the formats that `seedvr2 verify`
reads: vae_full_weights and vae_full_{enc5,dec2}, dit_<model>_full.weights and .c1; weights are F16 and seeded, the
oracles run in F32 without TF32.  Needs a GPU, torch and safetensors; prints the most GPU memory that each part took.
At 1280x720 the decoder of five frames is the largest part: its tensors of 256 channels take 4.4 GiB each in F32."""
import argparse
import copy
import math
import os
import sys

import torch
from safetensors.torch import save_file

TEXT_ROWS = 58


def parse():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--oracles", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--model", choices=("3b", "7b"), default="3b")
    p.add_argument("--size", default="256x256", help="of the frames, multiples of 16")
    p.add_argument("--weights-only", action="store_true")
    return p.parse_args()


class Random:
    """Seeded normal values on the device, rounded to F16."""

    def __init__(self, seed, device="cuda"):
        self.device = device
        self.generator = torch.Generator(device).manual_seed(seed)

    def normal(self, shape, scale=1.0, base=0.0):
        x = torch.randn(list(shape), generator=self.generator, device=self.device)
        return (x * scale + base).half()


def vae_value(name, shape, random):
    if "norm" in name:
        return random.normal(shape, 0.1, 1.0 if name.endswith("weight") else 0.0)
    if name.endswith("bias"):
        return random.normal(shape, 0.05)
    return random.normal(shape, 1.0 / math.sqrt(math.prod(shape[1:])))


def dit_value(name, shape, random):
    for suffix, scale, base in (("_shift", 0.3, 0.0), ("_scale", 0.3, 1.0), ("_gate", 0.4, 0.5),
                                ("bias", 0.1, 0.0)):
        if name.endswith(suffix):
            return random.normal(shape, scale, base)
    if "norm" in name:
        return random.normal(shape, 0.2, 1.0)
    if "emb_in.proj_out" in name:
        return random.normal(shape, 0.4 / math.sqrt(shape[-1]))
    return random.normal(shape, 1.2 / math.sqrt(shape[-1]))


def make(shapes, value, seed, device="cuda"):
    random = Random(seed, device)
    return {k: value(k, s, random) for k, s in sorted(shapes.items()) if not k.endswith("freqs")}


def save(tensors, path, metadata):
    save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, path, metadata)
    print(path, f"{os.path.getsize(path) / 1e6:.0f} MB", flush=True)


def vae_weights(oracle, cfg, path, device="cuda"):
    """Writes a VAE; its tensors in F16."""
    weights = make(oracle.param_shapes(cfg), vae_value, 7, device)
    save(weights, path, {})
    return weights


def dit_weights(oracle, cfg, path, kind, device="cuda"):
    """Writes a transformer; its tensors in F16."""
    weights = make(oracle.parameter_shapes(cfg), dit_value, 9, device)
    save(weights, path, {"variant": kind})
    return weights


def report_peak(part):
    print(f"{part}: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB of GPU memory at most", flush=True)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


@torch.no_grad()
def vae_files(oracle, out, width, height, weights_only):
    cfg = oracle.VAEConfig()
    weights = vae_weights(oracle, cfg, f"{out}/vae_full_weights.safetensors")
    if weights_only:
        return
    model = oracle.VAE(cfg, {k: v.float() for k, v in weights.items()})
    random = Random(8)
    x = random.normal((1, 3, 5, height, width), 0.5).clamp(-1, 1)
    mean, logvar = model.encode(x.float(), None)
    z = random.normal((1, 16, 2, height // 8, width // 8))
    common = {"split": "None", "config": "{}"}
    save({"x": x.float(), "mean": mean, "logvar": logvar}, f"{out}/vae_full_enc5.safetensors",
         {**common, "kind": "enc", "name": "enc5"})
    del x, mean, logvar
    report_peak("encode")
    save({"z": z.float(), "y": model.decode(z.float(), None)}, f"{out}/vae_full_dec2.safetensors",
         {**common, "kind": "dec", "name": "dec2"})
    report_peak("decode")


def time_embedding(model):
    """On the CPU, whose exp() the goldens have; that of a GPU moves the embedding by 7e-6."""
    torch.set_default_device("cpu")
    on_cpu = copy.copy(model)
    on_cpu.p = {k: v.cpu() for k, v in model.p.items() if k.startswith("emb_in.")}
    return on_cpu.time_embedding(1000.0)


@torch.no_grad()
def dit_files(oracle, out, kind, width, height, weights_only):
    cfg = getattr(oracle.DiTConfig, f"seedvr2_{kind}")()
    weights = dit_weights(oracle, cfg, f"{out}/dit_{kind}_full.weights.safetensors", kind)
    if weights_only:
        return
    torch.set_default_device("cuda")
    model = oracle.Oracle(cfg, {k: v.float() for k, v in weights.items()})
    random = Random(10)
    size = (2, height // 8, width // 8)
    latent = random.normal((math.prod(size), 33)).float()
    latent[:, 32] = 1.0
    text = random.normal((TEXT_ROWS, cfg.txt_in)).float()
    result = model(latent, size, text, 1000.0)
    save({"in.latent33": latent, "in.text": text, "in.timestep": torch.tensor([1000.0]),
          "in.size_tHW": torch.tensor(size, dtype=torch.int32),
          "in.windows": torch.tensor(cfg.windows, dtype=torch.int32), "out": result,
          "emb": time_embedding(model)},
         f"{out}/dit_{kind}_full.c1.safetensors", {"variant": kind, "windows": str(cfg.windows)})
    report_peak("transformer")


def main():
    args = parse()
    sys.path.insert(0, args.oracles)
    import oracle_dit
    import oracle_vae
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    width, height = (int(v) for v in args.size.split("x"))
    os.makedirs(args.out, exist_ok=True)
    vae_files(oracle_vae, args.out, width, height, args.weights_only)
    dit_files(oracle_dit, args.out, args.model, width, height, args.weights_only)


if __name__ == "__main__":
    main()
