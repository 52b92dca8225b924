"""The nova-compute services, and what happens to them while the cloud runs."""

from __future__ import annotations

import concurrent.futures
import time
from typing import Any

from nova import context, objects, service
from nova.compute import rpcapi
from nova.objects import host_mapping

from cloud import node
from cloud.plan import Compute, Plan
from cloud.steering import Steering


#: How long computes on machines of their own may take to register themselves, in seconds.
PATIENCE = 180
#: How often it is looked whether they have.
TICK = 0.2


class Computes:
    """All computes of a cloud."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._services: dict[str, Any] = {}

    def start(self) -> None:
        """Starts all of them and returns when each has registered itself."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for _ in pool.map(self._start, self._plan.computes):
                pass

    def wait_for(self) -> None:
        """Returns when every compute, each on a machine of its own, has registered itself and is mapped to its cell."""
        deadline = time.monotonic() + PATIENCE
        admin = context.get_admin_context()
        missing = {compute.host for compute in self._plan.computes}
        while missing:
            if time.monotonic() > deadline:
                raise SystemExit(f"nova: no nova-compute has registered itself on {', '.join(sorted(missing))}")
            time.sleep(TICK)
            host_mapping.discover_hosts(admin)
            missing -= {mapping.host for mapping in objects.HostMappingList.get_all(admin)}

    def _start(self, compute: Compute) -> None:
        with node.on(node.Node(compute.host, compute.address, compute.cell)):
            made = service.Service.create(
                host=compute.host,
                binary="nova-compute",
                topic=rpcapi.RPC_TOPIC,
                topic_alt=rpcapi.RPC_TOPIC_ALT,
            )
            made.start()
        self._services[compute.host] = made

    def follow(self, steering: Steering) -> None:
        """Lets computes die and come back as the steering file says."""
        wanted = steering.computes()
        for compute in self._plan.computes:
            down = bool(wanted.get(compute.host, {}).get("down"))
            running = self._services.get(compute.host)
            if down and running is not None:
                del self._services[compute.host]
                _kill(running)
            elif not down and running is None:
                self._start(compute)


def _kill(running: Any) -> None:
    """As SIGKILL: nothing is finished or said; what the driver is doing never ends."""
    running.manager.driver.dead.set()
    for server in (running.rpcserver, running.rpcserver_alt):
        server.stop()
    running.tg.stop()
