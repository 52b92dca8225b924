"""Several machines in one process.

Nova reads its host name and address from one global configuration and keeps its message bus, default database, locks
and thread pools in module globals: one process is one machine. Here every thread belongs to a machine, threads that it
starts belong to the same one, and those globals answer for the machine that asks. Threads of no machine (the API) see
what nova.conf says.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import oslo_messaging._drivers.impl_fake as fake_bus
from nova import rpc, thread_pool_factory
from nova.db.main import api as main_db
from oslo_concurrency import lockutils
from oslo_config import cfg


@dataclasses.dataclass(frozen=True)
class Node:
    """A machine of the cloud: a compute or a conductor."""

    host: str
    address: str
    cell: str


_current: ContextVar[Node | None] = ContextVar("node", default=None)


def current() -> Node | None:
    """The machine that the calling thread belongs to; none for the API."""
    return _current.get()


@contextlib.contextmanager
def on(node: Node) -> Iterator[None]:
    """Runs the body as the machine; threads started in it stay there."""
    token = _current.set(node)
    try:
        yield
    finally:
        _current.reset(token)


def install(databases: dict[str, str], transports: dict[str, str]) -> None:
    """Makes Nova's globals answer per machine. `databases` and `transports` are URLs by cell; call once, before any
    service is made."""
    _inherit_in_threads()
    _answer_host_and_address()
    _separate_locks()
    _separate_pools()
    _separate_databases(databases)
    _separate_buses(transports)


def _inherit_in_threads() -> None:
    start = threading.Thread.start

    def start_here(thread: threading.Thread) -> None:
        node = current()
        if node is not None:
            run = thread.run

            def run_there() -> None:
                _current.set(node)
                run()

            thread.run = run_there  # type: ignore[method-assign]
        start(thread)

    threading.Thread.start = start_here  # type: ignore[method-assign]


def _answer_host_and_address() -> None:
    look_up = cfg.ConfigOpts.__getattr__

    def answer(conf: cfg.ConfigOpts, name: str) -> Any:
        if name in ("host", "my_ip"):
            node = current()
            if node is not None:
                return node.host if name == "host" else node.address
        return look_up(conf, name)

    cfg.ConfigOpts.__getattr__ = answer


def _separate_locks() -> None:
    """Machines do not share a lock because they have a resource of the same name."""

    def own(name: str) -> str:
        node = current()
        return name if node is None else f"{node.host}/{name}"

    plain, fair = lockutils.internal_lock, lockutils.internal_fair_lock
    lockutils.internal_lock = lambda name, *rest, **named: plain(own(name), *rest, **named)
    lockutils.internal_fair_lock = lambda name: fair(own(name))


def _separate_pools() -> None:
    """Each machine has its own pools: Nova limits live migrations by the size of one."""
    factories: dict[Node, thread_pool_factory.ThreadPoolFactory] = {}
    guard = threading.Lock()
    shared = thread_pool_factory.get_executor

    def get_executor(executor_type: Any) -> Any:
        node = current()
        if node is None:
            return shared(executor_type)
        with guard:
            factory = factories.setdefault(node, thread_pool_factory.ThreadPoolFactory())
        return factory.get_executor(executor_type)

    thread_pool_factory.get_executor = get_executor


def _separate_databases(urls: dict[str, str]) -> None:
    """Code that names no cell means its own machine's."""
    managers = {cell: main_db.create_context_manager(url) for cell, url in urls.items()}
    of_process = main_db.get_context_manager

    def get_context_manager(context: Any) -> Any:
        targeted = getattr(context, "db_connection", None)
        node = current()
        if targeted is None and node is not None:
            return managers[node.cell]
        return of_process(context)

    main_db.get_context_manager = get_context_manager


def _separate_buses(urls: dict[str, str]) -> None:
    """Each cell has a bus of its own: what a message is sent on depends on who sends it."""
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
    transports = {cell: rpc.create_transport(rpc.get_transport_url(url)) for cell, url in urls.items()}
    # nova.rpc makes clients and servers for its global transport.
    guard = threading.Lock()

    def for_own_bus(function: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            node = current()
            with guard:
                of_process = rpc.TRANSPORT
                if node is not None:
                    rpc.TRANSPORT = transports[node.cell]
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
        node = current()
        if context.mq_connection is not None or node is None:
            return route(router, context)
        targeted = copy.copy(context)
        targeted.mq_connection = transports[node.cell]
        return route(router, targeted)

    rpc.ClientRouter.client = client
