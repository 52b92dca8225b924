"""nova.conf, keystone.conf, placement.conf and nova-compute.conf, from a plan."""

from __future__ import annotations

import sys
from pathlib import Path

from cloud.plan import CELLS, PASSWORD, REGION, Plan

Sections = dict[str, dict[str, str]]


def write(path: Path, sections: Sections) -> None:
    """Writes an oslo.config file."""
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines.extend(f"{name} = {value}" for name, value in options.items())
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def service_login(plan: Plan) -> dict[str, str]:
    """Options by which Nova and Placement log in to Keystone as the service user."""
    return {
        "auth_type": "password",
        "auth_url": plan.identity_url,
        "username": "nova",
        "password": PASSWORD,
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
        "region_name": REGION,
    }


def keystone(plan: Plan) -> Sections:
    """keystone.conf: fernet tokens, sqlite, passwords hashed as cheaply as Keystone allows."""
    directory = plan.directory
    return {
        "DEFAULT": {"log_file": str(directory / "keystone.log")},
        "database": {"connection": plan.database("keystone"), "sqlite_synchronous": "false"},
        "token": {"expiration": str(plan.token_seconds), "allow_expired_window": "0"},
        "fernet_tokens": {"key_repository": str(directory / "fernet-keys")},
        "fernet_receipts": {"key_repository": str(directory / "fernet-keys")},
        "credential": {"key_repository": str(directory / "credential-keys")},
        "identity": {"password_hash_rounds": "4"},
        "oslo_policy": {"policy_file": str(directory / "no-policy.yaml")},
    }


def placement(plan: Plan) -> Sections:
    """placement.conf."""
    return {
        "placement_database": {
            "connection": plan.database("placement"),
            "sqlite_synchronous": "false",
        },
        "keystone_authtoken": service_login(plan) | {"www_authenticate_uri": plan.identity_url},
        "oslo_policy": {"policy_file": str(plan.directory / "no-policy.yaml")},
    }


def nova(plan: Plan) -> Sections:
    """nova.conf, for API, conductors, scheduler and all computes at once: what differs per compute is not here."""
    directory = plan.directory
    login = service_login(plan)
    sections: Sections = {
        "DEFAULT": {
            "host": "controller.lab",
            "my_ip": plan.address,
            "transport_url": plan.transport("top"),
            "state_path": str(directory),
            "log_file": str(directory / "nova.log"),
            "compute_driver": "steered.SteeredDriver",
            "report_interval": "2",
            # Nothing is lost in memory; a busy machine is only slow.
            "rpc_response_timeout": "300",
            "service_down_time": str(plan.down_seconds),
            "max_concurrent_live_migrations": str(plan.live_migrations),
            "sync_power_state_interval": "-1",
            "heal_instance_info_cache_interval": "-1",
        },
        "api": {"auth_strategy": "keystone"},
        "api_database": {"connection": plan.database("nova_api"), "sqlite_synchronous": "false"},
        "database": {"connection": plan.database("nova_cell0"), "sqlite_synchronous": "false"},
        "glance": {"endpoint_override": plan.inside_url("image"), "num_retries": "0"},
        "image_cache": {"manager_interval": "-1"},
        "keystone_authtoken": login
        | {"www_authenticate_uri": plan.identity_url, "service_token_roles_required": "true"},
        "neutron": login | {"endpoint_override": plan.inside_url("network")},
        "oslo_concurrency": {"lock_path": str(directory / "locks")},
        "oslo_policy": {"policy_file": str(directory / "policy.yaml")},
        "placement": login | {"endpoint_override": plan.inside_url("placement")},
        "quota": {"instances": "-1", "cores": "-1", "ram": "-1"},
        "service_user": login | {"send_service_user_token": "true"},
        "vnc": {"enabled": "false"},
    }
    for section, options in plan.nova_conf.items():
        sections.setdefault(section, {}).update(options)
    return sections


def compute(plan: Plan) -> Sections:
    """nova-compute.conf of computes on machines of their own: what differs per machine is in its nova.conf."""
    login = service_login(plan)
    return {
        "DEFAULT": {
            "transport_url": plan.transport(CELLS[0]),
            "log_file": "/var/log/nova/nova-compute.log",
            "report_interval": "2",
            "rpc_response_timeout": "300",
            "max_concurrent_live_migrations": str(plan.live_migrations),
            "sync_power_state_interval": "-1",
            "heal_instance_info_cache_interval": "-1",
            # The guests do not know how to shut down.
            "shutdown_timeout": "1",
        },
        "glance": {"endpoint_override": plan.inside_url("image")},
        "libvirt": {"virt_type": "qemu", "cpu_mode": "none"},
        "neutron": login | {"endpoint_override": plan.inside_url("network")},
        "oslo_concurrency": {"lock_path": "$state_path/locks"},
        "placement": login | {"endpoint_override": plan.inside_url("placement")},
        "service_user": login | {"send_service_user_token": "true"},
        "vnc": {"enabled": "false"},
        # Emulated processors are all the same.
        "workarounds": {"skip_cpu_compare_on_dest": "true"},
    }


def paste_file() -> Path:
    """api-paste.ini as Nova's wheel ships it."""
    return Path(sys.prefix) / "etc" / "nova" / "api-paste.ini"
