"""Several machines in one process.

Nova reads its host name and address from one global configuration and keeps its default database, locks and thread
pools in module globals: one process is one machine. Here every thread belongs to a machine, threads that it
starts belong to the same one, and those globals answer for the machine that asks. Threads of no machine (the API) see
what nova.conf says.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from nova import thread_pool_factory
from nova.db.main import api as main_db
from nova.virt import node as virt_node
from oslo_concurrency import lockutils
from oslo_config import cfg


@dataclasses.dataclass(frozen=True)
class Node:
    """A machine of the cloud: a compute or a conductor."""

    host: str
    address: str
    cell: str

    @property
    def identity(self) -> str:
        """The id that Nova wants to find again when a compute is restarted."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.host))


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


def install(databases: dict[str, str]) -> None:
    """Makes Nova's globals answer per machine. `databases` are URLs by cell; call once, before any service is
    made."""
    _inherit_in_threads()
    _answer_host_and_address()
    _answer_identity()
    _separate_locks()
    _separate_pools()
    _separate_databases(databases)


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


def _answer_identity() -> None:
    """Nova keeps it in one file per machine, `compute_id`."""
    look_up = virt_node.read_local_node_uuid

    def read_local_node_uuid() -> str | None:
        node = current()
        found: str | None = look_up() if node is None else node.identity
        return found

    virt_node.read_local_node_uuid = read_local_node_uuid


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
