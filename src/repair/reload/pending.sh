# What a reload would do to where sshd listens, found out before anything is written: sshd that can bind none of its addresses
# ends, and nothing that is put back afterwards is sure to bring it back.

# Addresses as they are compared and shown: 10.0.0.1:22 and [fd00:0:0:0:0:0:0:1]:22, or [::]:22.
addresses='
function number(hex,   i, n) {
	n = 0
	for (i = 1; i <= length(hex); i++) n = n * 16 + index("0123456789abcdef", tolower(substr(hex, i, 1))) - 1
	return n
}
function four(hex) {
	return number(substr(hex, 1, 2)) "." number(substr(hex, 3, 2)) "." number(substr(hex, 5, 2)) "." number(substr(hex, 7, 2))
}
function six(hex,   i, group, text) {
	text = ""
	for (i = 1; i <= 32; i += 4) {
		group = tolower(substr(hex, i, 4))
		sub(/^0+/, "", group)
		text = text ":" (group == "" ? "0" : group)
	}
	return text == ":0:0:0:0:0:0:0:0" ? "::" : substr(text, 2)
}
'

# What process `pid` listens on, with `open` as what it has open. /proc has words of 32 bits as the machine keeps them.
listens() {
	awk -v open="$(printf %s "$open" | tr '\n' ' ')" "$addresses"'
	$4 == "0A" && index(open, "socket:[" $10 "]") {
		split($2, socket, ":")
		hex = ""
		for (word = 1; word < length(socket[1]); word += 8)
			for (byte = 6; byte >= 0; byte -= 2) hex = hex substr(socket[1], word + byte, 2)
		print "now", (length(hex) == 8 ? four(hex) : "[" six(hex) "]") ":" number(socket[2])
	}' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# What `sshd -T` says that it would listen on, and of each whether this node has the address: one that it does not have, sshd
# passes over.
would_listen() {
	printf '%s\n' "$wanted" | awk "$addresses"'
	function expanded(text,   halves, left, right, dotted) {
		if (match(text, /[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/)) {
			split(substr(text, RSTART), dotted, ".")
			text = substr(text, 1, RSTART - 1) sprintf("%02x%02x:%02x%02x", dotted[1], dotted[2], dotted[3], dotted[4])
		}
		split(text "::", halves, "::")
		left = groups(halves[1])
		right = groups(halves[2])
		while (length(left) + length(right) < 32) left = left "0000"
		return left right
	}
	function groups(text,   parts, count, i, hex) {
		hex = ""
		count = split(text, parts, ":")
		for (i = 1; i <= count; i++) hex = hex substr("0000" parts[i], length(parts[i]) + 1)
		return hex
	}
	BEGIN {
		while ((getline line <"/proc/net/fib_trie") > 0) {
			split(line, word, " ")
			if (word[1] == "|--") address = word[2]
			else if (word[1] == "/32" && word[3] == "LOCAL") here[address] = 1
			any = 1
		}
		if (!any) everything["4"] = 1
		while ((known = (getline line <"/proc/net/if_inet6")) > 0) here[six(substr(line, 1, 32))] = 1
		if (known == 0) here["::"] = 1
		here["0.0.0.0"] = 1
		if ((getline line <"/proc/sys/net/ipv4/ip_nonlocal_bind") > 0 && line == 1) everything["4"] = 1
		if ((getline line <"/proc/sys/net/ipv6/ip_nonlocal_bind") > 0 && line == 1) everything["6"] = 1
	}
	tolower($1) == "listenaddress" {
		match($2, /:[0-9]+$/)
		port = substr($2, RSTART)
		address = substr($2, 1, RSTART - 1)
		gsub(/[][]/, "", address)
		sub(/%.*/, "", address)
		family = index(address, ":") ? "6" : "4"
		if (family == "6") address = six(expanded(address))
		is_here = (address in here) || (family in everything) || address ~ /^127\./
		print (is_here ? "then" : "absent"), (family == "6" ? "[" address "]" : address) port
	}'
}

# Says how what it listens on would change; says nothing where it would not.
moves() {
	{ listens; would_listen; } | awk '
	!(($1, $2) in seen) {
		seen[$1, $2] = 1
		text[$1] = text[$1] (text[$1] == "" ? "" : ", ") $2
		all[$2] = 1
	}
	END {
		for (address in all) if ((("now", address) in seen) != (("then", address) in seen)) differs = 1
		if (!differs) exit
		printf "it listens on %s, and after a reload it would listen on %s", text["now"], (text["then"] == "" ? "nothing" : text["then"])
		if (text["absent"] != "") printf " (this node does not have %s)", text["absent"]
	}'
}
