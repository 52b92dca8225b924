# Everything that is read as text on a node, in one process. No rules of patterns: all is done in BEGIN, from files
# that are named in the environment and that the shell found to be regular and readable (mawk ends when it meets a
# directory). What comes out are lines of fields between tabs, the first one saying what the line is.
#
# Nothing secret is printed: of nova.conf only wanted options, of shadow only whether the password field locks, of
# private keys only the public part.

function out(a, b, c, d) {
	if (d != "") print a "\t" b "\t" c "\t" d
	else if (c != "") print a "\t" b "\t" c
	else print a "\t" b
}

# flag: m metadata, h the same of a host key, a:UID:GIDS: content if that account could read it, c content
function want(path, flag) {
	if (!(path in wanted)) order[++orders] = path
	else if (index("mhac", substr(flag, 1, 1)) < index("mhac", substr(wanted[path], 1, 1))) return
	wanted[path] = flag
}

function role(name, of, path, flag) {
	if (substr(path, 1, 1) != "/") { out("odd", name, path); return }
	if ((name, of, path) in roles) return
	roles[name, of, path] = 1
	print "role\t" name "\t" of "\t" path
	want(path, flag)
}

function above(path) {
	while (path != "/" && path != "") {
		sub("/[^/]*$", "", path)
		if (path == "") path = "/"
		want(path, "m")
	}
}

# Words of a configuration line into words[]; double and single quotes as in OpenSSH's argv_split.
function split_words(s,   n, c, w, q, some, i) {
	# Nearly all lines.
	if (s !~ /["'\\#]/) return split(s, words, /[ \t]+/)
	n = 0; w = ""; q = ""; some = 0
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "\\" && i < length(s) && index("\\\"' ", substr(s, i + 1, 1))) { w = w substr(s, ++i, 1); some = 1 }
		else if (q != "") { if (c == q) q = ""; else w = w c }
		else if (c == "\"" || c == "'") { q = c; some = 1 }
		else if (c == " " || c == "\t") { if (some) words[++n] = w; w = ""; some = 0 }
		else if (c == "#" && !some) break
		else { w = w c; some = 1 }
	}
	if (some) words[++n] = w
	return n
}

