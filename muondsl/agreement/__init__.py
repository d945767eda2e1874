"""Agreement of every path that a spec can be run on with the float64 oracle: what `muondsl verify` measures."""

from muondsl.agreement.report import Agreement, Row
from muondsl.agreement.spec_to_agreement import verify
from muondsl.agreement.trial import hyper_values
from muondsl.agreement.ways import INTERPRETED, WAYS, Way

__all__ = ["INTERPRETED", "WAYS", "Agreement", "Row", "Way", "hyper_values", "verify"]
