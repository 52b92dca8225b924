"""A hypervisor that does what `steer.json` says: `compute_driver = steered.SteeredDriver`.

Everything around it is Nova's own. Where it fails, it raises what the libvirt driver of Nova 34 raises at that point,
so that what follows (rollback, ERROR, faults, events) is Nova's own too.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from nova import exception
from nova.compute import power_state
from nova.virt import fake
from oslo_log import log as logging

from cloud import ssh
from cloud.inventory import Inventory
from cloud.steering import Behaviour, freeze_if

LOG = logging.getLogger("nova.virt.libvirt.driver")


class libvirtError(Exception):  # noqa: N801: its name is what Nova's API shows
    """As the libvirt binding's."""


class Running:
    """A live migration under way, as seen by those who want to end it."""

    def __init__(self) -> None:
        self.abort = threading.Event()
        self.complete = threading.Event()


class SteeredDriver(fake.FakeDriver):
    """The driver of one compute."""

    def init_host(self, host: str) -> None:
        """Learns which compute it is, and how big."""
        super().init_host(host)
        inventory = Inventory.get()
        self._compute = inventory.compute(host)
        self._steering = inventory.steering
        self._set_nodes([self._compute.node])
        self.vcpus = self._compute.vcpus
        self.memory_mb = self._compute.memory_mb
        self.local_gb = self._compute.disk_gb
        self.resources = fake.Resources(self.vcpus, self.memory_mb, self.local_gb)
        self._running: dict[str, Running] = {}
        #: Set when this compute is killed.
        self.dead = threading.Event()

    def _spend(self, kind: str, source: str, destination: str, phase: str) -> Behaviour:
        return self._steering.spend(kind, source, destination, phase, self.dead)

    def _node_uuid(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self._compute.node))

    def get_available_resource(self, nodename: str) -> dict[str, Any]:
        """As the fake driver's, with an identity that survives a restart."""
        resources: dict[str, Any] = super().get_available_resource(nodename)
        resources["uuid"] = self._node_uuid()
        resources["hypervisor_type"] = "QEMU"
        return resources

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        """One node."""
        return {self._node_uuid(): self._compute.node}

    def get_host_ip_addr(self) -> str:
        """What lands in a migration's `dest_host`: libvirt's `migration_inbound_addr`."""
        now = self._steering.computes().get(self._compute.host, {})
        address: str = now.get("migration_address") or self._compute.migration_address or self._compute.address
        return address

    # Cold moves: on the source, on the destination, and what ends them.

    def migrate_disk_and_power_off(
        self,
        context: Any,
        instance: Any,
        dest: str,
        flavor: Any,
        network_info: Any,
        block_device_info: Any = None,
        timeout: int = 0,
        retry_interval: int = 0,
    ) -> str:
        """The source's half: ssh, power off, copy (nova/virt/libvirt/driver.py, the method of the same name)."""
        source = self._compute.host
        destination = instance.migration_context and self._destination(instance) or dest
        now = self._spend("cold", source, destination, "ssh")
        ssh.touch_and_make_directory(now.fault, source, dest, instance.uuid)
        self.power_off(instance, timeout, retry_interval)
        now = self._spend("cold", source, destination, "copy")
        ssh.copy_disk(now.fault, dest, instance.uuid)
        return "[]"

    def _destination(self, instance: Any) -> str:
        """The service host name of the compute that a cold move goes to."""
        from nova import objects
        from nova import context as nova_context

        migration = objects.Migration.get_by_id(
            nova_context.get_admin_context(), instance.migration_context.migration_id
        )
        host: str = migration.dest_compute
        return host

    def finish_migration(
        self,
        context: Any,
        migration: Any,
        instance: Any,
        disk_info: Any,
        network_info: Any,
        image_meta: Any,
        resize_instance: bool,
        allocations: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """The destination's half. Its fault is the base image that cannot be fetched back from the source."""
        now = self._spend("cold", migration.source_compute, self._compute.host, "finish")
        ssh.fetch_base_image(now.fault, migration.source_compute)
        super().finish_migration(
            context,
            migration,
            instance,
            disk_info,
            network_info,
            image_meta,
            resize_instance,
            allocations,
            block_device_info=block_device_info,
            power_on=power_on,
            share_info=share_info,
        )

    def confirm_migration(self, context: Any, migration: Any, instance: Any, network_info: Any) -> None:
        """Removes what is left on the source."""
        now = self._spend("cold", migration.source_compute, migration.dest_compute, "confirm")
        if now.fault == "confirm":
            raise OSError(39, "Directory not empty", f"{ssh.INSTANCES}/{instance.uuid}_resize")
        super().confirm_migration(context, migration, instance, network_info)

    def finish_revert_migration(
        self,
        context: Any,
        instance: Any,
        network_info: Any,
        migration: Any,
        block_device_info: Any = None,
        power_on: bool = True,
        share_info: Any = None,
    ) -> None:
        """Brings the server up on the source again."""
        self._spend("cold", migration.source_compute, migration.dest_compute, "revert")
        super().finish_revert_migration(
            context, instance, network_info, migration, block_device_info, power_on, share_info
        )

    # Live moves.

    def check_can_live_migrate_destination(
        self,
        context: Any,
        instance: Any,
        src_compute_info: Any,
        dst_compute_info: Any,
        block_migration: bool = False,
        disk_over_commit: bool = False,
    ) -> Any:
        """On the destination, before anything is changed."""
        now = self._spend("live", instance.host, self._compute.host, "check")
        if now.fault == "check":
            raise exception.MigrationPreCheckError(reason="Unacceptable CPU info: CPU doesn't have compatibility.")
        return super().check_can_live_migrate_destination(
            context, instance, src_compute_info, dst_compute_info, block_migration, disk_over_commit
        )

    def pre_live_migration(
        self,
        context: Any,
        instance: Any,
        block_device_info: Any,
        network_info: Any,
        disk_info: Any,
        migrate_data: Any,
    ) -> Any:
        """On the destination. Its fault is the base image that cannot be fetched back from the source."""
        now = self._spend("live", instance.host, self._compute.host, "prepare")
        if now.fault == "prepare":
            ssh.fetch_base_image("finish", instance.host)
        return super().pre_live_migration(
            context, instance, block_device_info, network_info, disk_info, migrate_data
        )

    def live_migration(
        self,
        context: Any,
        instance: Any,
        dest: str,
        post_method: Any,
        recover_method: Any,
        block_migration: bool = False,
        migrate_data: Any = None,
    ) -> None:
        """On the source: connect, copy memory and disks while the numbers move, and end one way or the other."""
        running = self._running[instance.uuid] = Running()
        try:
            self._run_live(context, instance, dest, post_method, recover_method, block_migration, migrate_data, running)
        finally:
            del self._running[instance.uuid]

    def _run_live(
        self,
        context: Any,
        instance: Any,
        dest: str,
        post_method: Any,
        recover_method: Any,
        block_migration: bool,
        migrate_data: Any,
        running: Running,
    ) -> None:
        source = self._compute.host
        now = self._spend("live", source, dest, "connect")
        error = ssh.live_connection_error(now.fault, dest)
        if error is None:
            error = self._copy_memory(instance, dest, migrate_data, running)
        if error == "abort":
            recover_method(context, instance, dest, migrate_data, migration_status="cancelled")
        elif error is not None:
            LOG.error("Live Migration failure: %s", error, instance=instance)
            LOG.error("Migration operation has aborted", instance=instance)
            recover_method(context, instance, dest, migrate_data)
            if not now.before_33:
                # Since 33.0.0 the monitor asks the operation for its outcome, which raises after the rollback.
                time.sleep(now.seconds.get("error", 0.5))
                raise libvirtError(error)
        else:
            LOG.info("Migration operation has completed", instance=instance)
            post_method(context, instance, dest, block_migration, migrate_data)

    def _copy_memory(self, instance: Any, dest: str, migrate_data: Any, running: Running) -> str | None:
        """Takes as long as it shall; the outcome is None, `abort`, or libvirt's text."""
        source, started, shown = self._compute.host, time.monotonic(), 0.0
        migration = migrate_data.migration
        memory, disk = instance.flavor.memory_mb << 20, instance.flavor.root_gb << 30
        while True:
            freeze_if(self.dead)
            now = self._steering.behaviour("live", source, dest)
            seconds = now.seconds.get("run", 0.0)
            passed = time.monotonic() - started
            part = min(passed / seconds, 1.0) if seconds else 1.0
            if now.hangs("run"):
                part = min(part, 0.9) if seconds else 0.5
            if running.abort.is_set():
                return "abort"
            if now.fault == "midway" and part >= 0.5:
                return "operation failed: migration out job: Unable to write to socket: Connection reset by peer"
            if running.complete.is_set() or (part >= 1.0 and not now.hangs("run")):
                return None
            if passed >= shown:
                # libvirt_migrate.save_stats; Nova's own driver does it every 5 s.
                shown = passed + now.seconds.get("progress", 0.5)
                migration.memory_total = memory
                migration.memory_processed = int(memory * part)
                migration.memory_remaining = memory - migration.memory_processed
                migration.disk_total = disk
                migration.disk_processed = int(disk * part)
                migration.disk_remaining = disk - migration.disk_processed
                migration.save()
                instance.progress = int(100 * part)
                instance.save()
            time.sleep(0.05)

    def live_migration_abort(self, instance: Any) -> None:
        """Ends the move; the server stays."""
        if instance.uuid not in self._running:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        self._running[instance.uuid].abort.set()

    def live_migration_force_complete(self, instance: Any) -> None:
        """Pauses the guest, so that the rest is copied at once."""
        if instance.uuid in self._running:
            self._running[instance.uuid].complete.set()

    def post_live_migration(
        self, context: Any, instance: Any, block_device_info: Any, migrate_data: Any = None
    ) -> None:
        """The guest is gone from the source."""
        self.destroy(context, instance, network_info=None, block_device_info=block_device_info)

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        """As the fake driver's; a guest of a restarted compute is still there."""
        if instance.uuid not in self.instances and instance.host == self._compute.host:
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, instance.power_state or power_state.RUNNING, instance.uuid
            )
        return super().get_info(instance, use_cache)
