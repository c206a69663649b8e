"""Search spaces: their parameters, their points, and the YAML files they are read from."""

from autopeft.space.space import MethodChoice, ModuleSlot, Point, SearchSpace

__all__ = ["MethodChoice", "ModuleSlot", "Point", "SearchSpace"]
