/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/route.h"

#include "feed/action.h"
#include "feed/api_classes.h"
#include "feed/api_device.h"
#include "feed/api_devices.h"
#include "feed/api_events.h"
#include "feed/api_export.h"
#include "feed/api_findings.h"
#include "feed/api_health.h"
#include "feed/api_openapi.h"
#include "feed/api_tail.h"
#include "feed/api_usage.h"
#include "feed/feed.h"
#include "feed/metrics.h"
#include "feed/server.h"

/* Patterns that a path could match twice do not exist: the first one wins. */
const struct route ROUTES[] = {
	{ASK_GET, RIGHT_NONE, false, "/api/v1/health", api_health},
	{ASK_GET, RIGHT_READ, false, "/api/v1/tail", api_tail},
	{ASK_GET, RIGHT_READ, false, "/api/v1/quarantines", action_quarantines},
	{ASK_GET, RIGHT_READ, false, "/api/v1/actions", action_list},
	{ASK_POST, RIGHT_ACT, false, "/api/v1/devices/{id}/quarantine",
		action_quarantine},
	{ASK_POST, RIGHT_ACT, false, "/api/v1/devices/{id}/release",
		action_release},
	{ASK_GET, RIGHT_READ, true, "/metrics", metrics_answer},
	{ASK_GET, RIGHT_NONE, false, "/api/v1/openapi.json", api_openapi},
	{ASK_GET, RIGHT_READ, true, "/api/v1/devices", api_devices},
	{ASK_GET, RIGHT_READ, false, "/api/v1/devices/{id}", api_device},
	{ASK_GET, RIGHT_READ, true, "/api/v1/classes", api_classes},
	{ASK_GET, RIGHT_READ, true, "/api/v1/classes/{name}", api_class},
	{ASK_GET, RIGHT_READ, true, "/api/v1/devices/{id}/usage",
		api_device_usage},
	{ASK_GET, RIGHT_READ, true, "/api/v1/classes/{name}/usage",
		api_class_usage},
	{ASK_GET, RIGHT_READ, true, "/api/v1/usage/top", api_usage_top},
	{ASK_GET, RIGHT_READ, true, "/api/v1/events", api_events},
	{ASK_GET, RIGHT_READ, false, "/api/v1/findings", api_findings},
	{ASK_GET, RIGHT_READ, true, "/api/v1/export/usage", api_export_usage},
	{ASK_GET, RIGHT_READ, true, "/api/v1/export/events", api_export_events},
	{ASK_OTHER, RIGHT_NONE, false, NULL, NULL},
};

/* The bytes of S up to '/' or its end. */
static size_t segment(const char *p, size_t n)
{
	const char *at = n != 0 ? memchr(p, '/', n) : NULL;

	return at != NULL ? (size_t)(at - p) : n;
}

bool route_matches(const char *pattern, struct str path)
{
	struct str want = str_from(pattern);

	for (;;) {
		size_t w = segment(want.p, want.n), n = segment(path.p, path.n);
		bool any = w > 2 && want.p[0] == '{';

		if (any ? n == 0
			: w != n || (n != 0 && memcmp(want.p, path.p, n) != 0))
			return false;
		want = (struct str){want.p + w, want.n - w};
		path = (struct str){path.p + n, path.n - n};
		if (want.n == 0 || path.n == 0)
			return want.n == path.n;
		/* Both are at a '/'. */
		want = (struct str){want.p + 1, want.n - 1};
		path = (struct str){path.p + 1, path.n - 1};
	}
}

static bool serves(const struct route *r, enum ask_method method)
{
	return r->method == method ||
	       (r->method == ASK_GET && method == ASK_HEAD);
}

const struct route *route_find(enum ask_method method, struct str path,
	bool *known, const char **allow)
{
	bool get = false, post = false;

	for (const struct route *r = ROUTES; r->pattern != NULL; r++) {
		if (!route_matches(r->pattern, path))
			continue;
		if (serves(r, method))
			return r;
		get = get || r->method == ASK_GET;
		post = post || r->method == ASK_POST;
	}
	*known = get || post;
	*allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
	return NULL;
}

static void refuse_right(
	const struct ask *q, enum ask_right right, struct answer *a)
{
	if (q->right == RIGHT_NONE) {
		answer_problem(a, 401,
			"this takes a token: Authorization: Bearer weir_…; see "
			"weir help token add");
		a->challenge = "Bearer realm=\"weir\"";
		return;
	}
	answer_problem(a, 403,
		"%.*s may read, and this takes the right to %s; use a token "
		"made with --rights act",
		ASK_WHO_MAX, q->who, right == RIGHT_ACT ? "act" : "read");
}

void route_answer(struct feed *f, const struct ask *q, struct answer *a)
{
	const char *allow = NULL;
	bool known = false;
	const struct route *r = route_find(q->method, q->path, &known, &allow);

	if (r == NULL && known) {
		answer_problem(a, 405, "this path is served with %s", allow);
		a->allow = allow;
	} else if (r == NULL) {
		answer_problem(a, 404,
			"there is nothing at this path; see docs/FEED.md for "
			"what there is");
	} else if (q->right < r->right) {
		refuse_right(q, r->right, a);
	} else if (r->is_long && f->server != NULL &&
		   !server_has_room(f->server, q->address)) {
		answer_problem(a, 503,
			"%u long answers are being made, or %u for this "
			"address; ask again when one has ended",
			SERVER_LONG, SERVER_LONG_ADDRESS);
		a->retry_after_s = 1;
	} else {
		r->handle(f, q, a);
	}
}
