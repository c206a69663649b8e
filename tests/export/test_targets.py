"""Each target's own parser reads what we write, from its wheel, unpacked into a folder of its own: its dependencies clash with ours.

Not part of the default run, for it downloads some 100 MB: pytest -m targets tests/export/test_targets.py
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from autopeft.configuration import Configuration, PeftModule
from autopeft.export import adapterhub_adapter, axolotl_recipe, llamafactory_recipe, trl_recipe, unsloth_recipe
from tests.export.helpers import BATCH, scales, trained

pytestmark = pytest.mark.targets

CACHE = Path(os.environ.get("AUTOPEFT_TARGETS", Path.home() / ".cache" / "autopeft-targets"))
WHEELS = {
    "trl": ["trl==1.16.0"],
    "axolotl": ["axolotl==0.19.0", "addict==2.4.0"],
    "llamafactory": ["llamafactory==0.9.5", "omegaconf==2.4.0", "antlr4-python3-runtime==4.9.3"],
    "unsloth": ["unsloth==2026.10.9"],
    "adapters": ["adapters==1.3.0", "transformers==4.57.6", "huggingface_hub==0.36.2", "tokenizers==0.22.2"],
}
RECIPES = {"trl": trl_recipe, "axolotl": axolotl_recipe, "llamafactory": llamafactory_recipe, "unsloth": unsloth_recipe}
TRAINING = {"learning_rate": 1e-5, "warmup_fraction": 0.1}


def lora(rank, layers, targets=("query", "value"), **options):
    return PeftModule("lora", rank, layers, targets, options)


def unpacked(target):
    """Return a folder with a target's wheels."""
    folder = CACHE / f"{target}-{WHEELS[target][0].partition('==')[2]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{target}.lock"):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(partial), *WHEELS[target]]
            subprocess.run(command, check=True)
            partial.rename(folder)
    return folder


def ask(target, folder, *arguments):
    """Run a target's script of `targets/` in the folder of an export; return what it says of it."""
    scripts = Path(__file__).parent / "targets"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{unpacked(target)}{os.pathsep}{scripts}",
        "PYTHONWARNINGS": "ignore",
        "CUDA_VISIBLE_DEVICES": "",
        "DISABLE_VERSION_CHECK": "1",  # of LLaMA-Factory: with our versions of what it depends on
    }
    command = [sys.executable, str(scripts / f"rebuild_{target}.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    return json.loads(line.removeprefix("RESULT "))


CONFIGURATIONS = {
    "one rank": (lora(4, (1, 11)),),
    "one linear": (lora(2, (1,), ("value",), alpha=3.0),),
    "options": (lora(4, (1,), ("ffn_in", "query"), dropout=0.1, dora=True, rslora=True),),
}
PER_LINEAR = {"several ranks": (lora(2, (1, 11)), lora(4, (3,), alpha=2.0), lora(2, (3,), ("ffn_in",)))}


@pytest.mark.parametrize(
    ("target", "name"),
    [
        *((target, name) for target in RECIPES for name in CONFIGURATIONS),
        ("axolotl", "several ranks"),
        ("unsloth", "several ranks"),
    ],
)
def test_a_trainer_of_language_models_wraps_the_same_linears(train_trial, target, name, tmp_path):
    trial, _ = train_trial(Configuration((CONFIGURATIONS | PER_LINEAR)[name], TRAINING), "llama")
    plan = RECIPES[target].plan(trial)
    assert len(plan.lost) == 2  # the head and what was learnt
    plan.write(tmp_path)
    found = ask(target, tmp_path)
    ours = scales(trained(trial))
    assert {module: tuple(values) for module, values in found["modules"].items()} == ours
    (first, *_) = trial.configuration.modules
    assert (found["dropout"], found["dora"], found["rslora"]) == tuple(first.options.get(key, 0) for key in ("dropout", "dora", "rslora"))
    epochs = trial.budget.full().epochs
    if target == "trl":
        assert (found["learning_rate"], found["warmup_steps"], found["epochs"]) == (1e-5, 100, epochs)
        assert found["splits"] == ["train", "validation"]
    elif target == "axolotl":
        assert found["changed"] == []
        assert (found["learning_rate"], found["epochs"]) == (1e-5, epochs)
        assert found["datasets"] == ["data/train.jsonl", "data/validation.jsonl"]
    elif target == "llamafactory":
        assert (found["learning_rate"], found["warmup_steps"], found["epochs"]) == (1e-5, round(0.1 * 12 * epochs), epochs)
        assert found["datasets"] == ["train.jsonl", "validation.jsonl"]
    else:
        assert found["handed_on"] == ["alpha_pattern", "rank_pattern", "use_dora"]
        assert found["unknown"] == []
        assert found["loads"]


def test_trl_trains_what_was_written(train_trial, tmp_path):
    trial, _ = train_trial(Configuration(CONFIGURATIONS["one rank"], TRAINING), "llama")
    trl_recipe.plan(trial).write(tmp_path)
    ask("trl", tmp_path, "--train")
    saved = json.loads((tmp_path / "trained" / "adapter_config.json").read_text())
    assert len(saved["target_modules"]) == 4


ADAPTERS = {
    "lora": (PeftModule("lora", 2, (0, 2), ("query", "value", "ffn_in", "ffn_out"), {"alpha": 3.0, "dropout": 0.1}),),
    "serial": (PeftModule("serial_adapter", 5, (0,), (), {"activation": "gelu", "scale": 0.5}), PeftModule("serial_adapter", 3, (1,))),
    "parallel": (PeftModule("parallel_adapter", 3, (1,)),),
    "prefix": (PeftModule("prefix", 3, (0, 2)),),
    "composite": (
        PeftModule("serial_adapter", 5, (0,)),
        PeftModule("parallel_adapter", 7, (1, 2)),
        PeftModule("prefix", 2, (0, 1)),
        PeftModule("lora", 4, (1, 2), ("key",)),
    ),
}


FAMILIES = ("bert", "xlm-roberta", "electra")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        *((name, "roberta") for name in ADAPTERS),
        *(("composite", family) for family in FAMILIES),
        *((name, "distilbert") for name in ("lora", "serial", "parallel")),
    ],
)
def test_adapterhub_loads_the_same_modules_and_predicts_the_same(train_trial, name, family, tmp_path):
    trial, _ = train_trial(Configuration(ADAPTERS[name], {"learning_rate": 0.05}), family)
    plan = adapterhub_adapter.plan(trial)
    assert plan.lost == ()
    plan.write(tmp_path)
    found = ask("adapters", tmp_path, trial.backbone.path, json.dumps({key: value.tolist() for key, value in BATCH.items()}))
    ours = trained(trial)
    assert found["missing"] == []
    assert {module: tuple(values) for module, values in found["loras"].items()} == scales(ours)
    assert found["logits"] == pytest.approx(ours(**BATCH).logits.flatten().tolist(), abs=1e-5)
    assert found["snippet"] in trial.task.labels
