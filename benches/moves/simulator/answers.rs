//! What is answered to each request.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::http::{Answer, Request};
use super::server::{Row, Seen, Server};
use super::{Shared, State};

/// Nova's own bound on a page (`[api] max_limit`).
const PAGE: usize = 1_000;

pub(super) fn answer(shared: &Shared, request: &Request) -> Answer {
    let path = request.path.trim_start_matches("/v2.1");
    let parts: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    let (mut state, now) = (shared.state(), Timestamp::now());
    if request.method == "GET" {
        shared.reads.fetch_add(1, Ordering::Relaxed);
    }
    match (request.method.as_str(), parts.as_slice()) {
        ("POST", ["v3", "auth", "tokens"]) => well(201, token(shared)),
        ("GET", []) => {
            let version = json!({"id": "v2.1", "version": "2.104", "min_version": "2.1"});
            well(200, json!({ "version": version }))
        }
        ("GET", ["os-services"]) => well(200, services(&state, request)),
        ("PUT", ["os-services", id]) => change_service(&mut state, id, &request.body),
        ("GET", ["os-hypervisors", "detail"]) => well(200, hypervisors(&state)),
        ("GET", ["images", id]) => well(
            200,
            json!({"image": {"id": id, "status": "ACTIVE", "metadata": {}}}),
        ),
        ("GET", ["servers", "detail"]) => {
            shared.listings.fetch_add(1, Ordering::Relaxed);
            well(200, servers(&state, request, now))
        }
        ("GET", ["os-migrations"]) => {
            if request.asks("changes-since").is_some() {
                shared.listings.fetch_add(1, Ordering::Relaxed);
                let first = usize::from(request.asks("marker").is_none());
                shared.looks.fetch_add(first, Ordering::Relaxed);
            }
            well(200, migrations(&state, request, now))
        }
        (method, ["servers", id, rest @ ..]) => {
            let Some(&place) = state.places.get(*id) else {
                return refused(404, "itemNotFound", "Instance could not be found.");
            };
            match (method, rest) {
                ("GET", []) => {
                    let server = &state.servers[place];
                    let seen = server.at(now, state.released);
                    well(200, json!({"server": server.json(&seen)}))
                }
                ("GET", ["os-instance-actions"]) => well(200, state.servers[place].actions_json()),
                ("POST", ["action"]) => act(&mut state, place, &request.body, now),
                _ => strange(shared, request),
            }
        }
        _ => strange(shared, request),
    }
}

fn well(status: u16, body: Value) -> Answer {
    Answer {
        status,
        request_id: None,
        body,
    }
}

fn refused(status: u16, name: &str, message: &str) -> Answer {
    well(
        status,
        json!({ name: {"code": status, "message": message} }),
    )
}

fn strange(shared: &Shared, request: &Request) -> Answer {
    let mut strange = shared
        .strange
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    strange.push(format!("{} {}", request.method, request.path));
    well(404, Value::Null)
}

fn token(shared: &Shared) -> Value {
    let url = format!("http://{}/v2.1", shared.address);
    let endpoint =
        json!({"interface": "public", "region": "Simulated", "region_id": "Simulated", "url": url});
    json!({"token": {
        "expires_at": "2126-11-25T19:00:00.000000Z", "user": {"name": "simulated", "id": "u"},
        "project": {"name": "simulated", "id": "p"}, "roles": [{"name": "admin", "id": "r"}],
        "catalog": [{"type": "compute", "name": "nova", "id": "c", "endpoints": [endpoint]}],
    }})
}

fn id_of_service(place: usize) -> String {
    format!("00000000-0000-4000-b000-{place:012x}")
}

fn services(state: &State, request: &Request) -> Value {
    let wanted = request.asks("host");
    let found = state
        .hosts
        .iter()
        .enumerate()
        .filter(|(_, it)| wanted.is_none_or(|host| host == it.name));
    let all: Vec<Value> = found
        .map(|(place, it)| {
            let status = if it.disabled.is_some() { "disabled" } else { "enabled" };
            json!({"id": id_of_service(place), "binary": "nova-compute", "host": it.name, "zone": "nova",
                   "status": status, "disabled_reason": it.disabled, "state": "up", "forced_down": false,
                   "updated_at": null})
        })
        .collect();
    json!({ "services": all })
}

