# What runs on the client node, in the lane's context, after the frame's prelude and the settings. See program.rs.
#
# Few processes: builtins, and per leg beside ssh and scp one sed, one cmp and a timeout around each connection.
# Nothing but `listen` reads standard input. `w` is the worker, `i` the leg, `p` what is being waited for.

umask 077
unset SSH_AUTH_SOCK SSH_ASKPASS DISPLAY
exec 5<&0 </dev/null
main=$$
t= p= pids= hound= ear=
nl='
'

have() {
command -v "$1" >/dev/null 2>&1
}

# A private directory on a file system that takes a few KiB. The name cannot be guessed, and mkdir follows nothing.
# The probe holds the bytes that channels without an 8-bit path like to damage, then random ones.
scratch() {
for d in /tmp /var/tmp /dev/shm; do
t=$d/.clearway-$tag
mkdir "$t" 2>/dev/null || continue
if { printf '\000\377\r\n\n\r~.\001\033\n' && head -c 4085 /dev/urandom; } >"$t/probe" 2>/dev/null &&
echo '#.' >"$t/last" && echo '#9' >"$t/nine" && mkdir "$t/empty"; then
return 0
fi
rm -rf "$t"
done
t=
return 1
}

# Hundredths of a second since the node started, in `up`.
now() {
read -r up d </proc/uptime
up=${up%.*}${up#*.}
}

# Whether this worker takes the leg: creating a file is atomic.
take() {
set -C
{ true >"$t/t$1"; } 2>/dev/null
d=$?
set +C
return $d
}

pause() {
sleep "$1" &
p=$!
wait $p
p=
}

# Where there is no timeout(1).
guard() {
trap 'kill $s; exit' TERM
sleep "$limit" &
s=$!
wait $s
kill -TERM "$1"
sleep 2
kill -KILL "$1"
}

# One connection; its status in `rc`.
run() {
if [ -n "$T" ]; then
$T "$limit" "$@" </dev/null >|"$o" 2>>"$e" &
p=$!
d=
else
"$@" </dev/null >|"$o" 2>>"$e" &
p=$!
guard $p </dev/null >/dev/null 2>&1 &
d=$!
fi
echo $p >|"$t/p$w"
wait $p
rc=$?
p=
[ -z "$d" ] || kill $d 2>/dev/null
}

# Whether the connection was closed before the far end said who it is, and not by something that is no sshd.
dropped() {
d=$(cat "$e")
case $d in
*'Remote protocol version'* | *'Executing proxy '* | *'timed out'* | *': banner line 0: '[!EN]*) return 1 ;;
*'xchange_identification: '* | *'banner exchange: '* | *'Connection closed by '* | *'onnection reset by '*) return 0 ;;
esac
return 1
}

# Writes what there is to tell. Where nobody listens any more, the worker ends.
tell() {
told=$up
cw_flush 2>/dev/null || ends=1
}

# What ends a worker waits while `telling`: a record is told and counted, or neither.
told() {
telling=
[ -z "$ends" ] || stop
}

# A sign of life, where a leg takes its time.
alive() {
now
[ $((up-began)) -ge 1000 ] || return 0
telling=1
cw alive "$i"
tell
told
}

# go N WORD...: connection N of the leg. Once more, and once only, when it was dropped before the banner.
go() {
n=$1
shift
e=$t/e$w.$n
o=$t/o$w.$n
echo "#$n" >|"$e"
run "$@"
if [ $rc != 0 ] && [ $again = 0 ] && dropped; then
# What sshd said of throttling comes before its banner, and may not come a second time.
case $d in
*': banner line 0: Exceeded MaxStartups'* | *': banner line 0: Not allowed at this time'*) again=2 ;;
*) again=1 ;;
esac
alive
pause "$rest"
echo "#$n" >|"$e"
run "$@"
fi
alive
status="$status $n=$rc"
if [ $rc = 0 ]; then good="$good $e"; else bad="$bad $e"; fi
[ $rc = 0 ]
}

