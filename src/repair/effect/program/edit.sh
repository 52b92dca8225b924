# What is done in one context: checks, edits, takes back. See program.rs for what comes before this text: `cw_op`, `run`,
# the functions `edits`, `labels`, `keys`, `commands` and `commands_back`, which call `E`, `L`, `K`, `X` and `U` for each one,
# and `c0` … and `b0` …, which print the bytes of a file after and before.
#
# An edit whose number begins with `i` is a directory that is made if it is not there; another one is left as it is.
#
# A state is `RAW:UID:GID:SHA256` of a file, `RAW:UID:GID:` of a directory, `-` of nothing; RAW is st_mode in hexadecimal.
# `any` in place of a hash is any content.
#
# Whoever owns a directory can put links and other files under every name in it while this runs, as root more often than
# not. So directories are entered by `cd -P` and looked at from inside, and whatever is read, written or given an owner is
# so in a directory in there which only this program can enter; from and to there it is linked and renamed, which follows
# nothing (with -T, not even a link to a directory). `..` of that directory cannot be changed: to move it elsewhere takes the right to write to it.

B=.clearway-$run

# Enters a directory. Fails where any part of the path is a link.
enter() {
	cd -P / && cd -P -- "$1" 2>/dev/null && [ "$PWD" = "$1" ]
}

# Sets `what` to what a complaint means.
sort_out() {
	case $1 in
	*ead-only*) what=read-only ;;
	*'o space'* | *uota*) what=disk-full ;;
	*'ot permitted'*) what=immutable ;;
	*enied*) what=denied ;;
	*ross-device*) what=cross-device ;;
	*xists*) what=changed ;;
	*) what=failed ;;
	esac
}

# Adds a record on an edit. A directory that only a key needs is nobody's edit: its number begins with `i`.
tell() {
	case $2 in i*) ;; *) cw "$@" ;; esac
}

refuse() {
	cw refused "$kind$i" "$1" "$2"
	failed=1
	return 1
}

complain() {
	sort_out "$1"
	refuse "$what" "$1"
}

# Sets `now` to the state of $1 here. `wanted` tells whether its bytes count.
state() {
	now=-
	set -- $(stat -c '%f %u %g' -- "$1" 2>/dev/null) "$1"
	if [ $# -eq 1 ]; then
		[ -e "$1" ] || [ -L "$1" ] || return 0
		now=unseen
		return
	fi
	now=$1:$2:$3:
	case $1 in 8???) ;; *) return ;; esac
	case $wanted in
	*:any) now=${now}any ;;
	*)
		sum=$($limit sha256sum -- "$4") || return
		# It puts this before the sum where a name has to be escaped.
		sum=${sum#\\}
		now=$now${sum%% *}
		;;
	esac
}

# Tells apart the edits, by their numbers, so that those in one directory can be looked at together.
gather() {
	numbers=
	E() {
		eval "dir_$1=\$2 name_$1=\$3 before_$1=\$4 after_$1=\$5"
		numbers="$numbers $1"
	}
	edits
}

# Sets `i`, `name` and the states to those of edit $1.
take() {
	eval "i=\$1 name=\$name_$1 before=\$before_$1 after=\$after_$1"
}

# Sets `here` to those of the edits that are in `dir`.
those_here() {
	here=
	for n; do
		eval "[ \"\$dir_$n\" != \"\$dir\" ] || here=\"\$here $n\""
	done
}

