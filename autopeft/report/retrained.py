"""What retraining gave: a table with spread, what differs significantly, and both as data.

The configurations of a search are compared with tuned baselines by one choice that no test example had a part in: the one that is best
on validation data, averaged over its seeds, against each baseline.
"""

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from autopeft.budget import Budget
from autopeft.costs import Costs, total
from autopeft.inference import CONFIDENCE, FEW_SEEDS, Estimate, difference, estimate, holm, welch
from autopeft.report.formatting import count, duration, in_words, listed, one_line, percentage, score, seconds
from autopeft.report.leaderboard import Column, Table
from autopeft.study.retrained import Retrained, RetrainedFolder, searched_metric
from autopeft.study.rows import finite
from autopeft.tasks import Metric
from autopeft.tasks.metrics import bounds

Role = Literal["test", "validation"]

TEST = "Welch's t-test over seeds, two-sided, with Holm's correction"
ROLES: tuple[Role, ...] = ("test", "validation")
LEVEL = 1 - CONFIDENCE
"""A corrected p value below it is called significant."""
COLLAPSED_SHARE = 0.25
"""A training collapsed that came no further, on validation data, from what one answer for all reaches to what the best seed does."""


@dataclass(frozen=True)
class Comparison:
    """How the search's choice differs from a baseline on test data."""

    chosen: str
    baseline: str
    difference: float
    """Mean of the choice less mean of the baseline, on the task's metric."""
    low: float
    """Lower end of the interval for the difference, over seeds and test examples; NaN where it isn't known."""
    high: float
    p: float
    """p value of the test; NaN if there were too few seeds or no spread at all."""
    corrected_p: float

    @property
    def significant(self) -> bool | None:
        """Whether they differ significantly; None if that could not be tested."""
        return None if math.isnan(self.corrected_p) else self.corrected_p < LEVEL


