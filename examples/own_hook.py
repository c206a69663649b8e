"""A PEFT method that changes how it is trained, in one file: factors with a learning rate of their own, trained from the top layer down.

Run it: python examples/own_hook.py
In a search: autopeft search --plugin examples/own_hook.py --space ..., with `method: top_down_factor` in the space.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply
from autopeft.methods.hook import ParameterGroup, TrainingHook
from autopeft.methods.method import Method, Option
from autopeft.methods.registry import register_method
from autopeft.methods.topology import Topology
from autopeft.training.hooks import TrainingHooks


class Factor(nn.Module):
    """1 + g, one number a hidden unit, g zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.zeros(width))

    def after_block(self, block: nn.Module, args: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> object:
        if isinstance(output, tuple):
            return (output[0] * (1 + self.g), *output[1:])
        return output * (1 + self.g)


class TopDown(TrainingHook):
    """In the first half of a training, one more layer is trained after each equal part of it; in the second half, all are."""

    def __init__(self, factors: list[Factor], layers: tuple[int, ...], rate: float) -> None:
        self._factors, self._layers, self._rate = factors, layers, rate
        self._n_steps = 0

    def parameter_groups(self, trainable: Mapping[str, nn.Parameter]) -> Iterable[ParameterGroup]:
        yield ParameterGroup([factor.g for factor in self._factors], learning_rate_factor=self._rate)

    def start(self, n_steps: int, trainable: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        self._n_steps = n_steps

    def lowest_trained_layer(self, step: int) -> int:
        n_trained = 1 + 2 * step * len(self._layers) // self._n_steps
        return self._layers[-n_trained] if n_trained < len(self._layers) else 0


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> TopDown:
    """Everything that is new in the model afterwards is trained, counted, saved and taken off again without more code."""
    factors = []
    for block in topology.placed(module.layers):
        target = model.get_submodule(block.name)
        target.top_down_factor = Factor(block.hidden_size)
        target.register_forward_hook(target.top_down_factor.after_block)
        factors.append(target.top_down_factor)
    return TopDown(factors, module.layers or (), float(module.options["rate"]))


def count(module: PeftModule, topology: Topology) -> int:
    return sum(block.hidden_size for block in topology.placed(module.layers))


register_method(
    Method(
        name="top_down_factor",
        kind="representation",
        summary="a learned factor on each hidden unit of a block's output, trained from the top layer down",
        paper="an example",
        inject=inject,
        count=count,
        options=(Option("rate", 10.0, "times the learning rate", (1.0, 10.0)),),
    )
)


def main() -> None:
    config = BertConfig(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64, vocab_size=100)
    model = BertForSequenceClassification(config)
    batch = {"input_ids": torch.randint(0, 100, (2, 8)), "labels": torch.tensor([0, 1])}
    applied = apply(model, Configuration((PeftModule("top_down_factor", 1, (0, 1, 2, 3)),)), batch)
    hooks = TrainingHooks(applied)  # a search makes the same calls
    optimizer = torch.optim.AdamW(hooks.parameter_groups(weight_decay=0.0))
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * group["learning_rate_factor"]
    hooks.start(n_steps=8, optimizer=optimizer)
    for step in range(8):
        hooks.before_step(step)
        model(**batch).loss.backward()
        hooks.after_backward(step)
        optimizer.step()
        hooks.after_step(step)
        trained = [layer for layer in range(4) if model.get_submodule(f"bert.encoder.layer.{layer}").top_down_factor.g.grad is not None]
        print(f"step {step}: layers {trained}")
        optimizer.zero_grad()
    applied.eject()


if __name__ == "__main__":
    main()
