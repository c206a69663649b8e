"""A mixture of adapters beside the feed-forward network: sum over e of g_e(x) A_e(x), with a learned router g = softmax(W x + b).

After the mixtures of Jacobs et al. (1991) and Shazeer et al. (2017, arXiv 1701.06538, equation 1), their experts being bottlenecks. Every
expert is computed for every token and no term balances the load: a few small experts cost next to nothing, and all of them learn.

The mixtures of Hallee et al. (2024, arXiv 2401.15713) are others: copies of the whole feed-forward network, of which an example's domain,
known beforehand, chooses one.
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
        device: Where its parameters are.
    """

    def __init__(self, experts: list[Bottleneck], width: int, device: torch.device) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.router = nn.Linear(width, len(experts), device=device, dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        """Return what to add, in the type of x."""
        shares = self.router(x.to(self.router.weight.dtype)).softmax(-1).to(x.dtype)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        total: Tensor = (outputs * shares.unsqueeze(-2)).sum(-1)
        return total


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Add a mixture beside each chosen block's FFN."""
    n_experts, activation, scale = int(module.options["experts"]), str(module.options["activation"]), float(module.options["scale"])
    for block in topology.placed(module.layers):
        device = device_of(model.get_submodule(block.name))
        experts = [Bottleneck(block.hidden_size, module.size, activation, scale, device, gated=False) for _ in range(n_experts)]
        deltas_of(model, block).parallel[module.method] = Mixture(experts, block.hidden_size, device)
