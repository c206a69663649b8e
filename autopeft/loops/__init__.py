"""The loops that tie the rooms together: search, and what follows it."""
