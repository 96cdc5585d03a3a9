/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir audit: who changed what, and whether the record is whole.
 */
#include "cli/audit.h"
#include "cli/command.h"
#include "cli/output.h"
#include "io/values.h"
#include "io/x509.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT 50
#define LIST_MAX     INT64_C(10000000)

_Static_assert(FINGERPRINT_LEN == 32, "an entry's hash prints the same way");

/* ------------------------------------------------------------------- the end */

static bool note_seq(void *ctx, const struct audit_row *a)
{
	*(int64_t *)ctx = a->seq;
	return false;
}

/* *next is the first entry after seq AFTER, or 0. */
static bool next_after(
	struct registry *r, int64_t after, int64_t *next, struct err *e)
{
	*next = 0;
	return registry_audit(r, after, note_seq, next, e);
}

bool audit_newest(struct registry *r, int64_t *seq, struct err *e)
{
	int64_t low = 0, step = 1, next;

	/* Entry LOW exists (or is 0); double the step while there is more,
	 * halve it when there is not. */
	for (bool growing = true; step > 0;) {
		if (!next_after(r, low + step - 1, &next, e))
			return false;
		if (next != 0)
			low = next;
		else
			growing = false;
		step = growing ? step * 2 : step / 2;
	}
	*seq = low;
	return true;
}

/* --------------------------------------------------------------------- list */

struct entry {
	int64_t seq, t_s;
	char *actor, *action, *device_id, *detail; /* device_id: NULL: none */
	uint8_t hash[32];
};

/* The newest LIMIT entries that pass the filter, in a ring once full. */
struct listing {
	struct str device, action;
	size_t limit, cap, n, first;
	struct entry *entries;
};

static char *copy(struct str s)
{
	char *p = need_memory(s.n + 1, 1);

	if (s.n != 0)
		memcpy(p, s.p, s.n);
	return p;
}

static void entry_fini(struct entry *en)
{
	free(en->actor);
	free(en->action);
	free(en->device_id);
	free(en->detail);
	*en = (struct entry){.seq = 0};
}

/* True for the action itself, and for its family: "device" of "device.add". */
static bool action_fits(struct str want, struct str action)
{
	if (want.n == 0 || str_eq(want, action))
		return true;
	return action.n > want.n && action.p[want.n] == '.' &&
	       str_eq(want, (struct str){action.p, want.n});
}

static struct entry *next_slot(struct listing *l)
{
	struct entry *slot;

	if (l->n == l->limit) {
		slot = &l->entries[l->first];
		l->first = (l->first + 1) % l->limit;
		entry_fini(slot);
		return slot;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? l->cap * 2 : 64;
		struct entry *more = need_memory(cap, sizeof(*more));

		if (l->n != 0)
			memcpy(more, l->entries, l->n * sizeof(*more));
		free(l->entries);
		l->entries = more;
		l->cap = cap;
	}
	return &l->entries[l->n++];
}

static bool keep(void *ctx, const struct audit_row *a)
{
	struct listing *l = ctx;
	struct entry *en;

	if (l->device.n != 0 && !str_eq(l->device, a->device_id))
		return true;
	if (!action_fits(l->action, a->action))
		return true;
	en = next_slot(l);
	*en = (struct entry){
		.seq = a->seq,
		.t_s = a->t_s,
		.actor = copy(a->actor),
		.action = copy(a->action),
		.device_id = a->device_id.n != 0 ? copy(a->device_id) : NULL,
		.detail = copy(a->detail),
	};
	memcpy(en->hash, a->hash, sizeof(en->hash));
	return true;
}

static void print_entry(const struct entry *en)
{
	char hash[FINGERPRINT_HEX];
	cJSON *o = json_new();
	cJSON *detail = cJSON_Parse(en->detail);

	json_int(o, "seq", en->seq);
	json_int(o, "t_s", en->t_s);
	json_str(o, "actor", en->actor);
	json_str(o, "action", en->action);
	json_str(o, "device_id", en->device_id);
	if (detail == NULL)
		json_str(o, "detail", en->detail);
	else if (!cJSON_AddItemToObject(o, "detail", detail))
		cJSON_Delete(detail);
	fingerprint_format(en->hash, hash);
	json_str(o, "hash", hash);
	json_print(o);
}

static void print_entries(const struct listing *l, bool json)
{
	static const char *const heads[] = {
		"SEQ", "TIME", "ACTOR", "ACTION", "DEVICE", "DETAIL"};
	struct table *t = table_new(heads, 6);

	for (size_t i = 0; i < l->n && output_ok(); i++) {
		const struct entry *en = &l->entries[(l->first + i) % l->n];
		char seq[24], when[TIME_TEXT];

		if (json) {
			print_entry(en);
			continue;
		}
		(void)snprintf(seq, sizeof(seq), "%" PRId64, en->seq);
		time_format(en->t_s, when);
		table_row(t, (const char *const[]){seq, when, en->actor,
				     en->action, en->device_id, en->detail});
	}
	table_print(t);
	table_free(&t);
}

