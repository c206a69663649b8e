import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.budget import Budget
from autopeft.configuration import Configuration, PeftModule
from autopeft.errors import InvalidInputError
from autopeft.report.drawings import retrained as draw_retrained
from autopeft.report.retrained import RetrainedTable
from autopeft.report.table import plain_text
from autopeft.study.retrained import Candidate, Kind, RetrainedFolder, SeedResult

SETTINGS = {
    "task": "mrpc",
    "metric": "accuracy",
    "model": {"name": "tiny", "sha256": "00"},
    "budget": Budget(epochs=6, batch_size=16).to_dict(),
    "examples": {"train": 3301, "validation": 408, "test": 367},
    "data_notes": ["test: the public test labels are hidden, so 367 examples cut from the training data by seed 0 serve"],
    "backbone_parameters": 1000,
    "head_parameters": 10,
}


def add(folder: RetrainedFolder, name: str, kind: Kind, size: int, test: list[float], validation: float) -> Candidate:
    candidate = Candidate(Configuration((PeftModule("lora", size, (0,)),)), name, kind, size)
    folder.prepare(SETTINGS, [candidate])
    for seed, value in enumerate(test):
        metrics = {"accuracy": validation, "loss": 0.5 - seed / 10}
        result = SeedResult(
            seed, 4.0, metrics, {"accuracy": value, "loss": 0.6}, 10 * size, 10, seconds=60.0 + seed, peak_bytes=10**9 + seed
        )
        folder.write_result(candidate.id, result, {"curve.jsonl": b"", "adapter/adapter.json": b"{}"})
    return candidate


@pytest.fixture
def folder(tmp_path: Path) -> RetrainedFolder:
    folder = RetrainedFolder(tmp_path / "retrained")
    add(folder, "trial 3", "trial", 3, [0.80, 0.82, 0.81], 0.80)
    add(folder, "trial 5", "trial", 5, [0.95, 0.95, 0.95], 0.70)  # best on test data, which must not matter
    add(folder, "LoRA", "baseline", 4, [0.70, 0.71, 0.72], 0.75)
    add(folder, "prefix", "baseline", 6, [0.70, 0.90, 0.80], 0.74)
    add(folder, "BitFit", "baseline", 2, [0.60], 0.60)
    failed = add(folder, "head only", "baseline", 1, [], 0.0)
    folder.write_error(failed.id, 0, "training diverged\n\nTraceback")
    return folder


def test_rows_hold_mean_and_spread_by_rising_size(folder: RetrainedFolder) -> None:
    rows = RetrainedTable.of(folder).rows()
    assert [row["name"] for row in rows] == ["BitFit", "trial 3", "LoRA", "trial 5", "prefix"]
    found = rows[1]
    assert found["seeds"] == [0, 1, 2]
    assert found["best_seed"] == 2  # equal accuracy on validation data, lowest loss
    assert found["test"]["accuracy"]["values"] == (0.80, 0.82, 0.81)
    assert found["test"]["accuracy"]["mean"] == pytest.approx(0.81)
    assert found["test"]["accuracy"]["deviation"] == pytest.approx(0.01)
    share = (0.81 * 367 + 2) / 371  # of 367 test examples, whose draws this folder doesn't hold
    assert found["test"]["accuracy"]["high"] == pytest.approx(0.81 + 1.966 * (0.01**2 / 3 + share * (1 - share) / 371) ** 0.5, abs=1e-4)
    assert found["seconds"] == 61
    assert found["peak_bytes"] == 10**9 + 2
    assert rows[0]["test"]["accuracy"]["low"] < 0.60 < rows[0]["test"]["accuracy"]["high"]  # one seed, but many test examples
    assert rows[0]["test"]["accuracy"]["deviation"] is None


def test_the_best_on_validation_data_is_compared_with_every_baseline(folder: RetrainedFolder) -> None:
    found = {one.baseline: one for one in RetrainedTable.of(folder).comparisons}
    assert {one.chosen for one in found.values()} == {"trial 3"}
    assert found["LoRA"].difference == pytest.approx(0.10)
    assert found["LoRA"].significant is True
    # Two tests were possible: the smaller p counts twice, the larger once.
    assert found["LoRA"].corrected_p == pytest.approx(2 * found["LoRA"].p)
    assert found["prefix"].corrected_p == pytest.approx(found["prefix"].p)
    assert found["prefix"].significant is False
    assert found["BitFit"].significant is None


def test_the_printed_table_says_where_the_test_data_came_from_and_which_test_was_used(folder: RetrainedFolder) -> None:
    table = RetrainedTable.of(folder)
    text = plain_text(table.introduction(), table.tables())
    assert "3,301 train, 408 validation, 367 test" in text
    assert "the public test labels are hidden, so 367 examples cut from the training data by seed 0 serve" in text
    assert "Welch's t-test over seeds, two-sided, with Holm's correction for 3 comparisons at 0.05" in text
    assert "0.8100 ± 0.0100 [0.7681, 0.8519]" in text
    assert "Without a result: head only, training diverged" in text
    verdicts = {
        line.split()[2]: line.rsplit("  ", 1)[1] for line in text.splitlines() if line.startswith("trial 3  ") and " + " not in line
    }
    assert verdicts["LoRA"] == "yes"
    assert verdicts["prefix"] == "no"
    assert verdicts["BitFit"].startswith("not testable")


