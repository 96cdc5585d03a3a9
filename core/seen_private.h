/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer's insides, shared by seen_write.c and what folds topics
 * (seen_fold.c).
 */
#ifndef CORE_SEEN_PRIVATE_H
#define CORE_SEEN_PRIVATE_H

#include "core/seen_write.h"
#include "core/seqlock.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value)                                                    \
	atomic_store_explicit(&(field), (value), memory_order_release)

#define FOLDED (UINT32_C(1) << 25)
#define KIND   UINT32_C(0xFFFF) /* action and reason */

/* One request to record: its kind is action and reason. */
struct one {
	uint32_t device, kind;
	struct str topic;
	uint32_t qos, largest;
	bool retain;
	int64_t now_s;
};

static inline struct seen_header *header(const struct seen_writer *w)
{
	return w->mem;
}

/* Who can cut the file short makes zeros of what was written: neither of these
 * leads out of it. */
static inline uint32_t device_of(const struct seen_request *r)
{
	return LOAD(r->device) % SEEN_DEVICES;
}

static inline struct str topic_of(
	const struct seen_request *r, char out[static SEEN_TOPIC])
{
	uint32_t n = LOAD(r->topic_len);

	words_load(r->topic, SEEN_TOPIC / 8, out);
	return (struct str){out, n < SEEN_TOPIC ? n : SEEN_TOPIC};
}

static inline bool same_kind(const struct seen_request *r, const struct one *x)
{
	return LOAD(r->device) == x->device &&
	       (LOAD(r->what) & KIND) == x->kind;
}

/* Takes request NUMBER out of the index; puts it in again, after its topic has
 * changed. */
void seen_unindex(struct seen_writer *w, uint32_t number);
void seen_reindex(struct seen_writer *w, uint32_t number);
/* Takes it from its device; frees its entry. */
void seen_unlink(struct seen_writer *w, uint32_t number);
void seen_free(struct seen_writer *w, uint32_t number);
/* Counts X once more for the request at AT (plus one). */
void seen_count(struct seen_writer *w, uint32_t at, const struct one *x);

/* Folds X's topic with one of the device's that differs in one level. False:
 * there is none. */
bool seen_fold(struct seen_writer *w, const struct one *x);

#endif
