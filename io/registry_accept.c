/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry that went back: a backup in the place of a newer file.
 *
 * meta 'restored' is what the file was when a writer noticed,
 * "<revision>:<change seq>"; "" or missing: it did not go back, or is accepted.
 * While it is set the plugin admits nobody, whatever the revision has become
 * since: repairs made before accepting must not count as accepting.
 */
#include "io/registry_private.h"

#include <stdio.h>
#include <string.h>

#define KEY "restored"
/* Above what any fleet reaches, below what a number of JSON holds. */
#define NUMBER_MAX INT64_C(1000000000000000)

bool registry_restored(
	struct registry *r, struct registry_restored *out, struct err *e)
{
	struct registry_restored x = {.revision = 0};
	char text[64];
	const char *colon;

	if (!registry_meta(r, KEY, text, sizeof(text), e))
		return false;
	colon = strchr(text, ':');
	x.restored = text[0] != '\0';
	if (x.restored &&
		(colon == NULL ||
			!reg_number((struct str){text, (size_t)(colon - text)},
				&x.revision) ||
			!reg_number(str_from(colon + 1), &x.change_seq)))
		return reg_damaged(r, e, KEY, "meta.value");
	*out = x;
	return true;
}

bool registry_seen_possible(const struct registry_seen *seen)
{
	return seen->revision >= 0 && seen->revision <= NUMBER_MAX &&
	       seen->change_seq >= 0 && seen->change_seq <= NUMBER_MAX;
}

static cJSON *make_detail(
	const struct registry_seen *seen, const struct registry_restored *was)
{
	cJSON *o = cJSON_CreateObject();

	if (cJSON_AddNumberToObject(
		    o, "seen_revision", (double)seen->revision) != NULL &&
		cJSON_AddNumberToObject(o, "restored_revision",
			(double)was->revision) != NULL &&
		cJSON_AddNumberToObject(
			o, "restored_change", (double)was->change_seq) != NULL)
		return o;
	cJSON_Delete(o);
	return NULL;
}

/* Lets revision and change go on above SEEN, so that no number means two
 * things: who waits for a change must not be told of an old one. */
static bool number_above(
	struct registry *r, const struct registry_seen *seen, struct err *e)
{
	if (!registry_seen_possible(seen))
		return err_set(e, ERR_CONFLICT,
			"the meter beside %s speaks of revision %lld and "
			"change %lld, which cannot be; stop the broker, remove "
			"meter/meter.seg and start it again",
			r->path, (long long)seen->revision,
			(long long)seen->change_seq);
	if (r->wrote)
		return err_set(e, ERR_CONFLICT,
			"%s: the change under way has a revision already",
			r->path);
	if (r->revision <= seen->revision)
		r->revision = seen->revision + 1;
	if (!reg_run(r, STMT_CHANGE_SKIP, VALS(V_INT(seen->change_seq)), e))
		return false;
	if (sqlite3_changes(r->db) != 0)
		r->change_seq = sqlite3_last_insert_rowid(r->db);
	return true;
}

/* What the file was when it was found restored. */
static bool state_before(
	struct registry *r, struct registry_restored *was, struct err *e)
{
	struct registry_heads heads;

	if (!registry_restored(r, was, e) || was->restored)
		return was->restored;
	if (!registry_heads(r, &heads, e))
		return false;
	was->revision = heads.revision;
	was->change_seq = heads.change_seq;
	return true;
}

static bool note_restored(
	struct registry *r, const struct registry_seen *seen, struct err *e)
{
	struct registry_restored was = {.restored = false};
	char text[64];

	if (!reg_may_write(r, e) || !state_before(r, &was, e))
		return false;
	if (was.restored)
		return true;
	(void)snprintf(text, sizeof(text), "%lld:%lld", (long long)was.revision,
		(long long)was.change_seq);
	return number_above(r, seen, e) && reg_meta_put(r, KEY, text, e) &&
	       reg_audit(r, "registry.restored", NO_DEVICE,
		       make_detail(seen, &was), e);
}

bool registry_note_restored(
	struct registry *r, const struct registry_seen *seen, struct err *e)
{
	return reg_wrote(r, note_restored(r, seen, e));
}

static bool accept_it(
	struct registry *r, const struct registry_seen *seen, struct err *e)
{
	struct registry_restored was = {.restored = false};

	return reg_may_write(r, e) && state_before(r, &was, e) &&
	       number_above(r, seen, e) && reg_meta_put(r, KEY, "", e) &&
	       reg_audit(r, "registry.accept", NO_DEVICE,
		       make_detail(seen, &was), e);
}

bool registry_accept(
	struct registry *r, const struct registry_seen *seen, struct err *e)
{
	return reg_wrote(r, accept_it(r, seen, e));
}
