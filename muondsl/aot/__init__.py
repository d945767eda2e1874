"""Ahead of time: kernels compiled for devices that need not be there, and what their binaries say.

In come the launches of a step and the names of targets, out go inspections; nothing is run, and no device is asked.
"""
