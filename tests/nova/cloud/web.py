"""Serving WSGI applications, and going away on command."""

from __future__ import annotations

import threading
from typing import Any

import waitress.server


class Server:
    """One port. It can stop listening for a while, as a service that is restarted does."""

    def __init__(self, application: Any, address: str, port: int, threads: int = 8) -> None:
        self._application = application
        self._address = address
        self._port = port
        self._threads = threads
        self._server: Any = None
        self._guard = threading.Lock()

    def listen(self) -> None:
        """Accepts connections from now on."""
        with self._guard:
            if self._server is not None:
                return
            self._server = waitress.server.create_server(
                self._application,
                host=self._address,
                port=self._port,
                threads=self._threads,
                ident="",
                # Errors of connections that a test breaks off on purpose are no news.
                log_socket_errors=False,
                map={},
            )
            threading.Thread(target=self._server.run, daemon=True, name=f"port {self._port}").start()

    def refuse(self) -> None:
        """Closes the port and all its connections: the kernel refuses new ones."""
        with self._guard:
            if self._server is None:
                return
            server, self._server = self._server, None
            for channel in list(server._map.values()):
                channel.close()
            server.close()
