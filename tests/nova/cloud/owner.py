"""Coming up after one another, and ending with whoever started the cloud."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from cloud.plan import Plan


def end_with_owner(plan: Plan) -> None:
    """Kills this process and what it has started when standard input closes, if the plan has an owner."""
    if not plan.owned:
        return

    def wait() -> None:
        sys.stdin.buffer.read()
        # The process leads its group.
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True, name="owner").start()


def wait_for(ready: Path) -> None:
    """Returns when the file exists."""
    while not ready.exists():
        time.sleep(0.02)
