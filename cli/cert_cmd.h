/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the weir cert commands have in common.
 */
#ifndef CLI_CERT_CMD_H
#define CLI_CERT_CMD_H

#include "cli/command.h"

#include <openssl/x509.h>

/* X as the registry shall hold it for device ID. ERR_INPUT: the certificate
 * cannot be used, and why. */
MUST bool cert_credential(
	X509 *x, const char *id, struct credential *out, struct err *e);

MUST bool run_cert_issue(struct cli *c, struct err *e);
MUST bool run_cert_sign(struct cli *c, struct err *e);
MUST bool run_cert_add(struct cli *c, struct err *e);
MUST bool run_cert_show(struct cli *c, struct err *e);

#endif
