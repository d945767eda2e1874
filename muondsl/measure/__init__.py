"""What this machine does, by the clock: the peaks of its CPU, and where a step spends its time."""