@dataclass(frozen=True)
class RetrainedTable:
    """All that stands in a folder of retrained configurations."""

    settings: Mapping[str, Any]
    """The folder's settings.json."""
    entries: tuple[Retrained, ...]
    """Those with results, by rising number of parameters."""
    without: tuple[Retrained, ...]
    """Those without: not trained yet, or every training failed."""
    comparisons: tuple[Comparison, ...]
    costs: Mapping[str, Costs] = field(default_factory=dict)
    """What the search cost, and tuning the baselines; empty if none were tuned."""

    @classmethod
    def of(cls, folder: RetrainedFolder) -> "RetrainedTable":
        """Read a folder."""
        settings, found = folder.settings(), folder.read()
        entries = tuple(entry for entry in found if entry.results)
        without = tuple(entry for entry in found if not entry.results)
        return cls(settings, entries, without, tuple(_compare(entries, searched_metric(settings))) if entries else (), folder.costs())

    @property
    def chosen(self) -> Retrained | None:
        """Of what the search found, the best on validation data, averaged over its seeds; None if only baselines have results."""
        return _chosen(self.entries, searched_metric(self.settings))

    def estimate(self, entry: Retrained, role: Role, metric: str) -> Estimate:
        """Return what the seeds of an entry gave on a metric of "test" or "validation" data."""
        return over_seeds(entry, role, metric, self.settings["examples"][role])

    def rows(self) -> list[dict[str, Any]]:
        """Return one JSON object per configuration."""
        metric = searched_metric(self.settings)
        return [_row(entry, metric, self.estimate) | {"collapsed_seeds": list(self._collapsed(entry))} for entry in self.entries]

    def to_dict(self) -> dict[str, Any]:
        """Return the content of retrained.json: settings.json, then

        configurations: per configuration its id, name, kind ("trial" or "baseline"), modules, parameters, seeds, the best of them,
            those that failed or collapsed, per metric of "test" and "validation" the values over seeds with mean, deviation and interval,
            mean seconds, peak bytes.
        costs: where baselines were tuned, what that took and what the "search" did, confirmations counted: training examples, seconds,
            processor and GPU seconds, most memory.
        comparisons: what differs from each baseline by how much, the p values, and whether that is significant; null if untestable.
        """
        compared = [finite(asdict(one)) | {"significant": one.significant} for one in self.comparisons]
        return {
            **self.settings,
            "configurations": self.rows(),
            **({"costs": {name: one.cost_row() for name, one in self.costs.items()}} if self.costs else {}),
            "significance_test": TEST,
            "level": round(LEVEL, 9),
            "comparisons": compared,
        }

    def to_csv(self) -> str:
        """Return one line per configuration, without the values of single seeds."""
        rows = [_flat(row) for row in self.rows()]
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def tables(self, *, brief: bool = False) -> list[Table]:
        """Return what is printed: the configurations, and the comparisons if there are any.

        Args:
            brief: Of the test metrics only the task's own, so that a terminal has room for the configurations.
        """
        metric = self.settings["metric"]
        names = [metric] if brief else list(dict.fromkeys([metric, *self.entries[0].results[0].test]))
        numbers = (
            "seeds",
            *(f"test {in_words(name)}" for name in names),
            "validation",
            "parameters",
            "% of model",
            "mean seconds",
            "peak MB",
        )
        columns = (Column("name", is_number=False), *map(Column, numbers), Column("configuration", is_number=False))
        found = [
            Table(
                f"Retrained at the full budget ({len(self.entries)})", columns, tuple(self._cells(entry, names) for entry in self.entries)
            )
        ]
        if self.comparisons:
            columns = (
                Column("chosen", is_number=False),
                Column("baseline", is_number=False),
                *map(Column, ("difference", "p", "corrected p")),
            )
            rows = tuple(_comparison_cells(one) for one in self.comparisons)
            title = f"Test {self.settings['metric']} of the search's best on validation data against each baseline"
            found.append(Table(title, (*columns, Column("significant", is_number=False)), rows))
        return found

    def introduction(self) -> list[str]:
        """Return the lines that stand above the tables."""
        examples, settings = self.settings["examples"], self.settings
        sizes = ", ".join(f"{examples[role]:,} {role}" for role in ("train", "validation", "test"))
        budget = Budget.from_dict(settings["budget"]).describe(examples["train"], examples["validation"])
        lines = [
            f"Task {one_line(settings['task'])} ({sizes} examples), model {one_line(settings['model']['name'])}",
            *(f"  {one_line(note)}" for note in settings["data_notes"]),
            f"Budget: {budget}; of its epochs the best on validation data is kept",
            f"Shown: mean ± standard deviation over seeds [{CONFIDENCE:.0%} interval of the mean over other seeds and test examples]",
        ]
        if self.costs:
            lines.append(f"Cost: {'; '.join(f'{name} {cost_in_words(one)}' for name, one in self.costs.items())}")
        if self.comparisons:
            test = f"{TEST} for {len(self.comparisons)} comparisons at {LEVEL:.2g}"
            lines.append(f"Significance: {test}. It speaks of other seeds, the interval beside it of other test examples too.")
        for entry in self.without:
            reason = next(iter(entry.errors.values()), "not trained yet")
            lines.append(f"Without a result: {entry.candidate.name}, {one_line(reason)}")
        if few := [entry.candidate.name for entry in self.entries if len(entry.results) < FEW_SEEDS]:
            names = "some" if len(few) < len(self.entries) else "all"
            lines.append(
                f"Too few seeds to know how much seeds differ: {names} have fewer than {FEW_SEEDS}; --seeds {FEW_SEEDS} or more tells."
            )
        metric = settings["metric"]
        for entry in self.entries:
            seeds = [f"with seed {seed} (validation {metric} {score(value)})" for seed, value in self._collapsed(entry).items()]
            if seeds:
                lines.append(f"Collapsed: {entry.candidate.name} {listed(seeds, 'and')}; a lower learning rate may be steadier")
        return lines

    def _collapsed(self, entry: Retrained) -> dict[int, float]:
        """Return the task's metric on validation data by seed, of those with which an entry learnt next to nothing."""
        metric, trivial = self.settings["metric"], self.settings.get("trivial_score")  # folders of earlier versions have none
        if trivial is None:
            return {}
        sign = searched_metric(self.settings).sign
        values = {result.seed: result.validation[metric] for result in entry.results}
        least = sign * trivial + COLLAPSED_SHARE * (max(sign * value for value in values.values()) - sign * trivial)
        return {seed: value for seed, value in values.items() if sign * value < least}

    def _cells(self, entry: Retrained, names: Sequence[str]) -> tuple[str, ...]:
        metric, parameters = self.settings["metric"], entry.results[0].trainable_parameters
        return (
            entry.candidate.name,
            str(len(entry.results)) + (f" ({len(entry.errors)} failed)" if entry.errors else ""),
            *(_spread(self.estimate(entry, "test", name)) for name in names),
            score(self.estimate(entry, "validation", metric).mean),
            count(parameters),
            percentage(parameters, self.settings["backbone_parameters"]),
            seconds(estimate([result.seconds or 0.0 for result in entry.results]).mean),
            f"{(total(entry.results).peak_bytes or 0) / 1e6:,.0f}",
            one_line(entry.candidate.configuration.describe()),
        )


def cost_in_words(costs: Costs) -> str:
    """Say what something cost: training examples, and processor seconds, or GPU seconds if there were any."""
    time = f"{duration(costs.gpu_seconds)} of GPU time" if costs.gpu_seconds else f"{duration(costs.cpu_seconds)} of processor time"
    return f"{count(costs.examples_seen)} training examples, {time}"


