"""Search spaces: their parameters, their points, and the YAML files they are read from."""

from autopeft.space.slots import MethodChoice, ModuleSlot, Point
from autopeft.space.space import SearchSpace

__all__ = ["MethodChoice", "ModuleSlot", "Point", "SearchSpace"]
