"""A PEFT method of one's own, in one file: a learned factor on each hidden unit of a block's output.

Run it: python examples/own_method.py
"""

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods.compose import apply
from autopeft.methods.method import Method
from autopeft.methods.registry import register_method
from autopeft.methods.topology import Topology


class Factor(nn.Module):
    """1 + g, one number a hidden unit, g zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.zeros(width))

    def after_block(self, block: nn.Module, args: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> object:
        if isinstance(output, tuple):
            return (output[0] * (1 + self.g), *output[1:])
        return output * (1 + self.g)


def inject(model: nn.Module, module: PeftModule, topology: Topology) -> None:
    """Everything that is new in the model afterwards is trained, counted, saved and taken off again without more code."""
    for block in topology.placed(module.layers):
        target = model.get_submodule(block.name)
        target.output_factor = Factor(block.hidden_size)
        target.register_forward_hook(target.output_factor.after_block)


def count(module: PeftModule, topology: Topology) -> int:
    return sum(block.hidden_size for block in topology.placed(module.layers))


register_method(
    Method(
        name="output_factor",
        kind="representation",
        summary="a learned factor on each hidden unit of a block's output",
        paper="an example",
        inject=inject,
        count=count,
    )
)


def main() -> None:
    config = BertConfig(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=64, vocab_size=100)
    model = BertForSequenceClassification(config)
    batch = {"input_ids": torch.randint(0, 100, (2, 8))}
    configuration = Configuration((PeftModule("output_factor", 1, (0, 2)), PeftModule("lora", 4, (1, 3))))
    applied = apply(model, configuration, batch)
    print(f"{configuration.describe()}: {applied.parameter_count} parameters")
    applied.eject()


if __name__ == "__main__":
    main()
