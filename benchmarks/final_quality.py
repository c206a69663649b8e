"""What a search hands over, against other ways to spend the same training: each task, each seed, at equal cost.

    AUTOPEFT_DATA=... python benchmarks/final_quality.py [--tasks trec mrpc] [--trials 32] [--seeds 3] [--out FOLDER]
        [--quick | --middle] [--confirm N] [--retrain N] [--json FILE]

Cost is training examples, which no other work on the machine changes. The first way sets it and none of the others gets more; what each
took is printed, with its processor seconds.

- search: `autopeft search`, its confirmations at the full budget.
- baselines: `autopeft baselines` of that run: single methods, tuned with as many low-cost trials and as many confirmations.
- sweep: Optuna's TPE over the rank of LoRA on all linears and its learning rate; full budget only, the best epoch kept.
- before: the search without a portfolio and without confirmations (`--start none --confirm 0`), as many low-cost trials; then as many
  trials of its front as the first way confirmed are trained at the full budget: the best, and others spread over the front.

Reported are what is best on validation data at the full budget, with its test metric, and the hypervolume of all that was trained in full:
the metric above one answer for all, and parameters below the backbone's on a logarithmic scale, as a share of what all ways of that task
and seed reach together; on validation data, and of the same front on test data. Large tasks are cut. With `--retrain N` the best of each
way is trained with N seeds, beside that cost, and its mean test metric is reported too.

Every stage lies in the folder and is not done again: the same command goes on where it was stopped.
"""

import argparse
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev, stdev
from typing import Any

import numpy as np
import optuna

from autopeft.api import SilentSearch
from autopeft.configuration import Configuration, PeftModule
from autopeft.costs import Costs, recorded_costs, total
from autopeft.loops import search as engine
from autopeft.loops.baselines import tune
from autopeft.loops.data import load_data
from autopeft.loops.planning import plan, runner_settings
from autopeft.loops.retrain import RetrainPlan, RetrainRequest, of_trials, retrain
from autopeft.pareto import hypervolume, non_dominated
from autopeft.report.retrained import cost_in_words
from autopeft.request import SearchRequest
from autopeft.study.directory import RunDirectory
from autopeft.study.reader import StudyReader
from autopeft.study.record import TrialRecord, low_cost_front, spent
from autopeft.study.retrained import BASELINES, Candidate, SeedResult
from autopeft.tasks import Split, TaskData, family_of, load, load_files
from autopeft.tasks.sources import DATA_VARIABLE
from autopeft.training.measurement import Assignment
from autopeft.training.runner import TrialRunner

TASKS = ("demo", "trec", "mrpc", "stsb", "sst2")
OWN_FILES = {"trec": {"text": "text", "label": "coarse_label"}}
ALL_LINEARS = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
ROLES = ("validation", "test")
LARGEST_RANK, RATES, N_DRAWN = 64, (1e-4, 1e-2), 3
"""Of the sweep; so many of its trainings are drawn before TPE proposes."""


@dataclass(frozen=True)
class Size:
    """How large a comparison is."""

    most: Mapping[str, int]
    """Examples that are kept of a task, by split."""
    trials: int
    """At low cost, of each search."""
    seeds: int
    budget: Mapping[str, int]
    """Of a trial at low cost, where it isn't the task's own."""


WHOLE = Size({"train": 6000, "validation": 1500, "test": 2000}, 32, 3, {})
MIDDLE = Size({"train": 1500, "validation": 500, "test": 2000}, 16, 1, {"train_examples": 800, "epochs": 2})
QUICK = Size({"train": 300, "validation": 150, "test": 500}, 8, 1, {"train_examples": 150, "epochs": 2})


@dataclass(frozen=True)
class Trained:
    """A configuration at the full budget."""

    configuration: str
    trainable_parameters: int
    validation: float
    test: float


@dataclass(frozen=True)
class Way:
    """What a way to spend a cost came to."""

    name: str
    costs: Costs
    trained: tuple[Trained, ...]


