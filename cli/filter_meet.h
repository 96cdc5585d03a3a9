/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two filters have in common, which is again one filter or nothing.
 */
#ifndef CLI_FILTER_MEET_H
#define CLI_FILTER_MEET_H

/* The filter of what both A and B match, level by level: a wildcard matches '$…'
 * at the beginning too. Given: free(). NULL: they have nothing in common. */
char *filter_meet(const char *a, const char *b);

#endif
