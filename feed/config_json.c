/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/config.h"

#include "core/utf8.h"
#include "io/json_reader.h"
#include "io/json_scan.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define CENTURY_S    (UINT64_C(100) * 366 * 86400)

/* ------------------------------------------------------------------- values */

static void take_comment(struct json_reader *r, const cJSON *v, void *into)
{
	struct str ignored;

	(void)into;
	json_read_string(r, v, &ignored);
}

/* A text of 1 to CAP - 1 bytes without control characters. */
static void read_text(struct json_reader *r, const cJSON *v, char *out,
	size_t cap, const char *what)
{
	struct str s = {NULL, 0};

	json_read_string(r, v, &s);
	if (s.p == NULL)
		return;
	if (s.n == 0 || s.n >= cap || !utf8_valid(s)) {
		json_reader_fail(
			r, "must be %s, of 1 to %zu bytes", what, cap - 1);
		return;
	}
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

static void read_path(struct json_reader *r, const cJSON *v, char *out)
{
	read_text(r, v, out, CONFIG_PATH_MAX, "the path of a file");
}

static void read_u32(struct json_reader *r, const cJSON *v, uint64_t min,
	uint64_t max, uint32_t *out)
{
	uint64_t n = *out;

	json_read_number(r, v, min, max, &n);
	*out = (uint32_t)n;
}

static void read_seconds(struct json_reader *r, const cJSON *v, int64_t *out)
{
	uint64_t n = (uint64_t)*out;

	json_read_number(r, v, 60, CENTURY_S, &n);
	*out = (int64_t)n;
}

/* ---------------------------------------------------------------------- tls */

static void take_cert(struct json_reader *r, const cJSON *v, void *into)
{
	read_path(r, v, ((struct config_tls *)into)->cert);
}

static void take_key(struct json_reader *r, const cJSON *v, void *into)
{
	read_path(r, v, ((struct config_tls *)into)->key);
}

static void take_client_ca(struct json_reader *r, const cJSON *v, void *into)
{
	read_path(r, v, ((struct config_tls *)into)->client_ca);
}

static void take_client_rights(
	struct json_reader *r, const cJSON *v, void *into)
{
	struct config_tls *tls = into;
	struct str word = {NULL, 0};

	json_read_string(r, v, &word);
	if (str_eq(word, STR("read")))
		tls->client_rights = RIGHT_READ;
	else if (str_eq(word, STR("act")))
		tls->client_rights = RIGHT_ACT;
	else if (word.p != NULL)
		json_reader_fail(r, "must be \"read\" or \"act\"");
}

static const struct json_key TLS_KEYS[] = {
	{.key = "cert", .required = true, .take = take_cert},
	{.key = "key", .required = true, .take = take_key},
	{.key = "client_ca", .take = take_client_ca},
	{.key = "client_rights", .take = take_client_rights},
	{.key = "comment", .take = take_comment},
};

static void take_tls(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "tls", TLS_KEYS, COUNT(TLS_KEYS),
		&((struct feed_config *)into)->tls);
}

/* ------------------------------------------------------------------ history */

static void take_minute(struct json_reader *r, const cJSON *v, void *into)
{
	read_seconds(r, v, &((struct config_history *)into)->minute_s);
}

static void take_hour(struct json_reader *r, const cJSON *v, void *into)
{
	read_seconds(r, v, &((struct config_history *)into)->hour_s);
}

static void take_day(struct json_reader *r, const cJSON *v, void *into)
{
	read_seconds(r, v, &((struct config_history *)into)->day_s);
}

static void take_event(struct json_reader *r, const cJSON *v, void *into)
{
	read_seconds(r, v, &((struct config_history *)into)->event_s);
}

static void take_max_bytes(struct json_reader *r, const cJSON *v, void *into)
{
	struct config_history *h = into;

	json_read_number(
		r, v, CONFIG_BYTES_MIN, JSON_NUMBER_MAX, &h->max_bytes);
}

