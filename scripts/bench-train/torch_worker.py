"""Trains one network with PyTorch on the CPU: `torch_worker.py NETWORK_JSON THREADS MODE LAYOUT`.

MODE is `eager` or `compile`, LAYOUT `nchw` or `nhwc`.
"""

import json
import sys

import torch
from torch.nn import functional

from serve import serve
from torch_model import CLASSES, build, forward_flops

BATCH = 64


def main():
    network, threads, mode, layout = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = build(network)
    facts = {
        "version": torch.__version__,
        "trainable": sum(p.numel() for p in model.parameters()),
        "moving": sum(b.numel() for b in model.buffers() if b.is_floating_point()),
        "forward_flops": forward_flops(model),
    }
    memory = torch.channels_last if layout == "nhwc" else torch.contiguous_format
    model = model.to(memory_format=memory)
    images = torch.rand(BATCH, 3, 32, 32).contiguous(memory_format=memory)
    labels = torch.arange(BATCH) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def loss_of(x, y):
        return functional.cross_entropy(model(x), y)

    loss = torch.compile(loss_of) if mode == "compile" else loss_of

    def run(steps):
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss(images, labels).backward()
            optimizer.step()

    serve(facts, run)


main()
