/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second reader of Prometheus' text format, strict and slow: what a page must
 * be for a server to take each line as it was meant.
 */
#ifndef TESTS_SUPPORT_PROM_ORACLE_H
#define TESTS_SUPPORT_PROM_ORACLE_H

#include "core/str.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Why PAGE is not a good one, and WHERE that is; NULL if it is. Good: each line
 * is HELP, TYPE (counter or gauge) or a sample; a family is HELP, TYPE and its
 * samples in a row, and comes once; names and labels are of the characters that
 * the format has, label values of letters, digits and "._:-" alone; values are
 * decimal numbers, of counters not below zero; no series comes twice.
 */
const char *prom_problem(struct str page, struct str *where);

/* The whole number of the sample that is written exactly so, as in
 * "weir_messages_total{class=\"pump\",direction=\"in\"}". False: it is not
 * there, or is no whole number. */
bool prom_value(struct str page, const char *series, uint64_t *out);

/* The sum of all samples of family NAME whose labels have LABEL in them ("" is
 * any), modulo 2^64. */
uint64_t prom_sum(struct str page, const char *name, const char *label);

#endif
