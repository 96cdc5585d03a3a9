/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mosquitto_weir.so: what the broker calls. Options (docs/OPERATIONS.md):
 *
 *     plugin_opt_state DIR   the state directory; default /var/lib/weir
 *     plugin_opt_meter FILE  the meter; default meter/meter.seg in the state
 *                            directory
 *     plugin_opt_ca_dir DIR  a CA directory whose key must not be readable
 *                            (the broker knows no option of two letters)
 */
#include "plugin/access.h"
#include "plugin/admission.h"
#include "plugin/broker.h"
#include "plugin/clock.h"
#include "plugin/guard.h"
#include "plugin/message.h"
#include "plugin/report.h"
#include "plugin/start.h"

#include <stdlib.h>
#include <time.h>

#define KICK_BUDGET_NS UINT64_C(2000000) /* a tick */
#define TICK_MS        100
#define WIRES_PER_POLL 2048

/* ----------------------------------------------------------------- the clock */

/* The coarse clocks are read without a system call. */
static uint64_t coarse_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void read_clock(struct guard *g)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	g->now_s = t.tv_sec;
	g->now_ms = coarse_ms();
	g->ahead_ns = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec -
		      (int64_t)g->now_ms * 1000000;
}

/* ---------------------------------------------------------------- the events */

static bool kick(const char *client_id)
{
	/* With its will, which is judged as any publish of the device. */
	return mosquitto_kick_client_by_clientid(client_id, true) ==
	       MOSQ_ERR_SUCCESS;
}

static int on_reload(int event, void *data, void *userdata)
{
	struct guard *g = userdata;

	(void)event;
	(void)data;
	g->reloading = true;
	g->reloads++;
	return MOSQ_ERR_SUCCESS;
}

static int on_connect(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_basic_auth *ed = data;
	struct guard *g = userdata;

	(void)event;
	read_clock(g);
	return admission_connect(g, ed->client);
}

static int on_acl_check(int event, void *data, void *userdata)
{
	(void)event;
	return access_check(userdata, data);
}

static int on_message(int event, void *data, void *userdata)
{
	(void)event;
	return message_check(userdata, data);
}

static int on_message_out(int event, void *data, void *userdata)
{
	(void)event;
	message_sent(userdata, data);
	return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_disconnect *ed = data;

	(void)event;
	admission_disconnect(userdata, ed->client);
	return MOSQ_ERR_SUCCESS;
}

static void work(struct guard *g)
{
	static const struct kicker by = {kick, clock_ns};
	uint32_t ended;

	if (g->reloading)
		g->reloads++;
	g->reloading = false;
	read_clock(g);
	refit_tick(g);
	follow_tick(g);
	ended = kick_run(&g->kicks, &g->outcomes, &by, KICK_BUDGET_NS);
	if (ended != 0)
		count_u64(&g->meter->closed, ended);
	follow_settle(g);
	wires_sweep(&g->wires, WIRES_PER_POLL);
	bindings_purge(&g->bindings);
	ledger_purge(&g->ledger, g->now_ms);
}

/* Under load the broker ticks once a message: most ticks only look at the
 * clock. */
static int on_tick(int event, void *data, void *userdata)
{
	struct mosquitto_evt_tick *ed = data;
	struct guard *g = userdata;

	(void)event;
	g->now_ms = coarse_ms(); /* what the rates go by */
	wires_flush(&g->wires);
	if (g->reloading || g->kicks.n != 0 ||
		g->now_ms >= g->follow.next_poll_ms)
		work(g);
	/* 2.0 ticks as it likes: at least every 100 ms. 2.1 ticks when the
	 * time it wrote here, and what is asked for below, have passed; woken
	 * by something else before, it forgets the deadline and sleeps on. A
	 * time long past makes the tick due at each turn of its loop. */
	ed->now_s = 0;
	ed->BROKER_NEXT_TICK = g->kicks.n != 0 ? 1 : TICK_MS;
	return MOSQ_ERR_SUCCESS;
}

struct handler {
	int event;
	bool optional; /* not every version has it */
	int (*call)(int event, void *data, void *userdata);
};

static const struct handler handlers[] = {
	{MOSQ_EVT_RELOAD, false, on_reload},
	{MOSQ_EVT_BASIC_AUTH, false, on_connect},
	{MOSQ_EVT_ACL_CHECK, false, on_acl_check},
	{MOSQ_EVT_MESSAGE, false, on_message},
	{MOSQ_EVT_TICK, false, on_tick},
	{MOSQ_EVT_DISCONNECT, false, on_disconnect},
	{BROKER_EVT_MESSAGE_OUT, true, on_message_out},
	{BROKER_EVT_CLIENT_OFFLINE, true, on_disconnect},
};
#define N_HANDLERS (sizeof handlers / sizeof handlers[0])

static bool listen_to(struct guard *g)
{
	for (size_t i = 0; i < N_HANDLERS; i++) {
		int rc = mosquitto_callback_register(g->identifier,
			handlers[i].event, handlers[i].call, NULL, g);

		if (rc == MOSQ_ERR_NOT_SUPPORTED && handlers[i].optional)
			continue;
		if (rc != MOSQ_ERR_SUCCESS) {
			report(MOSQ_LOG_ERR,
				"the broker does not offer event %d (%d); use "
				"Mosquitto 2.0.11 or newer",
				handlers[i].event, rc);
			return false;
		}
	}
	return true;
}

static void listen_no_more(struct guard *g)
{
	for (size_t i = 0; i < N_HANDLERS; i++)
		(void)mosquitto_callback_unregister(g->identifier,
			handlers[i].event, handlers[i].call, NULL);
}

/* ------------------------------------------------------ what the broker loads */

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int mosquitto_plugin_version(
	int supported_version_count, const int *supported_versions)
{
	for (int i = 0; i < supported_version_count; i++) {
		if (supported_versions[i] == MOSQ_PLUGIN_VERSION)
			return MOSQ_PLUGIN_VERSION;
	}
	return -1;
}

EXPORTED int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier,
	void **userdata, struct mosquitto_opt *options, int option_count)
{
	struct guard *g = calloc(1, sizeof *g);
	struct err e = {0};

	if (g == NULL)
		return MOSQ_ERR_NOMEM;
	g->identifier = identifier;
	g->reloads = 1; /* a binding's zero: not compared yet */
	read_clock(g);
	if (!start_options(g, options, option_count, &e) || !start(g, &e)) {
		report(MOSQ_LOG_ERR, "%s", e.msg);
		stop(g);
		free(g);
		return MOSQ_ERR_INVAL;
	}
	if (!listen_to(g)) {
		listen_no_more(g);
		stop(g);
		free(g);
		return MOSQ_ERR_NOT_SUPPORTED;
	}
	*userdata = g;
	return MOSQ_ERR_SUCCESS;
}

EXPORTED int mosquitto_plugin_cleanup(
	void *userdata, struct mosquitto_opt *options, int option_count)
{
	struct guard *g = userdata;

	(void)options;
	(void)option_count;
	if (g == NULL)
		return MOSQ_ERR_SUCCESS;
	listen_no_more(g);
	stop(g);
	free(g);
	return MOSQ_ERR_SUCCESS;
}
