"""The networks that the lessons share."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.device import DEVICE
from course_utils.settings import NETWORK


class SimpleCNN(nn.Module):
    """Two convolutions and a linear layer for 28×28 images: small enough to train in a minute on one CPU core.

    The network of the original notebook: 16 and 32 filters, 16,167 parameters for 3 channels and
    7 classes. `forward` maps (B, C, 28, 28) to logits (B, num_classes); `features` to the (B, 1568) vector before the
    last layer.
    """

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.channels = channels
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
        _require_images(x, self.channels, "SimpleCNN")
        return self.convolutions(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class ResNet(nn.Module):
    """A small residual network for 28×28 images, not pre-trained: the benchmark's stronger tier.

    The basic blocks of He et al. 2016 (section 3.3, shortcuts of kind B) at 14, 7 and 4 pixels with 32, 64 and 128 filters, then
    the mean over the pixels: 308,263 parameters for 3 channels and 7 classes, 8.2 times the multiply-adds of SimpleCNN, about four times the time.
    `forward` maps (B, C, 28, 28) to logits (B, num_classes); `features` to the (B, 128) vector before the last layer.
    """

    def __init__(self, channels: int, num_classes: int, widths: tuple[int, int, int] = (32, 64, 128)):
        super().__init__()
        first, second, third = widths
        self.channels = channels
        self.stages = nn.Sequential(
            nn.Conv2d(channels, first, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            _ResidualBlock(first, first, stride=1),
            _ResidualBlock(first, second, stride=2),
            _ResidualBlock(second, third, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(third, num_classes)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        _require_images(x, self.channels, "ResNet")
        return self.stages(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


class _ResidualBlock(nn.Module):
    """Two convolutions, and a shortcut around them that is a 1×1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if channels_in != channels_out or stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.convolutions(x) + self.shortcut(x))


def _require_images(x: torch.Tensor, channels: int, network: str) -> None:
    if x.ndim != 4 or x.shape[1:] != (channels, 28, 28):
        expected = f"(B, {channels}, 28, 28)"
        raise ValueError(f"{network} takes images {expected} as floats, but got {tuple(x.shape)}")


class Generator(nn.Module):
    """Draws 28×28 images from noise: a linear layer and two transposed convolutions, after DCGAN (Radford et al. 2015).

    `forward` maps noise (B, noise_size) to images (B, channels, 28, 28) in [-1, 1], the range of the course's views.
    """

    def __init__(self, channels: int, noise_size: int = 64):
        super().__init__()
        self.noise_size = noise_size
        self.layers = nn.Sequential(
            nn.Linear(noise_size, 32 * 7 * 7, bias=False),  # BatchNorm, which follows, has a bias of its own
            nn.Unflatten(1, (32, 7, 7)),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1, bias=False),  # 7 -> 14
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.ConvTranspose2d(16, channels, kernel_size=4, stride=2, padding=1),  # 14 -> 28
            nn.Tanh(),
        )

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if z.ndim != 2 or z.shape[1] != self.noise_size:
            raise ValueError(f"the generator takes noise (B, {self.noise_size}), but got {tuple(z.shape)}")
        return self.layers(z)


class UNet(nn.Module):
    """A small U-Net (Ronneberger et al. 2015) for 28×28 images: down to 14 and 7 pixels, and up again.

    On the way up each level gets, beside the coarser one, its own features from the way down: the *skips*, by which
    the outline stays sharp. `forward` maps (B, channels, 28, 28) to one logit for each pixel, (B, 1, 28, 28).
    """

    def __init__(self, channels: int, width: int = 8):
        super().__init__()
        self.down_28 = _two_convolutions(channels, width)
        self.down_14 = _two_convolutions(width, 2 * width)
        self.bottom_7 = _two_convolutions(2 * width, 4 * width)
        self.up_14 = _two_convolutions((4 + 2) * width, 2 * width)
        self.up_28 = _two_convolutions((2 + 1) * width, width)
        self.head = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.down_28(x)
        middle = self.down_14(F.max_pool2d(fine, 2))
        coarse = self.bottom_7(F.max_pool2d(middle, 2))
        middle = self.up_14(torch.cat([F.interpolate(coarse, scale_factor=2), middle], 1))
        return self.head(self.up_28(torch.cat([F.interpolate(middle, scale_factor=2), fine], 1)))


def _two_convolutions(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
        nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


def num_parameters(model: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


NETWORKS: dict[str, type[SimpleCNN] | type[ResNet]] = {network.__name__: network for network in (SimpleCNN, ResNet)}


def new_model(dataset, seed: int = 0) -> nn.Module:
    """A network for this dataset on the course's device (SimpleCNN unless COURSE_NETWORK names another).

    The same seed gives the same initial weights. torch's global random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = NETWORKS[NETWORK](dataset.channels, dataset.num_classes)
    return network.to(device=DEVICE).to(memory_format=torch.channels_last)