# Sets `k` to the option that keeps ssh from writing a host key down, of ssh's own answer to the words and the name that
# follow. ssh reads all of the user's files and writes to the first only (sshconnect.c): an empty one before them takes
# what it writes and changes nothing else. Where there is no list, nothing is written, and an unknown key is refused.
unrecorded() {
k= q="'"
e=$t/e$w.0
o=$t/o$w.0
: >|"$e"
run "$@"
alive
d=$nl$(cat "$o")$nl
case $d in
*"${nl}stricthostkeychecking "[fno]* | *"${nl}stricthostkeychecking accept-new$nl"* | *"${nl}checkhostip "[yt]*) ;;
*) return ;;
esac
d=${d#*"${nl}userknownhostsfile "}
d=${d%%"$nl"*}
# As ssh prints it, it can only be read again where no name has more in it than letters.
case $d in
none | /dev/null* | *[!A-Za-z0-9/._~@+,:=\ -]*) return ;;
esac
# ssh takes 32 of them, and tells one with a blank in it as two.
set -- $d
[ $# -lt 32 ] || return
for f do
case $f in [/~]*) ;; *) return ;; esac
done
k="UserKnownHostsFile=/dev/null $d"
}

# What came back against what was sent. Start-up files of the far end may have written something before it.
compare() {
if have cmp; then
cmp -s "$t/probe" "$o"
d=$?
[ $d = 0 ] || [ ! -s "$t/o$w.1" ] || { tail -c 4096 "$o" | cmp -s "$t/probe" -; d=$?; }
else
d=$(tail -c 4096 "$o" | cksum)
[ "$(cksum <"$t/probe")" = "$d" ]
d=$?
fi
status="$status c=$d"
}

# cold-push over scp: Nova's touch, rm and mkdir, a file there, read back, all removed.
climb_push() {
made=1
if S 1 "$prepare"; then
if C 2 "$t/probe" "$host:$raw/probe"; then
S 3 "$collect" && compare
else
S 3 "$discard"
fi
fi
made=
}

# cold-push over rsync: the directory and a file in it are made by a copy, as Nova makes them.
climb_rsync() {
made=1
if S 1 "$prepare" && mkdir -p "$t/r$w/$raw" && : >|"$t/r$w/$raw/x.tmp"; then
if R 2 --archive --relative --no-implied-dirs "$t/r$w/./${raw#/}" "$host:/" &&
R 4 --archive --delete --include x.tmp --exclude '*' "$t/empty/" "$host:$raw" &&
R 5 -r --sparse "$t/probe" "$host:$raw/probe" --compress; then
S 3 "$collect" && compare
else
S 3 "$discard"
fi
fi
rm -rf "$t/r$w"
made=
}

# What was copied from there matters where it is a machine id, to be compared.
pulled() {
[ -z "$machine" ] || good="$good $t/nine $f"
}

# cold-pull: one copy from there. The file to write stands there already, so that a directory cannot take its place.
climb_pull() {
f=$t/f$w
: >|"$f"
C 1 "$host:$file" "$f"
pulled
}

# The same over rsync: Nova copies with whatever remote_filesystem_transport says, in both directions.
climb_pull_rsync() {
f=$t/f$w
: >|"$f"
R 1 -r --sparse "$host:$file" "$f" --compress
pulled
}

# cold-push where nothing may be written there.
climb_look() {
if S 1 "$prepare"; then
f=$t/f$w
: >|"$f"
C 2 "$host:$file" "$f"
pulled
fi
}

# The same over rsync.
climb_look_rsync() {
if S 1 "$prepare"; then
f=$t/f$w
: >|"$f"
R 2 -r --sparse "$host:$file" "$f" --compress
pulled
fi
}

# Whatever needs one command: a login, libvirt's helper.
climb_one() {
S 1 "$prepare"
}

