"""The model card of an exported adapter or model: the README.md that the Hugging Face hub shows and reads metadata from."""

from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any, Literal

import yaml

from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.formatting import circumstances, data_lines, metric_lines
from autopeft.export.quantised_loading import LoadingCode, loading_code
from autopeft.tasks import family_of
from autopeft.tasks.registry import find

Form = Literal["peft", "merged", "adapters", "onnx"]

_HUB_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr"}
"""The names of the hub's `evaluate` library where they differ from ours."""
_TEMPLATES = Path(__file__).parent / "template"
_WHAT = {
    "peft": "A LoRA adapter{head}, in the format of the peft library",
    "merged": "A model with its adapter folded into the weights",
    "onnx": "An ONNX graph of a model with its adapter folded into the weights",
    "adapters": "An adapter{head}, in the format of AdapterHub's adapters library",
}
_PADDING = "tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token\nbase.config.pad_token_id = tokenizer.pad_token_id\n"
_FRESH_HEAD = "# transformers warns that the head is new: the adapter brings the trained one.\n"
_LIBRARY = {"peft": "peft", "merged": "transformers", "adapters": "adapters", "onnx": "onnx"}


def write_card(
    trial: FinishedTrial,
    folder: Path,
    form: Form,
    lost: Sequence[str] = (),
    note: str = "",
    model: Any = None,
    serving: Sequence[str] = (),
) -> None:
    """Write README.md: metadata, what it is, metrics, data, configuration, and a snippet that loads it.

    Args:
        trial: What was exported.
        folder: Where.
        form: The form that it has there.
        lost: What of the trial the folder does not hold; its metrics then are not the export's.
        note: What else is to be said before the metrics.
        model: The backbone as it was loaded, of which the snippet loads another; None where the folder holds the model itself.
        serving: What servers make of it, a sentence each.
    """
    family = family_of(trial.task)
    quantised = loading_code(trial, model) if model is not None else LoadingCode()
    snippet = Template((_TEMPLATES / f"load_{form}.py.txt").read_text(encoding="utf-8")).substitute(
        model=repr(trial.model_reference),
        trust=", trust_remote_code=True" if trial.backbone.trust_remote_code else "",
        auto_model=family.auto_model,
        processor=family.processor,
        imports=quantised.imports,
        quantised=quantised.argument,
        padding=_PADDING if family.processor == "AutoTokenizer" else "",
        arguments="".join(f", {name}={value!r}" for name, value in family.model_arguments.items()),
        fresh_head=_FRESH_HEAD if family.has_fresh_head else "",
        usage=family.usage(trial.budget.max_length),
    )
    card = Template((_TEMPLATES / "card.md").read_text(encoding="utf-8")).substitute(
        metadata=yaml.safe_dump(_metadata(trial, form, whole=not lost), sort_keys=False, allow_unicode=True).strip(),
        title=f"{trial.task.name}: {trial.configuration.describe()}",
        what=_WHAT[form].format(head=" with its task head" if family.has_fresh_head else ""),
        besides=" besides the task head" if family.has_fresh_head else "",
        part=f"**It is a part of the trial, and the metrics are the whole trial's.** Not in it: {'; '.join(lost)}.\n\n" if lost else note,
        run=trial.run,
        trial=trial.record.number,
        model=trial.model_title,
        parameters=f"{trial.record.trainable_parameters:,}",
        metrics=metric_lines(trial.record.metrics),
        circumstances=circumstances(trial),
        data=data_lines(trial),
        target=family.target_in_words,
        configuration=trial.configuration.to_json(),
        snippet=snippet.strip(),
        serving="".join(["## Serving\n\n", *(f"- {one}\n" for one in serving), "\n"]) if serving else "",
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _metadata(trial: FinishedTrial, form: Form, *, whole: bool) -> dict[str, Any]:
    """Return the metadata block that the hub's model cards begin with; metrics only where they are those of the export."""
    task = trial.task
    hub = find(task.name).hub if "task" in trial.data else None
    dataset: dict[str, Any] = {
        "name": task.name,
        "type": hub.id if hub else task.name,
        "split": "test" if trial.test_metrics else "validation",
    }
    if hub and hub.configuration:
        dataset["config"] = hub.configuration
    measured = trial.test_metrics or trial.record.metrics
    metrics = [{"type": _HUB_METRICS.get(name, name), "name": name, "value": value} for name, value in measured.items()]
    name = f"{task.name}, trial {trial.record.number} of {trial.run}"
    pipeline = family_of(task).pipeline
    kind = {"type": pipeline, "name": task.kind}
    return {
        # A folder of the user's would be refused as a hub id.
        **({} if trial.model_is_folder else {"base_model": trial.backbone.name}),
        **({"datasets": [hub.id]} if hub else {}),
        "library_name": _LIBRARY[form],
        "pipeline_tag": pipeline,
        "tags": ["autopeft", *sorted({module.method for module in trial.configuration.modules})],
        **({"model-index": [{"name": name, "results": [{"task": kind, "dataset": dataset, "metrics": metrics}]}]} if whole else {}),
    }