def test_a_seed_that_learnt_next_to_nothing_is_reported(tmp_path: Path) -> None:
    folder = RetrainedFolder(tmp_path / "retrained")
    candidate = add(folder, "trial 3", "trial", 3, [0.80, 0.69, 0.81], 0.80)
    add(folder, "trial 5", "trial", 5, [0.68, 0.69], 0.69)  # poor with every seed: that is how it is
    bad = next(result for result in folder.read()[0].results if result.seed == 1)
    folder.write_result(candidate.id, replace(bad, validation={"accuracy": 0.70, "loss": 0.6}), {"curve.jsonl": b""})
    assert not any("Collapsed" in line for line in RetrainedTable.of(folder).introduction())  # nobody knows what nothing is
    folder.prepare({**SETTINGS, "trivial_score": 0.68}, [candidate])
    table = RetrainedTable.of(folder)
    (line,) = [line for line in table.introduction() if "Collapsed" in line]
    assert line == "Collapsed: trial 3 with seed 1 (validation accuracy 0.7000); a lower learning rate may be steadier"
    assert [row["collapsed_seeds"] for row in table.rows()] == [[1], []]


def test_json_and_csv_are_for_programs(folder: RetrainedFolder) -> None:
    table = RetrainedTable.of(folder)
    data = json.loads(json.dumps(table.to_dict(), allow_nan=False))
    assert data["metric"] == "accuracy"
    assert len(data["configurations"]) == 5
    assert {one["baseline"]: one["significant"] for one in data["comparisons"]} == {"LoRA": True, "prefix": False, "BitFit": None}
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [row["name"] for row in rows] == [row["name"] for row in data["configurations"]]
    assert float(rows[1]["test_accuracy_mean"]) == pytest.approx(0.81)
    assert rows[0]["test_accuracy_deviation"] == ""


def test_another_seed_of_the_same_configuration_joins_its_row(folder: RetrainedFolder) -> None:
    add(folder, "another name", "trial", 4, [0.70, 0.71, 0.72, 0.73], 0.75)
    row = next(row for row in RetrainedTable.of(folder).rows() if row["trainable_parameters"] == 40)
    assert row["name"] == "LoRA"
    assert row["seeds"] == [0, 1, 2, 3]


def test_draws_of_test_examples_give_the_interval_of_a_mean_and_of_a_difference(folder: RetrainedFolder) -> None:
    """What a draw of examples does to both sides alike cancels out of their difference."""
    draws = [0.70, 0.80, 0.90]
    for found in folder.read():
        for result in found.results:
            shift = result.test["accuracy"] - 0.80
            folder.write_result(found.candidate.id, replace(result, resampled={"accuracy": [one + shift for one in draws]}), {})
    table = RetrainedTable.of(folder)
    assert table.chosen is not None
    mean = table.estimate(table.chosen, "test", "accuracy")
    assert mean.high - mean.low == pytest.approx(2 * 1.96 * 0.1, rel=0.02)
    (lora,) = (one for one in table.comparisons if one.baseline == "LoRA")
    variance = 2 * 0.01**2 / 3
    assert (lora.low, lora.high) == pytest.approx((0.10 - 2.776 * variance**0.5, 0.10 + 2.776 * variance**0.5), abs=1e-4)
    assert "+0.1000 [+0.0773, +0.1227]" in plain_text([], table.tables())


def test_a_table_leads_with_the_searched_metric_and_has_those_that_all_results_have(folder: RetrainedFolder) -> None:
    """An earlier version may have measured less: seeds that are trained now must be able to join."""
    candidate = folder.read()[1].candidate
    more = SeedResult(3, 4.0, {"accuracy": 0.8, "loss": 0.5, "f1": 0.7}, {"loss": 0.5, "accuracy": 0.8, "f1": 0.7}, 30, 10)
    folder.write_result(candidate.id, more, {})
    table = RetrainedTable.of(folder)
    assert {tuple(sorted(row["test"])) for row in table.rows()} == {("accuracy", "loss")}
    folder.write_result(candidate.id, replace(more, seed=4, test={"loss": 0.5, "accuracy": 0.8}), {})
    titles = [column.title for column in RetrainedTable.of(folder).tables()[0].columns]
    assert titles[:4] == ["name", "seeds", "test accuracy", "test loss"]
    folder.write_result(candidate.id, replace(more, test={"loss": 0.5}), {})
    with pytest.raises(InvalidInputError, match="must have the metric accuracy"):
        RetrainedTable.of(folder)


def test_too_few_seeds_are_said(folder: RetrainedFolder) -> None:
    assert any(line.startswith("Too few seeds to know how much seeds differ: some") for line in RetrainedTable.of(folder).introduction())


@pytest.mark.parametrize(("n_test", "capped"), [(20, False), (10**9, True)], ids=["cut by the picture", "whole"])
def test_an_interval_that_the_picture_cuts_has_no_cap(tmp_path: Path, n_test: int, capped: bool) -> None:
    folder = RetrainedFolder(tmp_path / "retrained")
    for name, kind in (("trial 3", "trial"), ("LoRA", "baseline")):
        add(folder, name, kind, 3 if kind == "trial" else 4, [0.800, 0.803, 0.806, 0.801, 0.804], 0.80)
    table = RetrainedTable.of(folder)
    table.settings["examples"]["test"] = n_test
    lines = [one for one in draw_retrained(table, 700.0).iter() if one.get("class") == "interval front"]
    assert any(one.get("y1") == one.get("y2") for one in lines) == capped
    assert any(one.get("x1") == one.get("x2") for one in lines)
