"""A nova-compute.log per compute, as each machine would have it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import IO

from cloud import node


class PerNode(logging.Handler):
    """Writes what a thread of a machine logs into that machine's file, `logs/HOST/nova-compute.log`."""

    def __init__(self, directory: Path, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._directory = directory
        self._files: dict[str, IO[str]] = {}
        self._guard = threading.Lock()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Threads of no machine have nova.log."""
        here = node.current()
        if here is None:
            return
        text = self.format(record)
        with self._guard:
            file = self._files.get(here.host)
            if file is None:
                path = self._directory / here.host
                path.mkdir(parents=True, exist_ok=True)
                file = self._files[here.host] = (path / "nova-compute.log").open("a", encoding="utf-8", buffering=1)
            file.write(text + "\n")