@dataclass(frozen=True)
class Case:
    """A task and a seed: where its stages lie, and what all ways share."""

    folder: Path
    request: SearchRequest
    metric: str

    @property
    def run(self) -> RunDirectory:
        """The search that sets the cost."""
        return RunDirectory.open(self.folder / "search")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--trials", type=int, help=f"of each search at low cost; {WHOLE.trials}")
    parser.add_argument("--seeds", type=int, help=f"searches of each task; {WHOLE.seeds}")
    parser.add_argument("--out", type=Path, default=Path("runs/final_quality"))
    parser.add_argument("--confirm", type=int, help="confirmations of each search; as many as it makes by default")
    sizes = parser.add_mutually_exclusive_group()
    for name, size in (("quick", QUICK), ("middle", MIDDLE)):
        about = f"{size.seeds} seed, {size.trials} trials, {size.most['train']:,} training examples"
        sizes.add_argument(f"--{name}", dest="size", action="store_const", const=size, default=WHOLE, help=about)
    parser.add_argument("--retrain", type=int, default=1, help="seeds with which the best of each way is trained; 1")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    size: Size = replace(given.size, trials=given.trials or given.size.trials, seeds=given.seeds or given.size.seeds)
    rows = []
    for task in given.tasks:
        for seed in range(size.seeds):
            case = prepare(given.out / task, task, seed, size, given.confirm)
            ways: list[Way] = []
            for name, work in WAYS.items():
                ways.append(stage(case, name, work))
                found = [{"task": task, "seed": seed, **row} for row in compared(case, ways)]
                if given.json:
                    given.json.write_text(json.dumps([*rows, *found], indent=2) + "\n")
            for row in found:
                print(described(row, case.metric), flush=True)
                if given.retrain > 1:
                    row["retrained_test"] = retrained(case, row["best_configuration"], given.retrain)
                    values = row["retrained_test"]
                    print(f"  {row['way']}: test of {len(values)} seeds {fmean(values):.4f} ± {stdev(values):.4f}", flush=True)
            rows += found
            if given.json:
                given.json.write_text(json.dumps(rows, indent=2) + "\n")
    if len({row["seed"] for row in rows}) > 1:
        print(summary(rows))


def prepare(folder: Path, task: str, seed: int, size: Size, confirm: int | None = None) -> Case:
    """Write a task's examples as files, if they aren't there yet, and return what all ways search on."""
    data = read(task)
    assert data.test is not None
    files = {role: folder / f"{role}.jsonl" for role in size.most}
    for role, split in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        if not files[role].exists():
            folder.mkdir(parents=True, exist_ok=True)
            write(files[role], data.task.input_columns, cut(split, size.most[role]), data.task.labels)
    request = SearchRequest(
        **{role: str(path) for role, path in files.items()},
        text=data.task.input_columns,
        label="label",
        kind=data.task.kind,
        trials=size.trials,
        confirm=confirm,
        seed=seed,
        workers=0,
        **size.budget,
    )
    return Case(folder / f"seed-{seed}", request, data.task.metric)


def read(task: str) -> TaskData:
    """Return a task with its test examples; one that isn't registered comes from its files."""
    if task not in OWN_FILES:
        return load(task, with_test=True)
    folder = Path(os.environ[DATA_VARIABLE]) / task
    return load_files(folder / "train.parquet", test=folder / "test.parquet", **OWN_FILES[task], with_test=True)


def cut(split: Split, most: int) -> Split:
    """Return at most so many examples of a split, drawn with a fixed seed."""
    return split if len(split) <= most else split.take(np.sort(np.random.default_rng(0).permutation(len(split))[:most]))


