"""A trained model that answers new examples: out of a run, or out of an export."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from autopeft.errors import InvalidInputError, UnavailableError, UnsupportedError
from autopeft.export.description import Description, read_description
from autopeft.export.finished_trial import FinishedTrial
from autopeft.methods.checkpoint import load
from autopeft.paths import StrPath
from autopeft.plugins import import_plugin
from autopeft.tasks import Encoded, Split, Task, family_of
from autopeft.tasks.in_memory import DataFrame, Dataset, is_table, to_rows
from autopeft.tasks.reading import read_table
from autopeft.tasks.table import Table
from autopeft.training.backbone import BackboneSource, find_backbone
from autopeft.training.device import pick_device
from autopeft.training.evaluate import predict
from autopeft.training.model import example_inputs, load_model
from autopeft.training.readable import require_readable


class Predictor:
    """Answers new examples of a task, in float32 and in batches, as the trial was measured.

    Args:
        model: The trained model.
        processor: Its tokenizer or feature extractor.
        task: What it was trained for.
        max_length: Positions after which an example is cut.
    """

    def __init__(self, model: nn.Module, processor: Any, task: Task, max_length: int) -> None:
        self.model, self.processor, self.task, self.max_length = model.eval(), processor, task, max_length
        self._family = family_of(task)

    def predict(self, examples: Iterable[object] | DataFrame | Dataset) -> list[dict[str, Any]]:
        """Return an answer per example: "prediction", and the "probabilities" of what could have been where there are few such things.

        Args:
            examples: A list with the cells of each by input column, or a DataFrame, or a `datasets.Dataset`. Where the task reads one
                column, a list of its cells alone will do.

        Raises:
            InvalidInputError: They are none of these, a column is missing, or a cell is none that the task can use.
        """
        listed = _listed(examples)
        if not listed:
            return []
        columns = self.task.input_columns
        rows = [one if isinstance(one, Mapping) else {columns[0]: one} for one in listed]
        if len(columns) > 1 and not all(isinstance(one, Mapping) for one in listed):
            example = "{" + ", ".join(f"{name!r}: ..." for name in columns) + "}"
            raise InvalidInputError(f"the task reads {len(columns)} columns, so an example must name them", remedy=f"Give {example}.")
        names = dict.fromkeys(name for row in rows for name in row)
        cells = {str(name): [row.get(name) for row in rows] for name in names}
        return self.predict_table(Table("the list of examples", cells, range(1, len(rows) + 1), "number"))

    def predict_table(self, table: Table) -> list[dict[str, Any]]:
        """Return an answer per row of a table; other columns than the task's own are not looked at."""
        split: Split = self._family.read_unlabelled(table)
        return self._family.answers(self.model, self.processor, split, self.max_length, _predict)

    def predict_file(self, path: StrPath) -> tuple[Table, list[dict[str, Any]]]:
        """Return a file's rows and an answer to each; see `read_table` for what can be read."""
        table = read_table(path)
        return table, self.predict_table(table)


def _predict(model: nn.Module, encoded: Encoded) -> list[Any]:
    require_readable(model, encoded, "given")
    return predict(model, encoded)


def _listed(examples: object) -> list[Any]:
    if is_table(examples):
        return list(to_rows(examples, "the examples"))
    if isinstance(examples, Iterable) and not isinstance(examples, str | bytes | Mapping):
        return list(examples)
    rule = "examples must be a list, a DataFrame or a datasets.Dataset"
    remedy = "Put a single example into a list; a file's rows are answered by predict_file."
    raise InvalidInputError(rule, value=type(examples).__name__, remedy=remedy)


def predictor_of(trial: FinishedTrial, *, max_new_tokens: int | None = None) -> Predictor:
    """Load a trial's model as training left it; for `max_new_tokens` see `load_predictor`.

    Raises:
        InvalidInputError: It writes no texts whose length could be set.
        UnavailableError: The backbone can't be loaded.
        VerificationError: The adapter is of another backbone.
    """
    task = trial.task.limit_texts(max_new_tokens)
    return _with_adapter(trial.backbone, task, trial.adapter, trial.budget.max_length)


def load_predictor(folder: StrPath, *, model: StrPath | None = None, max_new_tokens: int | None = None) -> Predictor:
    """Load an exported trial for use on new examples.

    Args:
        folder: What `autopeft export` wrote with --to merged, peft or script.
        model: Folder or hub id of the backbone, where it isn't where the search had it; a merged model holds its own.
        max_new_tokens: Tokens after which a text that the model writes is cut off; None: as in the search.

    Raises:
        InvalidInputError: The folder is no export, the model is not the one that was searched over, or it writes no texts whose length
            could be set.
        UnsupportedError: It is of another form.
        UnavailableError: The backbone can't be loaded.
    """
    path = Path(folder)
    found = read_description(path)
    if found.target not in _LOADERS:
        forms = ", ".join(_LOADERS)
        raise UnsupportedError(
            f"new examples can be answered by exports of the forms {forms}", value=found.target, remedy="Export the trial as one of them."
        )
    found = replace(found, task=found.task.limit_texts(max_new_tokens))
    if model is not None:
        found = replace(found, backbone=replace(found.backbone, name=str(model), path=""))
    return _LOADERS[found.target](path, found)


def _with_adapter(backbone: BackboneSource, task: Task, adapter: Path, max_length: int) -> Predictor:
    family = family_of(task)
    loaded = load_model(backbone, family, pick_device())
    load(loaded.model, adapter, example_inputs(loaded, family))
    return Predictor(loaded.model, loaded.processor, task, max_length)


def _script(folder: Path, found: Description) -> Predictor:
    for path in sorted(folder.glob("plugins/*.py")):  # numbered in the search's order
        import_plugin(str(path))
    return _with_adapter(_backbone(found), found.task, folder / "adapter", found.max_length)


def _merged(folder: Path, found: Description) -> Predictor:
    source = find_backbone(str(folder.absolute()), trust_remote_code=found.backbone.trust_remote_code)
    loaded = load_model(source, family_of(found.task), pick_device())
    return Predictor(loaded.model, loaded.processor, found.task, found.max_length)


def _peft(folder: Path, found: Description) -> Predictor:
    from peft import PeftModel

    loaded = load_model(_backbone(found), family_of(found.task), pick_device())
    try:
        model = PeftModel.from_pretrained(loaded.model, folder)
    except Exception as error:  # it looks for what is missing elsewhere, and what reads a damaged file raises what it likes
        raise UnavailableError(f"peft can't load the adapter: {error}", value=str(folder), remedy="Export the trial again.") from error
    return Predictor(model, loaded.processor, found.task, found.max_length)


def _backbone(found: Description) -> BackboneSource:
    """Return the backbone from where the search had it, or from where its name leads here."""
    known = found.backbone
    name = known.path if known.path and Path(known.path).is_dir() else known.name
    source = find_backbone(name, trust_remote_code=known.trust_remote_code, quantize=known.quantize)
    if source.sha256 != known.sha256:
        remedy = "Say where those are: --model FOLDER, or model= from Python."
        raise InvalidInputError("the backbone's weights are not those that the adapter was trained on", value=source.path, remedy=remedy)
    return replace(known, path=source.path)


_LOADERS = {"merged": _merged, "peft": _peft, "script": _script}
