import runpy
from pathlib import Path

import pytest
import torch

from autopeft.configuration import Configuration, PeftModule
from autopeft.methods import registry
from autopeft.methods.checkpoint import pack, unpack
from autopeft.methods.compose import apply

from .families import logits_of, subject

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_method.py"


def test_a_method_in_one_file_is_applied_counted_saved_and_ejected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert capsys.readouterr().out.strip().endswith("1088 parameters")
    of_family = subject("llama")
    configuration = Configuration((PeftModule("output_factor", 1, (0, 2)), PeftModule("prefix", 2, (1,))))
    applied = apply(of_family.model, configuration, topology=of_family.topology)
    for parameter in applied.module_parameters.values():
        parameter.data.normal_()
    expected = logits_of(of_family.model, of_family.batch)
    files = pack(applied)
    applied.eject()
    assert torch.equal(logits_of(of_family.model, of_family.batch), of_family.logits)
    loaded = unpack(of_family.model, files, topology=of_family.topology)
    assert torch.equal(logits_of(of_family.model, of_family.batch), expected)
    loaded.eject()
