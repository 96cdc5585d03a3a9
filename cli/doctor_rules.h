/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What doctor knows of Mosquitto's directives (2.0 and 2.1): an allowlist.
 */
#ifndef CLI_DOCTOR_RULES_H
#define CLI_DOCTOR_RULES_H

#include "cli/doctor.h"

enum want {
	WANT_ANY = 0,  /* harmless with any value */
	WANT_BOOL,     /* harmless either way, if it is one */
	WANT_FALSE,    /* true is the finding */
	WANT_TRUE,     /* false is the finding */
	WANT_NUMBER,   /* a number */
	WANT_POSITIVE, /* 0 and below is the finding */
	WANT_NOT,      /* being there is the finding */
	WANT_OTHER,    /* looked at elsewhere */
};

struct rule {
	const char *name;
	enum want want;
	enum severity severity;
	const char *check, *why, *remedy;
};

#define RULE_REMOVE "remove the line"
#define RULE_BRIDGE                                                            \
	"a bridge connects brokers behind the plugin's back: what it brings "  \
	"in is no device's, and no rule of the policy is asked"

extern const struct rule RULES[];
extern const size_t N_RULES;

/* What is said when a directive is not there: Mosquitto's default counts. */
extern const struct rule ABSENT[];
extern const size_t N_ABSENT;

/* What a bridge's section may hold besides: all of it is the bridge's. */
extern const char *const BRIDGES[];
extern const size_t N_BRIDGES;

#endif
