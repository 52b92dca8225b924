"""What `ssh`, `scp` and libvirt would have said, and the exceptions that Nova's libvirt driver makes of it.

Sources: nova/virt/libvirt/driver.py (34.0.0), migrate_disk_and_power_off and _live_migration_operation; OpenSSH 9.2.
"""

from __future__ import annotations

from nova import exception
from nova.i18n import _
from oslo_concurrency import processutils

#: Nova's default instances_path.
INSTANCES = "/var/lib/nova/instances"
#: Name of the base image's file, the sha1 of its id.
_BASE = f"{INSTANCES}/_base/4f1e2a6c0d9b8e7f6a5b4c3d2e1f0a9b8c7d6e5f"

_CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r
Host key verification failed.\r
"""


def _stderr(fault: str, user: str, host: str) -> str | None:
    """What ssh prints when it gets no session."""
    return {
        "hostkey": "Host key verification failed.\r\n",
        "hostkey-changed": _CHANGED,
        "denied": f"{user}@{host}: Permission denied (publickey).\r\n",
        "refused": f"ssh: connect to host {host} port 22: Connection refused\r\n",
        "timeout": f"ssh: connect to host {host} port 22: Connection timed out\r\n",
        "unresolved": f"ssh: Could not resolve hostname {host}: Name or service not known\r\n",
    }.get(fault)


def touch_and_make_directory(fault: str | None, source: str, address: str, instance: str) -> None:
    """The ssh of a cold move, before the guest is powered off. The failed `touch` before it is swallowed by Nova."""
    if fault == "no-ssh":
        raise FileNotFoundError(2, "No such file or directory", "ssh")
    stderr = _stderr(fault or "", "nova", address)
    if stderr is None:
        return
    error = processutils.ProcessExecutionError(
        cmd=f"ssh -o BatchMode=yes {address} mkdir -p {INSTANCES}/{instance}",
        exit_code=255,
        stdout="",
        stderr=stderr,
    )
    reason = _("not able to execute ssh command: %s") % error
    raise exception.InstanceFaultRollback(exception.ResizeError(reason=reason))


def copy_disk(fault: str | None, address: str, instance: str) -> None:
    """The scp of a cold move, after the guest was powered off."""
    if fault != "scp":
        return
    disk = f"{INSTANCES}/{instance}_resize/disk"
    raise processutils.ProcessExecutionError(
        cmd=f"scp -r {disk} {address}:{INSTANCES}/{instance}/disk",
        exit_code=255,
        stdout="",
        stderr=f"scp: write remote \"{INSTANCES}/{instance}/disk\": Failure\r\nscp: Connection closed\r\n",
    )


def fetch_base_image(fault: str | None, source: str) -> None:
    """The scp from the destination back to the source's service host name."""
    if fault != "finish":
        return
    raise processutils.ProcessExecutionError(
        cmd=f"scp -C -r {source}:{_BASE} {_BASE}",
        exit_code=255,
        stdout="",
        stderr="Host key verification failed.\r\nscp: Connection closed\r\n",
    )


def live_connection_error(fault: str | None, host: str) -> str | None:
    """libvirt's text when its own ssh gets no session, which ends with libvirt's own view of the closed pipe."""
    stderr = _stderr(fault or "", "nova", host)
    if stderr is None:
        return None
    said = stderr.strip().replace("\r", "")
    return (
        f"operation failed: Failed to connect to remote libvirt URI qemu+ssh://nova@{host}/system: "
        f"Cannot recv data: {said}: Connection reset by peer"
    )
