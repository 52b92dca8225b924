"""Files by which a running cloud is steered: JSON, replaced as a whole, read again when they change."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


class Watched:
    """The newest content of a JSON file. A missing file means an empty object."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._stamp: tuple[int, int, int] | None = None
        self._content: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The content now. Whoever writes replaces the file by rename, so it is never half written."""
        with self._guard:
            try:
                status = os.stat(self._path)
            except FileNotFoundError:
                self._stamp, self._content = None, {}
                return self._content
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp != self._stamp:
                self._content = json.loads(self._path.read_text(encoding="utf-8"))
                self._stamp = stamp
            return self._content
