# Takes the change back unless it is kept in time. Whoever makes `decided` first has decided.

trap '' HUP INT TERM PIPE
echo $$ >"$d/pid"
passed=0
while [ $passed -lt "$wait" ]; do
	[ -e "$d/is.$n" ] && ! [ -e "$d/stuck" ] || exit 0
	[ -e "$d/back.$n" ] && break
	sleep 1
	passed=$((passed+1))
done
[ -e "$d/is.$n" ] || exit 0
mkdir "$d/decided" 2>/dev/null || exit 0
undo
