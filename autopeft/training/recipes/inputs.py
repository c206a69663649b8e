"""Noise on what goes into the model: on the tokens' embeddings, and tokens that are hidden or swapped."""

from typing import Any

import torch
from torch import Tensor

from autopeft.methods.topology import Topology
from autopeft.tasks import Batch, Encoded, Family
from autopeft.training.recipes.recipe import Recipe


class _OverTokens(Recipe):
    changes_inputs = True

    @classmethod
    def objection(cls, family: Family, topology: Topology) -> str:
        """Say that there are no tokens, or that an example has several texts."""
        if not family.one_sequence_a_row:
            return "an example is several sequences"
        return "" if topology.embedding else f"{topology.model_class} embeds no tokens"


class EmbeddingNoise(_OverTokens):
    """Adds alpha / sqrt(L d) eps to the embeddings of a text of L tokens and width d, eps uniform in [-1, 1], alpha = `value`.

    NEFTune: Jain et al., 2023, arXiv 2310.05914, algorithm 1.
    """

    def embedded(self, embeddings: Tensor, batch: Batch, n_pass: int) -> Tensor:
        """Return the embeddings with noise."""
        noise = torch.empty_like(embeddings).uniform_(-1, 1)
        return embeddings + noise * self.value / _sizes(embeddings, batch).sqrt()


class AdversarialNoise(_OverTokens):
    """Trains on embeddings X + delta of which delta was moved up the loss's gradient, within ||delta||_F <= eps = `value` for each text.

    FreeLB (Zhu et al., 2019, arXiv 1909.11764, algorithm 1) with K = 2 steps of alpha = eps: delta_0 = U(-eps, eps) / sqrt(L d), then
    delta_t = Pi(delta_{t-1} + alpha g / ||g||_F), g being the gradient at X + delta_{t-1}; the parameters' gradients are the mean of the
    passes'. A step costs twice as much.
    """

    n_passes = 2
    _delta: Tensor | None = None

    def embedded(self, embeddings: Tensor, batch: Batch, n_pass: int) -> Tensor:
        """Return the embeddings with the noise of this pass."""
        if n_pass == 0 or self._delta is None:
            drawn = torch.empty_like(embeddings, dtype=torch.float32).uniform_(-self.value, self.value)
            delta = drawn / _sizes(embeddings, batch).sqrt() * _mask(embeddings, batch)
        else:
            gradient = torch.zeros_like(self._delta) if self._delta.grad is None else self._delta.grad
            step = gradient / _norms(gradient).clamp(min=1e-30)
            delta = self._delta.detach() + self.value * torch.nan_to_num(step)
            delta = delta * (self.value / _norms(delta).clamp(min=1e-30)).clamp(max=1.0)
        self._delta = delta.detach().requires_grad_()
        return embeddings + self._delta.to(embeddings.dtype)


class MaskedThought(Recipe):
    """Hides each token of an answer, with the probability `value`, from the model that is to continue it; it is still to be predicted.

    Chen et al., 2024, arXiv 2403.02178. What stands for it is the tokenizer's mask token, else the unknown or the padding one; the paper
    adds a token of its own.
    """

    changes_inputs = True

    @classmethod
    def objection(cls, family: Family, topology: Topology) -> str:
        """Say that nothing is continued."""
        return "" if family.continues_answers else f"{family.name} doesn't have a model continue answers"

    def changed(self, batch: Batch, split: Encoded) -> Batch:
        """Hide tokens of answers."""
        return _hidden(batch, split, split.family.answer_positions(batch), self.value)


class WordDropout(_OverTokens):
    """Hides each token of a text, with the probability `value`, in every pass anew, but for special tokens and answers.

    Iyyer et al., 2015 (ACL P15-1162); like the random deletion of Wei and Zou, 2019, arXiv 1901.11196, but lengths stay. What stands for a
    token is the tokenizer's mask token, else the unknown or the padding one.
    """

    def changed(self, batch: Batch, split: Encoded) -> Batch:
        """Hide tokens of texts."""
        return _hidden(batch, split, _words(batch, split), self.value)


class WordSwap(_OverTokens):
    """Swaps two tokens of a text n = alpha L times, alpha = `value`, L its tokens; special tokens and answers stay where they are.

    The random swap of EDA: Wei and Zou, 2019, arXiv 1901.11196, who swap whole words. Each text of a pair keeps its own tokens.
    n is rounded at random, so that it is right on average.
    """

    def changed(self, batch: Batch, split: Encoded) -> Batch:
        """Swap tokens of texts."""
        ids, may_go = batch.inputs["input_ids"].clone(), _words(batch, split)
        texts = (~may_go).cumsum(dim=1)  # what lies between two of the others is one text, or a part of one
        for row, of_row in enumerate(may_go):
            places = of_row.nonzero().flatten()
            n = int(self.value * len(places) + float(torch.rand(())))
            for first in places[torch.randint(len(places), (n,))] if len(places) else ():
                candidates = places[texts[row, places] == texts[row, first]]
                second = candidates[torch.randint(len(candidates), ())]
                ids[row, first], ids[row, second] = ids[row, second].clone(), ids[row, first].clone()
        return batch._replace(inputs={**batch.inputs, "input_ids": ids})


def _words(batch: Batch, split: Encoded) -> Tensor:
    """Return which of the rows x positions tokens are neither special ones nor those of an answer."""
    ids = batch.inputs["input_ids"]
    special = torch.tensor(sorted(split.processor.all_special_ids), device=ids.device)
    found = ~torch.isin(ids, special)
    if split.family.continues_answers:
        found &= ~split.family.answer_positions(batch)
    return found


def _hidden(batch: Batch, split: Encoded, may_go: Tensor, p: float) -> Batch:
    """Return a batch without some of the tokens that may go."""
    ids = batch.inputs["input_ids"]
    gone = may_go & (torch.rand(ids.shape, device=ids.device) < p)
    return batch._replace(inputs={**batch.inputs, "input_ids": ids.masked_fill(gone, _stand_in(split.processor))})


def _stand_in(tokenizer: Any) -> int:
    """Return the id of the token that stands for a hidden one."""
    candidates = (tokenizer.mask_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
    return int(next(one for one in candidates if one is not None))


def _mask(embeddings: Tensor, batch: Batch) -> Tensor:
    """Return which rows x positions x 1 are tokens, and not padding."""
    mask = batch.inputs.get("attention_mask")
    if mask is None or mask.shape[:2] != embeddings.shape[:2]:
        return torch.ones_like(embeddings[..., :1])
    return mask.to(embeddings.dtype)[..., None]


def _sizes(embeddings: Tensor, batch: Batch) -> Tensor:
    """Return L d of each text, rows x 1 x 1."""
    return _mask(embeddings, batch).sum(dim=1, keepdim=True).clamp(min=1.0) * embeddings.shape[-1]


def _norms(delta: Tensor) -> Tensor:
    """Return the Frobenius norm of each row, rows x 1 x 1."""
    norms: Tensor = delta.flatten(1).norm(dim=1)
    return norms[:, None, None]
