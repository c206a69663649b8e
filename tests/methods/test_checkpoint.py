import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError, VerificationError
from autopeft.methods.adapter_files import require_whole
from autopeft.methods.checkpoint import load, pack, unpack
from autopeft.methods.compose import apply
from autopeft.methods.registry import all_methods

from .families import FAMILIES, logits_of, subject
from .test_compose import ALL_FOUR
from .test_conformance import module_of

ROOT = Path(__file__).parents[2]


def trained(family: str, folder: Path, configuration: Configuration = ALL_FOUR) -> torch.Tensor:
    """Save an adapter with values of its own, and return what its model computes."""
    of_family = subject(family)
    applied = apply(of_family.model, configuration, topology=of_family.topology)
    for parameter in applied.trainable_parameters().values():
        parameter.data.normal_(0, 0.1)
    logits = logits_of(of_family.model, of_family.batch)
    applied.save(folder, {"trial": 3})
    applied.eject()
    return logits


@pytest.mark.parametrize("family", ["bert", "distilbert", "llama", "gpt2"])
def test_round_trip_is_exact(family: str, tmp_path: Path) -> None:
    expected = trained(family, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter.json", "adapter.safetensors"]
    model, batch = FAMILIES[family].build(), FAMILIES[family].batch()
    applied = load(model, tmp_path, batch)
    assert applied.configuration == ALL_FOUR
    assert torch.equal(logits_of(model, batch), expected)


RELOAD = """
import json, sys, torch
from pathlib import Path
from tests.methods.families import logits_of, subject
from autopeft.methods.checkpoint import load
of_family, logits = subject("bert"), {}
torch.manual_seed(99)
for folder in sorted(Path(sys.argv[1]).iterdir()):
    applied = load(of_family.model, folder, topology=of_family.topology)
    logits[folder.name] = logits_of(of_family.model, of_family.batch).tolist()
    applied.eject()
print(json.dumps(logits))
"""


@pytest.mark.filterwarnings("ignore:Sparse invariant checks are implicitly disabled:UserWarning")
def test_a_new_process_computes_the_same_with_every_method(tmp_path: Path) -> None:
    topology = subject("bert").topology
    modules = {method.name: module_of(method, topology, {}) for method in all_methods()}
    expected = {name: trained("bert", tmp_path / name, Configuration((module,))).tolist() for name, module in modules.items()}
    # The same number of threads as here, on which the order of sums depends.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", RELOAD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert json.loads(done.stdout.splitlines()[-1]) == expected


def test_description_tells_what_it_is_of(tmp_path: Path) -> None:
    trained("bert", tmp_path)
    description = json.loads((tmp_path / "adapter.json").read_text())
    assert description["metadata"] == {"trial": 3}
    assert description["head"] == ["classifier.weight", "classifier.bias"]
    assert set(description["versions"]) == {"torch", "transformers", "peft"}
    assert "classifier.weight" not in description["backbone"]["tensors"]


def test_newly_initialised_weights_travel_along(tmp_path: Path) -> None:
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    applied = apply(model, ALL_FOUR, batch, extra_trainable=["bert.pooler.dense.weight"])
    applied.head_parameters["bert.pooler.dense.weight"].data.normal_()
    expected = logits_of(model, batch)
    applied.save(tmp_path)
    other = FAMILIES["bert"].build()
    other.bert.pooler.dense.weight.data.normal_()
    load(other, tmp_path, batch)
    assert torch.equal(logits_of(other, batch), expected)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    trained("bert", tmp_path)
    model, batch = FAMILIES["bert"].build(), FAMILIES["bert"].batch()
    model.bert.encoder.layer[1].output.dense.bias.data += 1
    with pytest.raises(VerificationError, match=r"another backbone.*1 of \d+ tensors differ, bert.encoder.layer.1.output.dense.bias"):
        load(model, tmp_path, batch)
    with pytest.raises(VerificationError, match="another backbone"):
        load(FAMILIES["llama"].build(), tmp_path, batch)


def without(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["classifier.bias"]


def renamed(tensors: dict[str, torch.Tensor]) -> None:
    tensors["classifier.extra"] = tensors["classifier.bias"].clone()


def reshaped(tensors: dict[str, torch.Tensor]) -> None:
    tensors["classifier.bias"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without, "lacks 1 tensors: classifier.bias"),
        (renamed, "has 1 tensors that the model has no place for: classifier.extra"),
        (reshaped, r"classifier.bias must have the shape \(2,\) \(got \(3,\)\)"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(damage, message: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    trained("bert", tmp_path)
    tensors = load_file(tmp_path / "adapter.safetensors")
    damage(tensors)
    save_file(tensors, tmp_path / "adapter.safetensors")
    of_family = subject("bert")
    with pytest.raises(VerificationError, match=message):
        load(of_family.model, tmp_path, topology=of_family.topology)
    assert torch.equal(logits_of(of_family.model, of_family.batch), of_family.logits)


@pytest.mark.parametrize(
    ("content", "message"), [(b"{", "must be JSON"), (b'{"format": 9}', r"must have format 1 \(got 9\)"), (b"[]", "format 1")]
)
def test_a_description_of_another_kind_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        unpack(subject("bert").model, {"adapter.json": content, "adapter.safetensors": b""}, subject("bert").batch)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"needs the file adapter\.json"):
        load(subject("bert").model, tmp_path, subject("bert").batch)


def test_a_folder_that_was_copied_in_part_is_refused(tmp_path: Path) -> None:
    trained("bert", tmp_path)
    for name in ("adapter.safetensors", "adapter.json"):
        whole = (tmp_path / name).read_bytes()
        for n_bytes in (0, 5, 60, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:n_bytes])
            with pytest.raises(InvalidInputError, match=r"the adapter is damaged: .*autopeft retrain"):
                require_whole(tmp_path)
            with pytest.raises(InvalidInputError, match="the adapter is damaged"):
                load(subject("bert").model, tmp_path, topology=subject("bert").topology)
        (tmp_path / name).write_bytes(whole)
    require_whole(tmp_path)


def test_a_batch_or_a_topology_is_needed(tmp_path: Path) -> None:
    trained("bert", tmp_path)
    with pytest.raises(InvalidInputError, match="needs an example batch"):
        load(subject("bert").model, tmp_path)


def test_only_modules_in_place_are_packed() -> None:
    of_family = subject("bert")
    applied = apply(of_family.model, Configuration((PeftModule("prefix", 2, (0,)),)), topology=of_family.topology)
    with pytest.raises(InvalidInputError, match="what JSON can hold"):
        pack(applied, {"model": of_family.model})
    applied.eject()
    with pytest.raises(InvalidInputError, match="ejected or merged"):
        pack(applied)
