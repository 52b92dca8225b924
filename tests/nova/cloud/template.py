"""The databases that every cloud starts with: `python -m cloud.template DIRECTORY`.

Schemas take most of a minute to make, so they are made once. A cloud copies the directory and puts its own ports and
paths in.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

from cloud import settings
from cloud.plan import CELLS, PASSWORD, REGION, Plan

#: People of the cloud and their role in project `demo`. Keystone's admin implies manager, member and reader.
PEOPLE = {"operator": "admin", "manager": "manager", "member": "member", "reader": "reader"}
#: What `python -m cloud.template` tells the clouds that use it, and everybody who logs in.
FACTS = "template.json"


def facts(template: Path) -> dict[str, Any]:
    """Ids and secrets that were made with the template."""
    result: dict[str, Any] = json.loads((template / FACTS).read_text(encoding="utf-8"))
    return result


def make(directory: Path) -> None:
    """Makes the template, which must not exist yet."""
    directory.mkdir(parents=True)
    plan = Plan(directory, directory, 1, 1, 1, ())
    for name, sections in (
        ("keystone", settings.keystone(plan)),
        ("placement", settings.placement(plan)),
        ("nova", settings.nova(plan)),
    ):
        settings.write(directory / f"{name}.conf", sections)
    # Each needs a process of its own: all of them keep their configuration in globals.
    for part in (_nova, _placement, _keystone, _people):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                part(plan)
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(code)
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit(f"{part.__name__.strip('_')}: no database was made")
    for log in directory.glob("*.log"):
        log.unlink()


def _nova(plan: Plan) -> None:
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")
    from nova import config, context, objects
    from nova.db import migration
    from oslo_utils import uuidutils

    config.parse_args(["nova", "--config-file", str(plan.directory / "nova.conf")])
    objects.register_all()
    migration.db_sync(database="api")
    migration.db_sync(database="main")
    engine_of_main = plan.directory / "nova_cell0.sqlite"
    for cell in CELLS:
        shutil.copy(engine_of_main, plan.directory / f"nova_{cell}.sqlite")
    admin = context.get_admin_context()
    for name, uuid, bus in (
        ("cell0", objects.CellMapping.CELL0_UUID, "none:///"),
        *((cell, uuidutils.generate_uuid(), plan.transport(cell)) for cell in CELLS),
    ):
        objects.CellMapping(
            admin,
            uuid=uuid,
            name=name,
            database_connection=plan.database(f"nova_{name}"),
            transport_url=bus,
        ).create()


def _placement(plan: Plan) -> None:
    from oslo_config import cfg
    from placement import conf, db_api
    from placement.db.sqlalchemy import migration

    config = cfg.ConfigOpts()
    conf.register_opts(config)
    config([], default_config_files=[str(plan.directory / "placement.conf")])
    db_api.configure(config)
    migration.upgrade("head")


def _keystone(plan: Plan) -> None:
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(plan.directory)
    for keys in ("fernet-keys", "credential-keys"):
        (plan.directory / keys).mkdir(mode=0o700)
    from keystone.cmd import cli
    import keystone.conf

    def manage(*arguments: str) -> None:
        keystone.conf.CONF.reset()
        cli.main(["keystone-manage", *arguments], str(plan.directory / "keystone.conf"))

    manage("db_sync")
    for setup in ("fernet_setup", "credential_setup"):
        manage(setup, "--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
    manage(
        "bootstrap",
        "--bootstrap-password",
        PASSWORD,
        "--bootstrap-region-id",
        REGION,
        *(f"--bootstrap-{kind}-url={plan.identity_url}" for kind in ("public", "internal", "admin")),
    )


def _people(plan: Plan) -> None:
    """Fills Keystone through its own API, without a port."""
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(plan.directory)
    from keystone.wsgi.api import application
    from webob import Request

    def call(method: str, path: str, body: Any = None, token: str | None = None) -> tuple[dict[str, Any], str]:
        request = Request.blank(f"/v3{path}", method=method)
        if body is not None:
            request.content_type = "application/json"
            request.body = json.dumps(body).encode()
        if token is not None:
            request.headers["X-Auth-Token"] = token
        response = request.get_response(application)
        if response.status_int >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {response.text}")
        return (response.json if response.body else {}), response.headers.get("X-Subject-Token", "")

    def log_in(name: str, project: str) -> str:
        default = {"id": "default"}
        user = {"name": name, "domain": default, "password": PASSWORD}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": project, "domain": default}}
        return call("POST", "/auth/tokens", {"auth": {"identity": identity, "scope": scope}})[1]

    token = log_in("admin", "admin")

    def create(kind: str, **values: Any) -> dict[str, Any]:
        created: dict[str, Any] = call("POST", f"/{kind}s", {kind: values}, token)[0][kind]
        return created

    roles = {role["name"]: role["id"] for role in call("GET", "/roles", None, token)[0]["roles"]}
    projects = {name: create("project", name=name, domain_id="default")["id"] for name in ("service", "demo", "other")}
    users = {
        name: create("user", name=name, domain_id="default", password=PASSWORD)["id"] for name in ("nova", *PEOPLE)
    }

    def grant(project: str, user: str, role: str) -> None:
        call("PUT", f"/projects/{projects[project]}/users/{users[user]}/roles/{roles[role]}", None, token)

    for role in ("admin", "service"):
        grant("service", "nova", role)
    for person, role in PEOPLE.items():
        grant("demo", person, role)
    grant("other", "operator", "admin")
    for kind, name, url in (
        ("compute", "nova", plan.compute_url),
        ("placement", "placement", plan.inside_url("placement")),
        ("image", "glance", plan.inside_url("image")),
        ("network", "neutron", plan.inside_url("network")),
    ):
        service = create("service", type=kind, name=name)
        for interface in ("public", "internal", "admin"):
            create("endpoint", service_id=service["id"], interface=interface, region_id=REGION, url=url)
    credentials = {}
    for person in PEOPLE:
        own = log_in(person, "demo")
        body = {"application_credential": {"name": "clearway", "secret": PASSWORD}}
        made = call("POST", f"/users/{users[person]}/application_credentials", body, own)[0]
        credentials[person] = made["application_credential"]["id"]
    known = {"projects": projects, "users": users, "application_credentials": credentials}
    (plan.directory / FACTS).write_text(json.dumps(known, indent=2), encoding="utf-8")


def rebase_keystone(plan: Plan) -> None:
    """Copies Keystone's part into the plan's directory and puts the plan's ports in."""
    shutil.copy(plan.template / "keystone.sqlite", plan.directory)
    for keys in ("fernet-keys", "credential-keys"):
        shutil.copytree(plan.template / keys, plan.directory / keys)
    with contextlib.closing(sqlite3.connect(plan.directory / "keystone.sqlite")) as keystone, keystone:
        for kind, url in (
            ("identity", plan.identity_url),
            ("compute", plan.compute_url),
            *((kind, plan.inside_url(kind)) for kind in ("placement", "image", "network")),
        ):
            keystone.execute(
                "UPDATE endpoint SET url = ? WHERE service_id IN (SELECT id FROM service WHERE type = ?)", (url, kind)
            )


def rebase_nova(plan: Plan) -> None:
    """Copies Nova's and Placement's part into the plan's directory and puts the plan's paths in."""
    for name in ("placement", "nova_api", "nova_cell0", *(f"nova_{cell}" for cell in plan.cells)):
        shutil.copy(plan.template / f"{name}.sqlite", plan.directory)
    with contextlib.closing(sqlite3.connect(plan.directory / "nova_api.sqlite")) as nova, nova:
        for name in ("cell0", *CELLS):
            if name in ("cell0", *plan.cells):
                url = plan.database(f"nova_{name}")
                nova.execute("UPDATE cell_mappings SET database_connection = ? WHERE name = ?", (url, name))
                if name in plan.cells:
                    bus = plan.transport(name)
                    nova.execute("UPDATE cell_mappings SET transport_url = ? WHERE name = ?", (bus, name))
            else:
                nova.execute("DELETE FROM cell_mappings WHERE name = ?", (name,))


if __name__ == "__main__":
    # Keystone reads sys.argv as its own.
    make(Path(sys.argv.pop()).absolute())
