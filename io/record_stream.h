/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a file of any size, one at a time in bounded memory: of CSV
 * its records, otherwise its lines, which are then JSON (JSON Lines). What the
 * file is, its first byte says: '{' is JSON. A byte order mark is passed over,
 * blank lines too.
 */
#ifndef IO_RECORD_STREAM_H
#define IO_RECORD_STREAM_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAX ((size_t)128 * 1024) /* bytes, line end included */

struct record_stream;

struct record {
	char *p; /* lent until the next; may be written to */
	size_t n;
	uint32_t line; /* of its first byte, from 1 */
};

/* Opens PATH ("-": standard input). *out is given: record_close.
 * ERR_ENVIRONMENT: it cannot be read; ERR_INPUT: its start is no text. */
MUST bool record_open(
	const char *path, struct record_stream **out, struct err *e);
/* NULL inside is fine. Wipes: a file may have held anything. */
void record_close(struct record_stream **s);

/* It is JSON Lines. */
bool record_is_json(const struct record_stream *s);

/*
 * The next record; *end: there is none, and *out is as it was. A CSV record
 * keeps its line end, a line does not. False: ERR_INPUT with the line, when the
 * record is too long or no CSV; what follows is then lost, and the next is the
 * end. ERR_ENVIRONMENT: reading failed.
 */
MUST bool record_next(
	struct record_stream *s, struct record *out, bool *end, struct err *e);

/* How many bytes have been taken, of how many; *size 0: not known. */
void record_position(
	const struct record_stream *s, uint64_t *at, uint64_t *size);

/* SHA-256 of all bytes; only after *end. ERR_ENVIRONMENT: OpenSSL. */
MUST bool record_digest(
	struct record_stream *s, uint8_t out[static 32], struct err *e);

#endif
