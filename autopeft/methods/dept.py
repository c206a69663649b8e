"""Decomposed prompt tuning (DePT: Shi and Lipani, 2023, arXiv 2309.05173, section 2.2).

A prompt of l vectors becomes a shorter one of m and a low-rank update of the tokens' embeddings by their position: the model reads
[P; E + AB] with P m x d, A s x r, B r x d, and has as many parameters if (s + d) r = (l - m) d. P and the pair A, B learn at rates of their
own; the paper's best lie two to three powers of ten apart, P's above. B is zero at first, so that tokens are what they were.

Symbols: m prompt length, s longest text that is updated, r rank, d width of the embeddings. Tokens after the first s stay as they are.
"""

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.positions import filler
from autopeft.methods.prompt import Prompt, PromptRate, place, random_tokens
from autopeft.methods.topology import Topology


class DecomposedPrompt(Prompt):
    """The prompt of one model, and the update of its tokens.

    Args:
        vectors: m x d, the initial prompt.
        filler: See `Prompt`.
        n_positions: s.
        rank: r.
    """

    def __init__(self, vectors: Tensor, filler: int, n_positions: int, rank: int) -> None:
        super().__init__(vectors, filler)
        device = vectors.device
        self.by_position = nn.Parameter(torch.randn(n_positions, rank, device=device) * rank**-0.5)
        self.to_embedding = nn.Parameter(torch.zeros(rank, vectors.shape[1], device=device))
        self._n_read = torch.zeros(0, dtype=torch.long)

    def edit(self, embedded: Tensor) -> Tensor:
        """Return the prompt and the updated tokens; with a cache, tokens go on where they were."""
        places = torch.arange(embedded.shape[1], device=embedded.device).expand(len(embedded), -1)
        if self._is_due:
            own = places - self._starts.to(embedded.device)[:, None] - self.length
            embedded = self._with_prompt(embedded)
        else:
            own = places + self._n_read.to(embedded.device)[:, None]
        self._n_read = own[:, -1] + 1
        n_positions = len(self.by_position)
        is_updated = (own >= 0) & (own < n_positions)
        update = (self.by_position @ self.to_embedding).to(embedded.dtype)[own.clamp(0, n_positions - 1)]
        return embedded + update * is_updated[..., None]


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> PromptRate:
    """Put a prompt in front of the model's tokens, and the update onto them."""
    n_positions, rank = int(module.options["text_length"]), int(module.options["rank"])
    prompt = DecomposedPrompt(random_tokens(model, module.size), filler(model), n_positions, rank)
    place(model, prompt)
    return PromptRate(prompt, float(module.options["prompt_rate"]))
