"""Every example runs."""

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


def test_search_own_data(pairs: tuple[Path, Path], backbone_folder: Path, tmp_path: Path) -> None:
    arguments = [pairs[0], "--validation", pairs[1], "--text", "a,b", "--label", "label", "--model", backbone_folder]
    arguments += ["--trials", 2, "--workers", 0, "--out", tmp_path / "run"]
    assert "2 trials, of which on the front:" in run("search_own_data.py", *arguments)
    assert (tmp_path / "run" / "exports").is_dir()


def test_search_retrain_export(backbone_folder: Path, tmp_path: Path) -> None:
    arguments = ["--task", "demo", "--model", backbone_folder, "--trials", 2, "--workers", 0, "--seeds", 2, "--epochs", 1]
    printed = run("search_retrain_export.py", *arguments, "--out", tmp_path / "run")
    assert printed.count("over 2 seeds") >= 2
    assert (tmp_path / "run" / "retrained" / "retrained.json").is_file()
    assert list((tmp_path / "run" / "exports").glob("*-script-retrained/train.py"))


def test_walk_through(backbone_folder: Path, tmp_path: Path) -> None:
    text = (EXAMPLES / "walk_through.py").read_text()
    constants = {
        "MODEL = None": f"MODEL = {str(backbone_folder)!r}",
        "TRIALS, WORKERS = 20, 2": "TRIALS, WORKERS = 2, 0",
        "SEEDS, EPOCHS = 3, 2": "SEEDS, EPOCHS = 1, 1",
        'OUT = Path("runs/walk-through")': f"OUT = Path({str(tmp_path / 'run')!r})",
    }
    for before, after in constants.items():
        assert text.count(before) == 1
        text = text.replace(before, after)
    script = tmp_path / "walk_through.py"
    script.write_text(text)
    assert "[2/2]" in run(str(script))
    assert (tmp_path / "run" / "report" / "report.html").is_file()
    text = text.replace("TRIALS, WORKERS = 2, 0", "TRIALS, WORKERS = 3, 0")
    script.write_text(text)
    again = run(str(script))  # the cells once more, with one trial more
    assert "[3/3]" in again
    assert "[1/" not in again


@pytest.mark.xdist_group("ray")
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