def write(path: Path, columns: Sequence[str], split: Split, labels: Sequence[str]) -> None:
    """Write examples as JSON lines, classes by their names."""
    targets = [labels[int(one)] if labels else float(one) for one in split.targets]
    rows = (
        {**dict(zip(columns, cells, strict=True)), "label": target}
        for cells, target in zip(zip(*split.inputs, strict=True), targets, strict=True)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def stage(case: Case, name: str, work: Callable[[Case], Way]) -> Way:
    """Return what a way came to, from its file if it was done before."""
    path = case.folder / f"{name}.json"
    case.folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        found = json.loads(path.read_text())
        return Way(name, Costs(**found["costs"]), tuple(Trained(**one) for one in found["trained"]))
    way = work(case)
    path.write_text(json.dumps(asdict(way), indent=2) + "\n")
    print(f"{case.folder}: {name} done, {cost_in_words(way.costs)}", flush=True)
    return way


def search(case: Case) -> Way:
    """Search, with confirmations."""
    run = searched(case, "search", case.request)
    records = StudyReader.open(run).records()
    confirmed = [record for record in records if record.confirmed]
    return Way("search", spent(records), tuple(in_full(run, of_trials(confirmed), case.metric)[0]))


def baselines(case: Case) -> Way:
    """Tune single methods at the same cost."""
    tuned = tune(case.run, lambda name: SilentSearch(), workers=0)
    return Way("baselines", tuned.costs, tuple(in_full(case.run, confirmed_baselines(case), case.metric)[0]))


def confirmed_baselines(case: Case) -> list[Candidate]:
    """Return what the tuning of single methods confirmed."""
    return [
        Candidate(record.configuration, title, "baseline", record.number)
        for name, title in BASELINES.items()
        if (path := case.run.baselines_path / name / "study.db").exists()
        for record in StudyReader.open(RunDirectory.open(path.parent)).records()
        if record.confirmed
    ]


def sweep(case: Case) -> Way:
    """Tune LoRA on all linears with TPE, at the full budget alone."""
    planned, data = plan(case.request), load_data(case.request, with_test=True)
    budget = planned.budget.full()
    n_trainings = max(1, (spent(StudyReader.open(case.run).records()).examples_seen or 0) // (len(data.train) * budget.epochs))
    study = sweep_study(case, family_of(data.task).metrics[case.metric].direction)
    runner = TrialRunner(replace(runner_settings(case.request, planned.backbone, data, 1), test=data.test))
    while (n_done := sum(trial.state.is_finished() for trial in study.trials)) < n_trainings:
        # Seeded anew, so that a sweep that was stopped proposes what the whole one would have.
        study.sampler = optuna.samplers.TPESampler(seed=1000 * case.request.seed + n_done, n_startup_trials=N_DRAWN)
        trial = study.ask()
        rank = trial.suggest_int("rank", 1, LARGEST_RANK, log=True)
        rate = trial.suggest_float("learning_rate", *RATES, log=True)
        configuration = lora(rank, rate, planned.facts.topology.layers)
        outcome = runner.run(Assignment(trial.number, configuration, budget, 0, budget.epoch_ends, keeps_best=True))
        found = outcome.measurement
        if found is None or found.final is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        one = Trained(
            configuration.describe(), found.trainable_parameters, found.metrics[case.metric], found.final.test_metrics[case.metric]
        )
        trial.set_user_attr("trained", asdict(one))
        trial.set_user_attr("costs", recorded_costs(found))
        study.tell(trial, one.validation)
    done = [trial.user_attrs for trial in study.trials if "costs" in trial.user_attrs]
    return Way("sweep", total(Costs(**one["costs"]) for one in done), tuple(Trained(**one["trained"]) for one in done))


def sweep_study(case: Case, direction: str) -> optuna.Study:
    """Return the study of a case's sweep."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{case.folder / 'sweep.db'}"
    return optuna.create_study(study_name="sweep", storage=storage, load_if_exists=True, direction=direction)


def lora(rank: int, rate: float, layers: Iterable[int]) -> Configuration:
    """Return LoRA on all linears of all layers."""
    return Configuration((PeftModule("lora", rank, tuple(sorted(layers)), ALL_LINEARS),), {"learning_rate": rate})


def before(case: Case) -> Way:
    """Search as before there were a portfolio and confirmations, then train some of the front in full."""
    with_confirmations = StudyReader.open(case.run).records()
    n_trials = case.request.trials + sum(record.is_extra for record in with_confirmations)
    run = searched(case, "before", replace(case.request, trials=n_trials, confirm=0, start=()))
    study = StudyReader.open(run)
    front = low_cost_front(study.records(), study.objectives)
    chosen = spread(front, sum(record.confirmed for record in with_confirmations))
    trained, costs = in_full(run, of_trials(chosen), case.metric)
    return Way("before", total([spent(study.records()), *costs]), tuple(trained))


WAYS: dict[str, Callable[[Case], Way]] = {"search": search, "sweep": sweep, "before": before, "baselines": baselines}


def searched(case: Case, name: str, request: SearchRequest) -> RunDirectory:
    """Return a finished search, which goes on if it was interrupted, or is to confirm more."""
    path = case.folder / name
    if (path / "run.json").exists():
        return engine.resume(path, SilentSearch(), {"trials": request.trials, "confirm": request.confirm})
    shutil.rmtree(path, ignore_errors=True)
    return engine.search(replace(request, out=str(path)), SilentSearch())


def spread(front: Sequence[TrialRecord], n: int) -> list[TrialRecord]:
    """Return at most n trials of a front that rises in parameters, evenly: its best first, which is the last."""
    places = np.unique(np.linspace(0, len(front) - 1, n).round().astype(int)) if n > 1 else [len(front) - 1]
    return [front[place] for place in reversed(list(places))]


class _Silent:
    """Hears how a retraining goes."""

    def started(self, plan: RetrainPlan, n_done: int, n_total: int) -> None: ...

    def seed_finished(self, candidate: Candidate, seed: int, outcome: SeedResult | str, n_done: int, n_total: int) -> None: ...


def retrained(case: Case, description: str, n_seeds: int) -> list[float]:
    """Return the test metrics of what a way found best, trained with several seeds."""
    runs = [RunDirectory.open(path.parent) for path in sorted(case.folder.glob("*/run.json"))]
    found = [*confirmed_baselines(case), *(one for run in runs for one in of_trials(StudyReader.open(run).records()))]
    layers = range(case.run.settings()["n_layers"])
    found += [
        Candidate(lora(trial.params["rank"], trial.params["learning_rate"], layers), "sweep", "trial", trial.number)
        for trial in sweep_study(case, case.run.settings()["objectives"][0]["direction"]).trials
        if trial.params
    ]
    chosen = next(one for one in found if one.configuration.describe() == description)
    folder = retrain(case.run, [chosen], RetrainRequest(seeds=n_seeds, workers=0), _Silent())
    (results,) = (one.results for one in folder.read() if one.candidate.id == chosen.id)
    return [result.test[case.metric] for result in results][:n_seeds]


def in_full(run: RunDirectory, candidates: Sequence[Candidate], metric: str) -> tuple[list[Trained], list[SeedResult]]:
    """Return configurations at the full budget; what was confirmed is measured on test data alone."""
    if not candidates:
        return [], []
    ids = {one.id for one in candidates}
    folder = retrain(run, candidates, RetrainRequest(seeds=1, workers=0), _Silent())
    found = [(one.candidate, one.results[0]) for one in folder.read() if one.candidate.id in ids and one.results]
    trained = [
        Trained(candidate.configuration.describe(), result.trainable_parameters, result.validation[metric], result.test[metric])
        for candidate, result in found
    ]
    return trained, [result for _, result in found]


def compared(case: Case, ways: Iterable[Way]) -> list[dict[str, Any]]:
    """Return a row for each way that trained anything in full."""
    settings = case.run.settings()
    first = next(one for one in settings["objectives"] if one["name"] == case.metric)
    sign = -1.0 if first["direction"] == "maximize" else 1.0
    reference = np.array([sign * settings["trivial_scores"][case.metric], math.log10(settings["backbone_parameters"])])

    def volumes(trained: Sequence[Trained]) -> np.ndarray[Any, Any]:
        sizes = [math.log10(max(1, one.trainable_parameters)) for one in trained]
        validation, test = (
            np.array([[sign * getattr(one, role), size] for one, size in zip(trained, sizes, strict=True)]) for role in ROLES
        )
        on_front = non_dominated(validation)
        return np.array([hypervolume(points[on_front], reference) for points in (validation, test)])

    ways = [way for way in ways if way.trained]
    whole = volumes([one for way in ways for one in way.trained])
    rows = []
    for way in ways:
        best = min(way.trained, key=lambda one: (sign * one.validation, one.trainable_parameters))
        shares = volumes(way.trained) / np.where(whole > 0, whole, 1.0)
        rows.append(
            {
                "way": way.name,
                **way.costs.cost_row(),
                "trained_in_full": len(way.trained),
                **{f"best_{name}": value for name, value in asdict(best).items()},
                **{f"hypervolume_{role}": float(share) for role, share in zip(ROLES, shares, strict=True)},
            }
        )
    return rows


def described(row: dict[str, Any], metric: str) -> str:
    """Return a row as a line."""
    return (
        f"{row['task']:5} {row['seed']}  {row['way']:10} {row['examples_seen']:>9,} examples {row['cpu_seconds']:>8.0f} s  "
        f"{row['trained_in_full']:>2} in full  best {metric} {row['best_validation']:.4f}, test {row['best_test']:.4f}, "
        f"{row['best_trainable_parameters']:>10,} parameters  hypervolume {row['hypervolume_validation']:.3f}, "
        f"test {row['hypervolume_test']:.3f}  {row['best_configuration']}"
    )


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Return means and deviations over seeds, a line a task and way."""
    lines = ["mean ± deviation over seeds: test metric of the best, hypervolume on validation and test data"]
    for task, way in dict.fromkeys((row["task"], row["way"]) for row in rows):
        some = [row for row in rows if (row["task"], row["way"]) == (task, way)]
        cells = [[row[name] for row in some] for name in ("best_test", "hypervolume_validation", "hypervolume_test")]
        lines.append(f"{task:5} {way:10} " + "  ".join(f"{fmean(values):.4f} ± {pstdev(values):.4f}" for values in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
