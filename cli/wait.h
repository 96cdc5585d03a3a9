/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting until the broker has taken up what was committed (--wait).
 *
 * The plugin publishes in meter.seg up to which change it has applied and
 * which policy revision is in force; these functions watch that, every 20 ms.
 * A broker that does not run is no failure: what was committed is in force
 * when it starts.
 */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include "cli/command.h"
#include "cli/output.h"
#include "core/meter.h"

#define WAIT_OPTION                                                            \
	{                                                                      \
		"wait", '\0', OPT_VALUE, "DUR",                                \
			"wait until the broker has applied it, at most DUR"    \
	}

enum wait_end {
	WAIT_TIMEOUT = 0, /* a broker runs and has not applied it */
	WAIT_NO_BROKER,
	WAIT_REFUSED, /* the broker could not load the policy: see error */
	WAIT_APPLIED,
};

/* What one change did. */
struct wait_closed {
	int64_t change;
	char device_id[DEVICE_ID_MAX + 1];
	uint32_t closed; /* connections */
	bool known;      /* false: the broker no longer says */
};

struct wait_result {
	enum wait_end end;
	int64_t waited_ms;
	int64_t pid; /* of the broker, as it says; 0: none */
	char error[METER_TEXT + 1];
	size_t n;
	struct wait_closed *changes; /* in order of seq; see wait_fini */
};

/* The value of --wait in seconds; *given is false when it was not given. */
MUST bool wait_option(
	const struct cli *c, bool *given, int64_t *wait_s, struct err *e);

/* Changes AFTER < seq <= LAST: what one transaction wrote. AFTER is the
 * newest change (registry_heads) between registry_begin and the first write. */
struct change_range {
	int64_t after, last;
};

/*
 * Waits at most WAIT_S seconds until every change of RANGE is in force. Call
 * it between registry_commit and registry_close of R. *out is given:
 * wait_fini. False: the registry or the segment cannot be read.
 */
MUST bool wait_changes(const struct cli *c, struct registry *r,
	struct change_range range, int64_t wait_s, struct wait_result *out,
	struct err *e);

/* Waits until policy REVISION or a newer one is in force, or the broker
 * reports that it could not load it. */
MUST bool wait_policy(const struct cli *c, int64_t revision, int64_t wait_s,
	struct wait_result *out, struct err *e);

void wait_fini(struct wait_result *w);

/* Says for people what came of it: which connections were closed, how long
 * it took, or that no broker runs. */
void wait_print(const struct wait_result *w);
/* Adds "wait": {state, waited_ms, unknown, closed: [{device_id, connections}]}. */
void wait_json(cJSON *o, const struct wait_result *w);

/* True when it ended well; false with *e (ERR_ENVIRONMENT) for a timeout and
 * a policy that the broker refused: the command's last word. */
MUST bool wait_finish(const struct wait_result *w, struct err *e);

#endif
