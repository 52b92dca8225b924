"""SQLite for many threads: readers beside one writer per database, and no "database is locked"."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event
from sqlalchemy.engine import Engine


def install() -> None:
    """Call before the first connection."""
    event.listen(Engine, "connect", _set_up)
    _one_writer_per_database()


def _set_up(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = OFF", "busy_timeout = 30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _one_writer_per_database() -> None:
    # As nova.tests.fixtures.DatabaseWriteLock. Reentrant, because writers nest within a thread.
    locks: dict[str, threading.RLock] = collections.defaultdict(threading.RLock)
    guard = threading.Lock()
    manager = enginefacade._TransactionContextManager
    original = manager._transaction_scope

    @contextlib.contextmanager
    def scope(self: Any, context: Any) -> Iterator[Any]:
        if self._mode is not enginefacade._WRITER:
            with original(self, context) as resource:
                yield resource
            return
        url = str(self.reader.get_engine().url)
        with guard:
            lock = locks[url]
        with lock, original(self, context) as resource:
            yield resource

    manager._transaction_scope = scope
