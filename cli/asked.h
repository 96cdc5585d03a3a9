/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device as decide() is asked about it by weir explain: its row, and the
 * credential that it would show.
 */
#ifndef CLI_ASKED_H
#define CLI_ASKED_H

#include "cli/live_view.h"
#include "core/decide.h"

/* Does not move: who points into it. */
struct asked {
	bool found;           /* the registry has the device */
	struct device device; /* its status is what it amounts to now */
	bool registered;      /* it has a credential, this one */
	struct credential credential;
	struct certificate certificate;
	/* In force, lent by the view; NULL: none. It counts where the registry
	 * has the device as active: who.confined. */
	const struct quarantine *by_feed;
	struct subject who;
};

/* Where answers come from; all borrowed. */
struct asking {
	const struct cli *c;
	struct registry *r;
	const struct policy *policy;
	const struct live_view *live;
};

/*
 * Looks device ID up, as the broker does (its policy is kept by out->who, and
 * its view of live.db). The credential is
 * the newest one that is active and valid now, else the newest of all; none
 * leaves the connection without a certificate. A device that is not there
 * shows a certificate that nobody knows. Release with asked_fini.
 *
 * What a certificate file would state of a SIM is not known here: the
 * registry does not keep it.
 */
MUST bool asked_load(const struct asking *from, struct str id,
	struct asked *out, struct err *e);
void asked_fini(struct asked *a);

#endif