static const struct json_key HISTORY_KEYS[] = {
	{.key = "minute_s", .take = take_minute},
	{.key = "hour_s", .take = take_hour},
	{.key = "day_s", .take = take_day},
	{.key = "event_s", .take = take_event},
	{.key = "max_bytes", .take = take_max_bytes},
	{.key = "comment", .take = take_comment},
};

static void take_history(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "history", HISTORY_KEYS, COUNT(HISTORY_KEYS),
		&((struct feed_config *)into)->history);
}

/* ------------------------------------------------------------------ metrics */

static void take_top(struct json_reader *r, const cJSON *v, void *into)
{
	read_u32(r, v, 0, WATCH_TOP, &((struct config_metrics *)into)->top);
}

static void add_device(
	struct json_reader *r, struct str id, struct config_metrics *m)
{
	if (id.n == 0 || !device_id_valid(id)) {
		json_reader_fail(r, "must be a device id");
		return;
	}
	for (size_t i = 0; i < m->n_devices; i++) {
		if (str_eq(id, str_from(m->device[i]))) {
			json_reader_fail(r, "is listed twice");
			return;
		}
	}
	memcpy(m->device[m->n_devices], id.p, id.n);
	m->device[m->n_devices][id.n] = '\0';
	m->n_devices++;
}

static void take_devices(struct json_reader *r, const cJSON *v, void *into)
{
	struct config_metrics *m = into;
	const struct str *ids = NULL;
	size_t up = r->at.n, n = 0;

	json_read_strings(r, v, NULL, "", &ids, &n);
	if (n > CONFIG_DEVICES) {
		json_reader_fail(
			r, "lists %zu devices; at most %u", n, CONFIG_DEVICES);
		return;
	}
	m->n_devices = 0;
	for (size_t i = 0; i < n; i++) {
		json_path_index(&r->at, i);
		/* p NULL where the element is no string: said already. */
		if (ids[i].p != NULL)
			add_device(r, ids[i], m);
		json_path_cut(&r->at, up);
	}
}

static const struct json_key METRICS_KEYS[] = {
	{.key = "top", .take = take_top},
	{.key = "devices", .take = take_devices},
	{.key = "comment", .take = take_comment},
};

static void take_metrics(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "metrics", METRICS_KEYS, COUNT(METRICS_KEYS),
		&((struct feed_config *)into)->metrics);
}

/* ----------------------------------------------------------------- findings */

static void take_factor(struct json_reader *r, const cJSON *v, void *into)
{
	read_u32(r, v, CONFIG_FACTOR_MIN, CONFIG_FACTOR_MAX,
		&((struct detector_limits *)into)->factor);
}

