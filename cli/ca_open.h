/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CA that a command issues with: its folder, and its key, wherever that is.
 */
#ifndef CLI_CA_OPEN_H
#define CLI_CA_OPEN_H

#include "certs/ca.h"
#include "cli/command.h"

/* For a token whose URI names no PIN file: $WEIR_CA_PIN, which is wiped from
 * the environment, else asked for on the terminal. ERR_INPUT: neither. */
extern const struct pkcs11_pin CLI_PIN;

/* The CA of C's folder, able to issue; *out is given: ca_free. Before
 * cli_registry_begin, which locks the registry: it may ask for a PIN. */
MUST bool cli_ca_open(const struct cli *c, struct ca **out, struct err *e);

/* The same without its key, and *out is NULL where there is no CA at all. */
MUST bool cli_ca_find(const struct cli *c, struct ca **out, struct err *e);

#endif
