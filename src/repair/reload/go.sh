: >>"$d/files"
# A reload puts into force whatever else has been changed since sshd was last told; what would end it there, no way back mends.
passes || refuse refused config "it does not pass sshd -t as it is, and no sshd outlives being told to read it: $said"
neutral=user=clearway-base,host=clearway-base.invalid,addr=192.0.2.255
wanted=$($limit "$binary" -T -f "$config" 2>&1 </dev/null) ||
	wanted=$($limit "$binary" -T -f "$config" -C "$neutral" 2>&1 </dev/null) ||
	refuse refused config "sshd -T does not tell what it means: $(printf %.4000s "$wanted")"
listening || refuse refused find "no sshd listens where $config has it listen: $(would_listen | sed 's/.* //' | tr '\n' ' ')"
was=$sockets
# Sockets that systemd holds for it are the same after a reload, whatever its configuration says.
holder=
[ "$pid" = 1 ] || holder=$(ls -l /proc/1/fd 2>/dev/null)
case $holder in
*"socket:[$socket]"*) ;;
*)
	said=$(moves)
	[ -z "$said" ] || refuse refused pending "$said: that was changed in $config, or in what it includes, and is not in force \
yet. Take it back there, or restart sshd yourself while you have another way in"
	;;
esac

printf '%s\n' "$guard_text" >"$d/guard" || refuse refused save "no room for the guard"
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1 &&
	$limit systemd-run -q --collect --unit "clearway-sshd-$n" /bin/sh "$d/guard" >/dev/null 2>&1; then :
elif command -v setsid >/dev/null 2>&1; then
	setsid /bin/sh "$d/guard" </dev/null >/dev/null 2>&1 &
else
	nohup /bin/sh "$d/guard" </dev/null >/dev/null 2>&1 &
fi
tries=0
while ! [ -s "$d/pid" ]; do
	tries=$((tries+1))
	[ $tries -lt 50 ] || refuse refused guard "the guard does not start"
	sleep 0.1 2>/dev/null || sleep 1
done

while IFS=' ' read -r number kind path; do
	if [ -e "$d/new.$number" ]; then
		place "$d/new.$number" "$path" || back refused write "$path cannot be written"
	else
		rm -f -- "$path" || back refused write "$path cannot be removed"
	fi
done <"$d/files"
passes || back refused test "$said"
# Before it is told: whoever takes this back must know that it may have been.
echo told >"$d/told" || back refused save "no room in $d"
how=
reload || back refused reload "sshd cannot be told to read its configuration again ($how)"
listens_again "$was" || back refused listen "sshd does not listen any more"
answer reloaded "$how"
