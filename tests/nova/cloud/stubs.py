"""Stand-ins of Glance and Neutron: as much of them as Nova asks for when servers without networks are moved."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from webob import Request, Response

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

#: The one image.
IMAGE_ID = "155d900f-4e14-4e4c-a73d-069cbf4541e6"
#: What it does: `cli; hlt`, so that a guest costs no processor time.
_HALT = bytes.fromhex("faf4ebfd")
#: A partition, without which Nova refuses an image that has a boot sector.
_PARTITION = bytes.fromhex("80010100830fffff01000000ff070000")
#: Its bytes: a disk of 1 MiB.
_DISK = (_HALT.ljust(446, b"\0") + _PARTITION).ljust(510, b"\0") + b"\x55\xaa" + bytes((1 << 20) - 512)
_STAMP = "2026-01-01T00:00:00Z"


def _application(handle: Callable[[Request], Response]) -> Application:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer: Iterable[bytes] = handle(Request(environ))(environ, start_response)
        return answer

    return application


def _answer(status: int, body: Any = None) -> Response:
    if body is None:
        return Response(status=status)
    return Response(status=status, content_type="application/json", charset="UTF-8", text=json.dumps(body))


def glance(gone: Path) -> Application:
    """Image API v2 with one image, called `blank`, until a file says that it is gone."""
    image = {
        "id": IMAGE_ID,
        "name": "blank",
        "status": "active",
        "visibility": "public",
        "owner": None,
        "size": len(_DISK),
        "virtual_size": len(_DISK),
        "min_disk": 0,
        "min_ram": 0,
        "disk_format": "raw",
        "container_format": "bare",
        "checksum": hashlib.md5(_DISK, usedforsecurity=False).hexdigest(),
        "protected": False,
        "tags": [],
        "created_at": _STAMP,
        "updated_at": _STAMP,
        "schema": "/v2/schemas/image",
        "file": f"/v2/images/{IMAGE_ID}/file",
        "self": f"/v2/images/{IMAGE_ID}",
    }
    schema = {
        "name": "image",
        "properties": {name: {"type": ["null", "string"]} for name in image}
        | {name: {"type": ["null", "integer"]} for name in ("size", "virtual_size", "min_disk", "min_ram")}
        | {"tags": {"type": "array", "items": {"type": "string"}}, "protected": {"type": "boolean"}},
        "additionalProperties": {"type": "string"},
        "links": [],
    }

    def handle(request: Request) -> Response:
        path = request.path_info.rstrip("/")
        if path in ("", "/versions"):
            links = [{"rel": "self", "href": f"{request.application_url}/v2/"}]
            return _answer(300, {"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]})
        if path == "/v2/schemas/image":
            return _answer(200, schema)
        if path == "/v2/images":
            wanted = request.GET.get("name")
            found = [image] if wanted in (None, "blank", "in:blank") else []
            return _answer(200, {"images": found, "schema": "/v2/schemas/images", "first": "/v2/images"})
        if path.startswith(f"/v2/images/{IMAGE_ID}") and gone.exists():
            return _answer(404, {"message": "no such image", "code": "404 Not Found"})
        if path == f"/v2/images/{IMAGE_ID}":
            return _answer(200, image)
        if path == f"/v2/images/{IMAGE_ID}/file":
            return Response(body=_DISK, content_type="application/octet-stream")
        return _answer(404, {"message": "no such image", "code": "404 Not Found"})

    return _application(handle)


def neutron() -> Application:
    """Networking API v2.0 that remembers ports on one network, called `demo`."""
    network = {
        "id": "0c1f6a4e-5d0b-4b51-9f0a-1d7f2c3b4a5e",
        "name": "demo",
        "status": "ACTIVE",
        "shared": True,
        "admin_state_up": True,
        "router:external": False,
        "subnets": ["7d1c2b3a-1a2b-4c3d-8e4f-5a6b7c8d9e0f"],
        "mtu": 1450,
        "port_security_enabled": True,
        "tenant_id": "",
        "project_id": "",
    }
    subnet = {
        "id": network["subnets"][0],  # type: ignore[index]
        "name": "demo",
        "network_id": network["id"],
        "cidr": "192.0.2.0/24",
        "gateway_ip": "192.0.2.1",
        "ip_version": 4,
        "enable_dhcp": False,
        "dns_nameservers": [],
        "host_routes": [],
    }
    default_group = {"id": "5f3c1b1e-0c7a-4b8e-9d55-0f6a1b2c3d4e", "name": "default", "security_group_rules": []}
    ports: dict[str, dict[str, Any]] = {}
    bindings: dict[tuple[str, str], dict[str, Any]] = {}
    guard = threading.Lock()
    count = 0

    def create_port(wanted: dict[str, Any]) -> dict[str, Any]:
        nonlocal count
        count += 1
        port = {
            "id": str(uuid.uuid4()),
            "name": "",
            "network_id": network["id"],
            "mac_address": f"fa:16:3e:00:{count // 250:02x}:{count % 250 + 1:02x}",
            "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": f"192.0.2.{count % 250 + 2}"}],
            "status": "ACTIVE",
            "admin_state_up": True,
            "security_groups": [default_group["id"]],
            "binding:vnic_type": "normal",
            "binding:vif_type": "ovs",
            "binding:vif_details": {},
            "binding:profile": {},
            "binding:host_id": "",
            "device_id": "",
            "device_owner": "",
            "resource_request": None,
            "port_security_enabled": True,
            "allowed_address_pairs": [],
            "extra_dhcp_opts": [],
        } | {key: value for key, value in wanted.items() if value is not None}
        ports[port["id"]] = port
        return port

    def binding(port: str, host: str, wanted: dict[str, Any]) -> dict[str, Any]:
        made = {"host": host, "vif_type": "ovs", "vnic_type": "normal", "status": "INACTIVE", "profile": {}}
        made |= {"vif_details": {}} | wanted
        bindings[port, host] = made
        return made

    def handle_ports(request: Request, rest: list[str]) -> Response:
        if not rest:
            if request.method == "POST":
                return _answer(201, {"port": create_port(request.json["port"])})
            filters = {key: request.GET.getall(key) for key in request.GET if key not in ("fields", "limit")}
            matching = [p for p in ports.values() if all(str(p.get(k)) in wanted for k, wanted in filters.items())]
            return _answer(200, {"ports": matching})
        port = ports.get(rest[0])
        if port is None:
            return _answer(404, {"NeutronError": {"type": "PortNotFound", "message": "", "detail": ""}})
        if rest[1:2] == ["bindings"]:
            return handle_bindings(request, port, rest[2:])
        if request.method == "DELETE":
            del ports[rest[0]]
            return _answer(204)
        if request.method == "PUT":
            port.update(request.json["port"])
        return _answer(200, {"port": port})

    def handle_bindings(request: Request, port: dict[str, Any], rest: list[str]) -> Response:
        if not rest:
            if request.method == "POST":
                wanted = request.json["binding"]
                return _answer(200, {"binding": binding(port["id"], wanted["host"], wanted)})
            mine = [found for (owner, _), found in bindings.items() if owner == port["id"]]
            return _answer(200, {"bindings": mine})
        key = (port["id"], rest[0])
        if key not in bindings and rest[0] == port["binding:host_id"]:
            binding(*key, {"status": "ACTIVE"})
        if key not in bindings:
            return _answer(404, {"NeutronError": {"type": "PortBindingNotFound", "message": "", "detail": ""}})
        if request.method == "DELETE":
            del bindings[key]
            return _answer(204)
        if rest[1:] == ["activate"]:
            for (owner, host), found in bindings.items():
                if owner == port["id"]:
                    found["status"] = "ACTIVE" if host == rest[0] else "INACTIVE"
            port["binding:host_id"] = rest[0]
        return _answer(200, {"binding": bindings[key]})

    def handle(request: Request) -> Response:
        parts = [part for part in request.path_info.split("/") if part]
        if not parts:
            links = [{"rel": "self", "href": f"{request.application_url}/v2.0"}]
            return _answer(200, {"versions": [{"id": "v2.0", "status": "CURRENT", "links": links}]})
        kind, rest = (parts[1] if len(parts) > 1 else ""), parts[2:]
        with guard:
            if kind == "ports":
                return handle_ports(request, rest)
            lists: dict[str, list[dict[str, Any]]] = {
                "extensions": [{"alias": alias, "name": alias} for alias in ("binding", "binding-extended")],
                "networks": [network],
                "subnets": [subnet],
                "security-groups": [default_group],
                "floatingips": [],
                "routers": [],
                "quotas": [],
            }
            if kind not in lists:
                return _answer(404, {"NeutronError": {"type": "NotFound", "message": kind, "detail": ""}})
            name = re.sub("-", "_", kind)
            if rest and kind in ("networks", "subnets", "security-groups"):
                one = next((found for found in lists[kind] if found["id"] == rest[0]), None)
                return _answer(200, {name[:-1]: one}) if one else _answer(404, {})
            if rest and kind == "quotas":
                return _answer(200, {"quota": {"port": -1}})
            wanted = request.GET.getall("id") + request.GET.getall("name")
            found = [one for one in lists[kind] if not wanted or one.get("id") in wanted or one.get("name") in wanted]
            return _answer(200, {name: found})

    return _application(handle)