fn change_service(state: &mut State, id: &str, body: &Value) -> Answer {
    let mut hosts = state.hosts.iter_mut().enumerate();
    let Some((place, host)) = hosts.find(|(place, _)| id_of_service(*place) == id) else {
        return refused(404, "itemNotFound", "Service could not be found.");
    };
    let reason = body["disabled_reason"].as_str().unwrap_or_default();
    host.disabled = (body["status"] == "disabled").then(|| reason.to_owned());
    let service = json!({"id": id_of_service(place), "host": host.name, "status": body["status"], "state": "up"});
    well(200, json!({ "service": service }))
}

fn hypervisors(state: &State) -> Value {
    let all: Vec<Value> = state
        .hosts
        .iter()
        .enumerate()
        .map(|(place, it)| {
            json!({"id": id_of_service(place), "hypervisor_hostname": it.name, "host_ip": it.address, "state": "up",
                   "status": "enabled", "service": {"host": it.name, "id": id_of_service(place)},
                   "free_ram_mb": 1_000_000, "running_vms": 0})
        })
        .collect();
    json!({ "hypervisors": all })
}

/// One page of what has changed, with a link when there may be a next one, as Nova has it: when this one is full.
fn page(name: &str, request: &Request, rows: Vec<(String, Value)>) -> Value {
    let limit = request.asks("limit").and_then(|it| it.parse().ok());
    let limit = limit.map_or(PAGE, |it: usize| it.min(PAGE));
    let after = request
        .asks("marker")
        .and_then(|marker| rows.iter().position(|(id, _)| id == marker));
    let rows = rows
        .into_iter()
        .skip(after.map_or(0, |it| it + 1))
        .take(limit);
    let rows: Vec<Value> = rows.map(|(_, row)| row).collect();
    let mut body = json!({});
    if rows.len() == limit {
        body[format!("{name}_links")] = json!([{"rel": "next", "href": "http://simulated/"}]);
    }
    body[name] = Value::Array(rows);
    body
}

fn has_changed(request: &Request, seen: &Seen<'_>) -> bool {
    let since = request.asks("changes-since");
    since.is_none_or(|since| seen.since >= since.parse::<Timestamp>().expect("a time"))
}

fn servers(state: &State, request: &Request, now: Timestamp) -> Value {
    let host = request.asks("host");
    let rows = state.servers.iter().filter_map(|it| {
        let seen = it.at(now, state.released);
        let fits = has_changed(request, &seen) && host.is_none_or(|host| host == seen.host);
        fits.then(|| (it.id.clone(), it.json(&seen)))
    });
    page("servers", request, rows.collect())
}

fn migrations(state: &State, request: &Request, now: Timestamp) -> Value {
    let of = request.asks("instance_uuid");
    let mut moved: Vec<(&Row, &Server)> = state
        .servers
        .iter()
        .filter(|it| of.is_none_or(|id| id == it.id))
        .filter_map(|it| Some((it.row.as_ref()?, it)))
        .collect();
    moved.sort_by_key(|(row, _)| std::cmp::Reverse(row.id));
    let rows = moved.into_iter().filter_map(|(row, it)| {
        let seen = it.at(now, state.released);
        let row_json = it.row_json(&seen)?;
        has_changed(request, &seen).then(|| (row.uuid(), row_json))
    });
    page("migrations", request, rows.collect())
}

fn act(state: &mut State, place: usize, body: &Value, now: Timestamp) -> Answer {
    state.requests += 1;
    let request_id = format!("req-00000000-0000-4000-a000-{:012x}", state.requests);
    let accepted = |status| Answer {
        status,
        request_id: Some(request_id.clone()),
        body: Value::Null,
    };
    let seen = state.servers[place].at(now, state.released);
    let (status, task) = (seen.status, seen.task);
    let conflict = format!("Cannot do it while it is {status} in task_state {task:?}");
    if let Some(wanted) = body["migrate"]["host"].as_str() {
        let Some(host) = state.hosts.iter().find(|it| it.name == wanted) else {
            let message = format!("Compute host {wanted} could not be found.");
            return refused(400, "badRequest", &message);
        };
        if status != "ACTIVE" || state.servers[place].row.is_some() {
            return refused(409, "conflictingRequest", &conflict);
        }
        state.rows += 1;
        state.servers[place].row = Some(Row {
            id: state.rows,
            request_id: request_id.clone(),
            destination: host.name.clone(),
            address: host.address.clone(),
            began: now,
            confirmed: None,
        });
        return accepted(202);
    }
    match &mut state.servers[place].row {
        Some(row) if body.get("confirmResize").is_some() && status == "VERIFY_RESIZE" => {
            if row.confirmed.is_some() {
                return refused(409, "conflictingRequest", &conflict);
            }
            row.confirmed = Some(now);
            accepted(204)
        }
        _ => refused(409, "conflictingRequest", &conflict),
    }
}
