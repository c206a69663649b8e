"""Losses over classes that ask for more than the right answer.

z: n x k logits of the n terms of a loss, log p = log_softmax(z).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from autopeft.methods.topology import Topology
from autopeft.tasks import Batch, Family
from autopeft.training.recipes.recipe import Recipe


class _OverClasses(Recipe):
    @classmethod
    def objection(cls, family: Family, topology: Topology) -> str:
        """Say that the loss is none over classes."""
        return "" if family.has_class_logits else f"the loss of {family.name} is no choice among classes"


class LabelSmoothing(_OverClasses):
    """Spreads eps = `value` of each target over all classes: (1 - eps) (-log p_y) - eps/k sum_j log p_j.

    Szegedy et al., 2015, arXiv 1512.00567. Classes that an example doesn't have, such as a shorter list's choices, get nothing.
    """

    def loss(self, loss: Tensor, outputs: Any, batch: Batch, family: Family) -> Tensor:
        """Return the smoothed loss."""
        logits = family.class_logits(outputs, batch)
        is_there = logits > torch.finfo(logits.dtype).min / 2
        each = functional.log_softmax(logits, dim=1).masked_fill(~is_there, 0.0)
        uniform = -(each.sum(dim=1) / is_there.sum(dim=1)).sum()
        return (1 - self.value) * loss + self.value * uniform


class RDrop(_OverClasses):
    """Has two passes of an example with other dropout, p and q, agree: half of CE(p) + CE(q) + alpha/2 (KL(p|q) + KL(q|p)).

    alpha = `value`; that is half of the loss of Liang et al., 2021, arXiv 2106.14448, so that it stays in its unit. Both passes are one, of
    a batch that holds each row twice.
    """

    n_copies = 2

    def loss(self, loss: Tensor, outputs: Any, batch: Batch, family: Family) -> Tensor:
        """Return the loss of a batch whose second half repeats the first."""
        p, q = functional.log_softmax(family.class_logits(outputs, batch), dim=1).chunk(2)
        both = (p.exp() * (p - q)).sum() + (q.exp() * (q - p)).sum()
        return loss / 2 + self.value / 4 * both
