//! Commands of a node that count themselves, and end something when their time has come.

use clearway_lab::Node;

use crate::support::sh;

/// What happens at a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Everything of the program is killed before the command runs.
    Before,
    /// The same, after it ran.
    After,
    /// The same, when it has written the first bytes to where it writes (`dd of=`).
    Torn,
    /// The session of sshd that the program came over is killed; the program goes on.
    Connection,
    /// The same, and nobody can log in any more.
    Sshd,
    /// The command waits until it is let go.
    Hold,
}

/// Puts a script in the place of each command. It counts, does what is asked for at its number, and becomes the command.
pub(crate) fn wrap(node: &Node, commands: &[&str]) {
    let script = r#"#!/bin/sh
read -r c </run/wrapped/count || exec "/usr/bin/${0##*/}" "$@"
c=$((c+1))
echo $c >/run/wrapped/count
read -r at how </run/wrapped/at
# Everything of this session (proc_pid_stat(5)): timeout makes a group of its own.
end() {
	read -r stat </proc/$$/stat
	set -- ${stat##*) }
	session=$4 all=
	for p in /proc/[0-9]*; do
		read -r stat <$p/stat || continue
		set -- ${stat##*) }
		[ "$4" != $session ] || [ ${p#/proc/} = $$ ] || all="$all ${p#/proc/}"
	done
	kill -9 $all $$
}
if [ "$c" = "$at" ]; then
	case $how in
	before) end ;;
	torn)
		for word do case $word in of=*) printf half >"${word#of=}" ;; esac; done
		end
		;;
	after) "/usr/bin/${0##*/}" "$@" >/dev/null; end ;;
	connection|sshd)
		read -r listener </run/sshd.pid
		[ $how = connection ] || kill $listener
		p=$$
		while [ $p -gt 1 ]; do
			read -r name </proc/$p/comm
			case $name in sshd*) kill -9 $p ;; esac
			p=$(/usr/bin/sed -n 's/^PPid:\t//p' /proc/$p/status)
			# The first of all is the one that listens.
			[ "$p" != "$listener" ] || break
		done
		;;
	hold)
		: >/run/wrapped/held
		while ! [ -e /run/wrapped/go ]; do sleep 0.02; done
		;;
	esac
fi
exec "/usr/bin/${0##*/}" "$@"
"#;
    let path = node.path("/usr/local/sbin/.wrapped");
    std::fs::write(path, script).unwrap();
    sh(
        node,
        &format!(
            "chmod 755 /usr/local/sbin/.wrapped; for c in {}; do [ -x /usr/bin/$c ] && ln -f /usr/local/sbin/.wrapped /usr/local/sbin/$c; done; true",
            commands.join(" ")
        ),
    );
}

/// Counts from 0 again; at number `at`, something happens.
pub(crate) fn arm(node: &Node, at: u32, how: At) {
    let how = match how {
        At::Before => "before",
        At::After => "after",
        At::Torn => "torn",
        At::Connection => "connection",
        At::Sshd => "sshd",
        At::Hold => "hold",
    };
    sh(
        node,
        &format!(
            "/usr/bin/rm -rf /run/wrapped; /usr/bin/mkdir /run/wrapped; echo {at} {how} >/run/wrapped/at; echo 0 >/run/wrapped/count"
        ),
    );
}

/// How many commands there were since it was armed. Nothing is counted any more.
pub(crate) fn disarm(node: &Node) -> u32 {
    let count = sh(
        node,
        "read -r c </run/wrapped/count; /usr/bin/rm -rf /run/wrapped; echo $c",
    );
    count.parse().unwrap()
}
