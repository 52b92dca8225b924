"""Moves decided by real nodes: Nova's own `ssh` and `scp`, run on a node by a command that gets there.

Nova's code runs here; only the two programs are started elsewhere. Their words are the node's own.
"""

from __future__ import annotations

import shlex
import uuid
from typing import Any

from nova import exception
from nova.i18n import _
from nova.virt.libvirt.volume import remotefs
from oslo_concurrency import processutils

from cloud import node, ssh
from cloud.inventory import Inventory
from cloud.plan import Compute

_execute = processutils.execute


def install() -> None:
    """Sends the `ssh` and `scp` that Nova starts to the node of the compute that starts them."""
    processutils.execute = _on_the_node


def _on_the_node(*command: str, **options: Any) -> Any:
    here = node.current()
    compute = None if here is None else Inventory.get().find(here.host)
    if compute is None or command[0] not in ("ssh", "scp"):
        return _execute(*command, **options)
    try:
        return _execute(*compute.nova_prefix, *command, **options)
    except processutils.ProcessExecutionError as error:
        # How the command got to the node is nobody's business.
        error.cmd = shlex.join(command)
        raise


class RealSsh:
    """What the libvirt driver does over ssh, on one compute's node."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._files = remotefs.RemoteFilesystem()

    def _shell(self, line: str) -> None:
        _execute(*self._compute.nova_prefix, "sh", "-c", line)

    def make_directory(self, address: str, instance: str) -> None:
        """As _is_path_shared_with and then migrate_disk_and_power_off, up to the power-off."""
        directory = f"{ssh.INSTANCES}/{instance}"
        file = f"{directory}/{uuid.uuid4().hex}.tmp"
        try:
            self._files.create_file(address, file)
            self._files.remove_file(address, file)
        except Exception:  # noqa: S110 -- Nova swallows all of them, too
            pass
        try:
            self._files.create_dir(address, directory)
        except processutils.ProcessExecutionError as error:
            reason = _("not able to execute ssh command: %s") % error
            raise exception.InstanceFaultRollback(exception.ResizeError(reason=reason)) from error

    def copy_disk(self, address: str, instance: str) -> None:
        """Copies a small disk from the node to the destination's."""
        kept, disk = f"{ssh.INSTANCES}/{instance}_resize", f"{ssh.INSTANCES}/{instance}/disk"
        self._shell(f"mkdir -p {kept} && echo {instance} > {kept}/disk")
        self._files.copy_file(f"{kept}/disk", f"{address}:{disk}", compression=False)

    def fetch_base_image(self, source: str) -> None:
        """Fetches the base image from the source, as a destination does whose image is no longer in Glance."""
        self._shell(f"mkdir -p {ssh.INSTANCES}/_base")
        self._files.copy_file(f"{source}:{ssh.BASE_IMAGE}", ssh.BASE_IMAGE)

    def keep_base_image(self) -> None:
        """Makes sure that the source has one."""
        self._shell(f"mkdir -p {ssh.INSTANCES}/_base && echo image > {ssh.BASE_IMAGE}")

    def clean_up(self, instance: str) -> None:
        """Removes what a move has left on this node."""
        self._shell(f"rm -rf {ssh.INSTANCES}/{instance} {ssh.INSTANCES}/{instance}_resize")

    def live_connection_error(self, host: str) -> str | None:
        """What libvirtd says when its ssh to the peer fails; none if it gets there (virNetSocketNewConnectSSH)."""
        command = ("ssh", "-l", "nova", "-T", "-e", "none", "-o", "BatchMode=yes", "--", host, "true")
        try:
            _execute(*self._compute.root_prefix, *command)
        except processutils.ProcessExecutionError as error:
            return ssh.libvirt_text(host, error.stderr)
        return None
