"""A search, a retraining and an export in each kind of task, from own files, on a pretrained model.

    python benchmarks/families.py --data DATA --model FOLDER [--family NAME] [--out FOLDER] [--trials 8] [--json FILE]
    python benchmarks/families.py --print [--json FILE]

DATA holds data sets as folders: trec/ and mrpc/ in Parquet (text and coarse_label; sentence1), tweets-ner/ in CoNLL
columns, spoken/ with WAV files of digits and letters. What is made of them is in `family_data.py`. FOLDER is a language model, for
causal_lm alone, which takes `--layers` of its layers if asked.

The search is compared with what needs no PEFT: the untouched model where its output layer is pretrained, else the head alone, the best of
four trials. The standard error is that of the difference on the same validation examples, over 200 draws of them (bootstrap).
Then the best trial is retrained with two seeds, exported, and loaded in a fresh process, which must answer as the run does. An
interrupted search goes on, and families whose row stands in the file of rows are passed over. `--print` makes a table of the rows.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

import torch
from family_data import PREPARED, Own

import autopeft
from autopeft.export.finished_trial import FinishedTrial, read_trial
from autopeft.export.trained import load_trained
from autopeft.study.directory import RunDirectory
from autopeft.tasks import Split, family_of
from autopeft.training.batches import draw
from autopeft.training.evaluate import predict, resampled_scores

HEAD_TRIALS = 4
"""Learning rates of the head alone that are tried."""
N_ANSWERED = 60
"""Rows that an export answers, of files whose examples take long."""
ROWS = Path(__file__).parent / "tables" / "families.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=PREPARED, help="one alone")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--layers", type=int, help="take so many of its layers, the first and the last")
    parser.add_argument("--out", type=Path, default=Path("runs/families"))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--json", type=Path, default=ROWS)
    parser.add_argument("--print", action="store_true")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.json.read_text().splitlines()] if arguments.json.exists() else []
    if arguments.print:
        print(table(rows))
        return
    if arguments.data is None:
        parser.error("--data FOLDER is needed")
    torch.set_num_threads(1)
    for kind in [arguments.family] if arguments.family else PREPARED:
        if kind not in {row["family"] for row in rows}:
            folder = (arguments.out / kind).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            own = PREPARED[kind](arguments, folder)
            row = measure(own, folder, kind, arguments.trials)
            with arguments.json.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row, indent=2))


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| kind | metric | without PEFT | best of the search | gain ± standard error | parameters | test, two seeds | export |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        gain = abs(row["best"] - row["reached"]) * (1 if row["is_better"] else -1)
        test = " / ".join(f"{one[row['metric']]:.3f}" for one in row["test"])
        lines.append(
            f"| {row['family']} | {row['metric']} | {row['reached']:.3f} ({row['compared_with']}) | {row['best']:.3f} "
            f"| {gain:+.3f} ± {row['standard_error']:.3f} | {row['parameters']:,} | {test} "
            f"| {'yes' if row['same_answers_in_a_fresh_process'] else 'no'} |"
        )
    return "\n".join(lines)


def measure(own: Own, folder: Path, kind: str, n_trials: int) -> dict[str, Any]:
    path = folder / "run"
    result = searched(path, own, kind, n_trials)
    best = result.best()
    trial = read_trial(RunDirectory.open(path), best.number)
    has_fresh_head = family_of(trial.task).has_fresh_head
    plain = trial
    if has_fresh_head:
        heads = searched(folder / "head", own, kind, HEAD_TRIALS, space="baselines/head_only", start="none")
        plain = read_trial(RunDirectory.open(heads.path), heads.best().number)
    ours, theirs = measured(trial), measured(plain, untouched=not has_fresh_head)
    metric, validation = trial.task.metric, measured_on(trial)
    gains = [one - other for one, other in zip(ours[1][metric], theirs[1][metric], strict=True)]
    retrained = result.retrain([best.number], seeds=2, epochs=trial.budget.epochs, workers=0)
    exported = folder / "exported"
    if not exported.exists():
        result.export(best.number, "script", out=exported, retrained=True)
    return {
        "family": kind,
        "model": Path(trial.backbone.name).name,
        "trials": len(result.trials),
        "failed": sum(record.state == "failed" for record in result.trials),
        "metric": metric,
        "best": ours[0][metric],
        "configuration": trial.configuration.describe(),
        "parameters": best.trainable_parameters,
        "compared_with": "the head alone" if has_fresh_head else "the untouched model",
        "reached": theirs[0][metric],
        "is_better": family_of(trial.task).metrics[metric].sign * (ours[0][metric] - theirs[0][metric]) > 0,
        "one_answer_for_all": family_of(trial.task).trivial_scores(validation).get(metric),
        "validation_examples": len(validation),
        "standard_error": pstdev(gains),
        "seconds_a_trial": mean(record.seconds for record in result.trials if record.seconds),
        "test": [dict(one.test) for entry in retrained.entries for one in entry.results if entry.candidate.trial == best.number],
        "same_answers_in_a_fresh_process": answers_are_the_same(exported, path, best.number, Path(own["test"]), folder),
    }


def measured_on(trial: FinishedTrial) -> Split:
    """Return the validation examples that a trial was measured on."""
    return draw(trial.load_data().validation, trial.budget.evaluation_examples)


def measured(trial: FinishedTrial, *, untouched: bool = False) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Return a trial's validation metrics, or those of its model without it, and the same on draws of the examples."""
    trained = load_trained(trial)
    if untouched:
        trained.applied.eject()
    encoded = family_of(trial.task).encode(trained.processor, measured_on(trial), trial.budget.max_length)
    found = predict(trained.model, encoded)
    return encoded.family.score(found, encoded), resampled_scores(found, encoded)


def searched(path: Path, own: Own, kind: str, n_trials: int, **more: Any) -> autopeft.SearchResult:
    """Return a search, which goes on if it was interrupted."""
    if (path / "study.db").exists():
        return autopeft.resume(path, trials=n_trials)
    return autopeft.search(**{**own, **more}, kind=kind, trials=n_trials, workers=0, out=path, max_failed=1.0, confirm=0)


def answers_are_the_same(exported: Path, run: Path, trial: int, test: Path, folder: Path) -> bool:
    """Return whether an export, in a process of its own, answers as the run does here, to the last digit that is written."""
    examples = folder / f"some{test.suffix}"
    if test.is_dir():
        examples = test
    elif test.suffix == ".conll":
        examples.write_text("\n\n".join(test.read_text().split("\n\n")[:N_ANSWERED]) + "\n")
    else:
        examples.write_text("\n".join(test.read_text().splitlines()[:N_ANSWERED]) + "\n")
    command = [sys.executable, "-m", "autopeft", "predict", str(exported), "--input", str(examples)]
    fresh = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    here = autopeft.SearchResult(run).predictor(trial, retrained=True).predict_file(examples)[1]
    return [json.loads(line) for line in fresh.splitlines()] == here


if __name__ == "__main__":
    main()
