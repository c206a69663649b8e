"""What tests of several rooms share: a tiny random backbone with a tokenizer, and own data files it can be trained on."""

import csv
import os
import random
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from autopeft.request import SearchRequest
    from autopeft.study.directory import RunDirectory

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may wait for a network
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side
os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads it when it is first imported, by whichever test that is
os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's 15 the workers of one test starve beside another test

SHARED = Path(__file__).parents[2] / "shared"
WORDS = ["the", "cat", "dog", "bird", "sees", "hears", "likes", "red", "blue", "green", "old", "new", "and", "not", "very", "quick"]


ON_REQUEST = {
    "targets": "downloads the targets' packages: pytest -m targets",
    "faults": "kills processes and fills disks for minutes: pytest -m faults",
    "slow": "takes long for what it adds: pytest -m slow",
}
"""By marker, why what has it is left out unless it is asked for."""
LONGEST_FIRST = ("faults", "executors", "loops", "methods", "cli", "benchmarks", "examples", "documentation", "export")
"""Folders of tests of which some take seconds. They come first, so that no worker is left alone with one of them in the end."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, saying so, what was not asked for, and what needs real data where there is none; order the rest."""
    for marker, reason in ON_REQUEST.items():
        for item in items if marker not in config.option.markexpr else ():
            if item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))
    if not (SHARED / "data").is_dir():
        for item in items:
            if item.get_closest_marker("shared") is not None:
                item.add_marker(pytest.mark.skip(reason=f"needs the real data and models in {SHARED}"))
    rank = {folder: place for place, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


def pytest_configure() -> None:
    """Listen to Ctrl-C where a shell has started the tests in the background and had them ignore it: some interrupt themselves."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Make what a test and its fixtures draw independent of the tests that ran before in the same process."""
    random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.default_generator.manual_seed(0)  # what torch.manual_seed does for devices that aren't there takes milliseconds


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray cluster of two processors on this machine, which takes seconds to start."""
    from autopeft.executors import cluster as ray_cluster

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ray_cluster.ENVIRONMENT.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        yield cluster.address
        cluster.shutdown()


@pytest.fixture(scope="session")
def backbone_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 3 layers and hidden size 32, with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("backbone")
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
            max_position_embeddings=64,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
    return folder


def write_pairs(path: Path, n: int, seed: int, label: str = "label") -> Path:
    """Write n sentence pairs; "same" where the first words agree, so that there is something to learn."""
    rng = random.Random(seed)
    rows = []
    for _ in range(n):
        first = [rng.choice(WORDS) for _ in range(rng.randint(3, 9))]
        second = [rng.choice(WORDS) for _ in range(rng.randint(3, 9))]
        same = rng.random() < 0.5
        if same:
            second[0] = first[0]
        rows.append([" ".join(first), " ".join(second), "same" if second[0] == first[0] else "different"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", label])
        writer.writerows(rows)
    return path


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Training and validation files of sentence pairs: 48 and 32 rows, columns a, b, label."""
    folder = tmp_path_factory.mktemp("pairs")
    return write_pairs(folder / "train.csv", 48, 0), write_pairs(folder / "validation.csv", 32, 1)


@pytest.fixture(scope="session")
def small_request(backbone_folder: Path, pairs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> "SearchRequest":
    """Three trials of one epoch on own files, 40 test rows among them."""
    from autopeft.request import SearchRequest

    return SearchRequest(
        train=str(pairs[0]),
        validation=str(pairs[1]),
        test=str(write_pairs(tmp_path_factory.mktemp("test") / "test.csv", 40, 2)),
        text=("a", "b"),
        label="label",
        model=str(backbone_folder),
        trials=3,
        workers=0,
        space="four_modules",
        start=(),
        sampler="random",
        epochs=1,
        batch_size=16,
        max_length=24,
        confirm=0,
    )


@pytest.fixture(scope="session")
def _finished_run(small_request: "SearchRequest", tmp_path_factory: pytest.TempPathFactory) -> Path:
    from autopeft.api import SilentSearch
    from autopeft.loops.search import search

    return search(replace(small_request, out=str(tmp_path_factory.mktemp("small") / "run")), SilentSearch()).path


@pytest.fixture
def small_run(_finished_run: Path, tmp_path: Path) -> "RunDirectory":
    """A finished search of `small_request`, the test's own copy."""
    from autopeft.study.directory import RunDirectory

    return RunDirectory.open(Path(shutil.copytree(_finished_run, tmp_path / "run")))
