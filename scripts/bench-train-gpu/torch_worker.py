"""Trains one network with PyTorch on a GPU: `torch_worker.py SETTING_JSON`.

The setting: `network`, `batch`, `precision` (`f32`, `tf32`, `bf16`),
`mode` (`eager`, `compile`), `layout` (`nchw`, `nhwc`), `images` (at least, per epoch), `device`.

| command | does | answer |
|---|---|---|
| (none) | builds the network on the CPU, touches no GPU | `trainable`, `moving`, `forward_flops`, `version` |
| `prepare N` | moves it to the GPU, compiles, chooses Adam's variant, trains N epochs | `seconds`, `adam`, `gpu`, `epoch_steps` |
| `run N` | N training steps: whole epochs | `seconds`, `loss` |
"""

import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench-train"))

import torch
from torch.nn import functional

from torch_model import CLASSES, build, forward_flops

# Steps for comparing Adam's variants.
TRIED = 20 if torch.cuda.is_available() else 2


class Subject:
    """A network, its resident images and its optimizer."""

    def __init__(self, setting):
        self.setting, self.batch, self.device = setting, setting["batch"], setting["device"]
        torch.manual_seed(1)
        self.model = build(setting["network"])
        self.images = -(-setting["images"] // self.batch) * self.batch
        self.steps = self.images // self.batch
        # Of the last step, so that its work can't be skipped.
        self.loss = None

    def facts(self):
        return {
            "version": torch.__version__,
            "trainable": sum(p.numel() for p in self.model.parameters()),
            "moving": sum(b.numel() for b in self.model.buffers() if b.is_floating_point()),
            "forward_flops": forward_flops(self.model),
        }

    def prepare(self, epochs):
        """Everything that happens once; says which kind of Adam was the fastest."""
        tf32 = self.setting["precision"] == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        self.layout = torch.channels_last if self.setting["layout"] == "nhwc" else torch.contiguous_format
        self.model = self.model.to(self.device).to(memory_format=self.layout)
        self.pixels = torch.randint(0, 256, (self.images, 3, 32, 32), dtype=torch.uint8, device=self.device)
        self.pixels = self.pixels.contiguous(memory_format=self.layout)
        self.labels = torch.arange(self.images, device=self.device) % CLASSES
        self.loss_of = self.plain_loss
        if self.setting["mode"] == "compile":
            self.loss_of = torch.compile(self.plain_loss, mode="max-autotune")
        kinds = {"fused": self.adam(fused=True), "foreach": self.adam(foreach=True)}
        self.optimizer = kinds["fused"]
        # Compiles, lets cuDNN choose its algorithms and gives Adam its memory.
        self.train(5)
        times = {}
        for kind, self.optimizer in kinds.items():
            self.train(5)
            times[kind] = self.timed(TRIED)
        best = min(times, key=times.get)
        self.optimizer = kinds[best]
        self.train(epochs * self.steps)
        self.synchronize()
        return best

    def adam(self, **kind):
        return torch.optim.Adam(self.model.parameters(), lr=1e-3, eps=1e-7, **kind)

    def plain_loss(self, chosen, flip, delta):
        """From an epoch's bytes to the loss of a batch."""
        x = self.pixels[chosen].to(torch.float32) / 255
        x = torch.where(flip[:, None, None, None], x.flip(3), x)
        x = 2 * (x + delta[:, None, None, None]).clamp(0, 1) - 1
        x = x.contiguous(memory_format=self.layout)
        if self.setting["precision"] == "bf16":
            with torch.autocast(self.device, dtype=torch.bfloat16):
                logits = self.model(x)
            return functional.cross_entropy(logits.float(), self.labels[chosen])
        return functional.cross_entropy(self.model(x), self.labels[chosen])

    def epoch(self):
        """Batches in a random order, half of the images flipped, all brighter or darker by at most a tenth."""
        order = torch.randperm(self.images, device=self.device)
        flip = torch.rand(self.images, device=self.device) < 0.5
        delta = 0.2 * torch.rand(self.images, device=self.device) - 0.1
        return zip(order.split(self.batch), flip.split(self.batch), delta.split(self.batch))

    def train(self, steps):
        while steps > 0:
            for chosen, flip, delta in self.epoch():
                self.optimizer.zero_grad(set_to_none=True)
                loss = self.loss_of(chosen, flip, delta)
                loss.backward()
                self.optimizer.step()
                steps -= 1
                if steps == 0:
                    # A compiled step's loss is in memory that the next step reuses.
                    self.loss = loss.detach().clone()
                    break

    def timed(self, steps):
        self.synchronize()
        start = time.perf_counter()
        self.train(steps)
        self.synchronize()
        return time.perf_counter() - start

    def synchronize(self):
        if self.device != "cpu":
            torch.cuda.synchronize()


def gpu(device):
    return "CPU" if device == "cpu" else torch.cuda.get_device_name(0)


def main():
    subject = Subject(json.loads(sys.argv[1]))
    # Frameworks may print anything; only our own lines may reach the driver.
    out, sys.stdout = sys.stdout, sys.stderr

    def say(answer):
        print(json.dumps(answer), file=out, flush=True)

    say(subject.facts())
    for line in sys.stdin:
        command, n = line.split()
        if command == "prepare":
            start = time.perf_counter()
            adam = subject.prepare(int(n))
            seconds = time.perf_counter() - start
            say({"seconds": seconds, "adam": adam, "gpu": gpu(subject.device), "epoch_steps": subject.steps})
        elif command == "run":
            seconds = subject.timed(int(n))
            say({"seconds": seconds, "loss": subject.loss.item()})
        else:
            sys.exit(f"unknown command `{command}`")


main()
