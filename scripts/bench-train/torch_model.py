"""The measured networks in PyTorch, and their arithmetic."""

import torch
from torch import nn

CLASSES = 10


def norm(channels):
    # Keras's 0.99 is the share kept; PyTorch's momentum is the share replaced.
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def conv(inputs, outputs, kernel=3, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


class Basic(nn.Module):
    """Two convolutions and the shortcut around them."""

    def __init__(self, inputs, outputs, stride, skip, projects):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, stride=stride), norm(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs), norm(outputs)
        self.skip = skip
        self.projection = None
        if skip and projects:
            self.projection = nn.Sequential(conv(inputs, outputs, 1, stride), norm(outputs))

    def forward(self, x):
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.skip:
            y = y + (x if self.projection is None else self.projection(x))
        return torch.relu_(y)


def units(network):
    """The network from the image to the last feature map, and its last channels."""
    if network["family"] == "plain_cnn":
        layers, channels = [], 3
        for outputs in network["filters"]:
            layers += [conv(channels, outputs, bias=network["conv_bias"]), norm(outputs)]
            layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            channels = outputs
        return layers, channels
    channels = network["stem"]
    layers = [conv(3, channels), norm(channels), nn.ReLU(inplace=True)]
    for outputs, blocks, stride in zip(network["filters"], network["blocks"], network["stage_strides"]):
        for block in range(blocks):
            step = stride if block == 0 else 1
            every = network["projection"] == "every_stage"
            projects = block == 0 and (every or step != 1 or channels != outputs)
            layers.append(Basic(channels, outputs, step, network["skip"], projects))
            channels = outputs
    return layers, channels


def build(network):
    layers, channels = units(network)
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(network["dropout"])]
    return nn.Sequential(*layers, *head, nn.Linear(channels, CLASSES))


def forward_flops(model):
    """Operations of one image's convolutions and dense layer: strides show here, not in parameters."""
    total = []

    def count(module, _, output):
        total.append(2 * module.weight.numel() * output[0].numel() // output.shape[1])

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    model.train()
    for hook in hooks:
        hook.remove()
    return sum(total)
