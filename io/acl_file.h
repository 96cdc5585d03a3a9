/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mosquitto's acl_file, as Mosquitto 2.0 reads it (src/security_default.c,
 * mosquitto.conf(5)): lines of `user NAME`, `topic [ACCESS] FILTER` and
 * `pattern [ACCESS] FILTER`, ACCESS one of read, write, readwrite (which none
 * means) and deny.
 *
 * Its ways, which are kept: a comment is a line whose first byte is '#'; the
 * words are parted by blanks, and a tab is no blank; a filter or a name is the
 * rest of its line, trimmed, so it may hold blanks; `topic read` alone is about
 * the topic "read"; patterns belong to no user wherever they stand; a user
 * named twice is one; what denies is asked first, among a user's own rules and
 * then among patterns.
 */
#ifndef IO_ACL_FILE_H
#define IO_ACL_FILE_H

#include "io/acl.h"

/*
 * Reads TEXT (borrowed, and kept by *out) into *out, given: acl_free. False:
 * ERR_INPUT with the line, for what keeps Mosquitto from starting, for a
 * control character or malformed UTF-8, and beyond the limits of io/acl.h;
 * ERR_ENVIRONMENT, memory. O(n log n), users apart: O(users²) comparisons.
 */
MUST bool acl_file_parse(struct str text, struct acl *out, struct err *e);

#endif