leg() {
take "$1" || return 0
i=$1 name=$3 host=$4 machine=$5 file=$6
again=0 status= good= bad= noise= made=
now
began=$up
"$2"
now
[ ! -s "$t/o$w.1" ] || noise=$(head -c 600 "$t/o$w.1" | tr '\n\000\r' '\037  ')
d=$(sed -n "$brief" $good "$t/last")
[ -z "$bad" ] || d=$d$us$(sed -n "$full" $bad "$t/last")
if [ ${#d} -gt 3000 ]; then
d=$(printf %s "$d" | head -c 1100)$us...$us$(printf %s "$d" | tail -c 1800)
fi
# Each packet costs the controller more than what it says: what went well waits for a moment, as long as it fits into one
# write.
telling=1
[ $((${#cw_b}+${#noise}+${#d})) -lt 3700 ] || tell
cw leg "$i" $(((up-began)*10)) $again "${status# }" "$noise" "$d"
[ -z "$bad" ] && [ $((up-told)) -lt "$hold" ] || tell
told
}

# A worker is not wanted any more.
stop() {
ends=1
[ -z "$telling" ] || return 0
trap : HUP INT TERM PIPE
cw_flush 2>/dev/null
# timeout(1) leads a group of its own, and dies alone where it is told before it knows its child.
[ -z "$p" ] || kill -TERM "$p" "-$p" 2>/dev/null
if [ -n "$made" ]; then
made= limit=5 again=1
S 8 "rm -rf $far"
fi
echo $cw_c >|"$t/c$w"
exit 0
}

work() {
trap - EXIT
trap stop HUP INT TERM PIPE
w=$1 cw_c=0 cw_b= made= telling= ends=
now
told=$up
legs
telling=1
tell
echo $cw_c >|"$t/c$w"
exit 0
}

# Ends what is left after the deadline, or when the main process was killed.
watch() {
trap - EXIT
trap 'kill $s 2>/dev/null; exit 0' TERM
trap '' HUP INT PIPE
while [ $total -gt 0 ] && kill -0 $main 2>/dev/null; do
sleep 2 &
s=$!
wait $s
total=$((total-2))
done
: >|"$t/late"
kill -TERM $main $pids 2>/dev/null
sleep 8 &
s=$!
wait $s
for f in "$t"/p*; do
read -r d <"$f" && kill -TERM $d -$d 2>/dev/null
done
kill -KILL $main $pids 2>/dev/null
rm -rf "$t"
}

# Ends all when standard input does: nobody wants it any more.
listen() {
trap - EXIT HUP INT TERM PIPE
read -r d <&5
kill -TERM $main
}

finish() {
for f in "$t"/c[0-9]*; do
[ ! -e "$f" ] || { read -r d <"$f" && cw_c=$((cw_c+d)); }
done
cw_end 2>/dev/null
rm -rf "$t"
t=
[ -z "$hound" ] || kill $hound $ear 2>/dev/null
exit 0
}

halt() {
trap : HUP INT TERM PIPE
kill -TERM $pids 2>/dev/null
for d in $pids; do wait $d; done
if [ -e "$t/late" ]; then cw stopped deadline; else cw stopped signal; fi
finish
}

climb() {
if ! scratch; then
cw failed 'no directory takes temporary files: /tmp, /var/tmp, /dev/shm'
cw_end
exit 0
fi
trap '[ -z "$t" ] || rm -rf "$t"' EXIT
trap halt HUP INT TERM PIPE
for d in $tools; do have "$d" || cw missing "$d"; done
T=
if timeout -k 1 1 true 2>/dev/null; then T='timeout -k 2'; fi
# Nothing that a far end sends fills a disk. Large enough for a known_hosts that ssh adds a line to.
ulimit -f 65536
ulimit -c 0
cw_flush
d=0
while [ $d -lt $workers ]; do
d=$((d+1))
work $d &
pids="$pids $!"
done
watch >/dev/null 2>&1 &
hound=$!
if [ -n "${listens-}" ]; then
listen >/dev/null 2>&1 &
ear=$!
fi
exec 5<&-
for d in $pids; do wait $d; done
finish
}
