"""Keystone: `python -m cloud.identity PLAN`."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request

from cloud import settings, template
from cloud.owner import end_with_owner
from cloud.plan import PASSWORD, Plan
from cloud.web import Server


def main() -> None:
    """Serves until killed. Writes `keystone.ready` when it answers."""
    # Keystone reads sys.argv as its own.
    plan = Plan.load(sys.argv.pop())
    end_with_owner(plan)
    template.rebase_keystone(plan)
    settings.write(plan.directory / "keystone.conf", settings.keystone(plan))
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(plan.directory)
    from cloud import storage

    storage.install()
    from keystone.wsgi.api import application

    warm_up(application, template.facts(plan.template)["application_credentials"]["operator"])
    server = Server(application, plan.address, plan.identity_port)
    server.listen()
    urllib.request.urlopen(plan.identity_url, timeout=10).close()
    (plan.directory / "keystone.ready").touch()
    signal.pause()


def warm_up(application: object, credential: str) -> None:
    """Logs in and has the token validated once: the first load of the policies is not thread safe, and several first
    requests at once would be answered 403."""
    from webob import Request

    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": credential, "secret": PASSWORD},
    }
    login = Request.blank("/v3/auth/tokens", method="POST", content_type="application/json")
    login.json = {"auth": {"identity": identity}}
    answer = login.get_response(application)
    if answer.status_int != 201:
        raise SystemExit(f"keystone: first login: {answer.status} {answer.text}")
    token = answer.headers["X-Subject-Token"]
    check = Request.blank("/v3/auth/tokens", headers={"X-Auth-Token": token, "X-Subject-Token": token})
    if check.get_response(application).status_int != 200:
        raise SystemExit("keystone: first validation failed")


if __name__ == "__main__":
    main()