# Sets `now_N` to the state of `file_N` here, for the number N of each edit, and `whose_here` to the owner of this directory.
# It takes two processes, however many files there are.
states() {
	there= files=
	for n; do
		eval "f=\$file_$n now_$n=-"
		[ -e "$f" ] || [ -L "$f" ] || continue
		eval "now_$n=unseen"
		there="$there $n" files="$files \"\$file_$n\""
	done
	set -- $(eval "exec stat -c '%f %u %g' -- . $files" 2>/dev/null)
	whose_here=${2-}
	hashed= files=
	for n in $there; do
		# One that has gone meanwhile has no line, so which line is whose is not known.
		[ $# -ge 6 ] || { one_by_one $there; return; }
		shift 3
		eval "now_$n=\$1:\$2:\$3: b=\$before_$n"
		case $1/$b in
		8???/*:any) eval "now_$n=\${now_$n}any" ;;
		8???/*) hashed="$hashed $n" files="$files \"\$file_$n\"" ;;
		esac
	done
	[ -n "$hashed" ] || return 0
	IFS=$nl
	set -- $(eval "exec $slow sha256sum -- $files" 2>/dev/null)
	unset IFS
	for n in $hashed; do
		[ $# -gt 0 ] || { one_by_one $there; return; }
		sum=${1#\\}
		eval "now_$n=\$now_$n\${sum%% *}"
		shift
	done
	[ $# -eq 0 ] || one_by_one $there
}

# The same for each edit by itself.
one_by_one() {
	for n; do
		eval "wanted=\$before_$n f=\$file_$n"
		state "$f"
		eval "now_$n=\$now"
	done
}

# Looks at `dir` and at every target in it.
glance() {
	enter "$dir" || return
	those_here $numbers
	for n in $here; do
		eval "file_$n=./\$name_$n"
	done
	# Somebody may put something in a file's place that never ends.
	slow=$limit
	states $here
	slow= whose=$whose_here owned=$dir
}

# Sets `now` to the state of the target. A directory that belongs to somebody else than root and the accounts concerned is
# refused, unless this run gives it its owner.
look() {
	now=-
	if ! enter "$dir"; then
		# It may be one that is still to be made.
		case "$making" in *"$nl$dir$nl"*) return 0 ;; esac
		[ -z "$lenient" ] || [ -e "$dir" ] || [ -L "$dir" ] || return 0
		if [ -e "$dir" ] || [ -L "$dir" ]; then
			[ -d "$dir" ] && [ -x "$dir" ] || { refuse denied "$dir"; return 1; }
			refuse link "$dir"
		else
			refuse gone "$dir"
		fi
		return 1
	fi
	case $lenient$making in
	1* | *"$nl$dir$nl"*) ;;
	*)
		[ "$dir" = "$owned" ] || whose=$(stat -c %u .)
		owned=$dir
		case " 0 $me ${before#*:} ${after#*:}" in *" $whose "* | *" $whose:"*) ;; *) refuse foreign "$whose $dir"; return 1 ;; esac
		;;
	esac
	if [ -n "$together" ]; then
		eval "now=\$now_$i"
		return
	fi
	wanted=$before
	state "./$name"
}

# The private directory in `dir`, as the current one.
stage() {
	case "$staged" in
	*"$nl$dir$nl"*) ;;
	*)
		# What a program that was killed left there.
		tidy "$dir"
		staged=$staged$dir$nl
		;;
	esac
	enter "$dir" || { refuse link "$dir"; return 1; }
	if ! [ -d "./$B" ] || [ -L "./$B" ]; then
		# With two zeros: a directory that hands its group down would make this one do so, too.
		said=$(mkdir -m 00700 "./$B" 2>&1) || { complain "$said"; return 1; }
	fi
	private "$dir" && return
	refuse link "${dir%/}/$B"
}

# Goes on into the private directory of $1, the current one. Whoever owns $1 can put another directory in its place, but none
# that is root's and closed to everybody else.
private() {
	cd -P "./$B" 2>/dev/null && [ "$PWD" = "${1%/}/$B" ] || return
	# One that was looked at before is held open.
	for n in 5 6 7; do
		eval "[ \"\$held_$n\" = \"\$1\" ]" && [ . -ef /proc/self/fd/$n ] && return
	done
	[ "$(stat -c '%u %a' .)" = "$me 700" ] || return
	hold=$((hold % 3 + 1))
	case $hold in
	1) exec 5<. && held_5=$1 ;;
	2) exec 6<. && held_6=$1 ;;
	3) exec 7<. && held_7=$1 ;;
	esac
}

# Whether $1 and $2 are one file, and not by way of a link.
one_file() {
	[ "$1" -ef "$2" ] && ! [ -L "$1" ] && ! [ -L "$2" ]
}

# Gives a file here a name out there, too, where there is none of that name.
link_to() {
	said=$(ln -T -- "$1" "$2" 2>&1)
}

# Moves a file whatever stands at the new name, but for a directory.
move() {
	# Two names of one file, of which mv makes an error.
	one_file "$1" "$2" && { rm -f "$1"; return; }
	said=$(mv -fT -- "$1" "$2" 2>&1)
}

# Gives back ./$1, which is not what was to be taken from ../$name. Where that is not possible it stays here, under a name that
# `tidy` does not remove.
give_back() {
	if [ -d "./$1" ] && ! [ -L "./$1" ]; then
		# This replaces nothing but an empty directory.
		move "./$1" "../$name" && return
	else
		link_to "./$1" "../$name" && return
	fi
	move "./$1" "./Kept.$1" && refuse failed "$name as it was found is kept in ${dir%/}/$B"
	return 1
}

# Lets two files change places, where mv can do that.
exchange() {
	[ -z "$no_exchange" ] || return
	said=$(mv --exchange -T -- "$1" "$2" 2>&1) && return
	# A complaint that names the option is of a mv that does not know it.
	case $said in *--exchange*) no_exchange=1 ;; esac
	return 1
}

# Gives ./n$i the place of ../$name, whose backup is made. What somebody has put there meanwhile is there again afterwards,
# and is a refusal; what somebody writes to the file itself is in the backup, too, where `verify` sees it. At no moment is
# nothing there.
exchange_for_new() {
	if exchange "./n$i" "../$name"; then
		one_file "./n$i" "./o$i" && return
		exchange "./n$i" "../$name" || give_back "n$i" || return
		refuse changed "$name"
	elif one_file "./o$i" "../$name"; then
		move "./n$i" "../$name" && return
		complain "$said"
	else
		refuse changed "$name"
	fi
	rm -f "../$name$B"
	return 1
}

# Gives ./u$i the place of ../$name, whose state was $1 when it was looked at. What somebody has put there or written since is
# there again afterwards, and is a refusal. At no moment is nothing there.
exchange_for_old() {
	held_by=./u$i wanted=$1
	if ! exchange "./u$i" "../$name"; then
		# Not every mv can do that. So what is there gets a second name, which is looked at before it loses the first one, and
		# after.
		held_by=./v$i
		rm -f "./v$i"
		said=$(ln "../$name" "./v$i" 2>&1) || { complain "$said"; return; }
		state "./v$i"
		[ "$now" = "$1" ] && one_file "./v$i" "../$name" || { refuse changed "$now"; return; }
		move "./u$i" "../$name" || { complain "$said"; return; }
	fi
	state "$held_by"
	[ "$now" = "$1" ] && return
	case $held_by in
	./u*) exchange "$held_by" "../$name" || give_back "u$i" || return ;;
	*) move "$held_by" "../$name" ;;
	esac
	refuse changed "$now"
}

# A state without the bytes, as chmod and chown want it.
attributes() {
	mode=${1%%:*}
	# With two zeros, GNU's chmod takes a directory's set-group-ID bit away, too.
	mode=00$(printf %o $((0x$mode & 07777)))
	owner=${1#*:}
	owner=${owner%:*}
}

# Gives $1, which is $2, the owner and mode of state $3.
dress() {
	[ "${2%:*}" = "${3%:*}" ] && return
	attributes "$3"
	case $2 in *":$owner:"*) ;; *) said=$(chown "$owner" "$1" 2>&1) || return ;; esac
	# A new owner costs a file its set-user-ID and set-group-ID bits, and nothing else of its mode.
	case $2 in ?[0-3]??:*) [ "${2%%:*}" != "${3%%:*}" ] || return 0 ;; esac
	said=$(chmod "$mode" "$1" 2>&1)
}

# The same for $1, which was printed here. What mode that gave it is not known: a directory can have access lists that decide.
printed() {
	dress "$1" "f000:$me:$mygid:" "$2"
}

labelled() {
	[ -e /sys/fs/selinux/enforce ]
}

# Whether a path is a mount point of its own.
is_mount() {
	p=$1 awk '$5 == ENVIRON["p"] { found = 1 } END { exit !found }' /proc/self/mountinfo
}

# Whether a program that was killed has changed only the owner or only the mode of the target: that takes two steps.
midway() {
	[ -e "./$name$B" ] || return
	case $before/$after in 8*:any/8*:any | 4*/4*) ;; *) return 1 ;; esac
	case ${now%%:*} in "${before%%:*}" | "${after%%:*}") ;; *) return 1 ;; esac
	case ${now#*:} in "${before#*:}" | "${after#*:}") ;; *) return 1 ;; esac
}

