"""Examples that are mixed with others of their batch."""

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Beta

from autopeft.methods.topology import Topology
from autopeft.tasks import Batch, Encoded, Family
from autopeft.training.recipes.recipe import Recipe


class Mixup(Recipe):
    """Trains on l x_i + (1 - l) x_j with the loss l L(y_i) + (1 - l) L(y_j), l drawn from Beta(alpha, alpha), alpha = `value`.

    Zhang et al., 2017, arXiv 1710.09412; x are a text's word embeddings, position by position, as in Guo et al., 2019, arXiv 1905.08941, or
    the numbers of an image or a sound. Each row of a batch has another one, or itself, as its j; l is one for the batch. A text goes on
    as far as the longer of its two.
    """

    changes_inputs = True
    _share = 1.0
    _partners: Tensor | None = None

    @classmethod
    def objection(cls, family: Family, topology: Topology) -> str:
        """Say that a row's loss is not that of one target."""
        return "" if family.one_target_a_row else f"an example of {family.name} has no single target"

    def changed(self, batch: Batch, split: Encoded) -> Batch:
        """Draw the pairs; mix inputs that are numbers, and have texts be as long as the longer of both."""
        n_rows = len(batch.targets) // self.n_copies_in_batch
        once = torch.randperm(n_rows)
        # Copies of a row are mixed alike: they are to be compared.
        self._partners = torch.cat([once + copy * n_rows for copy in range(self.n_copies_in_batch)]).to(batch.targets.device)
        self._share = float(Beta(self.value, self.value).sample())
        changed = dict(batch.inputs)
        for name, tensor in batch.inputs.items():
            if tensor.is_floating_point():
                changed[name] = self._mixed(tensor)
            elif name == "attention_mask":
                changed[name] = torch.maximum(tensor, tensor[self._partners])
        return batch._replace(inputs=changed)

    def embedded(self, embeddings: Tensor, batch: Batch, n_pass: int) -> Tensor:
        """Return the mixed embeddings."""
        return self._mixed(embeddings)

    def loss(self, loss: Tensor, outputs: Any, batch: Batch, family: Family) -> Tensor:
        """Return the mix of the losses of both targets."""
        other = family.loss(outputs, batch._replace(targets=batch.targets[self._partners]))
        return self._share * loss + (1 - self._share) * other

    def _mixed(self, tensor: Tensor) -> Tensor:
        return self._share * tensor + (1 - self._share) * tensor[self._partners]
