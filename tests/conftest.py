"""What every test runs under: classes compiled into a folder of the run's own, and one thread a process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

# A busy machine is not a defect of what is tested; time limits that matter are asserted by the tests themselves.
settings.register_profile("muondsl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("muondsl")


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["MUONDSL_CACHE"] = str(tmp_path_factory.mktemp("compiled"))
    yield
    del os.environ["MUONDSL_CACHE"]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
