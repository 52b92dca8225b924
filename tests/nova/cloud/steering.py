"""What shall become of each move: `steer.json`, read anew at every step of every move.

    {"moves": [{"source": "node1.lab", "destination": "*",
                "cold": {"fault": "hostkey", "seconds": {"copy": 2}},
                "live": {"fault": null, "seconds": {"run": 5}}}]}

The first line that fits a pair counts; `*` fits every host. A move that no line fits succeeds at once.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path
from typing import Any

from cloud.watch import Watched

#: How often a step that takes its time looks whether it shall still go on.
TICK = 0.05


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """How one kind of move across one pair goes."""

    #: A fault's name, or `hang-PHASE`; see `cloud.virt.cold` and `cloud.virt.live`.
    fault: str | None = None
    #: Seconds that each phase takes.
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    #: Nova before 33.0.0 rolls a failed live migration back and leaves it at that.
    before_33: bool = False

    def hangs(self, phase: str) -> bool:
        """Whether this phase lasts until the file says otherwise."""
        return self.fault == f"hang-{phase}"


def freeze_if(dead: threading.Event) -> None:
    """What a killed process was doing is never heard of again."""
    while dead.is_set():
        time.sleep(3600)


class Steering:
    """The steering file."""

    def __init__(self, path: Path) -> None:
        self._file = Watched(path)

    def behaviour(self, kind: str, source: str, destination: str) -> Behaviour:
        """What the file says now of `cold` or `live` moves from source to destination (service host names)."""
        for line in self._file.read().get("moves", []):
            if line["source"] in ("*", source) and line["destination"] in ("*", destination):
                return Behaviour(**(line.get(kind) or {}))
        return Behaviour()

    def computes(self) -> dict[str, dict[str, Any]]:
        """What the file says now of the computes themselves: `{"HOST": {"down": true, "migration_address": "A"}}`."""
        found: dict[str, dict[str, Any]] = self._file.read().get("computes", {})
        return found

    def spend(self, kind: str, source: str, destination: str, phase: str, dead: threading.Event) -> Behaviour:
        """Lets the phase take as long as the file says, hanging included, and returns what it says at the end.

        Never returns on a compute that has died.
        """
        started = time.monotonic()
        while True:
            freeze_if(dead)
            behaviour = self.behaviour(kind, source, destination)
            left = started + behaviour.seconds.get(phase, 0.0) - time.monotonic()
            if behaviour.hangs(phase):
                time.sleep(TICK)
            elif left > 0:
                time.sleep(min(left, TICK))
            else:
                return behaviour
