# Makes the change, with the guard armed before the first byte of it.

trap '' HUP PIPE
umask 077

answer() {
	cw "$@"
	cw_end
	exit 0
}

# Nothing was changed yet.
refuse() {
	rm -rf -- "$d"
	answer "$@"
}

# Something was: back with it, unless the guard is at that already.
back() {
	stuck=
	if mkdir "$d/decided" 2>/dev/null; then
		undo
	else
		tries=0
		while [ -e "$d/is.$n" ] && ! [ -s "$d/stuck" ]; do
			tries=$((tries+1))
			[ $tries -lt 60 ] || answer stuck "$2" "$3" "it is still being taken back"
			sleep 1
		done
		stuck=$(cat "$d/stuck" 2>/dev/null)
	fi
	[ -z "$stuck" ] || answer stuck "$2" "$3" "$stuck"
	answer "$@"
}

# A change that was left behind has a guard, or its guard died with what it guarded half-way: then it is taken back now.
if ! mkdir "$d" 2>/dev/null; then
	guard=
	read -r guard 2>/dev/null <"$d/pid"
	# By its words: another process may have its number by now. What could not be taken back whole waits for nobody.
	case $([ -z "$guard" ] || [ -s "$d/stuck" ] || tr '\0' ' ' 2>/dev/null <"/proc/$guard/cmdline") in
	*"$d/guard"*) answer busy "process $guard waits for the end of another change" ;;
	esac
	if [ -z "$guard" ]; then
		rm -rf -- "$d"
	elif ! undo; then
		# Not just refused: whoever lost the answer to that change, and asks again, must not hear that nothing was changed.
		answer stuck lock "a change was left behind there, and cannot be taken back whole" "$stuck"
	fi
	mkdir "$d" || answer refused lock "$d cannot be made"
fi
: >"$d/is.$n"

# Number, path, what must be there (a sum or `absent`), owner, mode, what shall be there (base64, or `absent`). A file that
# is as it shall be, because the change was made before and nobody heard of it, is left alone; sshd is told all the same.
file() {
	[ -L "$2" ] && refuse changed "$2" "is a symbolic link"
	found=$(sum "$2")
	if [ "$6" = absent ]; then wanted=absent; else wanted=$(printf %s "$6" | base64 -d | sha256sum); fi
	[ "$found" != "$wanted" ] || return 0
	[ "$found" = "$3" ] || refuse changed "$2" "is not as it was when the change was planned"
	if [ "$3" = absent ]; then
		[ -d "${2%/*}" ] || refuse changed "$2" "its directory is not there"
		echo "$1 new $2" >>"$d/files"
	else
		cp -p -- "$2" "$d/old.$1" || refuse refused save "$2 cannot be saved"
		echo "$1 saved $2" >>"$d/files"
	fi
	[ "$6" = absent ] && return
	printf %s "$6" | base64 -d >"$d/new.$1" && chown "$4" "$d/new.$1" && chmod "$5" "$d/new.$1" ||
		refuse refused save "no room for $2"
}
