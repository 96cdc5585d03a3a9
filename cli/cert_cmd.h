/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the weir cert commands have in common.
 */
#ifndef CLI_CERT_CMD_H
#define CLI_CERT_CMD_H

#include "cli/command.h"
#include "io/segment.h"
#include "io/x509.h"

/*
 * The meter, which knows by which certificate each device has connected last;
 * segment_close. ERR_ENVIRONMENT: no broker has run, or it cannot be read.
 */
MUST bool cert_meter_open(
	const struct cli *c, struct segment *out, struct err *e);

/* The last connect of device ID that METER knows of; t_s is 0 when there is
 * none. ERR_ENVIRONMENT: the meter was cut short. */
MUST bool cert_last_connect(const struct segment *meter, const char *id,
	struct meter_connect *out, struct err *e);

/* ERR_NOT_FOUND unless R has device ID. */
MUST bool cert_need_device(struct registry *r, struct str id, struct err *e);

/* X, of which CR is what is registered, is a device's that can connect now: no
 * CA's, for TLS clients, and not expired. Else ERR_INPUT. */
MUST bool cert_of_a_client(X509 *x, const struct cli *c,
	const struct credential *cr, struct err *e);

MUST bool run_cert_list(struct cli *c, struct err *e);
MUST bool run_cert_retire_old(struct cli *c, struct err *e);
MUST bool run_cert_issue(struct cli *c, struct err *e);
MUST bool run_cert_sign(struct cli *c, struct err *e);
MUST bool run_cert_add(struct cli *c, struct err *e);
MUST bool run_cert_bulk(struct cli *c, struct err *e);
MUST bool run_cert_import(struct cli *c, struct err *e);
MUST bool run_cert_show(struct cli *c, struct err *e);

#endif
