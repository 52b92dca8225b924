# Which files of nova.conf there are, in the order in which nova-compute reads them.

nova_file() {
	p=-
	if [ -f "$1" ] && [ -r "$1" ]; then p=r
	elif [ -e "$1" ] || hidden "$1"; then p=u
	fi
	CW_NOVA="$CW_NOVA$p $1$nl"
}

# nova.conf files, and directories of them.
nova_files() {
	for path do
		if [ -d "$path" ]; then
			set +f
			set -- "$path"/*.conf
			set -f
			for path do
				case $path in *"$nl"*) continue ;; esac
				[ -e "$path" ] && layered=1 && nova_file "$path"
			done
		else
			nova_file "$path"
		fi
	done
}

# Sets `said` to the command line of the nova-compute that systemd runs, a word a line. To look through all processes for
# one that something else runs would cost more than all the rest.
started() {
	matching '/sys/fs/cgroup/system.slice/*nova-compute.service/cgroup.procs'
	[ -n "$found" ] || matching '/sys/fs/cgroup/*/system.slice/*nova-compute.service/cgroup.procs'
	p=${found%%"$nl"*} b=
	[ -n "$p" ] || return
	while read -r a; do
		read -r b <"/proc/$a/comm"
		case $b in nova-compute | python*) ;; *) continue ;; esac
		said=$(tr '\0' '\n' <"/proc/$a/cmdline")
		case $nl$said$nl in *[!a-z-]nova-compute"$nl"*) [ ${#said} -le 4000 ]; return ;; esac
	done <"$p"
	return 1
}

# In which order oslo.config reads files (cfg.py _parse_config_files): started without arguments, those that it finds by
# itself, as they are listed, then directories. With --config-file it takes none by itself, and directories, unless
# --config-dir names some, before those that are named. A running nova-compute tells; asked only where it matters.
nova_order() {
	nova_files "$@"
	[ -n "$layered" ] && started || return
	own= layers= given= option= nofiles= nodirs=
	IFS=$nl
	for p in $said; do
		case $option$p in
		--config-file | --config-dir) option=$p; continue ;;
		--config-file=* | --config-dir=*) option=${p%%=*} p=${p#*=} ;;
		# argparse takes shortened options too.
		--conf*/*) ;;
		--conf*) unset IFS; return ;;
		*) continue ;;
		esac
		case $p in /*) ;; *) unset IFS; return ;; esac
		case $option in --config-file) nofiles=1 ;; *) nodirs=1 ;; esac
		given="$given$p$nl" option=
	done
	unset IFS
	[ -z "$option" ] || return
	for p do
		if [ -d "$p" ]; then layers="$layers$p$nl"; else own="$own$p$nl"; fi
	done
	[ -z "$nofiles" ] || own=
	[ -z "$nodirs" ] || layers=
	CW_NOVA=
	IFS=$nl
	set -- $own$layers$given
	unset IFS
	nova_files "$@"
	cw started
}
