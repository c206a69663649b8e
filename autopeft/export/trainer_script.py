"""Export of any configuration: our saved adapter, and a script on transformers' Trainer that evaluates it or trains it anew.

The script is the same file for every trial; what differs stands in the JSON files beside it.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import Any

from autopeft.export.finished_trial import FinishedTrial
from autopeft.export.formatting import circumstances, metric_lines
from autopeft.export.own_wheel import own_requirement
from autopeft.export.plan import ExportPlan, Written
from autopeft.export.script_data import place_data
from autopeft.methods.adapter_files import DESCRIPTION, read_description
from autopeft.tasks import family_of
from autopeft.tasks.generated import asked_new_tokens

REQUIREMENTS = ("torch", "transformers", "peft", "accelerate", "safetensors", "datasets", "numpy")
_TEMPLATES = Path(__file__).parent / "template"


def plan(trial: FinishedTrial) -> ExportPlan:
    """Plan the adapter, the script and what it reads; nothing is lost."""
    return ExportPlan(lambda folder: _write(trial, folder))


def _write(trial: FinishedTrial, folder: Path) -> Written:
    _copy_adapter(trial, folder / "adapter")
    shutil.copyfile(_TEMPLATES / "train.py.txt", folder / "train.py")
    _write_json(folder / "configuration.json", trial.configuration.to_dict())
    _write_json(folder / "settings.json", _settings(trial, place_data(trial, folder)))
    for index, path in enumerate(trial.plugins):  # numbered: they are imported in the search's order, and two may share a name
        (folder / "plugins").mkdir(exist_ok=True)
        shutil.copyfile(path, folder / "plugins" / f"{index:02d}_{Path(path).name}")
    own = own_requirement(folder)
    lines = [*([own] if own is not None else []), *requirements(trial)]
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (folder / "README.md").write_text(_readme(trial), encoding="utf-8")
    return Written(trial.task)


def _copy_adapter(trial: FinishedTrial, folder: Path) -> None:
    """Copy it, with what the backbone is called in place of the folder that it was loaded from."""
    shutil.copytree(trial.adapter, folder, copy_function=shutil.copyfile)  # of new files the umask says who reads them
    description = read_description((folder / DESCRIPTION).read_bytes())
    description["backbone"]["name"] = trial.model_title
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=1), encoding="utf-8")


def requirements(trial: FinishedTrial) -> list[str]:
    """Return the packages that the script needs besides autopeft, in the versions that ran the search, else in those of this machine."""
    found = {}
    for package in REQUIREMENTS:
        try:
            found[package] = trial.versions.get(package) or version(package)
        except PackageNotFoundError:
            continue
    # A local part such as +cpu names a build that no index offers under this name.
    return [f"{package}=={number.partition('+')[0]}" for package, number in found.items()]


def _settings(trial: FinishedTrial, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": trial.run,
        "trial": trial.record.number,
        "seed": trial.record.seed,
        "model": asdict(trial.backbone_to_pass_on),
        "data": data,
        "metric": trial.task.metric,
        "max_new_tokens": asked_new_tokens(trial.task),
        "validation_metrics": dict(trial.record.metrics),
        "budgets": {"full": trial.budget.full().to_dict(), "search": trial.budget.to_dict()},
        "search_threads": trial.threads,
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _readme(trial: FinishedTrial) -> str:
    template = Template((_TEMPLATES / "script.md").read_text(encoding="utf-8"))
    return template.substitute(
        trial=trial.record.number,
        run=trial.run,
        task=trial.task.name,
        configuration=trial.configuration.describe(),
        besides=" besides the task head" if family_of(trial.task).has_fresh_head else "",
        parameters=f"{trial.record.trainable_parameters:,}",
        model=trial.model_title,
        metrics=metric_lines(trial.record.metrics),
        circumstances=circumstances(trial),
        columns=", ".join(f'"{name}": "..."' for name in trial.task.input_columns),
        full=trial.budget.full().describe(),
        search=trial.budget.describe(),
    )