check() {
	i=$1 dir=$2 name=$3 before=$4 after=$5
	[ "$dir" = "$owned" ] || glance
	look || return
	case $now in
	"$before") todo="$todo$i " ;;
	"$after")
		if [ -e "./$name$B" ] || [ -e "./$name$B.absent" ]; then tell same "$i" ours; else tell same "$i" theirs; fi
		return
		;;
	a???:*) refuse link "${dir%/}/$name"; return ;;
	*)
		case $i/$now in i*/4*) return ;; esac
		midway || { refuse changed "$now"; return; }
		todo="$todo$i " half="$half$i "
		;;
	esac
	if [ "$me" != 0 ]; then
		# Who is not root can only edit what is its own, and only so that it stays its own.
		for p in "$before" "$after"; do
			case $p in - | *:"$me":*:*) ;; *) refuse not-root "$p"; return ;; esac
		done
	fi
	case $after in 4*) making="$making${dir%/}/$name$nl" ;; esac
}

# Whether `now` is what was checked.
expected() {
	[ "$now" = "$before" ] && return
	case $half in *" $i "*) ;; *) return 1 ;; esac
}

chosen() {
	case $todo in *" $1 "*) ;; *) return 1 ;; esac
	i=$1 dir=$2 name=$3 before=$4 after=$5
	[ -z "$failed" ]
}

# Directories are made and changed first, then every file is written beside its place.
prepare() {
	chosen "$@" || return 0
	stage || return
	case $before/$after in
	-/4*)
		: >"./m$i" && move "./m$i" "../$name$B.absent" && said=$(mkdir -m 700 "./d$i" 2>&1) &&
			dress "./d$i" "41c0:$me:$mygid:" "$after" && move "./d$i" "../$name" || { complain "$said"; return; }
		! labelled || restorecon -F "../$name" 2>/dev/null
		;;
	4*/4*)
		echo "$before" >"./m$i" && move "./m$i" "../$name$B" || { complain "$said"; return; }
		enter "${dir%/}/$name" || { refuse link "${dir%/}/$name"; return; }
		wanted=
		state .
		expected || { refuse changed "$now"; return; }
		dress . "$now" "$after" || { complain "$said"; return; }
		state .
		[ "$now" = "$after" ] || refuse failed "is $now, not $after"
		;;
	-/8*)
		"c$i" >"./n$i"
		printed "./n$i" "$after" || { complain "$said"; return; }
		new="$new $i"
		;;
	8*:any/8*)
		: ;;
	8*)
		if said=$(ln "../$name" "./o$i" 2>&1); then
			:
		elif sort_out "$said" && [ $what = cross-device ] && is_mount "${dir%/}/$name"; then
			mounts="$mounts$i "
			said=$(cp -a "../$name" "./o$i" 2>&1) || { complain "$said"; return; }
		elif [ $what = immutable ] || ! said=$(cp -a "../$name" "./o$i" 2>&1); then
			complain "$said"
			return
		fi
		[ -f "./o$i" ] && ! [ -L "./o$i" ] || { refuse changed "$name"; return; }
		[ "$after" != - ] || return 0
		# With everything that hangs on the old one: access lists, attributes, label.
		said=$(cp -a "./o$i" "./n$i" 2>&1) || { complain "$said"; return; }
		"c$i" >"./n$i"
		dress "./n$i" "$before" "$after" || { complain "$said"; return; }
		new="$new $i"
		;;
	esac
}

