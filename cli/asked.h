/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device as decide() is asked about it by weir explain: its row, and the
 * credential that it would show.
 */
#ifndef CLI_ASKED_H
#define CLI_ASKED_H

#include "cli/command.h"
#include "core/decide.h"

/* Does not move: who points into it. */
struct asked {
	bool found;           /* the registry has the device */
	struct device device; /* its status is what it amounts to now */
	bool registered;      /* it has a credential, this one */
	struct credential credential;
	struct certificate certificate;
	struct subject who;
};

/*
 * Looks device ID up in R, under POLICY (kept by out->who). The credential is
 * the newest one that is active and valid now, else the newest of all; none
 * leaves the connection without a certificate. A device that is not there
 * shows a certificate that nobody knows. Release with asked_fini.
 *
 * What a certificate file would state of a SIM is not known here: the
 * registry does not keep it.
 */
MUST bool asked_load(const struct cli *c, struct registry *r,
	const struct policy *policy, struct str id, struct asked *out,
	struct err *e);
void asked_fini(struct asked *a);

#endif
