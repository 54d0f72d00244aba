"""A stand-in for a network, whose answers can be computed by hand, and which notes how it was called."""

import torch
from torch import nn

from course_utils.batches import Batch
from course_utils.check.expect import Fix


class Probe(nn.Module):
    """An image's own numbers, raised to `power`, are its logits.

    `calls` notes (number of images, gradients recorded, training mode) of every pass, `images` what went through;
    `switched` whether the mode was set. A copy begins with nothing noted.
    """

    def __init__(self, power: int = 1):
        super().__init__()
        self.power, self.scale = power, nn.Parameter(torch.ones(1))
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.calls: list[tuple[int, bool, bool]] = []
        self.images: list[torch.Tensor] = []
        self.logits: list[torch.Tensor] = []
        self.switched = False

    def __deepcopy__(self, memo) -> "Probe":
        made = Probe(self.power)
        made.scale.data.copy_(self.scale.data)
        made.scale.requires_grad_(self.scale.requires_grad)
        made.training = self.training
        return made

    def train(self, mode: bool = True) -> "Probe":
        self.switched = True
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append((len(x), torch.is_grad_enabled(), self.training))
        self.images.append(x.detach().flatten(1))
        self.logits.append(self.scale * self.frozen * x.flatten(1) ** self.power)
        return self.logits[-1]

    def gradient_to(self, loss: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """The gradient of the loss to the logits of each of these images, (B, num_classes), in whichever pass they went through."""
        total = torch.zeros_like(images.flatten(1))
        passes = [(x, z) for x, z in zip(self.images, self.logits) if z.requires_grad]
        if not passes:
            return total
        place = {key: n for n, key in enumerate(_keys(images))}
        found = torch.autograd.grad(loss, [z for _, z in passes], allow_unused=True, retain_graph=True)
        for (rows, _), gradient in zip(passes, found):
            if gradient is not None and rows.shape[1] == total.shape[1]:
                here = [(place[key], row) for row, key in enumerate(_keys(rows)) if key in place]
                to, of = torch.tensor(here, dtype=torch.int64).view(-1, 2).T
                total = total.index_add(0, to, gradient[of])
        return total

    def expect_mode(self) -> None:
        """Raise Fix if the mode was switched."""
        if self.switched:
            raise Fix("it switches the mode: call neither eval() nor train(), the training loop takes care of the mode")

    def expect_joint_pass(self, batch: Batch) -> None:
        """Raise Fix unless labelled and strong images went through together, with gradients."""
        self.expect_mode()
        if self._together(batch.x_l, batch.x_s):
            return
        if self._together(batch.x_l, batch.x_w):
            raise Fix("the labelled images go through the model with the weak views: with the strong ones, x_s")
        raise Fix("labelled and strong images go through the model separately: one joint pass, so that BatchNorm sees them together")

    def expect_weak_and_joint_pass(self, batch: Batch, no_grad: bool = False) -> None:
        """Raise Fix unless the weak images went through by themselves, the labelled and the strong ones together with gradients.

        `no_grad`: a pass of the weak images alone has to record none.

        The paper's way is allowed, too: all three together, with gradients (Sohn et al. 2020, section 2.4).
        """
        labelled, weak, strong = (set(_keys(x)) for x in (batch.x_l, batch.x_w, batch.x_s) if x is not None)
        passes = [(_keys(rows), gradient) for (_, gradient, _), rows in zip(self.calls, self.images)]
        if not strong <= {key for keys, gradient in passes if gradient for key in keys}:
            raise Fix(
                "not all strong images go through the model with gradients: kept or not, they go with the labelled ones in one pass, "
                "also when nothing is kept or lambda_u is 0; the mask belongs to the losses"
            )
        self.expect_joint_pass(batch)
        if no_grad and any(gradient and set(keys) <= weak for keys, gradient in passes):
            raise Fix("the weak views go through the model with gradients: that pass stands under torch.no_grad()")
        l, u = len(batch.x_l), len(strong)
        if sorted(len(keys) for keys, _ in passes) in ([u, l + u], [l + 2 * u]):
            return
        asked = [keys for keys, _ in passes if weak & set(keys)]
        if not asked:
            raise Fix("the model is not asked about the weak views: the pseudo-label is its own, model(batch.x_w), no copy's")
        if sum(bool((labelled | strong) & set(keys)) for keys, gradient in passes if gradient) > 1:
            raise Fix("images go through the model once more: one pass with gradients, over labelled and strong images")
        if any(not set(keys) <= weak for keys in asked):
            raise Fix("other images go along with the weak views: BatchNorm sees x_w alone in the pass of the pseudo-labels")
        if any(len(keys) < u for keys in asked):
            raise Fix("the weak views go through the model in pieces: one pass, so that BatchNorm sees them together")
        raise Fix("the weak views go through the model twice: one pass is enough, and BatchNorm takes note of each")

    def _together(self, *parts: torch.Tensor | None) -> bool:
        wanted = {key for part in parts if part is not None for key in _keys(part)}
        return any(gradient and wanted <= set(_keys(rows)) for (_, gradient, _), rows in zip(self.calls, self.images))


def _keys(images: torch.Tensor) -> list[bytes]:
    """What tells images apart."""
    return [row.tobytes() for row in images.detach().flatten(1).numpy()]
