"""The message buses: what a message is sent on depends on the machine that sends it."""

from __future__ import annotations

import copy
import threading
import time
import types
from typing import Any

import oslo_messaging._drivers.impl_fake as fake_bus
from nova import rpc

from cloud import node

#: How long a listener sleeps at most, and so the longest that it takes to notice that it shall stop.
LONGEST_SLEEP = 1.0


def install(urls: dict[str, str]) -> None:
    """Gives each cell, and the API, a bus of its own, in memory. `urls` are by cell; call after `node.install`."""
    _wake_listeners()
    make_driver = fake_bus.FakeDriver.__init__

    class Exchanges(fake_bus.FakeExchangeManager):
        """The exchanges of one bus; oslo.messaging has one set of them per process."""

        def __init__(self, default: str, bus: str) -> None:
            super().__init__(default)
            self.bus = bus

        def get_exchange(self, name: str | None) -> Any:
            return super().get_exchange(f"{self.bus}/{name or self._default_exchange}")

    def make(driver: Any, conf: Any, url: Any, default_exchange: Any = None, allowed_remote_exmods: Any = None) -> None:
        make_driver(driver, conf, url, default_exchange, allowed_remote_exmods)
        driver._exchange_manager = Exchanges(default_exchange, url.virtual_host or "")

    fake_bus.FakeDriver.__init__ = make
    separate(urls)


def separate(urls: dict[str, str]) -> None:
    """Lets each machine send and listen on the bus of its cell."""
    transports = {cell: rpc.create_transport(rpc.get_transport_url(url)) for cell, url in urls.items()}
    # nova.rpc makes clients and servers for its global transport.
    guard = threading.Lock()

    def for_own_bus(function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            here = node.current()
            with guard:
                of_process = rpc.TRANSPORT
                if here is not None:
                    rpc.TRANSPORT = transports[here.cell]
                try:
                    return function(*arguments, **named)
                finally:
                    rpc.TRANSPORT = of_process

        return call

    rpc.get_client = for_own_bus(rpc.get_client)
    rpc.get_server = for_own_bus(rpc.get_server)

    # All computes share one router, and so the default client of whoever made it.
    route = rpc.ClientRouter.client

    def client(router: Any, context: Any) -> Any:
        here = node.current()
        if context.mq_connection is not None or here is None:
            return route(router, context)
        targeted = copy.copy(context)
        targeted.mq_connection = transports[here.cell]
        return route(router, targeted)

    rpc.ClientRouter.client = client


def _wake_listeners() -> None:
    """Listeners of oslo.messaging's bus in memory look 20 times a second; here they sleep until a message is sent."""
    sent = threading.Condition()
    count = 0
    seen = threading.local()
    deliver = fake_bus.FakeExchange.deliver_message

    def deliver_message(*arguments: Any, **named: Any) -> None:
        nonlocal count
        deliver(*arguments, **named)
        with sent:
            count += 1
            sent.notify_all()

    def sleep(_pause: float) -> None:
        with sent:
            # What was sent since the last look may be for this listener.
            if getattr(seen, "count", None) == count:
                sent.wait(LONGEST_SLEEP)
            seen.count = count

    fake_bus.FakeExchange.deliver_message = deliver_message
    fake_bus.time = types.SimpleNamespace(time=time.time, sleep=sleep)
