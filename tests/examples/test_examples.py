"""Every example runs."""

import ast
import json
import re
import shutil
from pathlib import Path

import pytest

from autopeft.methods import registry
from autopeft.tasks.demo import generation
from tests.programs import run_script_here

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(script: str, *arguments: object) -> str:
    """Run an example and return what it printed."""
    answer = run_script_here(EXAMPLES / script, *arguments)
    assert answer.code == 0, answer.err
    return answer.out


@pytest.fixture(autouse=True)
def few_demo_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training on all of the demo task's data takes a while, even where the model is tiny."""
    monkeypatch.setattr(generation, "SIZES", {"train": 48, "validation": 24, "test": 24})


@pytest.mark.parametrize(("script", "printed"), [("own_method.py", "output_factor"), ("own_hook.py", "step 7: layers")])
def test_own_methods(monkeypatch: pytest.MonkeyPatch, script: str, printed: str) -> None:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    assert printed in run(script)


def test_search_retrain_export(backbone_folder: Path, tmp_path: Path) -> None:
    arguments = ["--task", "demo", "--model", backbone_folder, "--trials", 2, "--workers", 0, "--seeds", 2, "--epochs", 1]
    printed = run("search_retrain_export.py", *arguments, "--out", tmp_path / "run")
    assert printed.count("over 2 seeds") >= 2
    assert (tmp_path / "run" / "retrained" / "retrained.json").is_file()
    assert list((tmp_path / "run" / "exports").glob("*-script-retrained/train.py"))


@pytest.mark.parametrize(
    ("notebook", "left"),
    [
        ("search_own_data.ipynb", ["runs/train/in_memory/train.jsonl", "runs/train/exports/*-script/train.py"]),
        ("transfer_and_retrain.ipynb", ["runs/train-2/run.json", "runs/train/retrained/retrained.json"]),
        ("own_method.ipynb", ["runs/demo/run.json"]),
    ],
)
def test_notebooks(notebook: str, left: list[str], backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells run one after another, with fewer trials, and what they show can be shown."""
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "own_method.py", tmp_path)
    content = json.loads((EXAMPLES / notebook).read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    cells = content["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in (cell for cell in cells if cell["cell_type"] == "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None), "outputs are stripped"
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for name, value in {"MODEL": str(backbone_folder), "TRIALS": 2, "SEEDS, EPOCHS": (1, 1)}.items():
        texts = [re.sub(rf"^{name} = [^#\n]+", f"{name} = {value!r}", text, flags=re.MULTILINE) for text in texts]
    names: dict[str, object] = {"__name__": "__main__"}
    for number, text in enumerate(texts):
        tree = ast.parse(text)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{notebook}, code cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), f"{notebook}, code cell {number}", "eval"), names)
            assert getattr(shown, "_repr_html_", shown.__repr__)()
    for pattern in left:
        assert list(tmp_path.glob(pattern)), pattern


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")  # Ray's own, of itself
def test_ray_tune_search(ray_address: str, backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from autopeft.methods.checkpoint import load

    monkeypatch.setenv("RAY_ADDRESS", ray_address)
    arguments = [tmp_path, "--model", backbone_folder, "--trials", 4, "--epochs", 4, "--workers", 1]
    found = [line for line in run("ray_tune_search.py", *arguments).splitlines() if line.startswith("accuracy ")]
    assert found
    sizes = [float(line.split()[3]) for line in found]
    assert sizes == sorted(sizes)
    assert not ray.is_initialized()
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(backbone_folder, num_labels=2)
    batch = AutoTokenizer.from_pretrained(backbone_folder)(["the cat"], return_tensors="pt")
    assert load(model, found[-1].split()[-1], batch).parameter_count == sizes[-1]