# Goes into the private directory of each directory in turn where one of the edits given is, and does $1 there with these.
in_each() {
	does=$1
	shift
	for d in $dirs; do
		[ -z "$failed" ] || return 0
		eval "dir=\$cw_dir_$d"
		those_here "$@"
		[ -z "$here" ] || { take $here; stage && $does $here; }
	done
}

# What was written is what was meant, and on the disk.
written() {
	for n; do
		eval "file_$n=./n$n"
	done
	states "$@"
	for n; do
		take "$n"
		eval "now=\$now_$n"
		[ "$now" = "$after" ] && continue
		said=$(df -P . 2>/dev/null | { read -r a; read -r a b c d e; echo "$d"; })
		case $said in
		[0-9] | [0-9][0-9] | '') refuse disk-full "${dir%/}/$name" ;;
		*) refuse failed "wrote $now, not $after" ;;
		esac
	done
	flush
}

# Writes to the disk what is in this private directory.
flush() {
	[ -z "$failed" ] || return 0
	set +f
	set -- ./[no]*
	set -f
	said=$(sync "$@" 2>&1) || complain "$said"
}

# Gives the backup its name; one that an earlier program has left there makes way. It keeps the name here, where nobody else
# can put another one in its place.
keep() {
	link_to "./o$i" "../$name$B" && return
	rm -f "./w$i"
	said=$(ln "./o$i" "./w$i" 2>&1) && move "./w$i" "../$name$B"
}

