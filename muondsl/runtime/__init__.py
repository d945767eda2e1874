"""What generated optimizers import, and nothing else of muondsl is needed to run them. Requires torch alone."""

from muondsl.runtime.declarations import Checkpoint, Hyper, HyperValue, Parameter, Route, State
from muondsl.runtime.optimizer import ParamsT, SpecOptimizer

__all__ = ["Checkpoint", "Hyper", "HyperValue", "Parameter", "ParamsT", "Route", "SpecOptimizer", "State"]
