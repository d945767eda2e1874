"""No client may reach a network: the hub of models is offline, and a connection is an error."""

from __future__ import annotations

import os
import socket

import pytest

# Read where huggingface_hub is first imported, which is after this file.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: socket.socket, address: object) -> None:
        raise AssertionError(f"a client connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