/* A floor: what is not above it is no finding. */
#define TAKE_FLOOR(c, name, unit, floor_, text)                                \
	static void take_##name(                                               \
		struct json_reader *r, const cJSON *v, void *into)             \
	{                                                                      \
		struct detector_limits *l = into;                              \
                                                                               \
		json_read_number(                                              \
			r, v, 0, JSON_NUMBER_MAX, &l->floor[FINDING_##c]);     \
	}
FINDINGS_TABLE(TAKE_FLOOR)
#undef TAKE_FLOOR

static const struct json_key FINDINGS_KEYS[] = {
	{.key = "factor", .take = take_factor},
#define FLOOR_KEY(c, name, unit, floor, text)                                  \
	{.key = #name, .take = take_##name},
	FINDINGS_TABLE(FLOOR_KEY)
#undef FLOOR_KEY
		{.key = "comment", .take = take_comment},
};

static void take_findings(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "findings", FINDINGS_KEYS, COUNT(FINDINGS_KEYS),
		&((struct feed_config *)into)->findings);
}

/* ------------------------------------------------------------------- limits */

static void take_connections(struct json_reader *r, const cJSON *v, void *into)
{
	struct config_limits *l = into;

	read_u32(r, v, 1, CONFIG_CONNECTIONS_MAX, &l->connections);
}

static void take_of_address(struct json_reader *r, const cJSON *v, void *into)
{
	struct config_limits *l = into;

	read_u32(r, v, 1, CONFIG_CONNECTIONS_MAX, &l->address_connections);
}

static void take_of_loopback(struct json_reader *r, const cJSON *v, void *into)
{
	struct config_limits *l = into;

	read_u32(r, v, 1, CONFIG_CONNECTIONS_MAX, &l->loopback_connections);
}

static const struct json_key LIMITS_KEYS[] = {
	{.key = "connections", .take = take_connections},
	{.key = "address_connections", .take = take_of_address},
	{.key = "loopback_connections", .take = take_of_loopback},
	{.key = "comment", .take = take_comment},
};

static void take_limits(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_object(r, v, "limits", LIMITS_KEYS, COUNT(LIMITS_KEYS),
		&((struct feed_config *)into)->limits);
}

/* ----------------------------------------------------------------- the file */

static void take_state(struct json_reader *r, const cJSON *v, void *into)
{
	read_text(r, v, ((struct feed_config *)into)->state, CONFIG_PATH_MAX,
		"the path of a directory");
}

static void take_meter(struct json_reader *r, const cJSON *v, void *into)
{
	read_path(r, v, ((struct feed_config *)into)->meter);
}

static void take_listen(struct json_reader *r, const cJSON *v, void *into)
{
	struct feed_config *c = into;
	struct str text = {NULL, 0};
	struct err e;

	json_read_string(r, v, &text);
	if (text.p == NULL)
		return;
	if (!utf8_valid(text))
		json_reader_fail(r, "must be ADDRESS:PORT");
	else if (!config_listen_parse(text, &c->listen, &e))
		json_reader_fail(r, "%s", e.msg);
}

static void take_hosts(struct json_reader *r, const cJSON *v, void *into)
{
	struct feed_config *c = into;
	const struct str *names = NULL;
	size_t n = 0;

	json_read_strings(r, v, config_host_valid,
		"must be a host name or an address, without a port", &names,
		&n);
	if (n > CONFIG_HOSTS) {
		json_reader_fail(
			r, "lists %zu names; at most %u", n, CONFIG_HOSTS);
		return;
	}
	c->n_hosts = 0;
	for (size_t i = 0; i < n && config_host_valid(names[i]); i++) {
		memcpy(c->host[i], names[i].p, names[i].n);
		c->host[i][names[i].n] = '\0';
		c->n_hosts++;
	}
}

static void take_loopback(struct json_reader *r, const cJSON *v, void *into)
{
	json_read_bool(
		r, v, &((struct feed_config *)into)->loopback_needs_token);
}

static const struct json_key KEYS[] = {
	{.key = "state", .take = take_state},
	{.key = "meter", .take = take_meter},
	{.key = "listen", .take = take_listen},
	{.key = "hosts", .take = take_hosts},
	{.key = "loopback_needs_token", .take = take_loopback},
	{.key = "tls", .take = take_tls},
	{.key = "history", .take = take_history},
	{.key = "metrics", .take = take_metrics},
	{.key = "findings", .take = take_findings},
	{.key = "limits", .take = take_limits},
	{.key = "comment", .take = take_comment},
};

bool config_parse(struct str text, struct feed_config *c, struct errs *errs)
{
	struct json_reader r = {.errs = errs};
	struct feed_config *read = malloc(sizeof(*read));
	cJSON *tree = NULL;
	bool done = false;

	if (read == NULL) {
		(void)err_set(
			errs_next(errs), ERR_ENVIRONMENT, "out of memory");
		return false;
	}
	*read = *c;
	if (json_scan(text, CONFIG_TEXT_MAX, errs_next(errs))) {
		errs->n--; /* nothing was wrong */
		tree = cJSON_ParseWithLength(text.p, text.n);
		if (tree == NULL)
			(void)err_set(errs_next(errs), ERR_ENVIRONMENT,
				"out of memory");
		else
			json_read_object(&r, tree, "the configuration", KEYS,
				COUNT(KEYS), read);
		done = errs->n == 0;
	}
	if (done)
		*c = *read;
	json_reader_fini(&r);
	cJSON_Delete(tree);
	free(read);
	return done;
}
