/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the CA is, told to the registry (meta 'ca_dir'): the plugin does not
 * start when it can read the ca.key there, since whoever breaks into the
 * broker could then make devices.
 */
#ifndef CLI_CA_DIR_H
#define CLI_CA_DIR_H

#include "cli/command.h"

/* In a transaction of R: sets ca_dir to the absolute path of C's CA, which is
 * there, unless it is that already. */
MUST bool ca_dir_record(const struct cli *c, struct registry *r, struct err *e);

/* The same in a transaction of its own, when there is a registry that can be
 * written. A failure is only said: the command has done its work. */
void ca_dir_note(const struct cli *c);

#endif
