: >>"$d/files"
listening || refuse refused find "no sshd listens on the ports of $config"
was=$sockets

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
said=$($limit "$binary" -t -f "$config" 2>&1 </dev/null) || back refused test "$(printf %.4000s "$said")"
how=
reload || back refused reload "sshd cannot be told to read its configuration again"
listens_again "$was" || back refused listen "sshd does not listen any more"
answer reloaded "$how"
