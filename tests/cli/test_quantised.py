"""A search over a quantised backbone, from the command line to what others load."""

import json
import re
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch

from autopeft.export.predictor import load_predictor
from tests.cli.conftest import Autopeft

pytest.importorskip("bitsandbytes")
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # peft 0.21 asks transformers 5.23 for it


IDS = torch.tensor([[2, 4, 5, 9, 3], [2, 14, 12, 7, 3]])
SPACE = """
description: LoRA, and methods that can't stand over quantised weights
layers: shared
modules:
  - {name: weight, method: [lora, loha], size: suggested}
  - {name: mask, method: [bitfit], size: suggested}
training:
  learning_rate: {low: 1.0e-3, high: 1.0e-1, log: true}
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "small.yaml"
    path.write_text(SPACE)
    return path


@torch.no_grad()
def logits(folder: str) -> torch.Tensor:
    return load_predictor(folder).model(input_ids=IDS).logits


def test_search_retrain_and_export(
    autopeft: Autopeft, pairs: tuple[Path, Path], backbone_folder: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    files = ["--train", pairs[0], "--validation", pairs[1], "--test", pairs[1], "--text", "a,b", "--label", "label"]
    budget = ["--epochs", "1", "--batch-size", "16", "--max-length", "24", "--trials", "2", "--workers", "0", "--start", "none"]
    asked = ["search", *files, *budget, "--model", backbone_folder, "--space", space, "--max-params", "5%", "--out", run]
    wrong = autopeft(*asked, "--quantize", "nf5")
    assert wrong.code == 2
    assert "nf4" in wrong.err
    answer = autopeft(*asked, "--quantize", "nf4")
    assert answer.code == 0, answer.err
    assert "bitfit is left out: its linears are quantised (nf4)" in answer.err
    assert "loha is left out: its linears are quantised (nf4)" in answer.err
    settings = json.loads((run / "run.json").read_text())
    assert settings["settings"]["quantize"] == {"value": "nf4", "source": "flag"}
    assert settings["model"]["quantize"] == "nf4"
    per_layer = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32  # attention, feed-forward network, two norms
    assert settings["backbone_parameters"] == (20 + 64 + 2 + 2) * 32 + 3 * per_layer
    adapter = json.loads((run / "trials" / "0000" / "adapter" / "adapter.json").read_text())
    assert adapter["backbone"]["quantization"] == "nf4"

    assert autopeft("retrain", run, "--trial", 0, "--seeds", 1, "--epochs", 1).code == 0
    folders = {}
    for target, *more in (("script",), ("peft",), ("merged",), ("merged", "--onto", "original")):
        out = tmp_path / "-".join([target, *more[1:]])
        exported = autopeft("export", run, "--trial", 0, "--retrained", "--to", target, *more, "--out", out)
        assert exported.code == 0, exported.err
        folders[out.name] = exported.out.strip()
    ours = logits(folders["script"])
    assert torch.equal(logits(folders["peft"]), ours)
    merged, original = (float((logits(folders[name]) - ours).abs().max()) for name in ("merged", "merged-original"))
    assert merged < 1e-5
    assert original > 10 * merged
    assert "quantization_config" not in json.loads((Path(folders["merged"]) / "config.json").read_text())
    card = (Path(folders["merged-original"]) / "README.md").read_text()
    assert "trained over nf4 weights and merged into the original ones" in card
    assert re.search(r"\| as trained \| .*\n\| in this folder \| ", card)

    snippet = re.search(r"```python\n(.*?)```", (Path(folders["peft"]) / "README.md").read_text(), re.DOTALL)
    loaded: dict[str, Any] = {}
    # Outside of autopeft bitsandbytes packs four bits anew where a processor multiplies bfloat16, and fails on these widths.
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)
    with chdir(folders["peft"]):
        exec(snippet[1], loaded)
    with torch.no_grad():
        assert torch.equal(loaded["model"](input_ids=IDS).logits, ours)
    refused = autopeft("export", run, "--trial", 0, "--to", "script", "--onto", "original")
    assert refused.code == 2
    assert "--onto is for --to merged alone" in refused.err
