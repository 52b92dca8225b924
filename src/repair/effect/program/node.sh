# Takes the lock of the node, then goes into each context and lets it answer in a span of its own. `op` is what is done,
# `who` whom another clearway is told about, `parts` how many contexts there are.

# One clearway at a time on this node. The file goes away with the lock; who has locked one that is gone tries again.
lock() {
	f=/run/clearway.lock
	[ -w /run ] || f=$HOME/.clearway.lock
	if ! command -v flock >/dev/null; then
		cw locked missing flock
		return 1
	fi
	if ! said=$( : 2>&1 >>"$f"); then
		cw locked failed "$said"
		return 1
	fi
	while :; do
		exec 9>>"$f"
		said=$(flock -n 9 2>&1)
		case $? in
		0) ;;
		1)
			holder=
			read -r holder <"$f"
			cw locked held "$holder"
			return 1
			;;
		*)
			cw locked failed "flock: $said"
			return 1
			;;
		esac
		[ /proc/self/fd/9 -ef "$f" ] && break
	done
	printf '%s\n' "$who" >"$f"
}

unlock() {
	rm -f "$f"
	exec 9>&-
}

# part NUMBER OP: does it in the context of that number.
part() {
	number=$1
	eval "script=\$cw_part_$1 words=\$cw_words_$1"
	script="cw_op=$2
$script
$cw_body"
	cw_open part "$1" "$2"
	eval "set -- $words"
	if [ $# -eq 0 ]; then
		said=$(eval "$script" 2>&1 >&3 3>&-)
	else
		said=$("$@" sh -s 2>&1 >&3 3>&- <<END
case \${BASH_VERSION+\$-} in *B*) eval "\$(cat)" ;; esac
$script
END
)
	fi
	status=$?
	cw_close
	[ ${#said} -le 2000 ] || said=$(printf %.2000s "$said")
	cw left "$number" "$status" "$said"
	[ $status -eq 0 ]
}

# Every context in order. Where one refuses, what the ones before it did is taken back.
apply() {
	n=0
	while [ $n -lt $parts ]; do
		if ! part $n apply; then
			while [ $n -gt 0 ]; do
				n=$((n-1))
				part $n back
			done
			return
		fi
		n=$((n+1))
	done
}

each() {
	n=0
	while [ $n -lt $parts ]; do
		part $n "$op"
		n=$((n+1))
	done
}

node() {
	# What has begun is brought to its end, whatever becomes of the connection.
	trap '' HUP INT TERM PIPE
	if lock; then
		case $op in
		apply) apply ;;
		*) each ;;
		esac
		unlock
	fi
	cw_end
}
