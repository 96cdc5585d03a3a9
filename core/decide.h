/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict. decide() is the only place in Weir that says yes: the broker,
 * `weir explain` and the tests call it.
 */
#ifndef CORE_DECIDE_H
#define CORE_DECIDE_H

#include "core/certificate.h"
#include "core/device.h"
#include "core/policy.h"
#include "core/request.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Who asks. All pointers are borrowed for the call.
 *
 * device     NULL: the registry knows no device for the connection
 * class      the device's class in the policy that is asked; NULL: the policy
 *            has none of that name
 * certificate  NULL: the connection showed none
 * credential what the registry says of the certificate
 * key_barred the certificate's key was revoked as compromised
 * confined   the device is in quarantine by weir-feed alone: core/confine.h
 * usage      what the device has used of its limits; NULL: they are not judged
 * barred     REASON_ALLOWED, or why this connection has lost all its rights
 *            since it was admitted (publish, subscribe and receive only)
 */
struct subject {
	const struct device *device;
	const struct policy_class *class;
	const struct certificate *certificate;
	enum credential_status credential;
	bool key_barred;
	bool confined;
	const struct usage *usage;
	enum reason barred;
};

/*
 * The verdict on WHAT, asked by WHO under POLICY.
 *
 * Connect, in this order, the first that fails is the reason: a certificate
 * is there (no_certificate), is usable (certificate_invalid), is not revoked
 * nor its key barred (certificate_revoked), is registered
 * (unknown_certificate), now_s lies within its validity
 * (certificate_expired); the device is there (unknown_certificate), is not
 * suspended (device_suspended) nor retired (device_retired); the policy has
 * its class (class_unknown); every SIM identifier that the certificate states
 * is the device's, and the device has every one the class requires
 * (sim_mismatch); the client id is one the class allows (malformed,
 * client_id_mismatch); the connect is within the class's limits (rate).
 *
 * Publish, subscribe, receive: barred; the certificate's validity; the status
 * (a device in quarantine is judged by the policy's quarantine allowlist and
 * what that refuses is `quarantined`; one that is confined by its class too);
 * the class; the topic's form
 * (malformed); the rules; the class's limits (rate, quota), which are not for
 * deliveries.
 *
 * Where the class or the device observes, what only the rules refuse is
 * `observed`, for topics and filters that do not start with `$`. Where the
 * whole broker observes, connect included, so is all that nobody has decided
 * about the device in particular: but not a revoked certificate, an ended one,
 * a status, what is malformed or unavailable; nor a certificate that could not
 * be taken in by its CN (device NULL) where unknown ones are.
 *
 * Allocates nothing, takes no lock, does no I/O. Budget for publish and
 * receive: 200 instructions for a three-level topic of 24 bytes whatever the
 * number of rules; at worst POLICY_NODES_MAX trie nodes.
 */
struct decision decide(const struct policy *policy, const struct subject *who,
	const struct request *what);

#endif
