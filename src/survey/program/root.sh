# Goes into each context and lets it answer in a span of its own. What a context has learnt it tells past the stream,
# on stderr, and it is trusted with no more than that: names of accounts, and whether live migration may use SSH.

enter() {
	number=$1
	shift
	eval "script=\$cw_part_$number"
	script="$script
cw_learned='$learned' cw_my_ip=$my_ip cw_live=$live
$cw_body"
	cw_open part "$number"
	if [ $# -eq 0 ]; then
		said=$(eval "$script" 2>&1 >&3 3>&-)
	else
		said=$("$@" sh -s 2>&1 >&3 3>&- <<END
[ -n "\${BASH_VERSION-}" ] && eval "\$(cat)"
$script
END
)
	fi
	status=$?
	cw_close
	[ ${#said} -le 4000 ] || said=$(printf %.4000s "$said")
	cw left "$number" "$status" "$said"
	[ $status -eq 0 ] || live=1
	IFS='
'
	set -f
	set -- $said
	unset IFS
	for line do
		case $line in
		clearway-live) live=1 ;;
		clearway-my-ip) my_ip=1 ;;
		"clearway-user "*)
			line=${line#* }
			case $line in
			'' | -* | *[!A-Za-z0-9._-]*) ;;
			*) [ ${#learned} -lt 500 ] && learned="$learned $line" ;;
			esac
			;;
		esac
	done
}
