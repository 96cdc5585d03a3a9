/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_access RULES N: N times the plugin's ACL callback for one publish that
 * a class of RULES rules allows, with stand-ins for the broker's accessors
 * that cost what its own do: a field read each. It fails when one allocates. Counted by callgrind inside
 * access_check(), decide() included (tests/bench/run.sh takes it off).
 */
#include "plugin/access.h"
#include "plugin/judge.h"
#include "tests/bench/allocations.h"
#include "tests/bench/subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* --------------------------------------------------- the broker's accessors */

struct mosquitto {
	const char *id, *username, *address;
};

const char *mosquitto_client_id(const struct mosquitto *client)
{
	return client->id;
}

const char *mosquitto_client_username(const struct mosquitto *client)
{
	return client->username;
}

const char *mosquitto_client_address(const struct mosquitto *client)
{
	return client->address;
}

int mosquitto_client_protocol_version(const struct mosquitto *client)
{
	(void)client;
	return 4;
}

void *mosquitto_client_certificate(const struct mosquitto *client)
{
	(void)client;
	return NULL;
}

/* Nothing is refused here: what follows must not be reached. */

int mosquitto_kick_client_by_clientid(const char *clientid, bool with_will)
{
	(void)clientid;
	(void)with_will;
	abort();
}

void mosquitto_log_printf(int level, const char *fmt, ...)
{
	(void)level;
	(void)fmt;
	abort();
}

const mosquitto_property *mosquitto_property_next(const mosquitto_property *p)
{
	(void)p;
	abort();
}

int mosquitto_property_identifier(const mosquitto_property *p)
{
	(void)p;
	abort();
}

const mosquitto_property *mosquitto_property_read_binary(
	const mosquitto_property *p, int identifier, void **value,
	uint16_t *len, bool skip)
{
	(void)p;
	(void)identifier;
	(void)value;
	(void)len;
	(void)skip;
	abort();
}

const mosquitto_property *mosquitto_property_read_string_pair(
	const mosquitto_property *p, int identifier, char **name, char **value,
	bool skip)
{
	(void)p;
	(void)identifier;
	(void)name;
	(void)value;
	(void)skip;
	abort();
}

const mosquitto_property *mosquitto_property_read_string(
	const mosquitto_property *p, int identifier, char **value, bool skip)
{
	(void)p;
	(void)identifier;
	(void)value;
	(void)skip;
	abort();
}

/* -------------------------------------------------------------------- main */

/* A connected device among a thousand others. */
static bool bind_all(struct guard *g, struct mosquitto *clients, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct binding *b = binding_new(
			&clients[i], clients[i].id, clients[i].address);

		if (b == NULL)
			return false;
		b->badge->device = subject_device;
		b->badge->certificate.not_after_s = SUBJECT_NOW_S + 1;
		b->badge->subject =
			(struct subject){.device = &b->badge->device,
				.certificate = &b->badge->certificate,
				.barred = REASON_ALLOWED};
		if (!binding_add(&g->bindings, b))
			return false;
		gauge_device(g, b->badge);
	}
	return true;
}

/* A meter of its own, in a file that is gone at once. */
static bool open_meter(struct guard *g)
{
	char path[] = "/tmp/weir-bench-XXXXXX";
	int fd = mkstemp(path);
	char note[256];
	bool done;

	if (fd < 0)
		return false;
	(void)close(fd);
	done = segment_open_write(path, &g->segment, note, sizeof note, NULL);
	(void)unlink(path);
	if (!done)
		return false;
	g->meter = segment_header(&g->segment);
	return gauge_begin(g) && gauge_policy(g, g->policy);
}

#define CLIENTS 1000

int main(int argc, char **argv)
{
	static struct mosquitto clients[CLIENTS];
	static struct guard g;
	struct mosquitto_evt_acl_check ed = {.client = &clients[500],
		.topic = SUBJECT_TOPIC,
		.payload = SUBJECT_TOPIC,
		.payloadlen = 24,
		.access = MOSQ_ACL_WRITE,
		.qos = 1};
	size_t rules = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned long calls = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long allowed = 0, before, i;

	for (i = 0; i < CLIENTS; i++)
		clients[i] = (struct mosquitto){
			subject_device.id, subject_device.id, "127.0.0.1"};
	g.policy = subject_policy(rules);
	g.policy_gen = 1;
	g.now_s = SUBJECT_NOW_S;
	if (g.policy == NULL || !open_meter(&g) ||
		!bindings_init(&g.bindings, 16, 16) ||
		!bind_all(&g, clients, CLIENTS))
		return 2;
	before = allocations();
	for (i = 0; i < calls; i++)
		allowed += access_check(&g, &ed) == MOSQ_ERR_SUCCESS;
	if (before == 0 || allocations() != before)
		return 3;
	gauge_fini(&g.gauge);
	segment_close(&g.segment);
	policy_free(&g.policy);
	return allowed == calls ? 0 : 1;
}
