"""Configurations known to be good on most tasks, in the order in which a search tries them."""
