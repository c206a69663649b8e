"""Export as a plain transformers model, the PEFT modules folded into its weights."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autopeft.configuration import Configuration
from autopeft.errors import UnsupportedError, VerificationError
from autopeft.export.card import write_card
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.plan import ExportPlan
from autopeft.export.trained import load_trained
from autopeft.methods.outputs import first_tensor
from autopeft.methods.registry import get_method
from autopeft.tasks import Task, family_of

_TOLERANCE = 1e-3
"""By how much a logit may move, as a share of the largest: the order of sums changes, in float32."""


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan a folder that the Auto class of the task's kind loads, and AutoTokenizer.

    Raises:
        UnsupportedError: A module can't be folded; what was trained beside it is of no use without it.
    """
    modules = trial.configuration.modules
    if lasting := [Configuration((module,)).describe() for module in modules if not get_method(module.method).merges_with(module)]:
        raise UnsupportedError(
            f"a trial merges only if each of its modules folds into the weights; in trial {trial.record.number} these don't: "
            f"{'; '.join(lasting)}",
            remedy="Export it with --to script, or choose a trial of methods that merge: autopeft list methods.",
        )
    return ExportPlan(lambda folder: _write(trial, folder))


def _write(trial: FinishedTrial, folder: Path) -> Task:
    trained = load_trained(trial)
    model: Any = trained.model
    model.eval()
    unmerged = _logits(model, trained.example_batch)
    trained.applied.merge()
    difference = (_logits(model, trained.example_batch) - unmerged).abs().max() / unmerged.abs().max()
    if not difference < _TOLERANCE:
        raise VerificationError("the merged model must predict what the adapter did; its logits are off by", value=float(difference))
    task = family_of(trial.task).fold(model, trained.applied.topology.head)
    model.save_pretrained(folder)
    trained.processor.save_pretrained(folder)
    write_card(replace(trial, task=task), folder, "merged")
    return task


@torch.no_grad()
def _logits(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    return first_tensor(model(**batch).to_tuple())
