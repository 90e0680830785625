#!/usr/bin/env python3
"""Loads weights.safetensors, as stage `train` writes it, into the same network in PyTorch.

As a module: `network(model, classes, epsilon)` builds a network from its entry in `params.models`,
`load(network, path)` loads the weights. Needs torch and safetensors, and PyYAML to read pipeline.yaml
instead of JSON. docs/pytorch/README.md shows how to call it.
"""

import argparse
import csv
import json
import re
import struct
import sys
from collections import OrderedDict

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

# How far PyTorch's logits may be from ours, relative to the largest. PyTorch sums in another order.
TOLERANCE = 1e-4
# The only names that differ from PyTorch's. Layouts are the same: [out, in, rows, columns].
RENAMED = {"moving_mean": "running_mean", "moving_var": "running_var"}


def conv(inputs, outputs, kernel=3, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


class ConvNorm(nn.Module):
    """A convolution and its batch norm."""

    def __init__(self, inputs, outputs, epsilon, kernel=3, stride=1, bias=False):
        super().__init__()
        self.conv = conv(inputs, outputs, kernel, stride, bias)
        self.bn = nn.BatchNorm2d(outputs, eps=epsilon)

    def forward(self, x):
        return self.bn(self.conv(x))


class Plain(ConvNorm):
    """conv, batch norm, ReLU, and max pool 2 if `pool`."""

    def __init__(self, inputs, outputs, epsilon, bias=False, pool=False):
        super().__init__(inputs, outputs, epsilon, bias=bias)
        self.pool = pool

    def forward(self, x):
        x = torch.relu(super().forward(x))
        return nn.functional.max_pool2d(x, 2) if self.pool else x


class Basic(nn.Module):
    """Two convolutions and, if `skip`, the shortcut around them: a projection or the identity."""

    def __init__(self, inputs, outputs, epsilon, stride, skip, projects):
        super().__init__()
        self.conv1 = conv(inputs, outputs, stride=stride)
        self.bn1 = nn.BatchNorm2d(outputs, eps=epsilon)
        self.conv2 = conv(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs, eps=epsilon)
        self.skip = skip
        if skip and projects:
            self.projection = ConvNorm(inputs, outputs, epsilon, kernel=1, stride=stride)
        else:
            self.projection = nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + self.projection(x) if self.skip else y)


class Network(nn.Module):
    """Units in order from the image, then global average pool, dropout, dense: logits [n, classes]."""

    def __init__(self, units, channels, dropout, classes):
        super().__init__()
        self.order = list(units)
        for name, unit in units.items():
            self.add_module(name, unit)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(channels, classes)

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        return self.dense(self.dropout(x.mean(dim=(2, 3))))


def plain_cnn(model, epsilon):
    units, channels = OrderedDict(), 3
    for i, outputs in enumerate(model["filters"], 1):
        units[f"block{i}"] = Plain(channels, outputs, epsilon, bias=model["conv_bias"], pool=True)
        channels = outputs
    return units, channels


def resnet(model, epsilon):
    channels = model["stem"]
    units = OrderedDict(stem=Plain(3, channels, epsilon))
    every = model["projection"] == "every_stage"
    stages = zip(model["filters"], model["blocks"], model["stage_strides"])
    for i, (outputs, count, stride) in enumerate(stages, 1):
        blocks = OrderedDict()
        for block in range(1, count + 1):
            step = stride if block == 1 else 1
            projects = block == 1 and (every or step != 1 or channels != outputs)
            blocks[f"block{block}"] = Basic(channels, outputs, epsilon, step, model["skip"], projects)
            channels = outputs
        units[f"stage{i}"] = nn.Sequential(blocks)
    return units, channels


def network(model, classes, epsilon):
    """The network that an entry of `params.models` describes, with PyTorch's initial weights."""
    families = {"plain_cnn": plain_cnn, "resnet": resnet}
    units, channels = families[model["family"]](model, float(epsilon))
    return Network(units, channels, float(model["dropout"]), classes)


def load(into, path):
    """Loads a weights file; every tensor must be present and fit, with none left over."""
    tensors = {}
    for name, tensor in load_file(path).items():
        layer, _, kind = name.rpartition(".")
        tensors[f"{layer}.{RENAMED.get(kind, kind)}"] = tensor
    # PyTorch also counts batches, but uses the count only in a norm without momentum.
    for name, tensor in into.state_dict().items():
        if name.endswith(".num_batches_tracked"):
            tensors[name] = tensor
    into.load_state_dict(tensors, strict=True)
    return into.eval()


