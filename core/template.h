/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule's topic as written: an MQTT filter whose levels may hold variables.
 */
#ifndef CORE_TEMPLATE_H
#define CORE_TEMPLATE_H

#include "core/device.h"
#include "core/err.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

enum variable {
	VAR_NONE = 0, /* a piece of literal text */
	VAR_DEVICE,
	VAR_CLASS,
	VAR_ICCID,
	VAR_IMSI,
	VAR_IMEI,
	VAR_EID,
	VAR_ATTR,
};

#define PIECES_MAX 8 /* of one level */

/* Literal text (VAR_NONE), a variable, or an attribute of that name. */
struct piece {
	enum variable var;
	struct str text;
};

enum level_kind {
	LEVEL_LITERAL = 0,
	LEVEL_PLUS,
	LEVEL_HASH,
	LEVEL_PATTERN, /* holds a variable */
};

/*
 * What LEVEL, one level of a template, is. A pattern's pieces, views of LEVEL,
 * go to PIECES and *n; the others have none. False: ERR_INPUT, e.g. "'+' must
 * be a whole level", "unknown variable ${imie}; known: …".
 */
MUST bool level_parse(struct str level, enum level_kind *kind,
	struct piece pieces[static PIECES_MAX], size_t *n, struct err *e);

/*
 * True when TEMPLATE can be a rule's topic: a valid filter of at most
 * POLICY_LEVELS_MAX levels and POLICY_TEMPLATE_MAX bytes whose levels parse,
 * and not a `$share` filter. False: ERR_INPUT.
 */
MUST bool template_check(struct str template, struct err *e);

/*
 * True when LEVEL is what the N PIECES become for DEVICE: for one value of
 * the attribute, if they name one; *value is then its index in device->attrs,
 * and SIZE_MAX without one. A missing variable matches nothing.
 * Budget: one comparison a value, DEVICE_ATTRS_MAX at most.
 */
bool pieces_match(const struct piece *pieces, size_t n,
	const struct device *device, struct str level, size_t *value);

/*
 * True when some attribute stands in more than one level of TEMPLATE, so that
 * its levels must agree on the value: template_agrees().
 */
bool template_repeats(struct str template);

/* True when the levels of TOPIC that stand where TEMPLATE names an attribute
 * agree on its value for DEVICE. Both match already. */
bool template_agrees(
	struct str template, const struct device *device, struct str topic);

#endif
