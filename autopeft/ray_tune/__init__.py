"""A search inside Ray Tune: a searcher, a scheduler and a trainable for a `tune.Tuner`, and the front of what it found.

They work together, or each with what others wrote: the searcher and the scheduler with any trainable that reports several objectives, the
trainable with any of Tune's searchers over a space's parameters. A search that needs nothing else of Tune is better off with
`autopeft.search`: it tries trials again whose worker died, keeps bounds and writes a run that `show`, `retrain` and `export` read.
"""

from importlib.util import find_spec

from autopeft.errors import UnavailableError

if find_spec("ray") is None or find_spec("pandas") is None:
    raise UnavailableError("autopeft.ray_tune needs Ray Tune", remedy='Install it: pip install "autopeft[tune]".')

from autopeft.ray_tune.front import front
from autopeft.ray_tune.halving import ParetoHalving
from autopeft.ray_tune.plan import plan
from autopeft.ray_tune.searcher import AutopeftSearch
from autopeft.ray_tune.trainable import PeftTrainable

__all__ = ["AutopeftSearch", "ParetoHalving", "PeftTrainable", "front", "plan"]
