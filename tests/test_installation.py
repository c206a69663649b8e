"""What a small installation can do: the command line in a process that lacks some packages and a home."""

import pytest

from tests.programs import run_fresh

LACKING = """
import runpy, sys


class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ray", "plotly", "matplotlib", "datasets"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Lacking())
sys.argv = ["autopeft", *sys.argv[1:]]
runpy.run_module("autopeft", run_name="__main__", alter_sys=True)
"""


def autopeft(*arguments, folder):
    return run_fresh("-c", LACKING, *arguments, folder=folder, HOME="/nowhere", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")


@pytest.fixture
def data(backbone_folder, pairs):
    return ["--train", pairs[0], "--validation", pairs[1], "--text", "a,b", "--label", "label", "--model", backbone_folder]


@pytest.mark.slow
def test_an_inline_search_needs_neither_ray_nor_plots_nor_datasets_nor_a_home(data, tmp_path):
    brief = ["--trials", 2, "--confirm", 0, "--epochs", 1, "--train-examples", 16, "--max-length", 16, "--workers", 0, "--out", "run"]
    answer = autopeft("search", *data, *brief, folder=tmp_path)
    assert answer.code == 0, answer.err
    assert "Trials: 2 complete" in answer.out


def test_workers_without_ray_are_an_error_in_one_line(data, tmp_path):
    answer = autopeft("search", *data, "--trials", 1, "--workers", 1, "--out", "run", folder=tmp_path)
    assert answer.code == 3
    assert answer.err.strip().splitlines()[-1].startswith("error: ray is not installed. Trials run in this process with --workers 0")


def test_plots_without_plotly_are_an_error_in_one_line(small_run, tmp_path):
    answer = autopeft("plot", small_run.path, folder=tmp_path)
    assert answer.code == 3
    assert answer.err.strip().splitlines()[-1].startswith("error: plotly is not installed")
