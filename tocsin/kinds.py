"""The kinds of configuration file that Tocsin has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter import settings as exporter
from guard import webconfig
from guard.configfile import Kind
from receiver import settings as receiver

KINDS: Sequence[Kind[Any]] = (exporter.KIND, receiver.KIND, receiver.TOPOLOGY, webconfig.KIND)
