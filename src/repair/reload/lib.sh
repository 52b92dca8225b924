# What the change and its guard have in common: which sshd it is, how it is told, how all is taken back.

PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
limit=
command -v timeout >/dev/null 2>&1 && limit='timeout -k 2 20'

# Sets `pid` to the sshd that listens on one of the ports, and `sockets` to the sockets that listen there. /proc and
# not the file with the process id: that may be another sshd's, or an old one.
listening() {
	pid= sockets=
	sockets=$(awk -v ports="$ports" '$4 == "0A" { n = split($2, a, ":"); if (index(ports, " " a[n] " ")) print $10 }' \
		/proc/net/tcp /proc/net/tcp6 2>/dev/null)
	for process in /proc/[0-9]*; do
		name=
		read -r name 2>/dev/null <"$process/comm"
		[ "$name" = sshd ] || continue
		open=$(ls -l "$process/fd" 2>/dev/null)
		for socket in $sockets; do
			case $open in *"socket:[$socket]"*)
				pid=${process#/proc/}
				return
				;;
			esac
		done
	done
	return 1
}

# Whether sshd would take its configuration as it is now; sets `said` to its words. One that is told to read a
# configuration that it does not take ends.
passes() {
	said=$($limit "$binary" -t -f "$config" 2>&1 </dev/null) && return
	said=$(printf %.4000s "$said")
	return 1
}

# Tells sshd to read its configuration again, where that `passes`; sets `how`. Its unit, where it has one that can be told,
# has the last word: a unit that does not reload must not be told by a signal.
reload() {
	listening || return 1
	if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
		for unit in ssh sshd; do
			[ "$($limit systemctl show -p MainPID $unit.service 2>/dev/null)" = "MainPID=$pid" ] || continue
			[ "$($limit systemctl show -p CanReload $unit.service 2>/dev/null)" != CanReload=no ] || continue
			how="systemctl reload $unit"
			$limit systemctl reload $unit.service >/dev/null 2>&1
			return
		done
	fi
	how="SIGHUP to process $pid"
	kill -HUP "$pid"
}

# Starts it where it is gone, and waits until it listens.
start() {
	if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then
		for unit in ssh sshd; do
			$limit systemctl -q is-enabled $unit.service 2>/dev/null || continue
			$limit systemctl -q reset-failed $unit.service 2>/dev/null
			$limit systemctl start $unit.service >/dev/null 2>&1 && listens_again '' && return
		done
	fi
	"$binary" -f "$config" </dev/null >/dev/null 2>&1
	listens_again ''
}

# Waits until it listens; with other sockets than before, as it opens them anew, if it does so soon.
listens_again() {
	old=$1 tries=0
	while [ $tries -lt 50 ]; do
		tries=$((tries+1))
		if listening; then
			[ "$sockets" = "$old" ] && [ $tries -lt 20 ] || return 0
		fi
		sleep 0.1 2>/dev/null || sleep 1
	done
	return 1
}

sum() {
	if [ -e "$1" ]; then sha256sum <"$1"; else echo absent; fi
}

# Puts a file in its place: beside it, whole on the disk, then over it. From, to.
place() {
	cp -p -- "$1" "$2.clearway" && { sync "$2.clearway" 2>/dev/null || sync; } && mv -f -- "$2.clearway" "$2" || {
		rm -f -- "$2.clearway"
		return 1
	}
	command -v restorecon >/dev/null 2>&1 && restorecon -- "$2" >/dev/null 2>&1
	return 0
}

# Whether sshd reads a file as configuration. Others are named by it, and go only after it does not name them any more: a
# sshd whose list of revoked keys is gone lets nobody in.
is_config() {
	case $1 in *.conf | "$config") ;; *) return 1 ;; esac
}

# All files as they were. One that is not as this change made it was changed by somebody else, and stays. With `late`, only
# those that go after sshd was told.
restore() {
	[ -e "$d/files" ] || return 0
	while IFS=' ' read -r number kind path; do
		# Left by whoever was killed before it had its place.
		rm -f -- "$path.clearway"
		[ "$(sum "$path")" = "$(sum "$d/new.$number")" ] || continue
		if [ "$kind" = saved ]; then place "$d/old.$number" "$path"
		elif [ "$1" = late ] || is_config "$path"; then rm -f -- "$path"
		fi
	done <"$d/files"
}

# Takes all back. Fails, with the reason in `stuck`, where sshd is not then as it was: the directory stays, so that whoever
# comes next tries again. An sshd that was never told of the change is not told of its end either.
undo() {
	restore
	if [ -e "$d/told" ] && ! tell_back; then
		printf '%s\n' "$stuck" >"$d/stuck"
		return 1
	fi
	restore late
	rm -rf -- "$d"
}

tell_back() {
	if listening; then
		was=$sockets
		if ! passes; then
			stuck="its configuration is back, but with what else is there now it does not pass sshd -t, so sshd was not told and \
goes on with what it read before, and with the files that this names: $said"
			return 1
		fi
		if reload; then
			listens_again "$was" && return
		elif listening; then
			stuck="its configuration is back, but sshd cannot be told to read it ($how), and goes on with what it read before, and \
with the files that this names"
			return 1
		fi
	fi
	start && return
	stuck="its configuration is back, but sshd is gone, and it cannot be started again: nobody can log in until somebody starts it, by \
the node's console or a connection that is still open"
	return 1
}
