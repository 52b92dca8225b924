"""The plan and the steering file, where the drivers find them: Nova makes drivers from a class name alone."""

from __future__ import annotations

import dataclasses

from cloud.plan import Compute, Plan
from cloud.steering import Steering


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What a driver must know beyond what Nova tells it."""

    plan: Plan
    steering: Steering

    def compute(self, host: str) -> Compute:
        """The compute of this service host name."""
        return next(compute for compute in self.plan.computes if compute.host == host)

    def set(self) -> None:
        """Makes this the process's inventory."""
        global _inventory
        _inventory = self

    @staticmethod
    def get() -> Inventory:
        """The process's inventory."""
        if _inventory is None:
            raise RuntimeError("a driver was made before the plan was read")
        return _inventory


_inventory: Inventory | None = None
