"""Export as an ONNX graph of the merged model, which ONNX Runtime and others run without torch.

transformers' own exporter draws the graph, with free batch size and length. ONNX Runtime then runs it on an example batch: a graph that
predicts something else is not written. Models that write text are left to `merged`: a graph of one pass has no cache to go on from.
"""

import io
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autopeft.errors import UnavailableError, UnsupportedError, VerificationError
from autopeft.export import merged_model
from autopeft.export.card import write_card
from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.plan import ExportPlan, Written
from autopeft.methods.outputs import first_tensor
from autopeft.tasks import family_of

GRAPH = "model.onnx"
_TOLERANCE = 1e-3
"""By how much an output may differ, as a share of the largest: another library computes it, in float32."""


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan `model.onnx` with its weights beside it, the tokenizer or feature extractor, and a card.

    Raises:
        UnsupportedError: A module can't be folded into the weights, or the model writes text.
        UnavailableError: What draws or runs the graph is not installed.
    """
    if family_of(trial.task).writes_text:
        raise UnsupportedError(
            "an ONNX graph of one pass can't write text, as it keeps nothing to go on from",
            value=trial.task.kind,
            remedy="Export it with --to merged; transformers' OnnxExporter.export_for_generation makes the graphs of that.",
        )
    merged_model.plan(trial)
    _require_installed()
    return ExportPlan(lambda folder: _write(trial, folder))


def _write(trial: FinishedTrial, folder: Path) -> Written:
    merged = merged_model.merge(trial)
    model, batch = merged.trained.model.eval(), merged.trained.example_batch
    _draw(model, batch, folder)
    _require_same(folder / GRAPH, model, batch)
    merged.trained.processor.save_pretrained(folder)
    write_card(replace(trial, task=merged.task), folder, "onnx", note=merged.note)
    return Written(merged.task)


def _require_installed() -> None:
    """Check that what draws graphs and what runs them is there.

    Raises:
        UnavailableError: It isn't.
    """
    try:
        for name in ("onnx", "onnxscript", "onnxruntime", "transformers.exporters"):
            import_module(name)
    except ImportError as error:
        raise UnavailableError(
            f"exports to onnx need packages that are not installed: {error}", remedy="Install them with: pip install 'autopeft[onnx]'"
        ) from None


def _draw(model: nn.Module, batch: Mapping[str, Tensor], folder: Path) -> None:
    exporters: Any = import_module("transformers.exporters")  # untyped, and resolved on use
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # torch says what it is at, on standard output
        warnings.simplefilter("ignore")
        exported = exporters.OnnxExporter().export(model, dict(batch), config=exporters.OnnxConfig(dynamic=True))
        exported.save_pretrained(folder)


@torch.no_grad()
def _require_same(graph: Path, model: nn.Module, batch: Mapping[str, Tensor]) -> None:
    """Check that the graph computes what the model does, on the example batch and on its first row alone: sizes must not be fixed."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    for rows in (batch, {name: tensor[:1] for name, tensor in batch.items()}):
        outputs: Any = model(**rows)
        wanted = first_tensor(outputs.to_tuple()).float().cpu().numpy()
        found = session.run(None, {name: rows[name].cpu().numpy() for name in names})[0]
        difference = np.abs(found - wanted).max() / np.abs(wanted).max() if found.shape == wanted.shape else np.inf
        if not difference < _TOLERANCE:
            raise VerificationError("the graph must predict what the model does; its outputs are off by", value=float(difference))
