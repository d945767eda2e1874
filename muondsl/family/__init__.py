"""Specs as rows of a table: what each stage is, what is kept of a parameter, whether there are kernels."""

from muondsl.family.member import Kept, Member, Stage
from muondsl.family.read_family import read_family

__all__ = ["Kept", "Member", "Stage", "read_family"]
