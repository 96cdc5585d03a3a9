/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the plugin writes into the record of observations (core/seen.h).
 *
 * The file is made when something observes for the first time, at the swap of
 * a policy or the connect of a device: 27 MB that a broker which enforces does
 * not need. Without it, or without room in it, the broker serves all the same,
 * and says so.
 */
#ifndef PLUGIN_RECORD_H
#define PLUGIN_RECORD_H

#include "plugin/guard.h"
#include "plugin/report.h"

#include <openssl/x509.h>

/* Opens the record if it is not, where the policy in force or a device
 * (DEVICE) observes. */
void record_ready(struct guard *g, bool device);
void record_end(struct record *r);

/* The badge's certificate, X, was taken in. ISSUER: fingerprint or NULL. */
void record_certificate(struct guard *g, const struct badge *badge, X509 *x,
	const uint8_t *issuer);

/*
 * WHAT, a request of the badge's device, is observed: the answer, and what is
 * recorded. Where the broker's own rules have the last word, a publish of
 * CLIENT is recorded when they have let it in: then MESSAGE follows, but for a
 * will (CLIENT NULL). They know no rules for subscriptions.
 */
int record_observed(struct guard *g, struct badge *badge,
	const struct request *what, struct decision why, const void *client);

/* True when the message of CLIENT that the broker has let in is that one. */
static inline bool record_is_due(const struct record *r, const void *client)
{
	return r->later != NULL && r->later == client;
}

void record_message(struct guard *g, const struct mosquitto_evt_message *ed);

#endif
