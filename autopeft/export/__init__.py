"""Taking a trial out of its run: one file per target, see `autopeft.export.registry`."""
