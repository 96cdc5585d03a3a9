/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device: who it is, and what may be written into a topic about it.
 */
#ifndef CORE_DEVICE_H
#define CORE_DEVICE_H

#include "core/err.h"
#include "core/simid.h"
#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

#define DEVICE_ID_MAX     64  /* bytes */
#define CLASS_NAME_MAX    64  /* bytes */
#define ATTR_NAME_MAX     32  /* bytes */
#define ATTR_VALUE_MAX    128 /* bytes */
#define ATTR_VALUES_MAX   16  /* values of one attribute */
#define DEVICE_ATTRS_MAX  64  /* values of all attributes of a device */
#define STATUS_REASON_MAX 200 /* bytes */

/* Zero is no status: it admits nobody. */
enum device_status {
	DEVICE_NONE = 0,
	DEVICE_ACTIVE,
	DEVICE_SUSPENDED,
	DEVICE_QUARANTINED,
	DEVICE_RETIRED,
};

/* One value of one attribute; an attribute of several values is several. */
struct attr {
	struct str name, value;
};

/*
 * A device as the registry holds it. Attributes are sorted by name, values in
 * the order they were given; `attrs` and their bytes belong to whoever filled
 * the struct (device_fini in io/registry.h frees what the registry filled).
 */
struct device {
	char id[DEVICE_ID_MAX + 1];
	char class_name[CLASS_NAME_MAX + 1];
	uint8_t id_len;
	uint8_t status; /* enum device_status */
	bool observe;   /* its rules are observed, not enforced: decide() */
	struct simid sim[SIMID_KINDS]; /* by kind; kind SIMID_NONE: not known */
	uint16_t n_attrs;
	struct attr *attrs;
	char *attr_text; /* the bytes that attrs point into */
	char status_reason[STATUS_REASON_MAX + 1];
	int64_t status_until_s; /* Unix time; 0: no end */
	int64_t created_s, updated_s;
	int64_t revision;
};

/* "active" and so on; "none" for anything else. Static. */
const char *device_status_name(enum device_status s);
/* The status of that name, or DEVICE_NONE. */
enum device_status device_status_find(struct str name);

/* What status S until UNTIL_S (0: no end) amounts to at NOW_S: a suspension or
 * quarantine whose end has come is over, though the registry still says so. */
enum device_status device_status_now(
	enum device_status s, int64_t until_s, int64_t now_s);
/* The same of D. */
enum device_status device_effective(const struct device *d, int64_t now_s);

/* True for [A-Za-z0-9][A-Za-z0-9._:-]{0,63}: a device id. */
bool device_id_valid(struct str id);
/* True for [A-Za-z0-9][A-Za-z0-9._-]{0,63}: a class name. */
bool class_name_valid(struct str name);
/* True for [A-Za-z][A-Za-z0-9_-]{0,31}: an attribute name. */
bool attr_name_valid(struct str name);
/*
 * True when V may stand in a topic: 1..ATTR_VALUE_MAX bytes of utf8_valid()
 * text that does not start with '$' and holds no '/', '+' or '#'. So no value
 * can add a level, a wildcard or reach a `$` topic.
 */
bool attr_value_valid(struct str v);

#endif
