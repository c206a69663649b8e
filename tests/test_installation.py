"""What a small installation can do: the command line in a process that lacks some packages and a home."""

import pytest

from tests.programs import run_fresh

LACKING = """
import importlib.machinery, runpy, sys

LACKING = ("ray", "plotly", "matplotlib", "datasets")
find = importlib.machinery.PathFinder.find_spec


def find_spec(name, *more):
    return None if name.partition(".")[0] in LACKING else find(name, *more)


importlib.machinery.PathFinder.find_spec = staticmethod(find_spec)
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
    brief = ["--trials", 2, "--confirm", 0, "--epochs", 1, "--train-examples", 16, "--max-length", 16, "--out", "run"]
    answer = autopeft("search", *data, *brief, folder=tmp_path)
    assert answer.code == 0, answer.err
    assert "trials run in this process, one after another, as Ray is not installed" in answer.err
    assert "Trials: 2 complete" in answer.out
    assert "kernels" not in answer.err, "a dependency's advice on four-bit products, which this search has none of"


def test_workers_without_ray_are_an_error_in_one_line(data, tmp_path):
    answer = autopeft("search", *data, "--trials", 1, "--workers", 1, "--out", "run", folder=tmp_path)
    assert answer.code == 3
    assert (
        answer.err.strip()
        .splitlines()[-1]
        .startswith("error: ray is not installed. Trials run in this process with --workers 0; for workers: pip install 'autopeft[ray]'")
    )


def test_plots_without_plotly_are_an_error_in_one_line(small_run, tmp_path):
    answer = autopeft("plot", small_run.path, folder=tmp_path)
    assert answer.code == 3
    assert (
        answer.err.strip()
        .splitlines()[-1]
        .startswith("error: plotly is not installed. Pages and plots need it: pip install 'autopeft[plot]'")
    )
