"""Export as a plain transformers model, the PEFT modules folded into its weights.

Nothing is folded into quantised weights, which would round it off. The modules go into the weights that the quantised ones stand for, so
that the model computes what was trained, or into those from before quantisation (`onto="original"`), over which they weren't trained.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError, UnknownNameError, UnsupportedError, VerificationError
from autopeft.export.card import write_card
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.plan import ExportPlan, Written
from autopeft.export.trained import TrainedModel, load_trained
from autopeft.methods.checkpoint import load
from autopeft.methods.outputs import first_tensor
from autopeft.methods.quantised import compute_in_32_bits, dequantise, turn_back
from autopeft.methods.registry import get_method
from autopeft.tasks import Task, family_of
from autopeft.training.backbone import NO_QUANTISATION
from autopeft.training.batches import draw
from autopeft.training.evaluate import evaluate

DEQUANTISED, ORIGINAL = "dequantised", "original"
_TOLERANCE = 1e-3
"""By how much a logit may move, as a share of the largest: the order of sums changes, in float32."""
_ROUNDS_INPUTS = "int8"
"""The scheme whose linears round what they read, so that no plain weight computes the same."""


def plan(trial: FinishedTrial, onto: str | None = None) -> ExportPlan:
    """Plan a folder that the Auto class of the task's kind loads, and AutoTokenizer.

    Args:
        trial: What to merge.
        onto: Of a quantised backbone, which weights to merge into: "dequantised", the default, or "original".

    Raises:
        UnsupportedError: A module can't be folded; what was trained beside it is of no use without it.
        UnknownNameError: There is no such choice of weights.
    """
    if onto not in (None, DEQUANTISED, ORIGINAL):
        raise UnknownNameError("choice of --onto", str(onto), (DEQUANTISED, ORIGINAL))
    modules = trial.configuration.modules
    if lasting := [Configuration((module,)).describe() for module in modules if not get_method(module.method).merges_with(module)]:
        raise UnsupportedError(
            f"a trial merges only if each of its modules folds into the weights; in trial {trial.record.number} these don't: "
            f"{'; '.join(lasting)}",
            remedy="Export it with --to script, or choose a trial of methods that merge: autopeft list methods.",
        )
    return ExportPlan(lambda folder: _write(trial, folder, onto))


@dataclass(frozen=True)
class MergedModel:
    """A trial's model with its modules folded into its weights."""

    trained: TrainedModel
    task: Task
    """The trial's task as the merged model answers it (see `Family.fold`)."""
    turned: Sequence[str]
    """Linears that stand in place of Conv1D modules; `turn_back` undoes that."""
    note: str
    """Into which weights it was merged, where the backbone was quantised."""


def _write(trial: FinishedTrial, folder: Path, onto: str | None) -> Written:
    merged = merge(trial, onto)
    model: Any = merged.trained.model
    turn_back(model, merged.turned)
    model.save_pretrained(folder)
    merged.trained.processor.save_pretrained(folder)
    write_card(replace(trial, task=merged.task), folder, "merged", note=merged.note)
    return Written(merged.task)


def merge(trial: FinishedTrial, onto: str | None = None) -> MergedModel:
    """Load a trial and fold its modules into the weights; `onto` as in `plan`, which says whether they can be.

    Raises:
        UnavailableError: The backbone can't be loaded.
        UnsupportedError: There are no such weights to merge into.
        InvalidInputError: It is said which weights are meant, and the backbone isn't quantised.
        VerificationError: The merged model predicts something else.
    """
    trained = load_trained(trial)
    quantisation = trained.applied.topology.quantisation
    if onto is not None and not quantisation:
        raise InvalidInputError("--onto says which weights of a quantised backbone are meant, and this one's aren't", value=onto)
    trained.model.eval()
    compute_in_32_bits(trained.model)
    unmerged = _logits(trained.model, trained.example_batch)
    measured: dict[str, Mapping[str, float]] = {}
    is_exact = onto != ORIGINAL and quantisation != _ROUNDS_INPUTS
    if not is_exact:
        measured["as trained"] = _measure(trial, trained)
    turned: list[str] = []
    if onto == ORIGINAL:
        trained = _onto_original(trial)
    elif quantisation:
        trained.applied.eject()
        turned = dequantise(trained.model)
        trained = replace(trained, applied=load(trained.model, trial.adapter, trained.example_batch, any_quantisation=True))
    trained.applied.merge()
    if is_exact:
        _require_same(_logits(trained.model, trained.example_batch), unmerged)
    else:
        measured["in this folder"] = _measure(trial, trained)
    task = family_of(trial.task).fold(trained.model, trained.applied.topology.head)
    note = _comparison(quantisation, onto or DEQUANTISED, measured) if quantisation else ""
    return MergedModel(trained, task, turned, note)


def _onto_original(trial: FinishedTrial) -> TrainedModel:
    """Return the trial over the weights that were quantised.

    Raises:
        UnsupportedError: The checkpoint itself is quantised.
    """
    if trial.backbone.quantize == NO_QUANTISATION:
        raise UnsupportedError(
            f"{trial.model_reference} is quantised itself: what it was before is not known", remedy=f"Leave out --onto {ORIGINAL}."
        )
    plain = replace(trial, backbone=replace(trial.backbone, quantize=NO_QUANTISATION))
    found = load_trained(plain, any_quantisation=True)
    found.model.eval()
    return found


def _measure(trial: FinishedTrial, trained: TrainedModel) -> Mapping[str, float]:
    """Return the metrics on the trial's validation examples."""
    examples = draw(trial.load_data().validation, trial.budget.evaluation_examples)
    encoded = family_of(trial.task).encode(trained.processor, examples, trial.budget.max_length)
    return evaluate(trained.model, encoded)


def _comparison(quantisation: str, onto: str, measured: Mapping[str, Mapping[str, float]]) -> str:
    """Say into which weights the adapter was merged, and what that changes."""
    said = f"It was trained over {quantisation} weights and merged into the {onto} ones"
    if not measured:
        return f"{said}, which compute the same.\n\n"
    rows = "".join(f"| {name} | {' | '.join(f'{value:.4f}' for value in values.values())} |\n" for name, values in measured.items())
    names = list(next(iter(measured.values())))
    return f"{said}. On the trial's validation examples:\n\n| | {' | '.join(names)} |\n|{'---|' * (len(names) + 1)}\n{rows}\n"


def _require_same(merged: Tensor, unmerged: Tensor) -> None:
    difference = (merged - unmerged).abs().max() / unmerged.abs().max()
    if not difference < _TOLERANCE:
        raise VerificationError("the merged model must predict what the adapter did; its logits are off by", value=float(difference))


@torch.no_grad()
def _logits(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    found: Any = model(**batch)
    return first_tensor(found.to_tuple())
