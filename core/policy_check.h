/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of a policy's parts before it is compiled.
 */
#ifndef CORE_POLICY_CHECK_H
#define CORE_POLICY_CHECK_H

#include "core/err.h"
#include "core/policy.h"

/* Appends every fault of SPEC to *errs; none means that names, templates,
 * limits, client ids and includes are as policy.h demands. */
void policy_check(const struct policy_spec *spec, struct errs *errs);

/* Sets E's place to that of the I-th class, n_classes being the quarantine. */
void policy_check_place(
	struct err *e, const struct policy_spec *spec, size_t i);

#endif
