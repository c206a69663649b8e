"""A mixture of adapters beside the feed-forward network: sum over e of g_e(x) A_e(x), with a learned router g.

After the mixtures of Shazeer et al. (2017, arXiv 1701.06538, equations 2 to 5), their experts being bottlenecks: g(x) is the softmax of the
k largest entries of W x + b, and zero elsewhere; with k = 0, of all. There is no noise and no term that balances the load: with a few
small experts every one is computed anyway.
"""

import torch
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods.block_deltas import deltas_of, device_of
from autopeft.methods.bottleneck import Bottleneck
from autopeft.methods.topology import Topology


class Mixture(nn.Module):
    """Experts and their router; zero at first, as its experts are.

    Args:
        experts: A_e.
        width: Width of x.
        n_chosen: k.
        device: Where its parameters are.
    """

    def __init__(self, experts: list[Bottleneck], width: int, n_chosen: int, device: torch.device) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.router = nn.Linear(width, len(experts), device=device, dtype=torch.float32)
        self._n_chosen = n_chosen or len(experts)

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add, in the type of x."""
        scores = self.router(x.to(self.router.weight.dtype))
        threshold = scores.topk(self._n_chosen, dim=-1).values[..., -1:]
        shares = scores.masked_fill(scores < threshold, -torch.inf).softmax(-1).to(x.dtype)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        total: Tensor = (outputs * shares.unsqueeze(-2)).sum(-1)
        return total


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a mixture beside each chosen block's FFN."""
    n_experts, n_chosen = int(module.options["experts"]), int(module.options["chosen"])
    activation, scale = str(module.options["activation"]), float(module.options["scale"])
    for block in topology.placed(module.layers):
        device = device_of(model.get_submodule(block.name))
        experts = [Bottleneck(block.hidden_size, module.size, activation, scale, device, gated=False) for _ in range(n_experts)]
        deltas_of(model, block).parallel[module.method] = Mixture(experts, block.hidden_size, n_chosen, device)
