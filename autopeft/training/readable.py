"""Whether a model can read what it will be given, found out before anything is trained.

Models of sounds need as many samples as their first layers look at, models of images a size that their patches and windows divide. What
doesn't fit ends in an error of torch's own about tensors, in every trial, or by chance, as batches are drawn.
"""

from collections.abc import Mapping

import torch
from torch import nn

from autopeft.errors import InvalidInputError, hides_a_stop, in_one_line
from autopeft.tasks import Encoded, Family
from autopeft.training.evaluate import predict


def require_example(model: nn.Module, inputs: Mapping[str, torch.Tensor], family: Family) -> None:
    """Check that a model can read an example batch, where a family can say what is in it.

    Raises:
        InvalidInputError: It can't.
    """
    if not (what := family.inputs_in_words(inputs)):
        return
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model(**inputs)
    except Exception as error:  # whatever the model's own code raises
        if hides_a_stop(error):
            raise KeyboardInterrupt from error
        raise InvalidInputError(f"the model can't read {what}: {in_one_line(error)}", remedy=family.fitting(model.config)) from error
    finally:
        model.train(was_training)


def require_readable(model: nn.Module, encoded: Encoded, role: str) -> None:
    """Check that a model can read every row, by the smallest of them alone.

    Args:
        model: A model of the family's class, without PEFT modules or with them.
        encoded: The rows.
        role: What they are called in the message.

    Raises:
        InvalidInputError: It can't read some, and it says up to which size.
    """
    family, order = encoded.family, encoded.family.by_size(encoded)
    if not len(order) or not (reason := _why_not(model, encoded, order[0])):
        return
    if _why_not(model, encoded, order[-1]):  # that isn't a question of size, or all are too small
        sizes = _from_to(family.row_in_words(encoded, order[0]), family.row_in_words(encoded, order[-1]))
        rule = f"the model can't read any of {len(encoded):,} {role} examples: {reason}"
        raise InvalidInputError(rule, value=sizes, remedy=family.fitting(model.config))
    small, large = 0, len(order) - 1
    while large - small > 1:
        middle = (small + large) // 2
        small, large = (middle, large) if _why_not(model, encoded, order[middle]) else (small, middle)
    raise InvalidInputError(
        f"the model can't read {large:,} of {len(order):,} {role} examples, which are too short: {reason}",
        value=_from_to(family.row_in_words(encoded, order[0]), family.row_in_words(encoded, order[small])),
        remedy=f"Leave them out, or lengthen them, as with silence; one of {family.row_in_words(encoded, order[large])} can be read.",
    )


def _from_to(one: str, other: str) -> str:
    return one if one == other else f"{one} to {other}"


def _why_not(model: nn.Module, encoded: Encoded, row: int) -> str:
    """Return why a model can't read a row that stands alone; empty if it can."""
    try:
        predict(model, encoded.take([row]))
    except Exception as error:  # whatever the model's own code raises, or its feature extractor's
        if hides_a_stop(error):
            raise KeyboardInterrupt from error
        return in_one_line(error)
    return ""
