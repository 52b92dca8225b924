//! Nova's settings that decide what is dialled, from nova.conf with oslo.config's rules.

/// The settings of nova-compute on one node that matter for moves, after `$` substitution and defaults.
///
/// A setting that is absent from every file has Nova's default; [`NovaSettings::read`] says whether there was
/// any file at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NovaSettings {
    /// Whether at least one nova.conf was there and readable.
    pub read: bool,
    /// `[DEFAULT]host`; defaults to the host name of the context (socket.gethostname()).
    pub host: Option<String>,
    /// `[DEFAULT]my_ip`; `None` when unset, which means the address of the default route.
    pub my_ip: Option<String>,
    /// The address of the default route as the node sees it, what `my_ip` defaults to
    /// (oslo_utils.netutils.get_my_ipv4).
    pub default_my_ip: Option<String>,
    /// `[DEFAULT]instances_path`; `$state_path/instances` by default.
    pub instances_path: String,
    /// `[libvirt]migration_inbound_addr`; `$my_ip` by default (2024.1 on). `%s` already replaced by the host name.
    pub migration_inbound_addr: Option<String>,
    /// `[libvirt]live_migration_inbound_addr`.
    pub live_migration_inbound_addr: Option<String>,
    /// `[libvirt]live_migration_scheme`.
    pub live_migration_scheme: Option<String>,
    /// `[libvirt]live_migration_uri`, deprecated but honoured first.
    pub live_migration_uri: Option<String>,
    /// `[libvirt]remote_filesystem_transport`: `ssh` by default.
    pub remote_filesystem_transport: String,
    /// `[libvirt]virt_type`.
    pub virt_type: Option<String>,
    /// `[libvirt]live_migration_tunnelled`.
    pub live_migration_tunnelled: bool,
    /// Options whose value could not be worked out (unknown `$name`, unreadable file), with why.
    pub problems: Vec<String>,
}
