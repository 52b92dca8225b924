"""Coming up after one another, and ending with whoever started the cloud."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from cloud.plan import Plan


def end_with_owner(plan: Plan) -> None:
    """Kills this process and what it has started when standard input closes, if the plan has an owner.

    The cloud's directory goes first: an owner that was killed cannot remove it.
    """
    if not plan.owned:
        return

    def wait() -> None:
        sys.stdin.buffer.read()
        deadline = time.monotonic() + 10
        # Whatever still runs in the cloud may make a file while the directory is being removed.
        while plan.directory.exists() and time.monotonic() < deadline:
            shutil.rmtree(plan.directory, ignore_errors=True)
        # The process leads its group.
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True, name="owner").start()


def wait_for(ready: Path) -> None:
    """Returns when the file exists."""
    while not ready.exists():
        time.sleep(0.02)
