/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weir-feed's configuration. Oracle: what is accepted, written from what was
 * read with every key, is accepted as the same, and json_scan() accepts it;
 * what is refused is said with its place, and touches nothing.
 */
#include "feed/config.h"
#include "feed/text.h"
#include "io/json_scan.h"
#include "tests/support/check.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_text(struct text *t, const char *key, const char *value)
{
	if (value[0] != '\0')
		json_text(t, key, str_from(value));
}

static void write_tls(struct text *t, const struct config_tls *tls)
{
	if (tls->cert[0] == '\0')
		return;
	json_open(t, "tls", '{');
	write_text(t, "cert", tls->cert);
	write_text(t, "key", tls->key);
	write_text(t, "client_ca", tls->client_ca);
	write_text(t, "client_rights",
		tls->client_rights == RIGHT_ACT ? "act" : "read");
	json_close(t, '}');
}

static void write_numbers(struct text *t, const struct feed_config *c)
{
	json_open(t, "history", '{');
	json_number(t, "minute_s", c->history.minute_s);
	json_number(t, "hour_s", c->history.hour_s);
	json_number(t, "day_s", c->history.day_s);
	json_number(t, "event_s", c->history.event_s);
	json_count(t, "max_bytes", c->history.max_bytes);
	json_close(t, '}');
	json_open(t, "limits", '{');
	json_count(t, "connections", c->limits.connections);
	json_count(t, "address_connections", c->limits.address_connections);
	json_count(t, "loopback_connections", c->limits.loopback_connections);
	json_close(t, '}');
}

static void write_config(struct text *t, const struct feed_config *c)
{
	char listen[CONFIG_ADDRESS_MAX];

	config_listen_format(&c->listen, listen);
	json_open(t, NULL, '{');
	write_text(t, "state", c->state);
	write_text(t, "meter", c->meter);
	write_text(t, "listen", listen);
	json_open(t, "hosts", '[');
	for (size_t i = 0; i < c->n_hosts; i++)
		json_text(t, NULL, str_from(c->host[i]));
	json_close(t, ']');
	json_truth(t, "loopback_needs_token", c->loopback_needs_token);
	write_tls(t, &c->tls);
	write_numbers(t, c);
	json_open(t, "metrics", '{');
	json_count(t, "top", c->metrics.top);
	json_open(t, "devices", '[');
	for (size_t i = 0; i < c->metrics.n_devices; i++)
		json_text(t, NULL, str_from(c->metrics.device[i]));
	json_close(t, ']');
	json_close(t, '}');
	json_close(t, '}');
}

static void check_refusal(const struct errs *errs)
{
	CHECK(errs->n != 0);
	for (size_t i = 0; i < errs->n; i++)
		CHECK(check_report(&errs->e[i]) &&
			errs->e[i].code == ERR_INPUT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct feed_config c, again; /* large */
	static struct errs errs;
	struct text first = {0}, second = {0}, before = {0};
	struct err e = {0};

	memset(&errs, 0, sizeof(errs));
	config_default(&c);
	write_config(&before, &c);
	if (!config_parse((struct str){(const char *)data, size}, &c, &errs)) {
		check_refusal(&errs);
		write_config(&first, &c);
		CHECK(str_eq((struct str){first.p, first.n},
			(struct str){before.p, before.n}));
	} else {
		CHECK(errs.n == 0);
		write_config(&first, &c);
		CHECK(json_scan((struct str){first.p, first.n}, SIZE_MAX, &e));
		config_default(&again);
		CHECK(config_parse(
			(struct str){first.p, first.n}, &again, &errs));
		write_config(&second, &again);
		CHECK(str_eq((struct str){first.p, first.n},
			(struct str){second.p, second.n}));
		CHECK(config_check(&c, &e) || check_report(&e));
	}
	text_free(&first);
	text_free(&second);
	text_free(&before);
	return 0;
}
