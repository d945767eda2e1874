"""Checkpoints of one optimizer made into those of another: what `muondsl convert` runs.

In comes what one system saved, out goes what another loads. Between them stands a checkpoint without a layout, the
states of each parameter on their own. What a state of the one is in units of the other is learnt from the programs of
both, not from names.
"""
