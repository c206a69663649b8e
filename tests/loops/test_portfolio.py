from dataclasses import replace
from pathlib import Path

import pytest

from autopeft.api import SilentSearch
from autopeft.loops import planning
from autopeft.loops import search as engine
from autopeft.loops.portfolio import portfolio_points
from autopeft.methods.counting import count_parameters
from autopeft.portfolio.entries import entries
from autopeft.request import SearchRequest
from autopeft.study.reader import StudyReader


@pytest.fixture
def request_(small_request: SearchRequest) -> SearchRequest:
    return replace(small_request, space="default", start=("portfolio",))


def portfolio(request: SearchRequest) -> tuple[planning.SearchPlan, dict]:
    plan = planning.plan(request)
    return plan, {name: plan.space.configuration(point) for name, point in portfolio_points(plan.problem, plan.facts.topology).items()}


def test_the_default_space_holds_the_portfolio(request_: SearchRequest) -> None:
    plan, found = portfolio(request_)
    assert list(found) == [entry.name for entry in entries()]
    for entry in entries():
        built = {(module.method, module.layers, module.targets) for module in entry.build(plan.facts.topology).modules}
        point = {(module.method, module.layers, module.targets) for module in found[entry.name].modules}
        assert built == point, entry.name


def test_bounds_and_other_spaces_leave_less_of_it(request_: SearchRequest) -> None:
    plan, bounded = portfolio(replace(request_, max_params="1k"))
    assert 0 < len(bounded) < len(entries())
    assert all(count_parameters(one, plan.facts.topology) <= 1000 for one in bounded.values())
    _, others = portfolio(replace(request_, space="autopeft"))
    assert list(others) == ["parallel_adapter", "serial_adapter", "mam"]  # no LoRA, no biases
    _, lora = portfolio(replace(request_, space="lora"))
    assert list(lora) == ["lora", "lora_query_value", "lora_small", "one_layer", "upper_half", "lora_large"]


def test_what_comes_to_the_same_modules_is_tried_once_at_the_rate_of_its_own_size(request_: SearchRequest) -> None:
    plan, found = portfolio(replace(request_, space="four_modules"))
    assert {"lora", "lora_small", "lora_large"} < set(found)
    assert "bitfit" not in found
    assert "lora_query_value" not in found  # rank 8 in all linears comes to the same here, and goes first
    large = found["lora_large"]
    assert large.modules[0].targets == ("query", "value")
    rate = next(entry for entry in entries() if entry.name == "lora_large").rate(count_parameters(large, plan.facts.topology))
    assert large.training["learning_rate"] == pytest.approx(rate)


def test_a_search_begins_with_the_portfolio_and_leaves_trials_to_the_sampler(request_: SearchRequest, tmp_path: Path) -> None:
    request = replace(request_, trials=5, out=str(tmp_path / "run"))
    plan, known = portfolio(request)
    assert list(plan.start) == [f"portfolio: {name}" for name in list(known)[:4]]  # two thirds of five, rounded up
    run = engine.search(request, SilentSearch())
    proposed = [record.configuration for record in StudyReader.open(run).records()]
    assert proposed[:4] == list(known.values())[:4]
    assert proposed[4] not in known.values()
    assert run.settings()["settings"]["start"] == {"value": ["portfolio"], "source": "default"}
    resumed = engine.resume(run.path, SilentSearch(), {"trials": 7})
    assert not set(list(known.values())[4:6]) & {record.configuration for record in StudyReader.open(resumed).records()[5:]}


@pytest.mark.parametrize("start", [("none",), ()])
def test_without_it_a_search_begins_with_what_its_sampler_proposes(request_: SearchRequest, tmp_path: Path, start) -> None:
    request = replace(request_, start=start, trials=2, out=str(tmp_path / "run"))
    run = engine.search(request, SilentSearch())
    assert run.settings()["settings"]["start"]["value"] == []
    plan = planning.plan(request)
    assert not plan.start
    known = {plan.space.configuration(point) for point in portfolio_points(plan.problem, plan.facts.topology).values()}
    assert not known & {record.configuration for record in StudyReader.open(run).records()}


def test_presets_come_before_it(request_: SearchRequest) -> None:
    plan = planning.plan(replace(request_, start=("lora", "portfolio"), trials=6))
    assert [name.removeprefix("portfolio: ") for name in plan.start] == ["lora", *(entry.name for entry in entries()[:3])]
