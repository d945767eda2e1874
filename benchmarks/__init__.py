"""How long a step takes on this CPU, beside what others take for the same mathematics: `python -m benchmarks`."""
