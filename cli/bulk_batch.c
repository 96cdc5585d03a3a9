/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bulk_batch.h"

#include "certs/pem_file.h"
#include "certs/stage.h"
#include "cli/ca_dir.h"
#include "cli/output.h"
#include "io/registry_import.h"

void batch_add(struct batch *b, const struct fleet_entry *x)
{
	struct fleet_entry *mine = &b->entries[b->n];

	(void)id_set_add(&b->ids, x->device.id);
	*mine = *x;
	b->items[b->n] =
		(struct bulk_item){.device = &mine->device, .csr = mine->csr};
	b->n++;
}

void batch_clear(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		fleet_entry_fini(&b->entries[i]);
		bulk_item_fini(&b->items[i]);
	}
	id_set_clear(&b->ids);
	b->n = 0;
}

/* The certificate of item I becomes one of its device's. APART: where it
 * cannot, the rest stays. */
static bool enter(const struct batch_end *end, struct batch *b, size_t i,
	bool apart, struct err *e)
{
	struct fleet_entry *x = &b->entries[i];
	struct import_outcome o;

	if (x->credentials == NULL)
		x->credentials = need_memory(1, sizeof(*x->credentials));
	x->credentials[0] = b->items[i].credential;
	x->n_credentials = 1;
	return apart ? registry_import_try(end->r, x, IMPORT_MATCH, &o, e)
		     : registry_import(end->r, x, IMPORT_MATCH, &o, e);
}

/* Opens a change and enters what was issued. APART: an item that fails is not
 * done; else the first that fails ends it. */
static bool enter_all(
	const struct batch_end *end, struct batch *b, bool apart, struct err *e)
{
	struct bulk_audit a = {.action = "cert.bulk"};

	if (!cli_begin(end->c, end->r, e) ||
		!ca_dir_record(end->c, end->r, e) ||
		!registry_bulk_begin(end->r, e))
		return false;
	for (size_t i = 0; i < b->n; i++) {
		struct bulk_item *item = &b->items[i];

		if (!item->done)
			continue;
		if (!enter(end, b, i, apart, &item->e)) {
			*e = item->e;
			if (!apart || e->code == ERR_ENVIRONMENT)
				return false;
			item->done = false;
		}
		a.devices += item->done;
		a.credentials += item->done;
	}
	return registry_bulk_end(end->r, &a, e);
}

/* To let each fail by itself costs a third more: only where one does. */
static bool enter_some(
	const struct batch_end *end, struct batch *b, struct err *e)
{
	if (enter_all(end, b, false, e))
		return true;
	if (e->code == ERR_ENVIRONMENT)
		return false;
	registry_rollback(end->r);
	return enter_all(end, b, true, e);
}

/* What is registered by the change that is open is on disk. */
static bool keep(const struct batch_end *end, struct batch *b, struct err *e)
{
	if (end->bundle == NULL)
		return true;
	for (size_t i = 0; i < b->n; i++) {
		const struct bulk_item *item = &b->items[i];

		if (item->done &&
			!bundle_add(end->bundle,
				(struct str){item->line, item->line_n}, e))
			return false;
	}
	return bundle_sync(end->bundle, e);
}

static bool enroll(const struct batch_end *end, struct batch *b, struct err *e)
{
	int64_t seq;

	return (end->bundle != NULL || pem_sync(end->dir, e)) &&
	       enter_some(end, b, e) && keep(end, b, e) &&
	       registry_commit(end->r, &seq, e);
}

static bool publish(const struct batch_end *end, struct batch *b, struct err *e)
{
	if (end->bundle != NULL)
		return bundle_publish(end->bundle, e);
	for (size_t i = 0; i < b->n; i++) {
		const char *id = b->entries[i].device.id;

		if (!b->items[i].done)
			stage_drop(end->dir, id);
		else if (!stage_publish(end->dir, id, e))
			return false;
	}
	return true;
}

void batch_drop(const struct batch_end *end, const struct batch *b)
{
	registry_rollback(end->r);
	if (end->bundle != NULL)
		bundle_drop(end->bundle);
	for (size_t i = 0; end->bundle == NULL && i < b->n; i++)
		stage_drop(end->dir, b->entries[i].device.id);
}

bool batch_close(const struct batch_end *end, struct batch *b, struct err *e)
{
	if (enroll(end, b, e))
		return publish(end, b, e);
	if (!registry_in_doubt(end->r))
		batch_drop(end, b);
	else if (end->bundle != NULL)
		bundle_leave(end->bundle);
	return false;
}