# Each file takes its place; the old one stays beside it.
commit() {
	chosen "$@" || return 0
	case $before/$after in */4*) tell wrote "$i"; return ;; esac
	stage || return
	case $before/$after in
	-/*)
		: >"./m$i"
		move "./m$i" "../$name$B.absent" || { complain "$said"; return; }
		link_to "./n$i" "../$name" || { rm -f "../$name$B.absent"; complain "$said"; return; }
		;;
	8*:any/*)
		said=$(ln "../$name" "./o$i" 2>&1) || { complain "$said"; return; }
		wanted=$before
		state "./o$i"
		expected || { refuse changed "$now"; return; }
		echo "$before" >"./m$i"
		move "./m$i" "../$name$B" && dress "./o$i" "$now" "$after" || { complain "$said"; return; }
		;;
	*)
		case $mounts in
		*" $i "*)
			keep && said=$(sync "./o$i" 2>&1) &&
				said=$(dd if="./n$i" of="../$name" bs=64k conv=fsync 2>&1) && dress "../$name" "$before" "$after" ||
				{ complain "$said"; return; }
			;;
		*)
			one_file "./o$i" "../$name" || { refuse changed "$name"; return; }
			keep || { complain "$said"; return; }
			if [ "$after" = - ]; then
				move "../$name" "./r$i" || { complain "$said"; return; }
				one_file "./r$i" "./o$i" || { give_back "r$i"; refuse changed "$name"; return; }
			else
				exchange_for_new || return
			fi
			;;
		esac
		;;
	esac
	[ "$before" != - ] || ! labelled || restorecon -F "../$name" 2>/dev/null
	case $before in 8*:any) ;; 8*) old="$old $i" ;; esac
	tell wrote "$i"
}

# A file that was written to while this ran is put back with what was written.
verify() {
	for n; do
		eval "file_$n=./o$n"
	done
	states "$@"
	for n; do
		take "$n"
		eval "now=\$now_$n"
		[ "$now" = "$before" ] && one_file "./o$n" "../$name$B" || refuse changed "$now"
	done
}

# Sets `label` to the SELinux label of $1 here.
label_of() {
	label=$(stat -c %C -- "$1" 2>/dev/null)
}

# Sets `it` to a name of the target that nobody else can lead elsewhere, and refuses one that is not of the kind and owner of
# state $1.
grasp() {
	stage || return
	case $1 in
	4*)
		it=.
		enter "${dir%/}/$name" || { refuse link "${dir%/}/$name"; return; }
		;;
	*)
		it=./t$i
		rm -f "$it"
		if ! said=$(ln "../$name" "$it" 2>&1); then
			sort_out "$said"
			[ $what = cross-device ] && is_mount "${dir%/}/$name" || { complain "$said"; return; }
			it=../$name
		fi
		;;
	esac
	wanted=:any
	state "$it"
	case $now in "${1%"${1#?}"}"???:"${1#*:}") ;; *) refuse changed "$now" ;; esac
}

# Gives what was grasped label $2 if it has $1.
set_label() {
	label_of "$it"
	[ "$label" = "$1" ] || { refuse changed "$label"; return; }
	said=$(chcon -h -- "$2" "$it" 2>&1 && sync "$it" 2>&1) || { complain "$said"; return; }
	label_of "$it"
	[ "$label" = "$2" ] || { refuse failed "has the label $label, not $2"; return; }
	[ "$it" = . ] || one_file "$it" "../$name" || refuse changed "$name"
}

# L NUMBER DIRECTORY NAME BEFORE AFTER OLD NEW: another label. The states are those of the edit, without bytes; an edit of a
# label alone is none of `edits`.
check_label() {
	i=$1 dir=$2 name=$3 before=$4 after=$5
	look || return
	label_of "./$name"
	case $label in
	"$6")
		# What the survey told of the policy may be the account's word, in whose place it ran.
		said=$(restorecon -n -v -- "${dir%/}/$name" 2>/dev/null)
		case $said in
		*" to $7" | *"->$7") ;;
		*) refuse failed "the policy of the node does not give it the label $7"; return ;;
		esac
		;;
	"$7") ;;
	*) refuse changed "$label"; return ;;
	esac
	case "$numbers " in *" $i "*) return ;; esac
	[ "$now" = "$before" ] || refuse changed "$now"
}

# When all files have their places: a new one has the label of the old one.
relabel() {
	[ -z "$failed" ] || return 0
	i=$1 dir=$2 name=$3
	grasp "$5" || return
	label_of "$it"
	case $label in
	"$6")
		stage || return
		echo "$6" >"./m$i" && move "./m$i" "../$name$B.label" || { complain "$said"; return; }
		grasp "$5" && set_label "$6" "$7" && cw wrote "$i"
		;;
	"$7")
		enter "$dir"
		if [ -e "./$name$B.label" ]; then cw same "$i" ours; else cw same "$i" theirs; fi
		;;
	*) refuse changed "$label" ;;
	esac
}

# The opposite, when the old files are back. Only what this run has changed, which its note tells, or `cw_wrote`; the label of a
# file that somebody has changed since stays, as the file does.
label_back() {
	case $stuck in *" $1 "*) return ;; esac
	i=$1 dir=$2 name=$3 before=$4 after=$4
	look || return
	if [ "$now" = - ]; then
		cw back "$i" not-ours
		return
	fi
	label_of "./$name"
	if ! [ -e "./$name$B.label" ]; then
		# Of a file that has another place again, the label has come back with it.
		case "$4 $label $cw_wrote" in
		"$5 $7 "*" $i "*) ;;
		*) cw back "$i" not-ours; return ;;
		esac
	fi
	if [ "$label" != "$6" ]; then
		grasp "$4" && set_label "$7" "$6" && enter "$dir" || return
	fi
	rm -f "./$name$B.label"
	cw back "$i" restored
}

# Removes the private directory in $1 with what this program names so. What else is in there stays, and so does the directory.
tidy() {
	enter "$1" && [ -d "./$B" ] && ! [ -L "./$B" ] && private "$1" || return 0
	set +f
	set -- "$1" ./[a-z][0-9]* ./[a-z]i[0-9]*
	set -f
	p=$1
	shift
	# Not every rm knows -d.
	rm -df "$@" "../$B" 2>/dev/null || { rm -f "$@" 2>/dev/null; enter "$p" && rmdir "./$B" 2>/dev/null; }
}

# Removes the private directories, and tells the disk.
sweep() {
	for d in $dirs; do
		eval "dir=\$cw_dir_$d"
		enter "$dir" && [ -d "./$B" ] || continue
		tidy "$dir"
		enter "$dir" && sync . 2>/dev/null
	done
}

# Puts one edit back. Only what this run has changed: that has its mark beside it, or `cw_wrote` tells.
restore() {
	i=$1 dir=$2 name=$3 before=$4 after=$5
	look || return
	mark=
	if [ "$now" != - ] || [ -d "$dir" ]; then
		case $before in
		-) [ -e "./$name$B.absent" ] && mark="$name$B.absent" ;;
		*) [ -e "./$name$B" ] && mark="$name$B" ;;
		esac
	fi
	torn= was=$now
	case $now in
	"$before")
		[ -z "$mark" ] || enter "$dir" && rm -f "./$mark"
		tell back "$i" as-it-was
		return
		;;
	"$after")
		if [ -z "$mark" ]; then
			case $cw_wrote in *" $i "*) ;; *) tell back "$i" not-ours; return ;; esac
		fi
		;;
	*)
		# One that was there already.
		case $i/$mark in i*/) return ;; esac
		# Half written, which only happens in place.
		if midway; then :
		elif [ -n "$mark" ] && is_mount "${dir%/}/$name"; then torn=1
		else
			refuse changed "$now"
			shown
			return
		fi
		;;
	esac
	stage || return
	case $before/$after in
	-/4*)
		tidy "${dir%/}/$name"
		stage || return
		said=$(rmdir "../$name" 2>&1) || { refuse not-empty "$said"; return; }
		;;
	-/*)
		move "../$name" "./u$i" || { complain "$said"; return; }
		wanted=$after
		state "./u$i"
		[ "$now" = "$after" ] || { give_back "u$i"; refuse changed "$now"; return; }
		;;
	4*/4*)
		enter "${dir%/}/$name" && dress . "$was" "$before" || { complain "$said"; return; }
		;;
	8*:any/*)
		said=$(ln "../$name" "./u$i" 2>&1) && dress "./u$i" "$was" "$before" || { complain "$said"; return; }
		;;
	*)
		wanted=$before
		now=-
		[ -n "$mark" ] && { ln "../$mark" "./u$i" || cp -a "../$mark" "./u$i"; } 2>/dev/null && state "./u$i"
		# What was written to it meanwhile is not lost when an edit is taken back.
		case $cw_op$now in apply8*) before=$now ;; esac
		if [ "$now" != "$before" ]; then
			# The copy beside it is gone or is not what it was.
			rm -f "./u$i"
			"b$i" >"./u$i" && printed "./u$i" "$before"
			eval "label=\${label_$i-}"
			[ -z "$label" ] || said=$(chcon -h -- "$label" "./u$i" 2>&1) || { complain "$said"; return; }
			state "./u$i"
			[ "$now" = "$before" ] || { refuse failed "wrote $now, not $before"; return; }
		fi
		said=$(sync "./u$i" 2>&1) || { complain "$said"; return; }
		if [ "$was" = - ]; then
			link_to "./u$i" "../$name" || { complain "$said"; return; }
		elif [ -n "$torn" ] || is_mount "${dir%/}/$name"; then
			wanted=$was
			state "../$name"
			[ "$now" = "$was" ] || { refuse changed "$now"; shown; return; }
			said=$(dd if="./u$i" of="../$name" bs=64k conv=fsync 2>&1) && dress "../$name" "$after" "$before" ||
				{ complain "$said"; return; }
		else
			exchange_for_old "$was" || { shown; return; }
		fi
		;;
	esac
	enter "$dir" && { [ -z "$mark" ] || rm -f "./$mark"; }
	tell back "$i" restored
}

# A file that somebody has changed since, if it is a plain one of an account that it may belong to.
shown() {
	(failed= && stage) >/dev/null 2>&1 || return
	enter "$dir" && cd -P "./$B" 2>/dev/null || return
	ln "../$name" "./s$i" 2>/dev/null && [ -f "./s$i" ] && ! [ -L "./s$i" ] || return
	cw_open content "$i"
	head -c 65536 "./s$i"
	cw_close
}

# Puts the edits back, the last one first.
reversed() {
	list=
	E() { list="$1 $list"; }
	edits
	# One that is written anew has no label of its own.
	L() { eval "label_$1=\$6"; }
	labels
	E() { [ "$1" != "$one" ] || restore "$@"; }
	for one in $list; do
		failed=
		edits
		[ -z "$failed" ] || all=1 stuck="$stuck$one "
	done
	L() {
		failed=
		label_back "$@"
		[ -z "$failed" ] || all=1
	}
	labels
	failed=$all
}

observe() {
	i=$1 dir=$2 name=$3 before=$4 after=$5
	failed=
	if look; then
		mark=no
		[ -e "./$name$B" ] || [ -e "./$name$B.absent" ] && mark=yes
		case $now in
		"$before") tell seen "$i" before $mark "$now" ;;
		"$after") tell seen "$i" after $mark "$now" ;;
		*) tell seen "$i" other $mark "$now" ;;
		esac
	fi
	failed=
}

observe_label() {
	i=$1 dir=$2 name=$3 before=$4 after=$5
	failed=
	if look; then
		mark=no label=
		[ -e "./$name$B.label" ] && mark=yes
		[ "$now" = - ] || label_of "./$name"
		case $label in
		"$6") cw seen "$i" before $mark "$label" ;;
		"$7") cw seen "$i" after $mark "$label" ;;
		*) cw seen "$i" other $mark "$label" ;;
		esac
	fi
	failed=
}

forget() {
	i=$1 dir=$2 name=$3
	enter "$dir" || return 0
	[ -e "./$name$B" ] || [ -e "./$name$B.absent" ] || [ -e "./$name$B.label" ] || return 0
	rm -f "./$name$B" "./$name$B.absent" "./$name$B.label"
	tell forgot "$i"
}

# X NUMBER WORD...: a command that sets an account right, its last word; U is the same for the one that takes it back.
command_run() {
	[ -z "$failed" ] || return
	kind=c i=$1
	shift
	if said=$(keep_password "$@" 2>&1 && "$@" 2>&1); then cw ran "$i"; else refuse failed "$said"; fi
	ran=1
	kind=
}

command_undone() {
	i=$1 kind=c
	shift
	if said=$("$@" 2>&1 && give_password_back "$@" 2>&1); then cw unran "$i"; else refuse failed "$said"; all=1; fi
	kind=
}

# Sets `entry` to the entry of an account in shadow.
shadow_of() {
	entry=
	while IFS= read -r line; do
		case $line in "$1":*) entry=$line && return ;; esac
	done </etc/shadow
	return 1
}

# The one command that a command cannot take back sets a password: what it was is kept where only root looks.
keep_password() {
	[ "$2" = -p ] || return 0
	kept=/etc/shadow$B.$4
	[ -e "$kept" ] || { shadow_of "$4" && printf '%s\n' "$entry" >"$kept.new" && sync "$kept.new" && mv "$kept.new" "$kept"; }
}

# After `usermod -L`. The day on which a password was set is in the entry, too. One that was set since stays, locked.
give_password_back() {
	[ "$2" = -L ] || return 0
	kept=/etc/shadow$B.$3
	[ -e "$kept" ] || return 0
	shadow_of "$3"
	now=${entry#*:}
	[ "${now%%:*}" = '!*' ] || { echo "a password was set since"; return 1; }
	read -r entry <"$kept"
	rest=${entry#*:}
	day=${rest#*:}
	day=${day%%:*}
	printf '%s:%s\n' "$3" "${rest%%:*}" | chpasswd -e && chage -d "${day:--1}" "$3" && rm -f "$kept"
}

# K NUMBER DIRECTORY NAME UID:GID TYPE COMMENT PUBLIC NEXT: a key pair; PUBLIC is what it was made as, if that is known. Of
# type `copy` it is one that another node has made, and `k`NUMBER prints its private half. Of type `renew` it is one that
# waits under the name NEXT, and COMMENT is the public half of the one whose name it takes.
# The private half is made where only this program can look, and gets its place when it is whole.
make_key() {
	[ "$5" != renew ] || { renew_key "$@"; return; }
	i=$1 dir=$2 name=$3 owner=$4 before=0:$4: after=0:$4:
	failed=
	look || return
	before=$now
	wanted=:any
	state "./$name.pub"
	beside=$now
	if [ "$before" != - ]; then
		if [ -e "./$name$B.absent" ] && stage && half_of "$name"; then
			cw key "$i" found "$said"
			return
		fi
		refuse changed "$before"
		return
	fi
	if [ "$beside" != - ]; then
		[ -e "./$name$B.absent" ] || { refuse changed "$name.pub $beside"; return; }
		rm -f "./$name.pub"
	fi
	stage || return
	rm -f "./k$i" "./k$i.pub"
	if [ "$5" = copy ]; then
		"k$i" >"./k$i"
		said=$(ssh-keygen -y -P '' -f "./k$i" </dev/null 2>&1) && same "$said" "$7" || { complain "$said"; return; }
		printf '%s\n' "$said" >"./k$i.pub"
	else
		said=$(ssh-keygen -q -t "$5" -N '' -C "$6" -f "./k$i" </dev/null 2>&1) || { complain "$said"; return; }
	fi
	[ "$owner" = "$me:$mygid" ] || said=$(chown "$owner" "./k$i" "./k$i.pub" 2>&1) || { complain "$said"; return; }
	chmod 600 "./k$i"
	chmod 644 "./k$i.pub"
	public=
	read -r public <"./k$i.pub"
	[ -s "./k$i" ] && [ -n "$public" ] && : >"./m$i" || { refuse disk-full "$dir"; return; }
	said=$(sync "./k$i" "./k$i.pub" 2>&1) || { complain "$said"; return; }
	move "./m$i" "../$name$B.absent" && link_to "./k$i.pub" "../$name.pub" || {
		rm -f "../$name$B.absent"
		complain "$said"
		return
	}
	link_to "./k$i" "../$name" || {
		rm -f "../$name.pub" "../$name$B.absent"
		complain "$said"
		return
	}
	! labelled || restorecon -F "../$name" "../$name.pub" 2>/dev/null
	cw key "$i" made "$public"
}

unmake_key() {
	[ "$5" != renew ] || { bring_back_key "$@"; return; }
	i=$1 dir=$2 name=$3 owner=$4 before=0:$4: after=0:$4:
	failed=
	look || { [ "$now" = - ] || all=1; return; }
	[ -e "./$name$B.absent" ] || { cw unmade "$i" not-ours; return; }
	stage || { all=1; return; }
	if move "../$name" "./k$i"; then
		said=
		[ -f "./k$i" ] && ! [ -L "./k$i" ] && said=$(ssh-keygen -y -P '' -f "./k$i" </dev/null 2>&1)
		same "$said" "$7" || { give_back "k$i"; refuse changed "$name"; all=1; return; }
		rm -f "./k$i"
	fi
	if move "../$name.pub" "./k$i.pub"; then
		public=
		[ -f "./k$i.pub" ] && ! [ -L "./k$i.pub" ] && read -r public <"./k$i.pub"
		same "$public" "$7" || { name=$name.pub; give_back "k$i.pub"; name=${name%.pub}; }
	fi
	rm -f "../$name$B.absent"
	cw unmade "$i" removed
}

# The public half of the private key $1 here, in `said`; through a link that nobody else can change.
half_of() {
	said=
	rm -f "./k$i"
	ln "../$1" "./k$i" 2>/dev/null && [ -f "./k$i" ] && ! [ -L "./k$i" ] &&
		said=$(ssh-keygen -y -P '' -f "./k$i" </dev/null 2>/dev/null) && [ -n "$said" ]
}

# Gives a key that waits beside an old one the old one's name. The old pair stays beside it. The public half goes first and
# comes last, so that no public half ever lies beside a private key of another pair: ssh does without one.
renew_key() {
	i=$1 dir=$2 name=$3 owner=$4 before=0:$4: after=0:$4: next=$8
	failed=
	look && stage || return
	half_of "$name" || { refuse changed "$name"; return; }
	if ! same "$said" "$7"; then
		same "$said" "$6" || { refuse changed "$name"; return; }
		[ -e "../$name$B" ] || link_to "./k$i" "../$name$B" || { complain "$said"; return; }
		one_file "./k$i" "../$name$B" || { refuse changed "$name$B"; return; }
		half_of "$next" && same "$said" "$7" || { refuse changed "$next"; return; }
		wanted=:any
		state "./k$i"
		case $now in 8180:"$owner":*) ;; *) refuse changed "$next $now"; return ;; esac
		if [ -e "../$name.pub" ] || [ -L "../$name.pub" ]; then
			move "../$name.pub" "../$name.pub$B" || { complain "$said"; return; }
		elif ! [ -e "../$name.pub$B" ]; then
			: >"./m$i" && move "./m$i" "../$name.pub$B.absent" || { complain "$said"; return; }
		fi
		said=$(sync "./k$i" "../$name$B" 2>&1) || { complain "$said"; return; }
		move "./k$i" "../$name" || { complain "$said"; return; }
	fi
	if [ -e "../$next.pub" ]; then move "../$next.pub" "../$name.pub" || { complain "$said"; return; }; fi
	[ ! "../$next" -ef "../$name" ] || rm -f "../$next"
	! labelled || restorecon -F "../$name" "../$name.pub" 2>/dev/null
	cw key "$i" found "$7"
}

# The opposite: the old pair gets its name back, and the new one waits beside it again.
bring_back_key() {
	i=$1 dir=$2 name=$3 owner=$4 before=0:$4: after=0:$4: next=$8
	failed=
	look || { [ "$now" = - ] || all=1; return; }
	[ -e "./$name$B" ] || { cw unmade "$i" not-ours; return; }
	stage || { all=1; return; }
	half_of "$name" || { refuse changed "$name"; all=1; return; }
	if same "$said" "$7"; then
		[ -e "../$next" ] || link_to "./k$i" "../$next"
		if [ -e "../$name.pub" ]; then
			if [ -e "../$next.pub" ]; then rm -f "../$name.pub"; else move "../$name.pub" "../$next.pub"; fi
		fi
		half_of "$name$B" && same "$said" "$6" || { refuse changed "$name$B"; all=1; return; }
		move "./k$i" "../$name" || { complain "$said"; all=1; return; }
	else
		same "$said" "$6" || { refuse changed "$name"; all=1; return; }
	fi
	[ ! -e "../$name.pub$B" ] || move "../$name.pub$B" "../$name.pub" || { complain "$said"; all=1; return; }
	rm -f "../$name$B" "../$name.pub$B.absent"
	cw unmade "$i" removed
}

# Whether two public keys are one, whatever is written behind them. Who does not know the second takes any.
same() {
	[ -n "$2" ] || return 0
	right=$2
	set -- $1
	left="$1 $2"
	set -- $right
	[ "$left" = "$1 $2" ]
}

see_key() {
	i=$1 dir=$2 name=$3 owner=$4 before=0:$4: after=0:$4:
	failed=
	look || { failed=; return; }
	mark=no
	[ -e "./$name$B.absent" ] && mark=yes
	said=
	case $now in 8*) said=$($limit ssh-keygen -y -P '' -f "./$name" </dev/null 2>/dev/null) ;; esac
	cw key-seen "$i" "$mark" "$now" "$said"
}

# The private half of a key that other nodes are to have, too.
fetch_key() {
	i=$1 dir=$2 name=$3 owner=$4 before=0:$4: after=0:$4:
	look && stage || { all=1; return; }
	if said=$(ln "../$name" "./f$i" 2>&1) && [ -f "./f$i" ] && ! [ -L "./f$i" ] &&
		said=$(ssh-keygen -y -P '' -f "./f$i" </dev/null 2>&1) && same "$said" "$7"; then
		cw_open secret "$i"
		cat "./f$i"
		cw_close
	else
		complain "$said"
		all=1
	fi
}

forget_key() {
	i=$1 dir=$2 name=$3
	enter "$dir" || return 0
	rm -f "./$name$B.absent" "./$name$B" "./$name.pub$B" "./$name.pub$B.absent"
}

# Nothing is changed before everything was looked at and written beside its place.
apply() {
	gather
	together=1
	E() { check "$@"; }
	edits
	together=
	L() { check_label "$@"; }
	labels
	[ -z "$failed" ] || return 0
	X() { command_run "$@"; }
	commands
	E() { prepare "$@"; }
	edits
	in_each written $new
	E() { commit "$@"; }
	edits
	L() { relabel "$@"; }
	labels
	in_each verify $old
	[ -n "$failed" ] || return 0
	cw taking-back
	lenient=1
	all=
	reversed
	if [ -n "$ran" ]; then
		U() { command_undone "$@"; }
		commands_back
	fi
	failed=1
}

context() {
	unset CDPATH ENV BASH_ENV
	PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	trap '' HUP INT TERM PIPE
	umask 077
	set -f
	nl='
'
	kind= failed= all= ran= todo=' ' mounts=' ' half=' ' lenient= making=$nl staged=$nl
	new= old= together= no_exchange= slow= limit= numbers= stuck=' '
	! command -v timeout >/dev/null || limit='timeout 60'
	me= mygid= owned= hold=0 held_5= held_6= held_7=
	while read -r key a b c; do
		case $key in
		Uid:) me=$b ;;
		Gid:) mygid=$b && break ;;
		esac
	done </proc/self/status
	case $cw_op in
	keys)
		apply
		if [ -z "$failed" ]; then
			K() { make_key "$@"; [ -z "$failed" ] || all=1; }
			kind=k
			keys
			failed=$all
		fi
		sweep
		;;
	apply)
		apply
		sweep
		;;
	back | undo)
		lenient=1
		K() { unmake_key "$@"; }
		kind=k
		keys
		kind=
		reversed
		U() { command_undone "$@"; }
		commands_back
		failed=$all
		sweep
		;;
	fetch)
		kind=k
		K() { fetch_key "$@"; }
		keys
		failed=$all
		sweep
		;;
	observe)
		lenient=1
		E() { observe "$@"; }
		edits
		L() { observe_label "$@"; }
		labels
		K() { see_key "$@"; }
		kind=k
		keys
		;;
	forget)
		E() { forget "$@"; }
		L() { forget "$@"; }
		edits
		labels
		K() { forget_key "$@"; }
		keys
		sweep
		;;
	esac
	cw_end
	[ -z "$failed" ]
}

context </dev/null
