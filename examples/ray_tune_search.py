"""A search as a `Tuner` of Ray Tune: our sampler and successive halving by Pareto rank, on actors that keep the backbone.

python examples/ray_tune_search.py FOLDER [--model FOLDER] [--trials 16] [--epochs N] [--workers 2]
"""

import argparse

import ray
from ray import tune

from autopeft.ray_tune import AutopeftSearch, ParetoHalving, PeftTrainable, front, plan

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out", help="where Tune keeps the experiment")
parser.add_argument("--model")
parser.add_argument("--trials", type=int, default=16)
parser.add_argument("--epochs", type=int)
parser.add_argument("--workers", type=int, default=2)
given = parser.parse_args()

search = plan(task="demo", model=given.model, trials=given.trials, epochs=given.epochs, rungs=(0.25, 0.5))
tuner = tune.Tuner(
    tune.with_resources(PeftTrainable.of(search), {"cpu": 1}),
    tune_config=tune.TuneConfig(
        search_alg=AutopeftSearch.of(search, max_concurrent=given.workers),
        scheduler=ParetoHalving.of(search),
        num_samples=given.trials,
        reuse_actors=True,
    ),
    run_config=tune.RunConfig(storage_path=given.out, name="demo"),
)
for result in front(tuner.fit(), search.objectives):
    print(*(f"{objective.name} {result.metrics[objective.name]:.4g}" for objective in search.objectives), result.checkpoint.path)
ray.shutdown()
