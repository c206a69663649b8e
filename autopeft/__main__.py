"""`python -m autopeft` is the command line."""

from autopeft.cli.main import main

main()
