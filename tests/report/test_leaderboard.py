import json
import math
from dataclasses import replace

import pytest

from autopeft.objectives import TRAIN_SECONDS, TRAINABLE_PARAMETERS, Objective
from autopeft.report.header import RunHeader
from autopeft.report.leaderboard import Leaderboard, introduction, tables
from autopeft.study.record import Confirmation, TrialRecord


def test_trials_are_sorted_into_front_dominated_and_failed(records, objectives):
    leaderboard = Leaderboard.of(records, objectives)
    assert [record.number for record in leaderboard.front] == [0, 3, 1]
    assert [record.number for record in leaderboard.dominated] == [4, 2]
    assert [record.number for record in leaderboard.failed] == [9]


def test_an_objective_to_minimise_ranks_the_other_way(trial):
    def with_loss(number, loss):
        return trial(number, 0.5, 768, values={"loss": loss, "trainable_parameters": 768.0})

    objectives = (Objective("loss", "minimize"), TRAINABLE_PARAMETERS)
    leaderboard = Leaderboard.of([with_loss(0, 0.4), with_loss(1, 0.3), with_loss(2, math.nan), with_loss(3, 0.35)], objectives)
    assert [record.number for record in leaderboard.front] == [1]
    assert [record.number for record in leaderboard.dominated] == [3, 0, 2]


def test_rows_have_one_json_object_per_trial_and_no_nan(records, objectives, trial):
    rows = Leaderboard.of([*records, trial(11, 0.1, 999_999, metrics={"accuracy": 0.1, "f1": math.nan})], objectives).rows()
    assert [row["trial"] for row in json.loads(json.dumps(rows, allow_nan=False))] == [0, 3, 1, 4, 2, 11, 9]
    assert [row["on_front"] for row in rows] == [True, True, True, False, False, False, False]
    expected = {"state": "complete", "trainable_parameters": 12_288, "accuracy": 0.84, "seconds": 12.34}
    assert expected.items() <= rows[1].items()
    assert rows[1]["configuration"]["modules"][0]["layers"] == [0, 2, 4]
    assert rows[5]["f1"] is None
    assert rows[6]["state"] == "failed"


def test_tables_say_parameters_shares_and_configurations(records, objectives, header):
    front, dominated, failed = tables(Leaderboard.of(records, objectives), header)
    assert [column.title for column in front.columns] == ["trial", "accuracy", "f1", "parameters", "% of model", "seconds", "configuration"]
    words = "lora 8 [query value] in 0 2 4, learning rate 0.001"
    assert front.rows[1] == ("3", "0.8400", "0.8300", "12,288", "0.054%", "12.3", words)
    assert front.rows[0][-1] == "head only, learning rate 0.001"
    assert [row[0] for row in dominated.rows] == ["4", "2"]
    assert failed.rows == (("9", "-", "loss is not finite  [31m", "prefix 3 in 0"),)


def test_a_brief_table_has_the_best_dominated_and_the_objectives_alone(many_records, objectives, header):
    leaderboard = Leaderboard.of(many_records, objectives)
    front, dominated = tables(leaderboard, header, brief=True)
    assert len(front.rows) == len(leaderboard.front)
    assert [row[0] for row in dominated.rows] == [str(record.number) for record in leaderboard.dominated[:10]]
    assert f"best 10 of {len(leaderboard.dominated)} (--all" in dominated.title
    assert [column.title for column in front.columns] == ["trial", "accuracy", "parameters", "% of model", "seconds", "configuration"]


def test_the_introduction_names_run_task_model_budget_and_head(records, objectives, header):
    text = "\n".join(introduction(Leaderboard.of(records, objectives), header))
    for part in (
        "Run demo, task mrpc, model all-MiniLM-L6-v2 of 22,713,216",
        "1,000 training examples",
        "5 complete, 1 failed",
        "its 770 param",
    ):
        assert part in text
    assert "higher accuracy, lower trainable parameters" in text


@pytest.mark.parametrize(
    ("direction", "trivial", "better"), [("maximize", 0.88, 0), ("maximize", 0.75, 3), ("minimize", 0.69, 0), ("minimize", 0.75, 2)]
)
def test_it_says_how_many_trials_learnt_anything(records, objectives, header, direction, trivial, better):
    objectives = (replace(objectives[0], direction=direction), *objectives[1:])
    lines = introduction(Leaderboard.of(records, objectives), replace(header, trivial_scores={"accuracy": trivial}))
    assert lines[-1] == f"The same answer for every example reaches accuracy {trivial:.4f}: {better} of 5 complete trials do better."
    assert not any("same answer" in line for line in introduction(Leaderboard.of(records, objectives), header))


def test_what_is_confirmed_is_compared_with_one_answer_for_all_that_it_was_measured_on(records, objectives, header):
    header = replace(header, trivial_scores={"accuracy": 0.88}, full_trivial_scores={"accuracy": 0.75})
    best = max((one for one in records if one.values), key=lambda one: one.values["accuracy"])
    done = Confirmation("complete", values=best.values, metrics=best.metrics)
    some = [replace(one, confirmation=done) if one is best else one for one in records]
    line = introduction(Leaderboard.of(some, objectives), header)[-1]
    assert line.endswith("reaches accuracy 0.8800 (0.7500 at the full budget): 1 of 5 complete trials do better.")


def test_a_run_without_trials_still_introduces_itself(objectives):
    leaderboard = Leaderboard.of([], objectives)
    assert tables(leaderboard, RunHeader("empty")) == []
    assert introduction(leaderboard, RunHeader("empty"))[:2] == ["Run empty", "Trials: 0 complete"]


def test_the_header_reads_what_run_json_holds():
    settings = {
        "name": "one",
        "task": {"name": "stsb", "columns": ["a"]},
        "model": {"name": "tiny", "sha256": "0"},
        "budget": {"train_examples": 1000, "epochs": 2},
        "head_parameters": 385,
    }
    header = RunHeader.from_settings(settings, "folder")
    assert (header.name, header.task, header.model, header.head_parameters, header.backbone_parameters) == (
        "one",
        "stsb",
        "tiny",
        385,
        None,
    )
    assert header.budget.startswith("1,000 training examples x 2 epochs")
    assert RunHeader.from_settings({}, "folder") == RunHeader("folder")


def test_what_lies_above_a_bound_has_a_table_of_its_own(trial, header):
    objectives = (Objective("accuracy", "maximize"), TRAINABLE_PARAMETERS, TRAIN_SECONDS)

    def record(number: int, accuracy: float, seconds: float, exceeds: tuple[str, ...] = ()) -> TrialRecord:
        values = {"accuracy": accuracy, "trainable_parameters": 1000.0, "train_seconds": seconds}
        return trial(number, accuracy, 1000, values=values, exceeds=exceeds)

    leaderboard = Leaderboard.of([record(0, 0.7, 5.0), record(1, 0.9, 50.0, ("train_seconds",)), record(2, 0.6, 6.0)], objectives)
    front, dominated, infeasible = tables(leaderboard, header)
    assert [row[0] for table in (front, dominated, infeasible) for row in table.rows] == ["0", "2", "1"]
    assert [column.title for column in infeasible.columns][-4:] == ["train seconds", "seconds", "above its bound", "configuration"]
    assert infeasible.rows[0][-4:-1] == ("50", "12.3", "train seconds")
    assert "3 complete, 1 infeasible" in "\n".join(introduction(leaderboard, header))
    assert [(row["trial"], row["on_front"], row.get("exceeds")) for row in leaderboard.rows()] == [
        (0, True, None), (2, False, None), (1, False, ["train_seconds"]),
    ]  # fmt: skip
