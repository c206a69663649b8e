"""What a configuration's training parameters do to a training: one recipe a class, each off unless it is asked for."""

from autopeft.training.recipes.recipes import NO_RECIPES, Recipes, left_out

__all__ = ["NO_RECIPES", "Recipes", "left_out"]
