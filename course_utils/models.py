"""The networks that the lessons share."""

import torch
from torch import nn

from course_utils import DEVICE


class SimpleCNN(nn.Module):
    """Two convolutions and a linear layer for 28×28 images: small enough to train in a minute on one CPU core.

    The network of the notebook that this course grew from: 16 and 32 filters, 16,167 parameters for 3 channels and
    7 classes. `forward` maps (B, C, 28, 28) to logits (B, num_classes); `features` to the (B, 1568) vector before the
    last layer.
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, kernel_size=3, padding=1),
            nn.BatchNorm2d(16),
            nn.MaxPool2d(2),  # before the ReLU, which gives the same numbers with a quarter of its work
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Linear(32 * 7 * 7, num_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        if x.ndim != 4 or x.shape[1:] != (self.convolutions[0].in_channels, 28, 28):
            expected = f"(B, {self.convolutions[0].in_channels}, 28, 28)"
            raise ValueError(f"SimpleCNN takes images {expected} as floats, but got {tuple(x.shape)}")
        return self.convolutions(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


def num_parameters(model: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def new_model(dataset, seed: int = 0) -> SimpleCNN:
    """A SimpleCNN for this dataset on the course's device; the same seed gives the same initial weights.

    torch's global random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SimpleCNN(dataset.channels, dataset.num_classes).to(DEVICE, memory_format=torch.channels_last)
