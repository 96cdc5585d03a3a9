/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the readers of fleet files share: io/fleet_*.c only.
 */
#ifndef IO_FLEET_PRIVATE_H
#define IO_FLEET_PRIVATE_H

#include "io/fleet_file.h"
#include "io/record_stream.h"

#include <cjson/cJSON.h>

struct fleet_file {
	struct record_stream *in;
	enum fleet_use use;
	unsigned sim_options; /* simid_parse's */
	char *path;
	/* CSV: what each field is; FLEET_ATTRS goes with a name. */
	char *header;
	size_t n_columns;
	enum fleet_column column[FLEET_COLUMNS_MAX];
	struct str attr[FLEET_COLUMNS_MAX];
	struct str attr_names[FLEET_COLUMNS_MAX]; /* each once */
	size_t n_attr_names;
	unsigned given;
};

/* The column NAME, as F's use has it. ERR_INPUT: it is unknown or is not for
 * this use. */
MUST bool fleet_column_find(const struct fleet_file *f, struct str name,
	enum fleet_column *out, struct err *e);

/* Sets what COLUMN (neither attrs nor credentials) says; an empty VALUE
 * (borrowed) says that there is none. ERR_INPUT. */
MUST bool fleet_set(const struct fleet_file *f, struct fleet_entry *x,
	enum fleet_column column, struct str value, struct err *e);

/* LIST, an array, as X's credentials, X's id being set. */
MUST bool fleet_credentials(
	struct fleet_entry *x, const cJSON *list, struct err *e);
/* The certificate in TEXT as one more. */
MUST bool fleet_certificate(
	struct fleet_entry *x, struct str text, struct err *e);

/* One JSON line. */
MUST bool fleet_json_read(const struct fleet_file *f, struct str line,
	struct fleet_entry *x, struct err *e);

/* Puts NAME before e's message. Returns false. */
bool fleet_named(struct err *e, const char *name);
bool fleet_no_memory(struct err *e);

#endif