# The keyword of a configuration line in lower case; its words are then in words[1..nwords].
function keyword(line,   key, rest) {
	if (line ~ /^[ \t\f\r]*(#|$)/) return ""
	sub(/^[ \t\f\r]+/, "", line)
	sub(/[ \t\f\r]+$/, "", line)
	match(line, /^"?[^ \t="]+"?/)
	key = substr(line, 1, RLENGTH)
	rest = substr(line, RLENGTH + 1)
	gsub(/"/, "", key)
	sub(/^[ \t]*=?[ \t]*/, "", rest)
	nwords = split_words(rest)
	return tolower(key)
}

# ~ and the tokens whose value does not depend on who is dialled. What cannot be known here comes out as "".
function expand(s, home, user, uid, h,   r, i, c, n) {
	if (s == "~") s = home
	else if (substr(s, 1, 2) == "~/") s = home substr(s, 2)
	if (s ~ /^~/ || index(s, "${")) return ""
	r = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c != "%") { r = r c; continue }
		n = substr(s, ++i, 1)
		if (n == "%") r = r "%"
		else if (n == "u") r = r user
		else if (n == "d" || (h && n == "h")) r = r home
		else if (n == "i" || (h && n == "U")) r = r uid
		else return ""
	}
	return r
}

function client_path(name, text, flag,   path) {
	if (text == "none") return
	path = expand(text, home, user, uid, 0)
	# ssh takes a relative name from its working directory, which is not known here.
	if (path == "") out("odd", name, text)
	else role(name, "", path, flag)
}

function client_line(key,   i) {
	if (key == "identityfile" && nwords) client_path("identity", words[1], "m")
	else if (key == "certificatefile" && nwords) client_path("cert", words[1], "c")
	else if (key == "userknownhostsfile") for (i = 1; i <= nwords; i++) client_path("known", words[i], "c")
	else if (key == "globalknownhostsfile") for (i = 1; i <= nwords; i++) client_path("known", words[i], "c")
	else if (key == "revokedhostkeys" && nwords) client_path("known", words[1], "c")
	else if (key == "user" && nwords) learn(words[1])
}

function server_line(key,   i) {
	if (key == "hostkey" && nwords) host_key(words[1])
	else if (key == "hostcertificate" && nwords) role("hostcert", "", words[1], "c")
	else if (key == "trustedusercakeys" && nwords && words[1] != "none") role("trust", "", words[1], "c")
	else if (key == "revokedkeys" && nwords && words[1] != "none") role("trust", "", words[1], "c")
	else if (key == "authorizedprincipalsfile" && nwords) account_files("principals", words[1])
	else if (key == "authorizedkeysfile") {
		if (nwords) authorized_seen = 1
		for (i = 1; i <= nwords; i++) account_files("authorized", words[i])
	}
	else if (key == "subsystem" && nwords > 1 && words[1] == "sftp" && substr(words[2], 1, 1) == "/") role("sftp", "", words[2], "m")
}

function host_key(path) {
	hostkeys = 1
	role("hostkey", "", path, "h")
	role("hostpub", path, path ".pub", "c")
}

function account_files(name, text, a, path) {
	if (text == "none") return
	for (a = 1; a <= naccounts; a++) {
		if (!(a in ahome)) continue
		path = expand(text, ahome[a], aname[a], auid[a], 1)
		if (path == "") { out("odd", name, text); continue }
		if (substr(path, 1, 1) != "/") path = ahome[a] "/" path
		role(name, aname[a], path, "a:" auid[a] ":" agids[a])
		above(path)
	}
}

# Reads ssh's or sshd's configuration files. CW_CONF lists both: a letter for whose it is (u the account's, s the
# system's, d the daemon's), r if it can be read, a space and the path. Includes are printed for the shell, which alone
# can expand patterns.
function configurations(server,   n, i, j, files, path, line, key, base, text, known) {
	n = split(ENVIRON["CW_CONF"], files, "\n")
	known = server ? "CW_KNOWN_SSHD_" : "CW_KNOWN_SSH_"
	for (i = 1; i <= n; i++) {
		if ((substr(files[i], 1, 1) == "d") != server) continue
		path = substr(files[i], 4)
		role("config", "", path, "c")
		text = text files[i] "\n"
		if (substr(files[i], 2, 1) != "r") continue
		base = substr(files[i], 1, 1) == "u" ? home "/.ssh/" : "/etc/ssh/"
		while ((getline line < path) > 0) {
			# Longer configurations are not compared: they are asked.
			if (((known 1) in ENVIRON) && length(text) < 65536) text = text line "\n"
			key = keyword(line)
			if (key == "") continue
			# Of all that ssh -G does with a configuration, only these wait for something else.
			if (key ~ /^canonical/ || (key == "match" && tolower(line) ~ /exec|canonical/)) slow = 1
			if (key == "include") {
				for (j = 1; j <= nwords; j++) {
					if (words[j] ~ /^~\//) words[j] = home substr(words[j], 2)
					else if (substr(words[j], 1, 1) != "/") words[j] = base words[j]
					out("include", i, words[j])
				}
			}
			else if (server) server_line(key)
			else client_line(key)
		}
		close(path)
	}
	# The same files as the controller has seen elsewhere: what they mean is then known too.
	for (i = 1; (known i) in ENVIRON; i++)
		if (ENVIRON[known i] == text) { out(server ? "known-sshd" : "known-ssh", i); break }
}

function passwd_line(line, f, n, a) {
	n = split(line, f, ":")
	if (n < 7) return
	primary[f[4]] = primary[f[4]] " " f[3]
	for (a = 1; a <= naccounts; a++) {
		if (aname[a] != f[1] || (a in ahome)) continue
		auid[a] = f[3]; agid[a] = f[4]; ahome[a] = f[6]
		out("account", f[1], f[3] ":" f[4] ":" f[6] ":" f[7])
		want(f[7] == "" ? "/bin/sh" : f[7], "m")
	}
}

# The names of an account's groups, the primary one first; its group ids into group_ids. `listed` are ids that are
# known from elsewhere.
function groups(name, gid, listed,   i, names, first) {
	group_ids = gid; names = ""; first = gid
	for (i = 1; i <= ngroups; i++) {
		if (ggid[i] == gid) first = gname[i]
		else if (index("," gmembers[i] ",", "," name ",") || index(" " listed " ", " " ggid[i] " ")) {
			names = names "," gname[i]
			group_ids = group_ids "," ggid[i]
		} else continue
		shown[ggid[i]] = gname[i] "\t" gmembers[i]
	}
	return first names
}

# Who runs this.
function self(   gid) {
	gid = ENVIRON["CW_GID"]
	print "self\t" uid ":" gid ":" home ":" login_shell() "\t" user
	print "self-groups\t" groups(user, gid, ENVIRON["CW_GIDS"]) "\t" user
}

# The shell of who runs this: what the program around found, or what the passwd entry says.
function login_shell(   line, f, n, i, list, found) {
	if (ENVIRON["CW_WHO"] == "") return ENVIRON["CW_SHELL"]
	while (!found && (getline line < "/etc/passwd") > 0)
		if (split(line, f, ":") == 7 && f[1] == user && f[3] == uid) found = 1
	close("/etc/passwd")
	n = split(ENVIRON["CW_PASSWD"], list, "\n")
	for (i = 1; !found && i <= n; i++) if (split(list[i], f, ":") == 7 && f[1] == user) found = 1
	if (found) return f[7]
	out("missing", user)
	return ""
}

function read_groups(   line, f) {
	while ((getline line < "/etc/group") > 0)
		if (split(line, f, ":") >= 3) { gname[++ngroups] = f[1]; ggid[ngroups] = f[3]; gmembers[ngroups] = f[4] }
	close("/etc/group")
}

function server(   a, line, f, n, list, i) {
	naccounts = split(ENVIRON["CW_ACCOUNTS"] learned, aname, "\n")
	while ((getline line < "/etc/passwd") > 0) passwd_line(line)
	close("/etc/passwd")
	# What getent and id say of accounts that are not in the files.
	n = split(ENVIRON["CW_PASSWD"], list, "\n")
	for (i = 1; i <= n; i++) passwd_line(list[i])
	n = split(ENVIRON["CW_MEMBER"], list, "\n")
	for (i = 1; i <= n; i++) if (split(list[i], f, ":") == 2) gids[f[1]] = f[2]
	for (a = 1; a <= naccounts; a++) {
		if (!(a in ahome)) { out("missing", aname[a]); continue }
		out("groups", aname[a], groups(aname[a], agid[a], gids[aname[a]]))
		agids[a] = group_ids
		want(ahome[a], "a:" auid[a] ":" agids[a])
	}
	if (ENVIRON["CW_SHADOW"] != "") {
		while ((getline line < "/etc/shadow") > 0) {
			n = split(line, f, ":")
			for (a = 1; a <= naccounts; a++)
				if (f[1] == aname[a])
					out("shadow", f[1], (substr(f[2], 1, 1) == "!" ? "locked" : "open") ":" f[3] ":" f[5] ":" f[7] ":" f[8])
		}
		close("/etc/shadow")
	}
	configurations(1)
	if (!authorized_seen) { account_files("authorized", ".ssh/authorized_keys"); account_files("authorized", ".ssh/authorized_keys2") }
	if (!hostkeys) {
		host_key("/etc/ssh/ssh_host_rsa_key")
		host_key("/etc/ssh/ssh_host_ecdsa_key")
		host_key("/etc/ssh/ssh_host_ed25519_key")
	}
	role("nologin", "", "/etc/nologin", "m")
	role("nologin", "", "/run/nologin", "m")
	role("sshd", "", ENVIRON["CW_SSHD"], "m")
}

function client(   n, i, list, path) {
	configurations(0)
	# Where no User is given, ssh logs in by the name of who runs it.
	if (user != "root") learn(user)
	n = split(ENVIRON["CW_KEYS"], list, "\n")
	for (i = 1; i < n; i++) {
		path = substr(list[i], 3)
		role("default", "", path, "m")
		if (substr(list[i], 1, 1) == "r") open_key(path)
	}
	# Keys that lanes name. The one of the URI is only known here where nova.conf was read just now.
	n = split(ENVIRON["CW_NAMED"], list, "\n")
	for (i = 1; i < n; i++) {
		path = substr(list[i], 3)
		client_path("identity", path, "m")
		if (substr(list[i], 1, 1) == "r") open_key(path)
	}
	if (tasks ~ /k/ && keyfile != "") client_path("identity", keyfile, "m")
	n = split(ENVIRON["CW_COPIES"], list, "\n")
	for (i = 1; i < n; i++) role(list[i] ~ /\.pub$/ ? "half" : "copy", "", list[i], "m")
	client_path("known", "~/.ssh/known_hosts", "c")
	client_path("known", "~/.ssh/known_hosts2", "c")
	client_path("known", "/etc/ssh/ssh_known_hosts", "c")
	client_path("known", "/etc/ssh/ssh_known_hosts2", "c")
	role("directory", "", home "/.ssh", "m")
	role("directory", "", home, "m")
	role("hosts", "", "/etc/hosts", "c")
	if (ENVIRON["CW_SSH"] != "") role("ssh", "", ENVIRON["CW_SSH"], "m")
	for (i in roles) {
		split(i, list, SUBSEP)
		if (list[1] != "identity" && list[1] != "default") continue
		want(list[3] ".pub", "c")
		want(list[3] "-cert.pub", "c")
	}
}

# An unencrypted ed25519 key in OpenSSH's format (PROTOCOL.key) whose parts agree needs no ssh-keygen to tell that it
# loads and what its public half is. Everything else is left to ssh-keygen.
#
# ssh insists on a newline behind the last line, and getline is the same with and without: the number of bytes that were
# read, a newline with each line, is printed for the controller to compare with the file's size.
function open_key(path,   line, lines, bytes, b, n, i, v, d, k, len) {
	if ((getline line < path) <= 0 || line != "-----BEGIN OPENSSH PRIVATE KEY-----") { close(path); return }
	b = ""; n = 0
	while ((getline line < path) > 0 && line !~ /^-/ && n++ < 12) { b = b line; lines++ }
	close(path)
	if (line != "-----END OPENSSH PRIVATE KEY-----") return
	# 61 bytes of header; what follows them shares a digit with the key itself.
	if (substr(b, 1, 81) != "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAA") return
	if (!("A" in digit)) for (i = 0; i < 64; i++) digit[substr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", i + 1, 1)] = i
	len = length(b)
	bytes = 36 + len + lines + 34
	if (len % 4) return
	n = 0
	for (i = 1; i <= len; i += 4) {
		if (!(substr(b, i, 1) in digit) || !(substr(b, i + 1, 1) in digit)) return
		v = digit[substr(b, i, 1)] * 262144 + digit[substr(b, i + 1, 1)] * 4096
		k = 1
		if (substr(b, i + 2, 1) in digit) { v += digit[substr(b, i + 2, 1)] * 64; k = 2 }
		else if (i + 4 <= len || substr(b, i + 2, 2) != "==") return
		if (substr(b, i + 3, 1) in digit) { if (k == 1) return; v += digit[substr(b, i + 3, 1)]; k = 3 }
		else if (i + 4 <= len || substr(b, i + 3, 1) != "=") return
		d[n++] = int(v / 65536)
		if (k > 1) d[n++] = int(v / 256) % 256
		if (k > 2) d[n++] = v % 256
	}
	# 43 bytes of header, the public key (51), the length of the private part (4), and that part: two equal check
	# integers (8), the public key again (51), the secret with the public key behind it (4 + 64), a comment, padding.
	len = uint32(d, 94)
	if (n != 98 + len || len % 8 || len < 136 || d[61] != 32) return
	for (i = 0; i < 4; i++) if (d[98 + i] != d[102 + i]) return
	for (i = 0; i < 51; i++) if (d[43 + i] != d[106 + i]) return
	if (uint32(d, 157) != 64) return
	for (i = 0; i < 32; i++) if (d[62 + i] != d[193 + i]) return
	k = 229 + uint32(d, 225)
	if (k > n || n - k > 7) return
	for (i = k; i < n; i++) if (d[i] != i - k + 1) return
	v = ""
	for (i = 62; i < 94; i++) v = v sprintf("%02x", d[i])
	out("key", v, path)
	out("key-bytes", bytes, path)
}

function uint32(d, i) {
	return d[i] * 16777216 + d[i + 1] * 65536 + d[i + 2] * 256 + d[i + 3]
}

# The options of nova.conf that are wanted, and those that they refer to, line by line as they are written.
function nova(   n, i, j, files, path, line, section, key, name, count, lines, keep, changed, s, eq, co) {
	wants = " DEFAULT.my_ip DEFAULT.host DEFAULT.instances_path DEFAULT.state_path libvirt.virt_type " \
		"libvirt.migration_inbound_addr libvirt.live_migration_inbound_addr libvirt.live_migration_scheme " \
		"libvirt.live_migration_uri libvirt.live_migration_tunnelled libvirt.remote_filesystem_transport " \
		"DEFAULT.max_concurrent_live_migrations "
	n = split(ENVIRON["CW_NOVA"], files, "\n")
	for (i = 1; i < n; i++) {
		path = substr(files[i], 3)
		out("nova-file", substr(files[i], 1, 1), path)
		if (substr(files[i], 1, 1) != "r") continue
		nread++
		section = ""; name = ""
		while ((getline line < path) > 0) {
			if (line ~ /^[ \t\r\f\v]*$/) { name = ""; continue }
			if (line ~ /^[ \t]/) {
				if (name != "") value[name, of[name]] = value[name, of[name]] "\n" i "\t" line
				else if (section == "" && !(i in bad)) bad[i] = "a continuation line of nothing"
				continue
			}
			name = ""
			if (substr(line, 1, 1) == "[") {
				section = line
				sub(/[ \t\r]+$/, "", section)
				if (section !~ /\]$/) bad[i] = "a section without its closing bracket"
				section = substr(section, 2, length(section) - 2)
				if (section != "DEFAULT") section = tolower(section)
				continue
			}
			if (line ~ /^[#;]/) continue
			eq = index(line, "="); co = index(line, ":")
			if (!eq || (co && co < eq)) eq = co
			if (!eq) { bad[i] = "a line that assigns nothing"; continue }
			if (section == "") bad[i] = "an option before the first section"
			key = substr(line, 1, eq - 1)
			gsub(/^[ \t]+|[ \t]+$/, "", key)
			name = section "." key
			value[name, ++of[name]] = i "\t" line
		}
		close(path)
	}
	for (i in bad) out("nova-bad", bad[i], i)
	do {
		changed = 0
		for (name in of) {
			if (name in keep || !index(wants, " " name " ")) continue
			keep[name] = changed = 1
			for (j = 1; j <= of[name]; j++) references(value[name, j], substr(name, 1, index(name, ".") - 1))
		}
	} while (changed)
	for (name in keep)
		for (j = 1; j <= of[name]; j++) {
			count = split(value[name, j], lines, "\n")
			for (i = 1; i <= count; i++) print "nova\t" substr(name, 1, index(name, ".") - 1) "\t" lines[i]
		}
	i = last("libvirt.live_migration_uri") last("libvirt.live_migration_scheme")
	if (i ~ /ssh|\$/ || !nread) out("hint", "live")
	if (match(i, /:\/\/[A-Za-z0-9._-]+@/)) learn(substr(i, RSTART + 3, RLENGTH - 4))
	# libvirt gives it to ssh as -i. What has to be decoded first is left alone.
	i = last("libvirt.live_migration_uri")
	if (i ~ /^[a-z]+[+]ssh:/ && match(i, /[?&;]keyfile=[^&;#]*/)) keyfile = substr(i, RSTART + 9, RLENGTH - 9)
	if (keyfile !~ /^\/[A-Za-z0-9@_+.,:\/-]*$/) keyfile = ""
	if (keyfile != "") out("hint", "key " keyfile)
	if (last("DEFAULT.my_ip") == "") out("hint", "my-ip")
	if (index(last("libvirt.migration_inbound_addr"), "%")) out("hint", "canonical")
	s = last("DEFAULT.instances_path")
	if (s == "") s = "$state_path/instances"
	i = last("DEFAULT.state_path")
	if (match(s, /\$(state_path|\{state_path\})/)) s = substr(s, 1, RSTART - 1) i substr(s, RSTART + RLENGTH)
	if (substr(s, 1, 1) == "/" && !index(s, "$")) role("instances", "", s, "m")
}

function references(text, section,   name) {
	while (match(text, /\$\{?[_A-Za-z][._A-Za-z0-9]*/)) {
		name = substr(text, RSTART + 1, RLENGTH - 1)
		text = substr(text, RSTART + RLENGTH)
		sub(/^\{/, "", name)
		wants = wants name " " section "." name " DEFAULT." name " "
	}
}

# The name of an account that somebody here would log in to elsewhere: its like may be here too.
function learn(name) {
	if (name !~ /^[A-Za-z0-9._][A-Za-z0-9._-]*$/ || (name in taught) || length(learned) > 500) return
	taught[name] = 1
	if (index("\n" ENVIRON["CW_ACCOUNTS"] "\n", "\n" name "\n")) return
	learned = learned "\n" name
	out("user", name)
}

# The value of an option as it is written, the last one given.
function last(name,   s) {
	if (!(name in of)) return ""
	s = value[name, of[name]]
	sub(/^[^=:]*[=:][ \t]*/, "", s)
	sub(/[ \t\r]+$/, "", s)
	if (s ~ /^".*"$/ || s ~ /^'.*'$/) s = substr(s, 2, length(s) - 2)
	return s
}

function system_name(   line) {
	while ((getline line < "/etc/os-release") > 0) if (line ~ /^PRETTY_NAME=/) out("os", substr(line, 13))
}

function host(   line, f, ip, found) {
	# The seed that srand() gives back is the time. Newer releases of mawk count it in nanoseconds, and some awks write
	# numbers behind 2038 as 2.1e+09.
	srand()
	line = srand()
	if (line > 1e12) line = int(line / 1e9)
	out("clock", sprintf("%.0f", line))
	while ((getline line < "/proc/net/if_inet6") > 0) if (split(line, f, " ") > 1) out("address6", f[1])
	while ((getline line < "/proc/net/fib_trie") > 0) {
		split(line, f, " ")
		if (f[1] == "|--") ip = f[2]
		else if (f[1] == "/32" && f[2] == "host" && f[3] == "LOCAL") found[ip] = 1
	}
	for (ip in found) out("address", ip)
}

BEGIN {
	home = ENVIRON["CW_HOME"]; user = ENVIRON["CW_USER"]; uid = ENVIRON["CW_UID"]
	tasks = ENVIRON["CW_DO"]
	if (tasks ~ /[hs]/) system_name()
	if (tasks ~ /h/) host()
	read_groups()
	self()
	if (tasks ~ /n/) nova()
	if (tasks ~ /c/) client()
	if (tasks ~ /s/) server()
	if (slow) out("hint", "slow")
	for (i in shown) print "group\t" i "\t" shown[i] "\t" primary[i]
	for (i = 1; i <= orders; i++) print "want\t" wanted[order[i]] "\t" order[i]
	print "done"
}
