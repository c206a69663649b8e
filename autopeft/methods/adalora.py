"""AdaLoRA's allocation of ranks, by peft's own allocator (Zhang et al., 2023, arXiv 2303.10512, sections 3.1 to 3.3).

Each target gets P diag(e) Q of an initial rank R. While it trains, the smoothed importance of every triplet (a row of Q, a column of P and
the singular value between them) decides which of them a falling budget keeps; from T - t_f of T steps on the mean rank over a module's
targets is the final one. P and Q are kept near orthogonal by a penalty, gamma/n sum (|P'P - I| + |QQ' - I|), n being their number.
"""

from collections.abc import Mapping
from math import floor
from typing import Any

import torch
from peft import AdaLoraConfig
from peft.tuners.adalora import RankAllocator
from torch import Tensor, nn

from autopeft.configuration import PeftModule
from autopeft.methods import weight
from autopeft.methods.hook import TrainingHook
from autopeft.methods.topology import Topology

WARMUP_FRACTION = 0.1
"""Share of the steps before the budget falls (t_i)."""
FINAL_FRACTION = 0.5
"""Share of the steps after the ranks are final (t_f); the paper's settings on GLUE lie around these two."""
_N_ALLOCATIONS = 1000
"""At most about so many times are ranks allocated anew."""
_STATISTICS = ("ipt", "exp_avg_ipt", "exp_avg_unc")


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> "RankAllocation":
    """Wrap the targets, and return what allocates their ranks."""
    config = weight.inject_with_config(model, module, topology)
    layers: dict[str, Any] = {linear.name: model.get_submodule(linear.name) for linear in topology.linears(module.layers, module.targets)}
    factors = {
        name.replace(".", "/"): nn.ModuleDict({part: getattr(layer, part) for part in ("lora_A", "lora_E", "lora_B")})
        for name, layer in layers.items()
    }
    return RankAllocation(nn.ModuleDict(factors), config)


class RankAllocation(TrainingHook):
    """The allocation of ranks over the targets of one module.

    Args:
        factors: By target, its factors Q, e and P as peft calls them: lora_A, lora_E, lora_B.
        config: The module's settings in peft's class.
    """

    def __init__(self, factors: nn.ModuleDict, config: AdaLoraConfig) -> None:
        self._factors, self._config = factors, config
        self._allocator = RankAllocator(factors, config, weight.ADAPTER)
        self._n_steps = 0

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Fit the schedule of the budget into a training; one of a single step has no room for it."""
        self._n_steps = n_steps
        self._config.total_step = n_steps
        # Importance must have been seen at least once before ranks are final.
        self._config.tfinal = max(0, min(floor(FINAL_FRACTION * n_steps), n_steps - 2))
        self._config.tinit = min(floor(WARMUP_FRACTION * n_steps), max(0, n_steps - self._config.tfinal - 2))
        self._config.deltaT = max(1, n_steps // _N_ALLOCATIONS)

    @property
    def _last_allocation(self) -> int:
        """Steps after which the ranks are final."""
        return int(self._config.total_step - self._config.tfinal)

    def extra_loss(self) -> Tensor:
        """Return the penalty on what isn't orthogonal."""
        distances = [_distance(parameter, name) for name, parameter in self._factors.named_parameters() if "lora_E" not in name]
        return self._config.orth_reg_weight * torch.stack(distances).mean()  # type: ignore[no-any-return]

    def after_step(self, step: int) -> None:
        """Update importance from the step's gradients, and take singular values above the budget to zero."""
        n_done = step + 1
        if self._n_steps < 2:
            return
        for parameter in self._factors.parameters():
            if parameter.grad is None:  # no loss reached it
                parameter.grad = torch.zeros_like(parameter)
        if n_done > self._last_allocation:
            self._allocator.mask_using_rank_pattern(self._factors, self._config.rank_pattern)
            return
        is_last = n_done == self._last_allocation
        _, pattern = self._allocator.update_and_allocate(self._factors, n_done, force_mask=is_last)
        if pattern is not None:
            self._config.rank_pattern = pattern
        if is_last:
            self._allocator.reset_ipt()

    def may_be_kept(self, n_steps: int) -> bool:
        """Whether the budget has come down."""
        return n_steps >= self._last_allocation

    def state_dict(self) -> Mapping[str, Any]:
        """Return the importance that was seen, and which singular values are left."""
        return {**{name: getattr(self._allocator, name) for name in _STATISTICS}, "rank_pattern": self._config.rank_pattern}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        devices = {name: parameter.device for name, parameter in self._factors.named_parameters()}
        for name in _STATISTICS:
            setattr(self._allocator, name, {key: tensor.to(devices[key]) for key, tensor in state[name].items()})
        self._config.rank_pattern = state["rank_pattern"]


def _distance(factor: Tensor, name: str) -> Tensor:
    products = factor @ factor.T if "lora_A" in name else factor.T @ factor
    return torch.linalg.matrix_norm(products - torch.eye(len(products), device=factor.device))  # type: ignore[no-any-return]
