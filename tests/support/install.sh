#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# install.sh build|tests|systemd
#
# Installs those Debian packages of the named list that are missing; does and
# says nothing when all are there. `build`: to build Weir and run the
# quickstart. `tests`: those and what tests/run.sh needs. `systemd`: those and
# what its lane of that name needs.
#
# WEIR_NO_INSTALL=1: never install; for machines that get the tools by other
# means. Exit status: 0 all there, 2 usage, 3 they cannot be installed.
set -euo pipefail

build_packages=(
	# what compiles it; cmake's default generator is make
	gcc libc6-dev make cmake pkg-config
	# mosquitto.h is in libmosquitto-dev, mosquitto_broker.h and
	# mosquitto_plugin.h are in mosquitto-dev
	libmosquitto-dev mosquitto-dev
	libssl-dev libcjson-dev libsqlite3-dev libcmocka-dev
	libwebsockets-dev
	# what the quickstart runs: the broker, mosquitto_pub and _sub, and what
	# asks the feed
	mosquitto mosquitto-clients curl jq
)
test_packages=(
	ninja-build clang clang-tidy clang-format libclang-rt-14-dev llvm
	cppcheck valgrind gcovr shellcheck binutils
	python3 python3-pytest python3-pytest-xdist python3-paho-mqtt python3-jsonschema
	python3-websocket
	openssl sqlite3 util-linux
	# the manual page is read as people read it
	man-db groff-base
	# other readers of our certificates, a CA's key in a token, and what a
	# process does and leaves
	gnutls-bin libnss3-tools libmbedtls-dev softhsm2 libengine-pkcs11-openssl strace
	# it scrapes weir-feed, and checks the rules that are shipped for it
	prometheus
)

# A Debian to boot, and what boots it.
systemd_packages=(debootstrap systemd-container)

die() { # STATUS MESSAGE
	printf 'install.sh: %s\n' "$2" >&2
	exit "$1"
}

case "${1-}" in
build) wanted=("${build_packages[@]}") ;;
tests) wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
systemd) wanted=("${build_packages[@]}" "${test_packages[@]}"
	"${systemd_packages[@]}") ;;
*) die 2 'usage: install.sh build|tests|systemd' ;;
esac

[ "${WEIR_NO_INSTALL-}" != 1 ] || exit 0

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	die 3 "this is not a Debian-like system: install the equivalents of
  ${wanted[*]}
yourself (Debian 12's versions are the tested ones), then run again with
WEIR_NO_INSTALL=1"
fi

# npm is a package of its own, or comes with another nodejs than Debian's.
if [ "$1" != build ] && ! command -v npm >/dev/null; then
	wanted+=(nodejs npm)
fi

missing=()
for p in "${wanted[@]}"; do
	# shellcheck disable=SC2016 # ${...} is dpkg-query's, not the shell's
	state=$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$p")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || die 3 "these packages are missing:
  ${missing[*]}
and neither root nor sudo is at hand; as root run
  apt-get install ${missing[*]}"
	as_root=(sudo)
fi

# Its package would start it, now and at each boot; the tests start their own.
# Without systemd nothing is started here: Debian's policy is to wait.
if [[ " ${missing[*]} " == *" prometheus "* && -d /run/systemd/system ]]; then
	"${as_root[@]}" systemctl mask prometheus.service 2>/dev/null &&
		printf 'prometheus.service is masked: systemctl unmask it to use it\n'
fi

printf 'installing %s packages: %s\n' "${#missing[@]}" "${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@"
}
# The package lists are fetched only when the install fails without them.
if ! apt install --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
	if ! { apt update && apt install --no-install-recommends \
		"${missing[@]}"; } >"$log" 2>&1; then
		cat "$log" >&2
		die 3 'apt-get could not install them; its output is above'
	fi
fi
