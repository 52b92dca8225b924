"""In front of Nova's API: a log of every request, and faults on command (`faults.json`).

    {"rules": [{"id": "a1", "method": "POST", "path": "/servers/.*/action", "action": "migrate",
                "status": 503, "times": 1}],
     "refuse": false}

A rule answers instead of Nova (`status`), after a `delay`, or breaks the connection (`drop`) before or after Nova has
done the work (`when`). `refuse` closes the port.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import webob
import webob.exc
from nova.api.openstack import wsgi as nova_wsgi

from cloud.watch import Watched

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
#: More of a request's body than this is not logged.
LOGGED_BODY = 4096


@dataclasses.dataclass(frozen=True)
class Rule:
    """What shall happen to the requests that fit."""

    id: str
    #: HTTP method; every one if empty.
    method: str = ""
    #: Regular expression, searched in the path.
    path: str = ""
    #: The action in the body of `POST /servers/ID/action`; every request if empty.
    action: str = ""
    #: Answered instead of Nova's answer.
    status: int | None = None
    message: str = "injected by the lab"
    retry_after: int | None = None
    #: Seconds to wait first.
    delay: float = 0.0
    #: The connection is closed without an answer.
    drop: bool = False
    #: `before`: Nova never sees the request. `after`: Nova has done the work, the client does not hear of it.
    when: str = "before"
    #: For how many requests; for all if none.
    times: int | None = None
    #: Seconds since the epoch after which the rule is void.
    until: float | None = None


class Front:
    """The WSGI middleware."""

    def __init__(self, application: Application, faults: Path, log: Path) -> None:
        self._application = application
        self._faults = Watched(faults)
        self._used: dict[str, int] = {}
        self._guard = threading.Lock()
        self._log = log.open("a", encoding="utf-8", buffering=1)

    def refuses(self) -> bool:
        """Whether the port shall be closed now."""
        until = self._faults.read().get("refuse")
        return bool(until) and (until is True or time.time() < until)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        arrived = datetime.datetime.now(datetime.UTC)
        request = webob.Request(environ)
        body = request.body
        request.body = body
        action = _action(request, body)
        rule = self._rule(request, action)
        if rule is not None and rule.delay:
            time.sleep(rule.delay)
        if rule is not None and rule.when == "before" and (rule.drop or rule.status is not None):
            response = _made_up(request, rule)
        else:
            response = request.get_response(self._application)
            # The whole answer is needed for the log to be written before the client can go on.
            response.body  # noqa: B018
            if rule is not None and rule.when == "after" and rule.status is not None:
                response = _made_up(request, rule)
        self._write(arrived, request, body, action, response, rule)
        if rule is not None and rule.drop:
            _break_off(environ)
        answer: Iterable[bytes] = response(environ, start_response)
        return answer

    def _rule(self, request: webob.Request, action: str | None) -> Rule | None:
        for line in self._faults.read().get("rules", []):
            rule = Rule(**line)
            fits = (
                (not rule.method or rule.method == request.method)
                and re.search(rule.path, request.path_qs) is not None
                and (not rule.action or rule.action == action)
                and (rule.until is None or time.time() < rule.until)
            )
            if not fits:
                continue
            with self._guard:
                used = self._used.get(rule.id, 0)
                if rule.times is not None and used >= rule.times:
                    continue
                self._used[rule.id] = used + 1
            return rule
        return None

    def _write(
        self,
        arrived: datetime.datetime,
        request: webob.Request,
        body: bytes,
        action: str | None,
        response: webob.Response,
        rule: Rule | None,
    ) -> None:
        line = {
            "time": arrived.isoformat(),
            "seconds": round((datetime.datetime.now(datetime.UTC) - arrived).total_seconds(), 4),
            "method": request.method,
            "path": request.path,
            "query": request.query_string,
            "action": action,
            "body": body[:LOGGED_BODY].decode("utf-8", "replace"),
            "user": request.environ.get("HTTP_X_USER_NAME"),
            "microversion": request.headers.get("OpenStack-API-Version"),
            "agent": request.headers.get("User-Agent"),
            "status": response.status_int,
            "request_id": response.headers.get("x-openstack-request-id"),
            "rule": rule.id if rule is not None else None,
            "dropped": rule is not None and rule.drop,
        }
        with self._guard:
            self._log.write(json.dumps(line) + "\n")


def _action(request: webob.Request, body: bytes) -> str | None:
    """The first member of an action's body, which names it."""
    if request.method != "POST" or not request.path.endswith("/action"):
        return None
    try:
        return next(iter(json.loads(body)), None)
    except (ValueError, TypeError):
        return None


def _made_up(request: webob.Request, rule: Rule) -> webob.Response:
    """An answer in Nova's own form, made by Nova's own code."""
    if rule.status is None:
        return webob.Response(status=502)
    error = webob.exc.status_map[rule.status](explanation=rule.message)
    if rule.retry_after is not None:
        error.headers["Retry-After"] = str(rule.retry_after)
    return request.get_response(nova_wsgi.Fault(error))


def _break_off(environ: dict[str, Any]) -> None:
    """Closes the connection under waitress, which offers no other way than through the channel."""
    channel = environ["waitress.client_disconnected"].__self__
    channel.will_close = True
    channel.socket.shutdown(2)