def summarise(folder: RetrainedFolder) -> RetrainedTable:
    """Read a folder that holds at least one result, and write its retrained.json anew."""
    table = RetrainedTable.of(folder)
    folder.write_table(table.to_dict())
    return table


def _compare(entries: Sequence[Retrained], metric: Metric) -> list[Comparison]:
    baselines = [entry for entry in entries if entry.candidate.kind == "baseline"]
    chosen = _chosen(entries, metric)
    if chosen is None:
        return []
    own = over_seeds(chosen, "test", metric.name)
    others = [over_seeds(entry, "test", metric.name) for entry in baselines]
    p_values = [welch(own.values, other.values) for other in others]
    return [
        Comparison(chosen.candidate.name, entry.candidate.name, own.mean - other.mean, *_interval(chosen, entry, metric.name), p, corrected)
        for entry, other, p, corrected in zip(baselines, others, p_values, holm(p_values), strict=True)
    ]


def _chosen(entries: Sequence[Retrained], metric: Metric) -> Retrained | None:
    found = [entry for entry in entries if entry.candidate.kind == "trial"]
    return max(found, key=lambda entry: metric.sign * over_seeds(entry, "validation", metric.name).mean, default=None)


def over_seeds(entry: Retrained, role: Role, metric: str, n_examples: int | None = None) -> Estimate:
    """Return what the seeds of an entry gave on a metric of "test" or "validation" data.

    Args:
        entry: It has at least one result.
        role: Which data.
        metric: Which metric.
        n_examples: How many examples that data has; None leaves them out of the interval.
    """
    values = [getattr(result, role)[metric] for result in entry.results]
    return estimate(values, resampled=_resampled(entry, metric) if role == "test" else (), n_rows=n_examples, bounds=bounds(metric))


def _resampled(entry: Retrained, metric: str) -> list[Sequence[float]]:
    """Return a test metric on draws of test examples, per seed; empty unless all have it."""
    found = [result.resampled.get(metric, ()) for result in entry.results]
    return found if all(found) and len({len(draws) for draws in found}) == 1 else []


def _interval(one: Retrained, other: Retrained, metric: str) -> tuple[float, float]:
    values = [[result.test[metric] for result in entry.results] for entry in (one, other)]
    draws = _resampled(one, metric), _resampled(other, metric)
    if draws[0] and draws[1] and len(draws[0][0]) != len(draws[1][0]):
        return math.nan, math.nan
    return difference(values[0], values[1], draws)


def _row(entry: Retrained, metric: Metric, estimated: Callable[[Retrained, Role, str], Estimate]) -> dict[str, Any]:
    first = entry.results[0]
    return {
        "configuration_id": entry.candidate.id,
        "name": entry.candidate.name,
        "kind": entry.candidate.kind,
        "trial": entry.candidate.trial,
        "configuration": entry.candidate.configuration.to_dict(),
        "trainable_parameters": first.trainable_parameters,
        "head_parameters": first.head_parameters,
        "seeds": [result.seed for result in entry.results],
        "best_seed": entry.best_seed(metric),
        "failed_seeds": {str(seed): reason for seed, reason in entry.errors.items()},
        "epochs_kept": [result.epoch for result in entry.results],
        **{role: {name: finite(asdict(estimated(entry, role, name))) for name in getattr(first, role)} for role in ROLES},
        "seconds": estimate([result.seconds or 0.0 for result in entry.results]).mean,
        "peak_bytes": total(entry.results).peak_bytes,
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without what a cell of a spreadsheet can't hold."""
    flat = {name: row[name] for name in ("name", "kind", "trial", "configuration_id", "trainable_parameters", "head_parameters")}
    flat["seeds"] = len(row["seeds"])
    for role in ROLES:
        for name, entry in row[role].items():
            flat |= {f"{role}_{name}_{part}": entry[part] for part in ("mean", "deviation", "low", "high")}
    return flat | {"seconds": row["seconds"], "peak_bytes": row["peak_bytes"]}


def _spread(found: Estimate) -> str:
    spread = "" if math.isnan(found.deviation) else f" ± {found.deviation:.4f}"
    return score(found.mean) + spread + ("" if math.isnan(found.low) else f" [{found.low:.4f}, {found.high:.4f}]")


def _comparison_cells(one: Comparison) -> tuple[str, ...]:
    verdict = {True: "yes", False: "no", None: "not testable: needs 2 seeds each, with spread"}[one.significant]
    interval = "" if math.isnan(one.low) else f" [{one.low:+.4f}, {one.high:+.4f}]"
    return (one.chosen, one.baseline, f"{one.difference:+.4f}{interval}", _p_value(one.p), _p_value(one.corrected_p), verdict)


def _p_value(p: float) -> str:
    return "-" if math.isnan(p) else "<0.0001" if p < 1e-4 else f"{p:.4f}"
