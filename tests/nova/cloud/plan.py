"""What a cloud shall be: written as JSON by whoever starts it, read by both of its processes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

#: Where a cloud answers unless told.
ADDRESS = "127.0.0.1"
#: The one region of the catalogue.
REGION = "RegionOne"
#: Password of every person and service of the cloud; nothing but this machine can reach it.
PASSWORD = "clearway-nova-lab"
#: Cells that the template holds; a plan uses the first of them, or more.
CELLS = ("cell1", "cell2")
#: Message buses in the memory of one process.
FAKE_BUS = "fake://"


@dataclasses.dataclass(frozen=True)
class Compute:
    """One nova-compute: its service host name, `my_ip`, and what it can hold."""

    host: str
    address: str
    cell: str = CELLS[0]
    #: `hypervisor_hostname`; the service host name unless told.
    hypervisor: str = ""
    #: What libvirt's `migration_inbound_addr` would be; `address` unless told.
    migration_address: str = ""
    vcpus: int = 64
    memory_mb: int = 65536
    disk_gb: int = 1024
    #: Command before `ssh` and `scp` that runs them on a real node as nova-compute's user; empty for made-up moves.
    nova_prefix: tuple[str, ...] = ()
    #: The same as libvirtd's user.
    root_prefix: tuple[str, ...] = ()

    @property
    def node(self) -> str:
        """`hypervisor_hostname`."""
        return self.hypervisor or self.host


@dataclasses.dataclass(frozen=True)
class Plan:
    """A whole cloud. Its files are in `directory`."""

    directory: Path
    template: Path
    identity_port: int
    compute_port: int
    #: Placement, and the stand-ins of Glance and Neutron.
    inside_port: int
    computes: tuple[Compute, ...]
    #: Where Keystone, Nova and the others answer.
    address: str = ADDRESS
    #: URL of the message broker, without a virtual host: then the computes are on machines of their own, and take part
    #: over it.
    broker: str = ""
    #: Whether somebody holds the other end of standard input, and the cloud shall end when that closes.
    owned: bool = False
    #: Life of a token (Keystone's `[token] expiration`).
    token_seconds: int = 3600
    #: Nova's `service_down_time`.
    down_seconds: int = 60
    #: Nova's `max_concurrent_live_migrations`, per source.
    live_migrations: int = 1
    #: Lines of a policy.yaml that changes Nova's defaults.
    policy: dict[str, str] = dataclasses.field(default_factory=dict)
    #: Lines for nova.conf, by section.
    nova_conf: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, path: str) -> Plan:
        """Reads a plan. Unknown and missing members are errors."""
        with open(path, encoding="utf-8") as file:
            raw: dict[str, Any] = json.load(file)
        raw["directory"] = Path(raw["directory"])
        raw["template"] = Path(raw["template"])
        raw["computes"] = tuple(Compute(**compute) for compute in raw["computes"])
        return cls(**raw)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells in use, in the order of their names."""
        return tuple(sorted({compute.cell for compute in self.computes} | {CELLS[0]}))

    @property
    def identity_url(self) -> str:
        """Keystone's v3 endpoint."""
        return f"http://{self.address}:{self.identity_port}/v3"

    @property
    def compute_url(self) -> str:
        """Nova's v2.1 endpoint."""
        return f"http://{self.address}:{self.compute_port}/v2.1"

    def inside_url(self, service: str) -> str:
        """Endpoint of `placement`, `image` or `network`."""
        return f"http://{self.address}:{self.inside_port}/{service}"

    def database(self, name: str) -> str:
        """SQLAlchemy's URL of one of the databases."""
        return f"sqlite:///{self.directory / name}.sqlite"

    def transport(self, cell: str) -> str:
        """The message bus of a cell, or of the API level (`top`)."""
        return f"{self.broker or FAKE_BUS}/{cell}"
