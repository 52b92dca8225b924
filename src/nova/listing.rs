//! Whole lists, page by page.

use super::error::NovaError;
use super::session::Session;
use crate::domain::{HostName, ServerId};
use crate::openstack::compute::{
    self, ComputeService, Hypervisor, Image, InstanceAction, LiveProgress, Migration, Page,
    ReadError, Server, ServerFilter, WantedFlavor,
};
use crate::openstack::{Answer, Call};

/// Rows per page; Nova's own bound (`[api]max_limit`) is 1,000 by default and wins where it is smaller.
const ROWS: u32 = 1_000;
/// More pages than this are no cloud's: a million rows.
const PAGES: usize = 1_000;

fn unread(call: &Call) -> impl FnOnce(ReadError) -> NovaError {
    let call = call.to_string();
    move |source| NovaError::Answer { call, source }
}

impl Session {
    async fn all<T>(
        &self,
        page: impl Fn(Option<&str>) -> Call,
        read: impl Fn(&Answer) -> Result<Page<T>, ReadError>,
    ) -> Result<Vec<T>, NovaError> {
        self.enough(page, read, |_| false).await
    }

    /// Pages until these rows are enough, or all.
    async fn enough<T>(
        &self,
        page: impl Fn(Option<&str>) -> Call,
        read: impl Fn(&Answer) -> Result<Page<T>, ReadError>,
        are_enough: impl Fn(&[T]) -> bool,
    ) -> Result<Vec<T>, NovaError> {
        let mut rows = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES {
            let call = page(marker.as_deref());
            let answer = self.read(&call).await?;
            let found = read(&answer).map_err(unread(&call))?;
            rows.extend(found.rows);
            match found.next {
                // The same marker again would be the same page again.
                Some(next) if marker.as_ref() != Some(&next) && !are_enough(&rows) => {
                    marker = Some(next);
                }
                _ => return Ok(rows),
            }
        }
        Err(NovaError::Endless {
            call: page(None).to_string(),
            pages: PAGES,
        })
    }

    async fn one<T>(
        &self,
        call: Call,
        read: impl Fn(&Answer) -> Result<T, ReadError>,
    ) -> Result<T, NovaError> {
        let answer = self.read(&call).await?;
        read(&answer).map_err(unread(&call))
    }

