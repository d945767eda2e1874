"""`python -m muondsl` is the command line."""

from muondsl.cli import main

main(prog_name="muondsl")
