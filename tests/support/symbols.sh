#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# symbols.sh TREE: what the built libraries need and offer, against what they
# may. TREE is a Release build without sanitizers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tree=$1
core=$tree/lib/libweir_core.a
plugin=$tree/lib/mosquitto_weir.so
status=0

complain() {
	printf '%s\n' "$1"
	status=1
}

# Memory, strings, sorting and one formatter: nothing that reads a file, a
# clock, the environment or a locale. The second line is what the compiler
# puts in for -fstack-protector-strong and _FORTIFY_SOURCE.
allowed='memchr memcmp memcpy memset memmove strlen malloc calloc realloc free qsort bsearch vsnprintf
__stack_chk_fail __memcpy_chk __memset_chk __memmove_chk __vsnprintf_chk _GLOBAL_OFFSET_TABLE_'

needs=$(comm -23 \
	<(nm -A --undefined-only "$core" | awk '{print $NF}' | sort -u) \
	<({
		nm --defined-only "$core" | awk 'NF == 3 {print $3}'
		tr ' ' '\n' <<<"$allowed"
	} | sort -u))
[ -z "$needs" ] || complain "core is not pure, it calls: ${needs//$'\n'/ }"

# No mutable globals in core: its writable sections are empty. (.data.rel.ro
# is constant once loaded.)
writable=$(size -A "$core" |
	awk '$1 ~ /^\.(t?data|t?bss|data\.rel|data\.rel\.local)$/ && $2 > 0 ||
		/ex / {print}' |
	awk '/ex / {file = $1; next} {print file ":" $1}')
[ -z "$writable" ] || complain "core has mutable globals: ${writable//$'\n'/ }"

exports=$(nm -D --defined-only "$plugin" | awk '{print $NF}' | sort | xargs)
expected='mosquitto_plugin_cleanup mosquitto_plugin_init mosquitto_plugin_version'
[ "$exports" = "$expected" ] ||
	complain "the plugin exports: $exports; it must export: $expected"

# Functions that do not know a length, or keep hidden state.
banned='strcpy|strcat|sprintf|vsprintf|strncpy|strncat|strtok|atoi|atol|sscanf|gets|alloca|gmtime|localtime'
# shellcheck source=tests/support/lib.sh
. tests/support/lib.sh
used=$(sources '*.c' '*.h' | xargs grep -nE "\b($banned)[[:space:]]*\(" || true)
[ -z "$used" ] || complain "banned functions:
$used"

exit "$status"