    /// Servers of all projects.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn servers(&self, filter: &ServerFilter) -> Result<Vec<Server>, NovaError> {
        let version = self.version();
        self.all(
            |marker| compute::servers(filter, marker, ROWS, version),
            compute::read_servers,
        )
        .await
    }

    /// Servers that have changed since, deleted ones included: pages of them until they are enough. A page that is full has a
    /// next one, also when that is empty.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn changed_servers(
        &self,
        since: jiff::Timestamp,
        are_enough: impl Fn(&[Server]) -> bool,
    ) -> Result<Vec<Server>, NovaError> {
        let version = self.version();
        let filter = ServerFilter {
            changes_since: Some(since),
            ..ServerFilter::default()
        };
        self.enough(
            |marker| compute::servers(&filter, marker, ROWS, version),
            compute::read_servers,
            are_enough,
        )
        .await
    }

    /// One server; `None` when there is none with this id.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn server(&self, id: &ServerId) -> Result<Option<Server>, NovaError> {
        let found = self
            .one(compute::server(id, self.version()), compute::read_server)
            .await;
        match found {
            Ok(server) => Ok(Some(server)),
            Err(error) if error.is_item_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Rows of os-migrations of one server, newest first.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn migrations(&self, server: &ServerId) -> Result<Vec<Migration>, NovaError> {
        self.all(
            |marker| compute::migrations(Some(server), None, marker, ROWS),
            compute::read_migrations,
        )
        .await
    }

    /// Rows of os-migrations that have changed since, newest first: pages of them until they are enough.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn changed_migrations(
        &self,
        since: jiff::Timestamp,
        are_enough: impl Fn(&[Migration]) -> bool,
    ) -> Result<Vec<Migration>, NovaError> {
        self.enough(
            |marker| compute::migrations(None, Some(since), marker, ROWS),
            compute::read_migrations,
            are_enough,
        )
        .await
    }

    /// The newest rows of os-migrations, at most one page.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn newest_migrations(&self) -> Result<Vec<Migration>, NovaError> {
        let page = self
            .one(
                compute::migrations(None, None, None, ROWS),
                compute::read_migrations,
            )
            .await?;
        Ok(page.rows)
    }

    /// The live moves of a server that go on.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn live_migrations(&self, server: &ServerId) -> Result<Vec<LiveProgress>, NovaError> {
        self.one(
            compute::live_migrations(server),
            compute::read_live_migrations,
        )
        .await
    }

    /// The actions of a server, newest first.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn actions(&self, server: &ServerId) -> Result<Vec<InstanceAction>, NovaError> {
        self.one(compute::actions(server), compute::read_actions)
            .await
    }

    /// One action with its steps; `None` when Nova does not have it.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn action(
        &self,
        server: &ServerId,
        request_id: &str,
    ) -> Result<Option<InstanceAction>, NovaError> {
        let Some(call) = compute::action(server, request_id) else {
            return Ok(None);
        };
        match self.one(call, compute::read_action).await {
            Ok(action) => Ok(Some(action)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All nova-compute services.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn services(&self) -> Result<Vec<ComputeService>, NovaError> {
        self.one(compute::services(), compute::read_services).await
    }

    /// The nova-compute service of one host; `None` when there is none.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn service(&self, host: &HostName) -> Result<Option<ComputeService>, NovaError> {
        let found = self
            .one(compute::service_of(host), compute::read_services)
            .await?;
        Ok(found.into_iter().find(|it| it.host == *host))
    }

    /// The flavor with this id or name; `None` when there is none.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn flavor(&self, name: &str) -> Result<Option<WantedFlavor>, NovaError> {
        let mut all = self
            .all(
                |marker| compute::flavors(marker, ROWS),
                compute::read_flavors,
            )
            .await?;
        // Names are unique in Nova; an id wins over another flavor's name.
        let place = all
            .iter()
            .position(|it| it.id == name)
            .or_else(|| all.iter().position(|it| it.flavor.name == name));
        Ok(place.map(|place| all.swap_remove(place)))
    }

    /// An image, as Nova finds it in Glance; `None` when there is none, or none that this user may see.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn image(&self, id: &str) -> Result<Option<Image>, NovaError> {
        let Some(call) = compute::image(id) else {
            return Ok(None);
        };
        match self.one(call, compute::read_image).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All hypervisors.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub async fn hypervisors(&self) -> Result<Vec<Hypervisor>, NovaError> {
        self.all(
            |marker| compute::hypervisors(marker, ROWS),
            compute::read_hypervisors,
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::session::tests::opened;
    use super::*;

    fn page(ids: std::ops::Range<u64>) -> String {
        let row = |id| {
            serde_json::json!({
                "id": id, "uuid": format!("u{id}"), "migration_type": "migration", "status": "migrating",
                "instance_uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "created_at": "2026-11-25T18:00:00.000000"
            })
        };
        let rows: Vec<_> = ids.map(row).collect();
        let links = [serde_json::json!({"rel": "next"})];
        serde_json::json!({"migrations": rows, "migrations_links": links}).to_string()
    }

    #[tokio::test]
    async fn no_page_is_asked_for_once_all_that_is_wanted_is_listed() {
        let session = opened(vec![page(0..3), page(3..6)]).await;
        let since = "2026-11-25T18:00:00Z".parse().unwrap();
        let has = |id| move |rows: &[Migration]| rows.iter().any(|row| row.id == id);
        // A third page would not be answered.
        let rows = session.changed_migrations(since, has(4)).await.unwrap();
        assert_eq!(rows.len(), 6);
        let impatient = session.impatient(std::time::Duration::ZERO);
        let more = impatient.changed_migrations(since, has(9)).await;
        assert!(more.is_err(), "{more:?}");
    }
}
