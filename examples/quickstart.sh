#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/quickstart.sh [--once]
#
# Builds Weir, gives a small fleet its certificates, and shows on a real
# Mosquitto what passes, what is refused and why, how fast a revoked device is
# gone, and what weir-feed tells of it over HTTP. Everything lives in a new folder under /tmp and on a free
# port of 127.0.0.1; nothing of your system changes but missing packages,
# which it installs.
#
# Afterwards the broker keeps running for you to play with, until Ctrl-C.
# With --once it ends there; the exit status says whether all went as told.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH=$PATH:/usr/sbin LC_ALL=C.UTF-8

once=
case "${1-}" in
'') ;;
--once) once=1 ;;
-h | --help)
	sed -n '4,/^set/{/^#/s/^# \{0,1\}//p}' "$0"
	exit 0
	;;
*)
	echo 'usage: examples/quickstart.sh [--once]' >&2
	exit 2
	;;
esac

# ----------------------------------------------------------------- telling

bold='' dim='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi
good=0 bad=0

chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
tell() { printf '  %s\n' "$1"; }
quote() { sed "s/^/      ${dim}/; s/\$/${plain}/"; }

check() { # STATUS SENTENCE: one thing that must be so
	if [ "$1" -eq 0 ]; then
		good=$((good + 1))
		printf '  %s✓%s %s\n' "$green" "$plain" "$2"
	else
		bad=$((bad + 1))
		printf '  %s✗ %s%s\n' "$red" "$2" "$plain"
	fi
}

