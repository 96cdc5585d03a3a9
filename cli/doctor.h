/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir doctor: what its parts share. A part looks at one thing and reports
 * findings; doctor_cmd.c runs the parts and sums up.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "cli/account.h"
#include "cli/command.h"
#include "io/broker_conf.h"

enum severity {
	SEVERITY_ERROR = 0, /* the guard is bypassed, or will not work */
	SEVERITY_WARNING,   /* it will hurt some day */
	SEVERITY_NOTE,      /* worth knowing */
	SEVERITIES,
};

struct doctor {
	const struct cli *c;
	size_t n[SEVERITIES];  /* findings */
	struct account broker; /* the broker's user */
	bool broker_known;
	/* The policy in force only observes, and leaves the rest to the
	 * broker's own rules, which are then no second place. */
	bool observing, falls_back;
};

/* Where a finding is. */
#define PLACE_MAX 4200

/*
 * Reports a finding: prints it, and counts it. CHECK names the kind for
 * programs ("conf.anonymous"), PLACE the file with its line, path or thing,
 * REMEDY what to do, as a sentence without a full stop.
 */
void doctor_find(struct doctor *d, enum severity s, const char *check,
	const char *place, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* "FILE:LINE" of line L. */
void doctor_place(const struct broker_conf *conf, const struct broker_line *l,
	char out[static PLACE_MAX]);

/* --------------------------------------------------------- the broker's file */

/* A listener as the broker would open it. Texts are lent by the conf; a NULL
 * line is a directive that is not there. */
struct listener {
	const struct broker_line *first; /* its first line; NULL: not opened */
	bool is_default;                 /* not begun by `listener` */
	bool is_unix;
	const struct broker_line *cafile, *capath, *certfile, *keyfile;
	const struct broker_line *require_certificate, *tls_version, *crlfile;
	const struct broker_line *psk_hint, *protocol, *max_qos;
	const struct broker_line *max_connections, *bind_interface;
	bool has_address; /* it says which address it is for */
};

/* Reads listener NUMBER of CONF. */
void doctor_listener(
	const struct broker_conf *conf, uint32_t number, struct listener *out);

/* The directive NAME's last line; NULL: none. */
const struct broker_line *doctor_line(
	const struct broker_conf *conf, const char *name);

/* "true" or "1", as the broker reads it. */
bool doctor_is_true(const struct broker_line *l);

/* The directives, one by one and together. */
void doctor_conf(struct doctor *d, const struct broker_conf *conf);
/* The listeners. */
void doctor_listeners(struct doctor *d, const struct broker_conf *conf);
/* The plugin's lines: it is there, first, and looks where weir looks. */
void doctor_plugin(struct doctor *d, const struct broker_conf *conf);

/* --------------------------------------------------------------- the machine */

/* Finds what the policy in force makes of the broker's own rules. */
void doctor_find_policy(struct doctor *d);
/* Finds the broker's user: whom weir init gave the meter to. */
void doctor_find_broker(struct doctor *d);
/* The files that the broker's configuration names. */
void doctor_conf_files(struct doctor *d, const struct broker_conf *conf);
/* The state directory and the CA's key. */
void doctor_state_files(struct doctor *d);
/* Registry, policy and the running plugin. */
void doctor_state(struct doctor *d);

#endif
