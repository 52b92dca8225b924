//! One server, and its only move: what is seen of both at a moment.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::APART;

/// The phases of a cold move that take no time worth mentioning.
const SHORT: SignedDuration = SignedDuration::from_secs(1);
const IMAGE: &str = "155d900f-4e14-4e4c-a73d-069cbf4541e6";

pub(super) struct Server {
    pub(super) id: String,
    number: i32,
    source: String,
    made: Timestamp,
    pub(super) row: Option<Row>,
}

/// A row of os-migrations.
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) request_id: String,
    pub(super) destination: String,
    pub(super) address: String,
    pub(super) began: Timestamp,
    pub(super) confirmed: Option<Timestamp>,
}

impl Row {
    pub(super) fn uuid(&self) -> String {
        format!("00000000-0000-4000-9000-{:012x}", self.id)
    }
}

/// What is seen of a server and its row.
pub(super) struct Seen<'s> {
    pub(super) status: &'static str,
    vm_state: &'static str,
    pub(super) task: Option<&'static str>,
    pub(super) host: &'s str,
    pub(super) row: Option<&'static str>,
    /// Since when.
    pub(super) since: Timestamp,
}

impl Server {
    pub(super) fn new(number: usize, host: &str) -> Self {
        Self {
            id: format!("00000000-0000-4000-8000-{number:012x}"),
            number: i32::try_from(number).expect("a few"),
            source: host.to_owned(),
            // Long ago, as far as anybody asks for changes.
            made: Timestamp::now() - SignedDuration::from_hours(24),
            row: None,
        }
    }

    /// The sequence of a cold move that goes well, as Nova 34 shows it.
    pub(super) fn at(&self, now: Timestamp, released: Option<Timestamp>) -> Seen<'_> {
        let seen = |(status, vm_state), task, host, row, since| Seen {
            status,
            vm_state,
            task,
            host,
            row,
            since,
        };
        let (active, resized) = (("ACTIVE", "active"), ("VERIFY_RESIZE", "resized"));
        let Some(row) = &self.row else {
            return seen(active, None, &self.source, None, self.made);
        };
        let (here, there) = (self.source.as_str(), row.destination.as_str());
        if let Some(at) = row.confirmed {
            return match at + SHORT {
                over if now >= over => seen(active, None, there, Some("confirmed"), over),
                _ => seen(resized, None, there, Some("confirming"), at),
            };
        }
        let resize = ("RESIZE", "active");
        let copies = row.began + SHORT;
        let copied = released.map(|it| (it + APART * self.number).max(copies + SHORT));
        match copied {
            Some(at) if now >= at + SHORT => {
                seen(resized, None, there, Some("finished"), at + SHORT)
            }
            Some(at) if now >= at => {
                let row = Some("post-migrating");
                seen(resize, Some("resize_finish"), there, row, at)
            }
            _ if now >= copies => {
                let row = Some("migrating");
                seen(resize, Some("resize_migrating"), here, row, copies)
            }
            _ => {
                let row_status = Some("pre-migrating");
                seen(resize, Some("resize_prep"), here, row_status, row.began)
            }
        }
    }

    /// As `GET /servers/ID` has it in 2.96.
    pub(super) fn json(&self, seen: &Seen<'_>) -> Value {
        let (id, number) = (&self.id, self.number);
        let name = format!("simulated-{number}");
        let mut server = json!({
            "id": id, "name": name, "status": seen.status, "created": self.made, "updated": seen.since,
            "OS-EXT-STS:vm_state": seen.vm_state, "OS-EXT-STS:task_state": seen.task, "OS-EXT-STS:power_state": 1,
            "OS-EXT-SRV-ATTR:host": seen.host, "OS-EXT-SRV-ATTR:hypervisor_hostname": seen.host,
            "OS-EXT-SRV-ATTR:instance_name": format!("instance-{number:08x}"),
            "OS-EXT-SRV-ATTR:hostname": name, "links": link(&format!("servers/{id}")),
            "addresses": {"private": [
                {"addr": format!("10.1.{}.{}", number / 250, number % 250 + 2), "version": 4,
                 "OS-EXT-IPS:type": "fixed",
                 "OS-EXT-IPS-MAC:mac_addr": format!("fa:16:3e:00:{:02x}:{:02x}", number / 256, number % 256)}]},
        });
        if let (Value::Object(server), Value::Object(same)) = (&mut server, of_all()) {
            server.extend(same);
        }
        server
    }

    /// As os-migrations has its row in 2.59.
    pub(super) fn row_json(&self, seen: &Seen<'_>) -> Option<Value> {
        let row = self.row.as_ref()?;
        Some(json!({
            "id": row.id, "uuid": row.uuid(), "instance_uuid": self.id, "migration_type": "migration",
            "status": seen.row, "source_compute": self.source, "source_node": self.source,
            "dest_compute": row.destination, "dest_node": row.destination, "dest_host": row.address,
            "old_instance_type_id": 1, "new_instance_type_id": 1,
            "created_at": naive(row.began), "updated_at": naive(seen.since),
        }))
    }

    /// As os-instance-actions has them, newest first.
    pub(super) fn actions_json(&self) -> Value {
        let action = |name: &str, request: &str, at: Timestamp| {
            json!({"action": name, "instance_uuid": self.id, "request_id": request, "project_id": "p", "user_id": "u",
                   "start_time": naive(at), "updated_at": naive(at), "message": null})
        };
        let moved = self.row.iter();
        let moved = moved.map(|row| action("migrate", &row.request_id, row.began));
        let made = action(
            "create",
            "req-00000000-0000-4000-a000-000000000000",
            self.made,
        );
        let all: Vec<Value> = moved.chain([made]).collect();
        json!({ "instanceActions": all })
    }
}