# run COMMAND…: shows the command and what it prints; its status is ours.
run() {
	local out status=0 shown=$*

	shown=${shown//"$weir"/weir}
	printf '  %s$ %s%s\n' "$bold" "${shown//"$dir"\//}" "$plain"
	out=$("$@" 2>&1) || status=$?
	[ -z "$out" ] || quote <<<"${out//"$dir"\//}"
	return "$status"
}

# ---------------------------------------------------------------- building

if [ -z "${WEIR_QUICKSTART_BUILT-}" ]; then
	chapter 'Building'
	tests/support/install.sh build
	log=$(mktemp)
	begin=$SECONDS
	if ! { cmake -B build && cmake --build build -j "$(nproc)" \
		--target weir weir-feed mosquitto_weir; } >"$log" 2>&1; then
		cat "$log"
		rm -f "$log"
		echo 'quickstart: the build failed; its output is above' >&2
		exit 3
	fi
	rm -f "$log"
	tell "build/bin/weir, weir-feed and build/lib/mosquitto_weir.so ($((SECONDS - begin)) s)"
fi

# The broker must run as a user of its own, one that cannot read the CA's
# key: that takes root, from here on.
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo 'quickstart: run it as root (or install sudo): it starts' \
			'the broker as the user mosquitto' >&2
		exit 3
	fi
	exec sudo WEIR_QUICKSTART_BUILT=1 "$PWD/examples/quickstart.sh" "$@"
fi

# ----------------------------------------------------------- a place to be

umask 022
dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-quickstart.XXXXXX")
chmod 0711 "$dir" # the broker's user passes through, and lists nothing
weir=$PWD/build/bin/weir
export WEIR_STATE=$dir/state WEIR_CA=$dir/ca
children=() listeners=()

clean_up() {
	local pid

	trap '' INT TERM
	for pid in "${children[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	for pid in "${children[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# ---------------------------------------------------------------- awaiting

# await FD PATTERN SECONDS: reads lines from FD until one matches the
# extended regex; that line is then in $line. False when time is up or the
# writer is gone.
await() {
	local until=$((SECONDS + $3))

	while [ "$SECONDS" -le "$until" ]; do
		IFS= read -r -t "$3" -u "$1" line || return 1
		[[ ! $line =~ $2 ]] || return 0
	done
	return 1
}

# Stamps each line with the time it came, and the end with a line of its own.
stamp() {
	local text

	while IFS= read -r text; do
		printf '%s %s\n' "$EPOCHREALTIME" "$text"
	done
	printf '%s the client ended\n' "$EPOCHREALTIME"
}

# What CLIENT (certificate $dir/certs/CLIENT.crt) is called with, besides a
# client id.
tls() {
	printf '%s\n' -V 5 -h 127.0.0.1 -p "$port" --cafile "$dir/ca/ca.crt" \
		--cert "$dir/certs/$1.crt" --key "$dir/certs/$1.key"
}

# publish CERTIFICATE CLIENT-ID TOPIC TEXT: sends one QoS 1 message; the
# client's words are then in $said. Where its status is let go (|| true), what
# arrives, or does not, decides.
publish() {
	local args

	mapfile -t args < <(tls "$1")
	said=$(timeout 10 mosquitto_pub "${args[@]}" -i "$2" -q 1 -t "$3" \
		-m "$4" 2>&1)
}

# listen CERTIFICATE CLIENT-ID FILTER…: subscribes in the background and
# returns once the broker has answered; its lines, stamped, are read from $fd.
listen() {
	local args filter cert=$1 id=$2

	mapfile -t args < <(tls "$cert")
	shift 2
	for filter in "$@"; do args+=(-t "$filter"); done
	mkfifo "$dir/$id.pipe"
	stdbuf -oL mosquitto_sub "${args[@]}" -i "$id" -q 1 -d \
		-F 'message %t %p' >"$dir/$id.pipe" 2>&1 &
	children+=($!) listeners+=($!)
	exec {fd}< <(stamp <"$dir/$id.pipe")
	await "$fd" 'Subscribed \(mid' 10
}

# logged REASON: the newest line of the broker's log that names the reason.
logged() {
	grep -E "(^|[^a-z_])$1([^a-z_]|\$)" "$dir/broker/log" | tail -n 1
}

# ------------------------------------------------------------------- fleet

chapter 'A registry, a policy and five devices'
export WEIR_BROKER_USER=mosquitto
examples/first-light/setup.sh "$weir" >"$dir/setup.log" 2>&1 || {
	quote <"$dir/setup.log"
	check 1 'the example registry was made'
	exit 1
}
tell 'examples/first-light: payment terminals till-7 and till-8, meters'
tell 'meter-12 and meter-13, and a backend service, ledger'
run "$weir" device list

chapter 'A certificate for each'
run "$weir" ca init --name Quickstart
run "$weir" ca server --host localhost --ip 127.0.0.1 --out "$dir/broker"
run "$weir" cert issue till-7 --out "$dir/certs"
for id in meter-12 ledger; do
	run "$weir" cert issue "$id" --out "$dir/certs" | sed -n 1p
done

# ------------------------------------------------------------------ broker

chapter 'The broker'
broker=$dir/broker
cp build/lib/mosquitto_weir.so "$dir/ca/ca.crt" "$broker/"
mkdir "$broker/persistence"
chown -R mosquitto: "$broker"
chmod 0755 "$broker"

# start_broker: on a port that is free; a port someone else has is not an
# error, just the wrong one.
start_broker() {
	local try fd_log tail_pid

	for try in {1..20}; do
		port=$((20000 + RANDOM % 12000))
		tests/support/derive_conf.sh "listener $port 127.0.0.1" \
			"cafile $broker/ca.crt" "certfile $broker/server.crt" \
			"keyfile $broker/server.key" \
			"persistence_location $broker/persistence" \
			"plugin $broker/mosquitto_weir.so" \
			"plugin_opt_state $WEIR_STATE" \
			<broker-conf/mosquitto.conf >"$broker/mosquitto.conf"
		: >"$broker/log"
		mosquitto -c "$broker/mosquitto.conf" 2>>"$broker/log" &
		broker_pid=$!
		exec {fd_log}< <(exec tail -n +1 -s 0.1 --pid="$broker_pid" \
			-f "$broker/log")
		tail_pid=$!
		if await "$fd_log" ' running$' 20; then
			kill "$tail_pid" 2>/dev/null || true
			exec {fd_log}<&-
			children+=("$broker_pid")
			return 0
		fi
		exec {fd_log}<&-
		kill "$broker_pid" 2>/dev/null || true
		wait "$broker_pid" 2>/dev/null || true
		grep -q 'Address already in use' "$broker/log" || return 1
		tell "port $port is taken (attempt $try)"
	done
	return 1
}
if ! start_broker; then
	quote <"$broker/log"
	check 1 'the broker starts'
	exit 1
fi
user=$(ps -o user= -p "$broker_pid" | xargs)
[ "$user" = mosquitto ] && status=0 || status=1
check "$status" "$(mosquitto -h | sed -n '1s/ version//p') runs as the user \
$user on 127.0.0.1:$port, from broker-conf/mosquitto.conf"

# --------------------------------------------------------------- what passes

chapter 'What its class allows passes'
status=0
listen ledger ledger 'pay/+/status' 'meter/+/reading' || status=1
fd_ledger=$fd
check "$status" 'ledger (class backend) subscribes to pay/+/status and meter/+/reading'
publish till-7 till-7 pay/till-7/status online || true
await "$fd_ledger" '^[0-9.]+ message pay/till-7/status online$' 5 && status=0 || status=1
check "$status" 'till-7   publishes pay/till-7/status "online": ledger receives it'
publish meter-12 meter-12 meter/meter-12/reading 230.1V || true
await "$fd_ledger" '^[0-9.]+ message meter/meter-12/reading 230\.1V$' 5 && status=0 || status=1
check "$status" 'meter-12 publishes meter/meter-12/reading "230.1V": ledger receives it'

# ------------------------------------------------------------ what does not

chapter 'What no rule allows does not'
# MQTT 5 tells the client: reason code 0x87.
publish till-7 till-7 pay/till-8/status forged || true
[[ $said == *[Nn]'ot authorized'* ]] && status=0 || status=1
publish till-7 till-7 pay/till-7/status still-here || true
# Messages of one client to one subscriber keep their order: had the forged
# one passed, it would be next.
await "$fd_ledger" '^[0-9.]+ message ' 5 || status=1
[[ $line == *'message pay/till-7/status still-here' ]] || status=1
check "$status" 'till-7 publishes pay/till-8/status "forged": refused, ledger never sees it'
tell 'The broker logged:'
logged no_rule | quote || check 1 'the log names the reason no_rule'
tell 'And the same code that refused it explains it:'
run "$weir" explain till-7 publish pay/till-8/status --qos 1 && status=1 || status=$?
[ "$status" -eq 1 ] && status=0 || status=1
check "$status" 'weir explain says why, and which line would allow it'

chapter 'Who is not known does not come in'
# A certificate that our own CA signed, for a registry this broker does not
# have: the chain is fine, the device is nobody.
{
	"$weir" --state "$dir/elsewhere" init
	"$weir" --state "$dir/elsewhere" policy apply \
		examples/first-light/policy.json --yes
	"$weir" --state "$dir/elsewhere" device add till-99 \
		--class payment-terminal --iccid 8944010000000000017 \
		--imei 356638061234511
	"$weir" --state "$dir/elsewhere" cert issue till-99 --out "$dir/certs"
} >"$dir/elsewhere.log" 2>&1 || quote <"$dir/elsewhere.log"

refused() { # CERTIFICATE CLIENT-ID REASON SENTENCE
	local status=0

	publish "$1" "$2" "pay/$2/status" hello && status=1
	logged "$3" >"$dir/line" || status=1
	check "$status" "$4: $3"
	quote <"$dir/line"
}
refused till-99 till-99 unknown_certificate \
	'till-99 shows a certificate of our CA that the registry does not hold'
refused till-7 till-8 client_id_mismatch \
	'till-7 shows its own certificate but says it is till-8'

# ----------------------------------------------------------------- revoked

chapter 'Who is revoked is gone'
status=0
listen till-7 till-7 'pay/till-7/cmd/#' || status=1
fd_till=$fd
check "$status" 'till-7 is connected and waits for commands'
begin=$EPOCHREALTIME
status=0
run "$weir" cert revoke till-7 --wait 5s || status=1
await "$fd_till" 'received DISCONNECT|sending CONNECT|client ended$' 5 || status=1
ended=${line%% *}
took=$(awk "BEGIN { printf \"%.3f\", $ended - $begin }")
awk "BEGIN { exit !($took >= 0 && $took < 1) }" || status=1
check "$status" "$took s from the start of the command to the end of the connection"
refused till-7 till-7 certificate_revoked 'till-7 comes back'

# ---------------------------------------------------------------- the feed

chapter 'The fleet over HTTP'
# As its own user where there is one, else as nobody: never as root.
feed_user='weir-feed'
id -u "$feed_user" >/dev/null 2>&1 || feed_user=nobody
mkdir "$dir/feed"
cp build/bin/weir-feed "$dir/feed/"
chown -R "$feed_user" "$WEIR_STATE/usage" "$WEIR_STATE/live"
: >"$dir/feed/log"
setpriv --reuid="$feed_user" --regid="$(id -g "$feed_user")" \
	--groups="$(stat -c %g "$WEIR_STATE")" \
	"$dir/feed/weir-feed" --state "$WEIR_STATE" --listen 127.0.0.1:0 \
	2>>"$dir/feed/log" &
feed_pid=$!
children+=("$feed_pid")
exec {fd_feed}< <(exec tail -n +1 -s 0.1 --pid="$feed_pid" -f "$dir/feed/log")
tail_pid=$!
await "$fd_feed" '"url":"([^"]+)"' 20 && status=0 || status=1
url=${BASH_REMATCH[1]-}
kill "$tail_pid" 2>/dev/null || true
exec {fd_feed}<&-
check "$status" "weir-feed runs as the user $feed_user at $url"
[ "$status" -eq 0 ] || quote <"$dir/feed/log"

# Who it is, of which class, may it connect, what has it sent.
fleet='.devices[] | [.device.id, .device.class, .device.effective_status, .usage.messages_in]'
printf '  %s$ curl -s %s/api/v1/devices | jq -c '\''%s'\''%s\n' \
	"$bold" "$url" "$fleet" "$plain"
status=0
curl -s --max-time 10 "$url/api/v1/devices" | jq -c "$fleet" >"$dir/fleet" ||
	status=1
quote <"$dir/fleet"
# till-7 was heard before its certificate was revoked.
grep -qE '^\["till-7","payment-terminal","active",[1-9]' "$dir/fleet" || status=1
[ "$(wc -l <"$dir/fleet")" -eq 5 ] || status=1
check "$status" 'one line of curl shows the five devices, and what till-7 has sent'

# --------------------------------------------------------------- the result

kill -0 "$broker_pid" 2>/dev/null || check 1 'the broker is still there'
chapter "$good checks as told, $bad not"
if [ "$bad" -gt 0 ]; then
	tell 'The broker'\''s log:'
	quote <"$broker/log"
fi
if [ -n "$once" ]; then
	[ "$bad" -eq 0 ]
	exit
fi

# The demonstration's clients would fight yours for their client ids.
kill "${listeners[@]}" 2>/dev/null || true

cat <<END

  The broker keeps running. In another terminal, as root:

    cd $PWD
    export WEIR_STATE=$WEIR_STATE WEIR_CA=$WEIR_CA
    alias weir=build/bin/weir
    tls="-h 127.0.0.1 -p $port --cafile $dir/ca/ca.crt"
    as() { echo "-i \$1 --cert $dir/certs/\$1.crt --key $dir/certs/\$1.key"; }

    mosquitto_sub \$tls \$(as ledger) -v -t meter/+/reading &
    mosquitto_pub \$tls \$(as meter-12) -t meter/meter-12/reading -m 231.0V
    weir explain meter-12 subscribe grid/south/tariff
    weir cert issue till-7 --out $dir/certs     # a new one after the revoked
    weir suspend meter-12 --reason 'trying it out' --wait 5s
    weir status
    weir audit list

    curl -s $url/api/v1/devices | jq -c '$fleet'
    curl -s $url/metrics

  The broker's log follows. Ctrl-C ends the broker and removes $dir.

END
tail -n 0 -f --pid="$broker_pid" "$broker/log"
