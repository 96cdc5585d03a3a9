/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/seen_view.h"

#include "cli/output.h"
#include "io/values.h"

#include <stdlib.h>
#include <string.h>

bool seen_open(const struct cli *c, struct seen_file *out, struct err *e)
{
	char path[CLI_PATH_MAX];

	if (!cli_state_path(c, SEEN_FILE, path, sizeof(path), e))
		return false;
	if (seen_file_open_read(path, out, e))
		return true;
	if (e->code == ERR_NOT_FOUND)
		e->code = ERR_ENVIRONMENT;
	return false;
}

bool seen_since(const struct cli *c, int64_t *since_s, struct err *e)
{
	const char *since = args_get(c->args, "since");
	int64_t seconds;

	*since_s = 0;
	if (since == NULL)
		return true;
	if (!duration_parse(str_from(since), &seconds, e))
		return false;
	*since_s = c->now_s - seconds;
	return true;
}

static int by_device(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int order = strcmp(x->device, y->device);

	if (order == 0)
		order = (int)x->action - (int)y->action;
	return order != 0 ? order : strcmp(x->topic, y->topic);
}

/* The device of S as the registry has it, or as it would be taken in. */
static bool load_device(const struct cli *c, struct registry *r,
	const struct seen *s, struct str unknown, struct seen_device_row *out,
	struct err *e)
{
	struct str id = str_from(s->device);

	memset(out, 0, sizeof(*out));
	if (!registry_device(r, id, &out->device, &out->registered, e))
		return false;
	if (out->registered) {
		out->device.status =
			(uint8_t)device_effective(&out->device, c->now_s);
		return true;
	}
	memcpy(out->device.id, id.p, id.n);
	out->device.id_len = (uint8_t)id.n;
	memcpy(out->device.class_name, unknown.n != 0 ? unknown.p : "",
		unknown.n);
	out->device.status = DEVICE_ACTIVE;
	return true;
}

static void take(struct seen_view *v, const struct seen *s,
	const struct seen_device_row *row)
{
	v->o[v->n++] = (struct observation){
		.device = &row->device,
		.action = s->action,
		.reason = s->reason,
		.topic = {s->topic, s->text.n},
		.qos = s->qos,
		.retain = s->retain,
		.folded = s->folded,
		.messages = s->count,
		.largest = s->largest,
		.first_s = s->first_s,
		.last_s = s->last_s,
	};
}

/* Joins the N copies, in the order of devices, with the registry. */
static bool join(const struct cli *c, struct registry *r,
	const struct seen_filter *f, struct seen_view *v, size_t n,
	struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		const struct seen *s = &v->copies[i];
		struct seen_device_row *row = &v->devices[v->n_devices];

		if (i == 0 || strcmp(s->device, v->copies[i - 1].device) != 0) {
			if (!load_device(c, r, s, f->unknown, row, e))
				return false;
			v->n_devices++;
		}
		row = &v->devices[v->n_devices - 1];
		if (f->class_name == NULL ||
			strcmp(f->class_name, row->device.class_name) == 0)
			take(v, s, row);
	}
	return true;
}

bool seen_view_load(const struct cli *c, struct registry *r,
	const struct seen_filter *f, struct seen_view *out, struct err *e)
{
	struct seen_view v = {.n = 0};
	struct seen_file file = {NULL, -1};
	const struct seen_header *h;
	size_t n = 0;

	if (!seen_open(c, &file, e))
		return false;
	h = file.mem;
	v.lost = atomic_load_explicit(&h->lost_messages, memory_order_relaxed);
	v.copies = need_memory(seen_requests(file.mem) + 1, sizeof(*v.copies));
	for (uint32_t i = 0; i < seen_requests(file.mem); i++)
		n += seen_request_load(file.mem, i, &v.copies[n]) &&
		     v.copies[n].last_s >= f->since_s;
	seen_file_close(&file);
	qsort(v.copies, n, sizeof(*v.copies), by_device);
	v.o = need_memory(n + 1, sizeof(*v.o));
	v.devices = need_memory(n + 1, sizeof(*v.devices));
	if (!join(c, r, f, &v, n, e)) {
		seen_view_fini(&v);
		return false;
	}
	*out = v;
	return true;
}

void seen_view_fini(struct seen_view *v)
{
	for (size_t i = 0; i < v->n_devices; i++)
		if (v->devices[i].registered)
			device_fini(&v->devices[i].device);
	free(v->devices);
	free(v->copies);
	free(v->o);
	*v = (struct seen_view){.n = 0};
}
