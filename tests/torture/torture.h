/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenarios that are run again and again, each time with another allocation
 * failing. Each function CHECKs for itself.
 */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include "core/err.h"

#include <stdbool.h>

/*
 * before and after run with sound memory around each run: before makes what
 * run needs; after judges what run left behind, and removes it. Either may be
 * NULL. After frees what run allocates and does not free, and nothing else.
 */
struct scenario {
	const char *name;
	void (*before)(void);
	void (*run)(void);
	void (*after)(void);
};

extern const struct scenario POLICY_GOOD, POLICY_BAD, ATTRS, ACL_LIST, DYNSEC,
	LEARN, RECORD;
extern const struct scenario REGISTRY_CREATE, REGISTRY_CHANGE, REGISTRY_LOOK_UP,
	REGISTRY_AUDIT, REGISTRY_IMPORT, REGISTRY_BACKUP, REGISTRY_RESTORE;
extern const struct scenario LIVE_CREATE, LIVE_CHANGE, LIVE_READ_ALL;
extern const struct scenario TAIL;
extern const struct scenario CERTIFICATE_READ, CERTIFICATE_ISSUE,
	CERTIFICATE_MINT, BUNDLE, CA_MAKE, CA_IMPORT, SEGMENT, HISTORY;

/* The folder of this process, for files; removed in the end. */
const char *torture_dir(void);

/*
 * OK, which a call returned. When it is false: an allocation did fail, and *e
 * was filled with what is fit to be shown. Clears *e for the next call.
 */
bool torture_done(bool ok, struct err *e);

#endif
