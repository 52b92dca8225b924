# What is asked where one context leads to: nova.conf, the client side of lanes (l: only if live migration may use
# SSH), the key that its URI names, the server side, the host itself, as the letters of CW_DO say (n, c, l, k, s, h). Few processes are started: one awk, one stat, one head, and of ssh's own programs only
# those that have to speak for themselves.

# Calls $1 with each line of $2. Not for use inside itself.
lines() {
	each=$1
	IFS=$nl
	set -- $2
	unset IFS
	for line do "$each" "$line"; done
}

# Sets `found` to the paths that match a pattern, one a line; nothing is split at spaces.
matching() {
	found=
	set +f
	IFS=
	set -- $1
	unset IFS
	set -f
	for p do
		case $p in *"$nl"*) continue ;; esac
		[ -e "$p" ] && found="$found$p$nl"
	done
}

# Sets `found` to the program of that name. `command -v` in a substitution would be a process.
found_in_path() {
	IFS=:
	for found in $PATH; do
		found=$found/$1
		[ -f "$found" ] && [ -x "$found" ] && break
	done
	unset IFS
	[ -f "$found" ] && [ -x "$found" ]
}

# Whether it is a directory that this account cannot search which hides a path.
hidden() {
	dir=${1%/*}
	while [ -n "$dir" ] && ! [ -d "$dir" ]; do dir=${dir%/*}; done
	[ -n "$dir" ] && ! [ -x "$dir" ]
}

# Tells the program around this one something, past the stream.
hint() {
	printf 'clearway-%s\n' "$1" >&4
}

# Runs a command: its output is a span of the stream, its exit status and what it complains of are a record. It has a
# limit only where it may wait for something: a process for that costs as much as many of those that are limited.
ask() {
	kind=$1
	shift
	cw_open "$kind"
	said=$($slow "$@" 2>&1 >&3 3>&- 4>&-)
	status=$?
	cw_close
	[ ${#said} -le 8000 ] || said=$(printf %.8000s "$said")
	cw "$kind-status" "$status" "$said"
}

programs() {
	kind=$1 here=
	shift
	for p do command -v "$p" >/dev/null && here="$here $p"; done
	cw "$kind-programs" "$here"
}

# Who this is: the effective ids of this very process, then the passwd entry. Shells read a file byte by byte: where the
# name is known (root.sh), awk looks for the rest of the entry.
whoami() {
	while read -r a b c d; do
		case $a in
		Pid:) CW_PID=$b ;;
		Uid:) CW_UID=$c ;;
		Gid:) CW_GID=$c ;;
		Groups:) CW_GIDS="$b $c $d" && break ;;
		esac
	done </proc/self/status
	[ -n "${CW_WHO-}" ] && CW_USER=$CW_WHO CW_HOME=$HOME && return
	while IFS=: read -r a b c d e f g; do
		[ "$c" = "$CW_UID" ] && { CW_USER=$a CW_HOME=$f CW_SHELL=$g; break; }
	done </etc/passwd
	[ -n "$CW_USER" ] || {
		a=$(getent passwd "$CW_UID")
		IFS=:
		set -- $a
		unset IFS
		CW_USER=${1-} CW_HOME=${6-} CW_SHELL=${7-}
	}
	: "${CW_HOME:=/nonexistent}"
}

# Adds to CW_CONF a file of ssh's or sshd's configuration: whose it is (u, s, d), whether it can be read (r, x, or - when
# there is none), the path.
configuration() {
	p=$1-
	if [ -f "$2" ] && [ -r "$2" ]; then p=$1r
	elif [ -e "$2" ] || hidden "$2"; then p=$1x slow=$limit
	fi
	CW_CONF="$CW_CONF${CW_CONF:+$nl}$p $2"
}

system_configuration() {
	configuration s "$1"
}

daemon_configuration() {
	configuration d "$1"
}

# A key file that the command line of a lane names.
named_key() {
	p=$1 a=-
	case $p in "~/"*) p=$CW_HOME/${p#??} ;; esac
	[ -f "$p" ] && [ -r "$p" ] && a=r
	CW_NAMED="$CW_NAMED$a $p$nl"
}

client_files() {
	found_in_path ssh && CW_SSH=$found
	configuration u "$CW_HOME/.ssh/config"
	configuration s /etc/ssh/ssh_config
	matching '/etc/ssh/ssh_config.d/*.conf'
	lines system_configuration "$found"
	for p in id_rsa id_ecdsa id_ecdsa_sk id_ed25519 id_ed25519_sk id_xmss id_dsa; do
		p=$CW_HOME/.ssh/$p
		[ -e "$p" ] || continue
		a=-
		[ -f "$p" ] && [ -r "$p" ] && a=r
		CW_KEYS="$CW_KEYS$a $p$nl"
	done
	matching "$CW_HOME/.ssh/id_*"
	CW_COPIES=$found
	lines named_key "$cw_identities"
	case $CW_DO in *k*) [ -z "$cw_key" ] || named_key "$cw_key" ;; esac
}

server_files() {
	CW_SSHD=$cw_sshd
	configuration d "$cw_sshd_config"
	[ "$cw_sshd_config" = /etc/ssh/sshd_config ] && {
		matching '/etc/ssh/sshd_config.d/*.conf'
		lines daemon_configuration "$found"
	}
	CW_ACCOUNTS=$cw_accounts
	for p in $cw_learned; do
		case "$nl$CW_ACCOUNTS$nl" in *"$nl$p$nl"*) ;; *) CW_ACCOUNTS="$CW_ACCOUNTS$nl$p" ;; esac
	done
	[ -r /etc/shadow ] && CW_SHADOW=1
}

# Lets awk read all text, and again when that names files or accounts that nobody has looked at yet.
read_text() {
	round=0
	while :; do
		text=$(awk "$cw_awk")
		included= again=
		lines look_again "$text"
		[ -n "$included$again" ] || break
		[ $round -lt 16 ] || { slow=$limit; break; }
		round=$((round+1)) files=$CW_CONF CW_CONF= number=0
		lines insert_included "$files"
	done
}

look_again() {
	case $1 in
	"include$tab"*)
		p=${1#*"$tab"}
		number=${p%%"$tab"*}
		matching "${p#*"$tab"}"
		IFS=$nl
		for p in $found; do
			case "$nl$CW_CONF$nl$included" in *" $p$nl"*) ;; *) included="$included$number $p$nl" ;; esac
		done
		unset IFS
		;;
	"missing$tab"*)
		# An account that is not in /etc/passwd may be known to another service.
		[ $round -eq 0 ] || return
		p=${1#*"$tab"}
		a=$(getent passwd "$p") || return
		CW_PASSWD="$CW_PASSWD$a$nl" CW_MEMBER="$CW_MEMBER$p:$(id -G "$p")$nl" again=1
		;;
	esac
}

# One file of the old list, and behind it those that it includes.
insert_included() {
	number=$((number+1)) whose=${1%"${1#?}"}
	CW_CONF="$CW_CONF${CW_CONF:+$nl}$1"
	IFS=$nl
	for a in $included; do [ "${a%% *}" = $number ] && configuration "$whose" "${a#* }"; done
	unset IFS
}

# A file that root reads for another account is opened once, here, and from then on named by what is open: whatever the account
# makes its path lead to in between, what is read is what stat judged by owner and mode. Nothing but a file that is
# one a moment before is opened, and no more than shells have numbers for; the content of all others stays unknown, whatever
# they become.
hold() {
	case $a in a:0:*) return ;; esac
	[ "$CW_UID" = 0 ] || return
	b=$a a=m
	[ -f "$p" ] && [ $fd -lt 9 ] && [ -n "$CW_PID" ] || return
	eval "command exec $((fd+1))<\"\$p\"" || return
	a=$b fd=$((fd+1))
	held="$held/proc/$CW_PID/fd/$fd$tab$p$nl"
	p=/proc/$CW_PID/fd/$fd
}

# A line of awk's that concerns this program.
take() {
	case $1 in
	"want$tab"*)
		a=${1#*"$tab"}
		p=${a#*"$tab"} a=${a%%"$tab"*}
		if [ -e "$p" ]; then
			[ -L "$p" ] && links="$links$p$nl"
			[ "$p" = / ] || places="$places$p$nl"
			case $a in a:*) judged="$judged$p$nl" && hold ;; esac
			paths="$paths$p$nl" flags="$flags$p$tab$a$nl"
		elif hidden "$p"; then
			unseen="$unseen$p$nl"
		fi
		;;
	"known-ssh$tab"*) known_ssh=${1#*"$tab"} ;;
	"known-sshd$tab"*) known_sshd=${1#*"$tab"} ;;
	"hint${tab}canonical") canonical=1 ;;
	"hint${tab}slow") slow=$limit ;;
	"hint$tab"*) hint "${1#*"$tab"}" ;;
	"user$tab"*) hint "user ${1#*"$tab"}" ;;
	"role${tab}instances$tab$tab"*) instances=${1#"role${tab}instances$tab$tab"} ;;
	"role${tab}hostkey$tab$tab"*)
		p=${1#"role${tab}hostkey$tab$tab"}
		[ -e "$p.pub" ] || lonely="$lonely$p$nl"
		;;
	"role${tab}identity$tab$tab"*) identities="$identities${1#"role${tab}identity$tab$tab"}$nl" ;;
	"role${tab}default$tab$tab"*) identities="$identities${1#"role${tab}default$tab$tab"}$nl" ;;
	esac
}

# sshd walks up from where a file of an account really is (misc.c safe_path): where links lead elsewhere, the
# directories there are looked at too.
resolve() {
	p=$1
	case $nl$held in
	*"$tab$p$nl"*)
		name=${held%%"$tab$p$nl"*}
		name=${name##*"$nl"}
		;;
	*) name=$p ;;
	esac
	IFS=$nl
	for a in $links; do
		case "$p/" in "$a/"*)
			real=$(readlink -f -- "$name") && [ "$real" != "$p" ] || break
			reals="$reals$p$tab$real$nl"
			while [ -n "$real" ]; do
				case "$nl$paths" in *"$nl$real$nl"*) ;; *) paths="$paths$real$nl" places="$places$real$nl" ;; esac
				real=${real%/*}
			done
			break
			;;
		esac
	done
	unset IFS
}

# A line of stat's: mode, owner, group, size, time, path. Adds to `reads` what is wanted and may be read.
choose() {
	IFS=' '
	set -- "$1" $1
	unset IFS
	p=$7
	# A path with spaces is more than one word, or not the same word any more.
	[ "$2 $3 $4 $5 $6 $7" = "$1" ] || p=${1#"$2 $3 $4 $5 $6 "}
	mode=$2 owner=$3 group=$4 size=$5 time=$6
	# The paths come in the order in which they are wanted, unless one has gone since.
	flag=m
	case $flags in
	"$nl$p$tab"*)
		flags=${flags#"$nl$p$tab"}
		flag=${flags%%"$nl"*}
		flags=${flags#"$flag"}
		;;
	*"$nl$p$tab"*)
		flag=${flags#*"$nl$p$tab"}
		flag=${flag%%"$nl"*}
		;;
	esac
	[ "$p" = "$CW_SSH" ] && ssh_file="$size $time"
	[ "$p" = "$CW_SSHD" ] && sshd_file="$size $time"
	case $flag in
	h) host_keys="$host_keys $mode:$owner" && return ;;
	m) return ;;
	esac
	case $mode in 8???) ;; *) return ;; esac
	case $flag in
	c) [ -r "$p" ] || { refused="$refused$p$nl"; return; } ;;
	a:*)
		# Root reads nothing for an account that the account could not read itself: a link in its home may lead
		# anywhere.
		flag=${flag#a:}
		bits=$((0x$mode))
		if [ "${flag%%:*}" = "$owner" ]; then bits=$((bits & 256))
		else
			case ",${flag#*:}," in
			*",$group,"*) bits=$((bits & 32)) ;;
			*) bits=$((bits & 4)) ;;
			esac
			[ "${flag%%:*}" = 0 ] && bits=1
		fi
		[ $bits -ne 0 ] || return
		;;
	esac
	[ "$size" -gt "$cw_file_max" ] && return
	total=$((total+size))
	[ $total -gt "$cw_total_max" ] && return
	reads="$reads$p$nl"
}

read_files() {
	IFS=$nl
	stat=$([ -z "$paths" ] || exec stat -L -c '%f %u %g %s %Y %n' -- $paths)
	unset IFS
	lines choose "$stat"
	cw stat "$stat" "$links" "$unseen" "$reals" "$refused" "$held"
	[ -n "$reads" ] || return
	cw_open files "$reads"
	IFS=$nl
	head -v -c "$cw_file_max" -- $reads
	unset IFS
	cw_close
}

# Which of these paths have another label than the policy gives them: one process where there is SELinux, which changes
# nothing and needs no more than to see the files, and none elsewhere. Where the policy is another system's, as in containers, the kernel's file cannot be written
# to, and restorecon would say nothing and end well.
labels() {
	read -r a </sys/fs/selinux/enforce
	said= status=127
	if [ -w /sys/fs/selinux/context ]; then
		IFS=$nl
		said=$(exec restorecon -i -n -v -- $places)
		status=$?
		unset IFS
	fi
	[ ${#said} -le 100000 ] || said= status=126
	cw labels "$a" "$status" "$said"
}

# A private key of which awk could not tell, or a host key without its public half beside it.
identity() {
	case $text in *"${nl}key$tab"????????????????????????????????????????????????????????????????"$tab$1$nl"*) return ;; esac
	[ -f "$1" ] && [ -r "$1" ] || return
	said=$(ssh-keygen -y -P '' -f "$1" 2>&1)
	status=$?
	[ ${#said} -le 20000 ] || said=$(printf %.20000s "$said")
	cw identity "$1" "$status" "$said"
}

# Whether a directory can be written to, what is free there, and where not, the options of its mount.
instances() {
	a=no b=
	if [ -w "$1" ] && [ -x "$1" ]; then
		a=yes
	elif p=$(cd -P -- "$1" && pwd -P); then
		b=$(p=$p awk '{
			gsub(/\\040/, " ", $2)
			if ($2 == "/" || index(ENVIRON["p"] "/", $2 "/") == 1)
				if (length($2) >= length(best)) { best = $2; options = $4 }
		}
		END { print options }' /proc/self/mounts)
	fi
	cw instances "$1" "$a" "$(stat -f -c '%a %S %d' -- "$1")" "$b"
}

# Sets `said` to the sockets that listen, and `a` to the way in which that was learnt.
listening() {
	said=$(ss -Hltn 2>/dev/null) && a=ss || {
		said=$(awk '$4 == "0A" { print $2 }' /proc/net/tcp /proc/net/tcp6) && a=proc || a=
	}
}

# Whether the controller has seen the answer of just this program ($1) on just these files (number $2, else empty),
# with all the rest that counts ($3).
known() {
	[ -n "$2" ] || return
	eval "a=\$cw_known_$1_$2"
	[ "$a" = "$3" ] && cw "$1-known" "$2"
}

part() {
	unset CDPATH ENV BASH_ENV SSH_AUTH_SOCK POSIXLY_CORRECT
	exec 3>&1 4>&2 2>/dev/null
	umask 077
	set -f
	PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	nl='
' tab='	'
	for p in CW_UID CW_GID CW_GIDS CW_USER CW_HOME CW_SHELL CW_CONF CW_KEYS CW_NAMED CW_COPIES CW_NOVA CW_ACCOUNTS CW_PASSWD \
		CW_MEMBER CW_SHADOW CW_SSH CW_SSHD; do
		eval "$p="
		export $p
	done
	name= fips= paths= places= flags=$nl links= unseen= known_ssh= known_sshd= canonical= instances= identities= lonely=
	ssh_file= sshd_file= host_keys= reads= reals= refused= layered= judged= held= CW_PID= fd=4
	total=0 limit= slow=
	command -v timeout >/dev/null && limit='timeout -k 2 20'
	read -r name </proc/sys/kernel/hostname
	read -r fips </proc/sys/crypto/fips_enabled
	whoami
	cw part "$name" "$CW_UID" "$fips"
	case $CW_DO in *l*) [ -n "$cw_live" ] && CW_DO=${CW_DO}ck ;; esac
	case $CW_DO in *n*) eval "nova_order $cw_nova_conf" ;; esac
	case $CW_DO in *c*) client_files ;; esac
	case $CW_DO in *s*) server_files ;; esac
	read_text
	lines take "$text"
	[ -z "$links" ] || lines resolve "$judged"
	cw text "$text" "$CW_CONF"
	read_files
	case $CW_DO in *[cs]*) [ ! -e /sys/fs/selinux/enforce ] || labels ;; esac
	case $CW_DO in *n*)
		[ -z "$instances" ] || instances "$instances"
		[ -z "$canonical" ] || cw canonical "$(getent hosts "$name")"
		;;
	esac
	case $CW_DO in *c*)
		lines identity "$identities"
		known ssh "$known_ssh" "$ssh_file $CW_USER:$CW_UID:$CW_HOME $fips" || ask ssh ssh -v -G "$cw_base"
		programs client ssh scp rsync nc timeout
		;;
	esac
	case $CW_DO in *s*)
		lines identity "$lonely"
		known sshd "$known_sshd" "$sshd_file$host_keys $fips" ||
			ask sshd "$cw_sshd" -d -T -f "$cw_sshd_config" -C "$cw_neutral"
		path=$PATH
		PATH=/usr/local/bin:/usr/bin:/bin
		programs server scp rsync nc virt-ssh-helper
		PATH=$path
		;;
	esac
	# Of the host, and of what the sshd runs in: that one is what a login sees.
	case $CW_DO in *[hs]*)
		a=
		read -r a </etc/machine-id
		cw machine "$a"
		;;
	esac
	case $CW_DO in *h*)
		# ss asks the kernel for listening sockets alone. /proc/net/tcp costs many times as much: it walks through a
		# table that is sized for the memory of the machine.
		listening
		# sshd that is told to read its configuration again closes its sockets for a moment. The port that this very
		# connection came in through is open otherwise.
		p=${SSH_CONNECTION##* }
		case "$a$said$nl" in
		ss*":${p:-22} "* | [!s]*) ;;
		*) sleep 0.3 || sleep 1; listening ;;
		esac
		cw listen "$a" "$said"
		[ -z "$cw_my_ip" ] || {
			said=$(ip -4 -o route get 192.0.2.0 2>&1)
			cw my-ip $? "$said"
		}
		;;
	esac
	cw_end
}

part </dev/null
exit 0