fn link(what: &str) -> Value {
    json!([{"rel": "self", "href": format!("http://simulated/v2.1/{what}")}])
}

/// What all servers have in common: an answer is as long as a real one.
fn of_all() -> Value {
    json!({
        "tenant_id": "b5d5a4be8d2d4b3e9d1f7c7f3c0a1e2d", "user_id": "0c1f2f3a4b5c4d5e8f90a1b2c3d4e5f6",
        "hostId": "4f9f3a7bd3e04a1fd3a9e0b2b8a1c8c1e1d2f3a4b5c6d7e8f9a0b1c2", "host_status": "UP", "progress": 0,
        "OS-EXT-SRV-ATTR:reservation_id": "r-simulated", "OS-EXT-SRV-ATTR:launch_index": 0,
        "OS-EXT-SRV-ATTR:kernel_id": "", "OS-EXT-SRV-ATTR:ramdisk_id": "", "OS-EXT-SRV-ATTR:user_data": null,
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda", "OS-EXT-AZ:availability_zone": "nova",
        "pinned_availability_zone": null, "locked": false, "locked_reason": null, "description": null,
        "trusted_image_certificates": null, "server_groups": [], "OS-DCF:diskConfig": "MANUAL",
        "OS-SRV-USG:launched_at": "2026-11-25T18:00:00.000000", "OS-SRV-USG:terminated_at": null,
        "config_drive": "", "key_name": "ops", "tags": ["blue"], "accessIPv4": "", "accessIPv6": "",
        "flavor": {"original_name": "tiny", "vcpus": 1, "ram": 64, "disk": 1, "ephemeral": 0, "swap": 0,
                   "extra_specs": {"hw:mem_page_size": "any"}},
        "image": {"id": IMAGE, "links": link(&format!("images/{IMAGE}"))},
        "metadata": {"role": "web", "owner": "simulated"}, "security_groups": [{"name": "default"}],
        "os-extended-volumes:volumes_attached": [],
    })
}

/// Nova's times without a zone.
fn naive(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}
