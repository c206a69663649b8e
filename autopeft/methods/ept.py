"""Prompt fusion and multi-space projection over a decomposed prompt (after EPT: Lan et al., 2024, arXiv 2405.11464).

As in DePT (`autopeft.methods.dept`) a prompt is short, m x d, and tokens are updated by U = AB by their position. From the prompt's
vectors P and this update the model gets

    F  = P + softmax(P U' / sqrt(d)) U                      what the vectors find in the update
    P' = F + sum over k of softmax(F C)_k relu(F D_k) E_k   K spaces, weighed for each vector

and reads [P'; E + U]. D_k is d x w, E_k w x d, C d x K; B and E_k are zero at first, so that P' is P. The paper describes these parts; how
wide each is, where its residuals are and what it starts from is ours.

Symbols: m prompt length, d width of the embeddings, K number of spaces, w their width, which is the rank of the update.
"""

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.dept import DecomposedPrompt
from autopeft.methods.positions import filler
from autopeft.methods.prompt import PromptRate, place, random_tokens
from autopeft.methods.topology import Topology


class ProjectedPrompt(DecomposedPrompt):
    """The prompt of one model, and the update of its tokens.

    Args:
        vectors: P.
        filler: See `Prompt`.
        n_positions: Tokens that are updated.
        rank: w.
        n_spaces: K.
    """

    def __init__(self, vectors: Tensor, filler: int, n_positions: int, rank: int, n_spaces: int) -> None:
        super().__init__(vectors, filler, n_positions, rank)
        width, device = vectors.shape[1], vectors.device
        self.gate = nn.Parameter(torch.randn(width, n_spaces, device=device) * width**-0.5)
        self.into = nn.Parameter(torch.randn(n_spaces, width, rank, device=device) * width**-0.5)
        self.out = nn.Parameter(torch.zeros(n_spaces, rank, width, device=device))

    def made(self) -> Tensor:
        """Return P'."""
        update = self.by_position @ self.to_embedding
        fused = self.vectors + (self.vectors @ update.T * self.vectors.shape[1] ** -0.5).softmax(-1) @ update
        shares = (fused @ self.gate).softmax(-1)
        projected = (fused @ self.into).relu() @ self.out  # K x m x d
        result: Tensor = fused + (shares.T[..., None] * projected).sum(0)
        return result


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> PromptRate:
    """Put a prompt in front of the model's tokens, and the update onto them."""
    n_positions, rank, n_spaces = (int(module.options[name]) for name in ("text_length", "rank", "spaces"))
    prompt = ProjectedPrompt(random_tokens(model, module.size), filler(model), n_positions, rank, n_spaces)
    place(model, prompt)
    return PromptRate(prompt, float(module.options["prompt_rate"]))
