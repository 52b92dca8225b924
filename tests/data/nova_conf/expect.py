#!/usr/bin/env python3
"""Writes NAME.expected for every NAME.conf here, as oslo.config itself understands it.

Run it after a change: python3 expect.py   (pip install oslo.config; written with 10.7.0)

Nova's options are registered as nova/conf/{netconf,compute,paths,libvirt}.py do it, with fixed values for what they
take from the machine. A file of several parts (lines `--- NAME`) is several files, in that order. A value that
oslo.config refuses is written as `!`.
"""

import pathlib
import tempfile

from oslo_config import cfg

HOSTNAME, MY_IP, PYBASEDIR = "cmp1", "192.0.2.7", "/pybasedir"

OPTIONS = {
    "DEFAULT": [
        cfg.StrOpt("pybasedir", default=PYBASEDIR),
        cfg.StrOpt("state_path", default="$pybasedir"),
        cfg.StrOpt("my_ip", default=MY_IP),
        cfg.HostDomainOpt("host", default=HOSTNAME),
        cfg.StrOpt("instances_path", default="$state_path/instances"),
        # Stands for any other option that an operator may refer to.
        cfg.StrOpt("my_block_storage_ip", default="$my_ip"),
    ],
    "libvirt": [
        cfg.StrOpt("virt_type", default="kvm"),
        cfg.StrOpt("migration_inbound_addr", default="$my_ip"),
        cfg.HostDomainOpt("live_migration_inbound_addr"),
        cfg.StrOpt("live_migration_scheme"),
        cfg.StrOpt("live_migration_uri"),
        cfg.BoolOpt("live_migration_tunnelled", default=False),
        cfg.StrOpt("remote_filesystem_transport", default="ssh"),
    ],
}

SHOWN = [
    ("DEFAULT", "host"),
    ("DEFAULT", "my_ip"),
    ("DEFAULT", "instances_path"),
    ("libvirt", "migration_inbound_addr"),
    ("libvirt", "live_migration_inbound_addr"),
    ("libvirt", "live_migration_scheme"),
    ("libvirt", "live_migration_uri"),
    ("libvirt", "live_migration_tunnelled"),
    ("libvirt", "remote_filesystem_transport"),
    ("libvirt", "virt_type"),
]


def understood(parts):
    with tempfile.TemporaryDirectory() as directory:
        arguments = []
        for number, text in enumerate(parts):
            path = pathlib.Path(directory, f"{number}.conf")
            path.write_text(text)
            arguments += ["--config-file", str(path)]
        conf = cfg.ConfigOpts()
        for group, options in OPTIONS.items():
            conf.register_opts(options, group=None if group == "DEFAULT" else group)
        try:
            conf(arguments, project="nova", default_config_files=[])
        except cfg.ConfigFileParseError:
            return "refused\n"
        lines = []
        for group, option in SHOWN:
            try:
                value = conf[option] if group == "DEFAULT" else conf[group][option]
            except Exception:
                value = "!"
            lines.append(f"{option}={value!r}\n")
        return "".join(lines)


for case in sorted(pathlib.Path(__file__).parent.glob("*.conf")):
    parts = [[]]
    for line in case.read_text().splitlines(keepends=True):
        if line.startswith("--- "):
            parts.append([])
        else:
            parts[-1].append(line)
    case.with_suffix(".expected").write_text(understood(["".join(part) for part in parts]))