def merged(params, change):
    """Params as a profile changes them: maps merge, everything else replaces."""
    if not (isinstance(params, dict) and isinstance(change, dict)):
        return change
    both = dict(params)
    for key, value in change.items():
        both[key] = merged(params[key], value) if key in params else value
    return both


def read_params(path, profile):
    """Params from a pipeline.yaml under a profile, or from a JSON file that holds only params."""
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML reads YAML 1.1, where `1e-3` is text; in YAML 1.2 it is a number."""

    exponent = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", exponent, list("-+0123456789"))
    with open(path, encoding="utf-8") as file:
        pipeline = yaml.load(file, Loader)
    profile = profile or pipeline.get("default_profile")
    profiles = pipeline.get("profiles") or {}
    if profile is not None and profile not in profiles:
        sys.exit(f"`{path}` has no profile `{profile}`; it has {', '.join(profiles)}")
    return merged(pipeline["params"], profiles.get(profile) or {})


def read_test_images(path):
    """The test images as they enter a network, [n, 3, 32, 32] in [-1, 1], and the number of
    classes, from the data set that `preprocess` wrote (format: stages/dataset/src/file.rs)."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    magic, version, length = struct.unpack_from("<8sII", data)
    if (magic, version) != (b"RSTGDATA", 1):
        sys.exit(f"`{path}` is not a data set of version 1")
    header = json.loads(data[16 : 16 + length])
    rows, columns, channels = header["shape"]
    size = rows * columns * channels
    start = 16 + length + (header["train"] + header["validation"]) * (size + 1)
    count = header["test"]
    images = torch.frombuffer(data, dtype=torch.uint8, offset=start, count=count * size)
    images = images.reshape(count, rows, columns, channels).permute(0, 3, 1, 2)
    return (images.to(torch.float32) / 255 - 0.5) / 0.5, len(header["classes"])


@torch.no_grad()
def logits(of, images, batch=100):
    return torch.cat([of(part) for part in images.contiguous().split(batch)])


def same_predictions(table, found):
    """How many rows of test_predictions.csv agree with PyTorch, and how many rows there are."""
    with open(table, newline="", encoding="utf-8") as file:
        ours = torch.tensor([int(row["predicted"]) for row in csv.DictReader(file)])
    if len(ours) != len(found):
        sys.exit(f"`{table}` has {len(ours)} images, but the data set has {len(found)}")
    return int((ours == found.argmax(1)).sum()), len(ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--params", default="pipeline.yaml", help="pipeline.yaml, or JSON with `models` and `train`")
    parser.add_argument("--profile", help="a profile of pipeline.yaml [default: its `default_profile`]")
    parser.add_argument("--print-params", action="store_true", help="print the params as JSON and exit")
    parser.add_argument("--weights", help="weights.safetensors")
    parser.add_argument("--variant", help="the network's name in `models` [default: the one in the weights file]")
    parser.add_argument("--data", help="the data set that `preprocess` wrote")
    parser.add_argument("--logits", help="our logits (cargo run --release -p training --example logits)")
    parser.add_argument("--predictions", help="our test_predictions.csv")
    args = parser.parse_args()
    params = read_params(args.params, args.profile)
    if args.print_params:
        print(json.dumps(params))
        return
    if not (args.weights and args.data):
        parser.error("--weights and --data are needed")

    with safe_open(args.weights, framework="pt") as file:
        variant = args.variant or (file.metadata() or {}).get("variant")
    if variant not in params["models"]:
        sys.exit(f"`models` has no `{variant}`; it has {', '.join(params['models'])}")
    images, classes = read_test_images(args.data)
    model = network(params["models"][variant], classes, params["train"]["batch_norm"]["epsilon"])
    found = logits(load(model, args.weights), images)
    scale = found.abs().max().item()
    print(f"{variant}: {len(found)} test images, logits up to {scale:.4g}")

    wrong = not bool(torch.isfinite(found).all())
    if args.logits:
        ours = load_file(args.logits)["logits"]
        if ours.shape != found.shape:
            sys.exit(f"`{args.logits}` has logits {list(ours.shape)}, but PyTorch's are {list(found.shape)}")
        apart = (ours - found).abs().max().item()
        same = int((ours.argmax(1) == found.argmax(1)).sum())
        print(f"  logits differ by at most {apart:.3g}, {apart / scale:.2g} of the largest")
        print(f"  {same} of {len(found)} images have the same largest logit")
        wrong |= not apart <= TOLERANCE * scale or same != len(found)
    if args.predictions:
        same, count = same_predictions(args.predictions, found)
        print(f"  {same} of {count} predictions match `{args.predictions}`")
        wrong |= same != count
    if wrong:
        sys.exit("PyTorch's network computes different results")


if __name__ == "__main__":
    main()