static bool list_limit(const struct cli *c, size_t *limit, struct err *e)
{
	const char *n = args_get(c->args, "lines");
	int64_t v = LIST_DEFAULT;

	if (n != NULL && strcmp(n, "all") == 0) {
		*limit = SIZE_MAX;
		return true;
	}
	if (n != NULL && !number_parse("-n", str_from(n), 1, LIST_MAX, &v, e))
		return false;
	*limit = (size_t)v;
	return true;
}

/* Without a filter the newest entries are the last ones: *after skips all
 * others. */
static bool list_start(struct registry *r, const struct listing *l,
	int64_t *after, struct err *e)
{
	int64_t newest;

	*after = 0;
	if (l->device.n != 0 || l->action.n != 0 || l->limit == SIZE_MAX)
		return true;
	if (!audit_newest(r, &newest, e))
		return false;
	if (newest > (int64_t)l->limit)
		*after = newest - (int64_t)l->limit;
	return true;
}

static bool audit_list(struct cli *c, struct err *e)
{
	struct listing l = {
		.device = str_from(args_get(c->args, "device")),
		.action = str_from(args_get(c->args, "action")),
	};
	struct registry *r = NULL;
	int64_t after;
	bool done;

	if (!list_limit(c, &l.limit, e) ||
		!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	done = list_start(r, &l, &after, e) &&
	       registry_audit(r, after, keep, &l, e);
	if (done)
		print_entries(&l, c->json);
	for (size_t i = 0; i < l.n; i++)
		entry_fini(&l.entries[i]);
	free(l.entries);
	registry_close(&r);
	return done;
}

/* ------------------------------------------------------------- verify, head */

struct chain {
	int64_t bad_seq, n;
	char head[FINGERPRINT_HEX];
};

static bool walk(const struct cli *c, struct chain *out, struct err *e)
{
	struct registry *r = NULL;
	uint8_t head[32];
	bool done;

	if (!cli_registry(c, REGISTRY_READ, &r, e))
		return false;
	done = registry_audit_verify(r, &out->bad_seq, &out->n, head, e);
	if (done)
		fingerprint_format(head, out->head);
	registry_close(&r);
	return done;
}

static bool audit_verify(struct cli *c, struct err *e)
{
	struct chain chain;

	if (!walk(c, &chain, e))
		return false;
	c->answer_no = chain.bad_seq != 0;
	if (c->json) {
		cJSON *o = json_new();

		json_bool(o, "ok", chain.bad_seq == 0);
		json_int(o, "entries", chain.n);
		if (chain.bad_seq != 0) {
			json_int(o, "bad_seq", chain.bad_seq);
			json_str(o, "head", NULL);
		} else {
			json_str(o, "bad_seq", NULL);
			json_str(o, "head", chain.head);
		}
		json_print(o);
	} else if (chain.bad_seq != 0) {
		(void)printf("entry %" PRId64
			     " does not fit the chain: it, or the one before "
			     "it, was changed or removed\n",
			chain.bad_seq);
	} else {
		(void)printf("%" PRId64 " entries, whole; head %s\n", chain.n,
			chain.head);
	}
	return true;
}

static bool audit_head(struct cli *c, struct err *e)
{
	struct chain chain;

	if (!walk(c, &chain, e))
		return false;
	if (chain.bad_seq != 0) {
		c->answer_no = true;
		print_note("entry %" PRId64
			   " does not fit the chain, so it has no head; see "
			   "weir audit verify",
			chain.bad_seq);
		return true;
	}
	if (c->json) {
		cJSON *o = json_new();

		json_int(o, "entries", chain.n);
		json_str(o, "head", chain.head);
		json_print(o);
	} else {
		(void)printf("%" PRId64 " %s\n", chain.n, chain.head);
	}
	return true;
}

static const struct opt LIST_OPTIONS[] = {
	{"lines", 'n', OPT_VALUE, "N|all", "the newest N entries (50)"},
	{"device", '\0', OPT_VALUE, "ID", "only what was done to this device"},
	{"action", '\0', OPT_VALUE, "A",
		"only this action, or family of actions (device, cert, …)"},
	{NULL, '\0', OPT_FLAG, NULL, NULL},
};

const struct command audit_commands[] = {
	{
		.name = "audit list",
		.usage = "[-n N|all] [--device ID] [--action A]",
		.summary = "List who changed what, oldest first",
		.help = "Every change of the registry is an entry: when, who, "
			"what, to which device.\n\n"
			"  weir audit list -n 20 --action device.suspend\n",
		.options = LIST_OPTIONS,
		.run = audit_list,
	},
	{
		.name = "audit verify",
		.usage = "",
		.summary = "Check that no entry was changed or removed",
		.help = "Each entry holds the hash of the one before. Exit "
			"status 1 when an entry does not\nfit; the first such "
			"is named. Entries cut off the end leave a chain that "
			"fits: keep\nwhat weir audit head prints elsewhere, "
			"and compare.\n\n"
			"  weir audit verify --json\n",
		.run = audit_verify,
	},
	{
		.name = "audit head",
		.usage = "",
		.summary = "Print the number of entries and the newest hash",
		.help = "Whoever keeps this line elsewhere can prove later "
			"that nothing before it changed.\n\n"
			"  weir audit head >> /mnt/elsewhere/weir-audit.log\n",
		.run = audit_head,
	},
	{.name = NULL},
};
