/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dynamic-security.json, as the plugin of Mosquitto 2.0 reads it: clients and
 * groups have roles, roles have rules.
 *
 * Its ways, which are kept: a client's roles are asked first, then its groups'
 * roles; of each the higher priority first, and of equal ones the lesser name
 * (roles, groups) or the earlier (rules); a literal subscription before the
 * patterns of its role; then the defaults.
 *
 * Stricter than Mosquitto, which skips in silence what it does not understand:
 * unknown keys, invalid filters, names without an owner, and names given
 * twice are errors. So are %c and %u: text in Mosquitto 2.0, variables in 2.1.
 */
#ifndef IO_DYNSEC_JSON_H
#define IO_DYNSEC_JSON_H

#include "io/acl.h"

#define DYNSEC_PRIORITY_MAX 1000000 /* and its negative */

/* True when TEXT is JSON's and no acl_file: its first byte, blanks apart. */
bool dynsec_json_is(struct str text);

/*
 * Reads TEXT (borrowed) into *out, given: acl_free. Clients of equal roles share
 * their rules. False: ERRS lists what is wrong, and *out is untouched.
 * O(n log n) in what is read, and linear in the rules that are made.
 */
MUST bool dynsec_json_parse(
	struct str text, struct acl *out, struct errs *errs);

#endif
