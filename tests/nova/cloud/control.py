"""Everything but Keystone: `python -m cloud.control PLAN`.

Nova's API, conductors, scheduler and computes, Placement, and the stand-ins of Glance and Neutron. They wait for
Keystone. Computes that are on machines of their own (`Plan.broker`) are not started here, but waited for.
"""

from __future__ import annotations

import os
import sys

os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"

from nova import monkey_patch

monkey_patch.patch(backend="threading")

# Everything else comes after Nova has chosen threads.
import logging as python_logging
import time
import traceback
from typing import Any

import nova.conf
import nova.virt
from nova import config, context, objects, service
from nova.objects import host_mapping
from oslo_log import log as logging
from paste import urlmap

from cloud import bus, clouds_yaml, logs, node, real_ssh, settings, storage, stubs, template
from cloud.computes import Computes
from cloud.front import Front
from cloud.inventory import Inventory
from cloud.owner import end_with_owner, wait_for
from cloud.plan import Plan
from cloud.steering import Steering
from cloud.web import Server

#: How often the steering files are looked at by those who do not read them at each step.
TICK = 0.05


def main() -> None:
    """Serves until killed. Writes `nova.ready` when servers can be scheduled."""
    # Placement and Nova's API read sys.argv as their own.
    plan = Plan.load(sys.argv.pop())
    end_with_owner(plan)
    directory = plan.directory
    template.rebase_nova(plan)
    settings.write(directory / "nova.conf", settings.nova(plan))
    settings.write(directory / "placement.conf", settings.placement(plan))
    if plan.broker:
        settings.write(directory / "nova-compute.conf", settings.compute(plan))
    rules = "".join(f'"{rule}": "{check}"\n' for rule, check in plan.policy.items())
    (directory / "policy.yaml").write_text(rules or "{}\n", encoding="utf-8")

    storage.install()
    config.parse_args(["nova", "--config-file", str(directory / "nova.conf")])
    logging.setup(nova.conf.CONF, "nova")
    root = python_logging.getLogger()
    root.addHandler(logs.PerNode(directory / "logs", root.handlers[0].formatter if root.handlers else None))
    Inventory(plan, Steering(directory / "steer.json")).set()
    node.install({cell: plan.database(f"nova_{cell}") for cell in plan.cells})
    if plan.broker:
        bus.separate({cell: plan.transport(cell) for cell in plan.cells})
    else:
        bus.install({cell: plan.transport(cell) for cell in plan.cells})
        real_ssh.install()
    objects.register_all()
    objects.Service.enable_min_version_cache()
    nova.virt.__path__.append(os.path.join(os.path.dirname(__file__), "virt"))

    wait_for(directory / "keystone.ready")
    Server(_inside(plan), plan.address, plan.inside_port).listen()
    _start("nova-conductor", "conductor")
    for cell in plan.cells:
        with node.on(node.Node(f"conductor.{cell}", plan.address, cell)):
            _start("nova-conductor", "conductor", host=f"conductor.{cell}")
    computes = Computes(plan)
    if plan.broker:
        # A compute that finds no conductor waits for longer than it takes to start.
        (directory / "conductors.ready").touch()
        computes.wait_for()
    else:
        computes.start()
    _start("nova-scheduler", "scheduler")
    front = Front(_compute_api(plan), directory / "faults.json", directory / "access.log")
    host_mapping.discover_hosts(context.get_admin_context())
    _warm_up(plan, front)
    server = Server(front, plan.address, plan.compute_port, threads=16)
    server.listen()
    clouds_yaml.write(plan)
    (directory / "nova.ready").touch()
    while True:
        time.sleep(TICK)
        if front.refuses():
            server.refuse()
        else:
            server.listen()
        if not plan.broker:
            computes.follow(Inventory.get().steering)


def _start(binary: str, topic: str, **names: str) -> None:
    service.Service.create(binary=binary, topic=topic, **names).start()


def _inside(plan: Plan) -> Any:
    """Placement and the stand-ins, behind one port."""
    os.environ["OS_PLACEMENT_CONFIG_DIR"] = str(plan.directory)
    import placement.wsgi

    # It would send Nova's lines to its own file.
    placement.wsgi.setup_logging = lambda _config: None
    outside = urlmap.URLMap()
    outside["/placement"] = placement.wsgi.init_application()
    outside["/image"] = stubs.glance(plan.directory / "image-gone")
    outside["/network"] = stubs.neutron()
    return outside


def _compute_api(plan: Plan) -> Any:
    """The application that Nova's own WSGI entry would serve."""
    from nova.api.openstack import wsgi_app
    from paste import deploy

    wsgi_app._setup_service(nova.conf.CONF.host, "osapi_compute")
    return deploy.loadapp(f"config:{settings.paste_file()}", name="osapi_compute")


def _warm_up(plan: Plan, front: Front) -> None:
    """Waits until servers can be scheduled on every compute, and has every policy file loaded by one request at a time.

    The first load of the policies is not thread safe: several first requests at once would be answered 403.
    """
    from webob import Request

    from cloud.session import Session

    session = Session(plan)
    deadline = time.monotonic() + 180
    while True:
        answer = Request.blank("/v2.1/os-services", headers={"X-Auth-Token": session.token()}).get_response(front)
        # A plan may forbid it; its tokens may be too short-lived for a busy machine.
        if answer.status_int in (200, 403):
            break
        if answer.status_int != 401 or time.monotonic() > deadline:
            raise SystemExit(f"nova: first request: {answer.status} {answer.text}")
    missing = {compute.node for compute in plan.computes}
    while missing:
        if time.monotonic() > deadline:
            raise SystemExit(f"placement: no inventory of {', '.join(sorted(missing))}")
        for name, provider in session.providers().items():
            if name in missing and session.inventories(provider):
                missing.discard(name)
        time.sleep(TICK if missing else 0)


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        # Nova's threads would keep a process alive that cannot serve.
        traceback.print_exc()
        os._exit(1)
