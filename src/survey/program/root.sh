# Goes into each context and lets it answer in a span of its own. What a context has learnt it tells past the stream,
# on stderr, and it is trusted with no more than that: names of accounts, whether live migration may use SSH, and the key
# file that its URI names.

unset CW_WHO

# The part's program, behind the words that lead to where it runs. A here-document would do, but bash writes those to a
# temporary file, for which there may be no room.
inside() {
	printf '%s\n' 'case ${BASH_VERSION+$-} in *B*) eval "$(cat)" ;; esac' "$script" 2>/dev/null | "$@" sh -s
}

# runuser opens a PAM session, which costs more than all the rest and which nothing here needs: chroot leads to the same
# account, groups and directory. Where it cannot, runuser is asked, and says why.
away() {
	if [ $# -eq 4 ] && [ "$1 $2 $4" = 'runuser -u --' ] && [ -r /etc/shadow ]; then
		case $3 in
		[!A-Za-z_]* | *[!A-Za-z0-9._-]*) ;;
		*)
			eval "home=~$3"
			if [ "$home" != "~$3" ]; then
				# The environment of a process is nobody's business but its account's, and one string of it or of its words
				# can have 128 KiB (MAX_ARG_STRLEN).
				if [ ${#script} -lt 100000 ]; then
					HOME=$home USER=$3 LOGNAME=$3 CW_WHO=$3 CW_SCRIPT=$script \
						chroot "--userspec=$3:" / sh -c 'script=$CW_SCRIPT; unset CW_SCRIPT; eval "$script"'
				else
					HOME=$home USER=$3 LOGNAME=$3 CW_WHO=$3 inside chroot "--userspec=$3:" /
				fi
				status=$?
				case $status in 12[567]) ;; *) return $status ;; esac
			fi
			;;
		esac
	fi
	inside "$@"
}

enter() {
	number=$1
	shift
	eval "script=\$cw_part_$number"
	script="$script
cw_learned='$learned' cw_my_ip=$my_ip cw_live=$live cw_key='$key'
$cw_body"
	cw_open part "$number"
	if [ $# -eq 0 ]; then
		said=$(eval "$script" 2>&1 >&3 3>&-)
	else
		said=$({ away "$@"; } 2>&1 >&3 3>&-)
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
		"clearway-key "*)
			line=${line#* }
			case $line in
			[!/]* | *[!A-Za-z0-9@_+.,:/-]*) ;;
			*) [ ${#line} -lt 500 ] && key=$line ;;
			esac
			;;
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
