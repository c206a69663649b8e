"""What a run found, for eyes and for other programs: tables, plots and files. Nothing here imports torch."""
