/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device in C, with libmosquitto, to start from.
 *
 *     device HOST PORT ID CAFILE CERTIFICATE KEY TOPIC…
 *
 * Publishes a reading to each TOPIC, waits for the broker's word on it, and
 * obeys commands under dev/ID/cmd/. README.md, one folder up, says what it
 * does when the broker refuses something, and why.
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Seconds; each may be given to the compiler. README.md says why so. */
#ifndef INTERVAL_S
#define INTERVAL_S 60.0 /* between readings */
#endif
#ifndef RETRY_S
#define RETRY_S 1.0 /* after the first loss of the connection */
#endif
#ifndef RETRY_MAX_S
#define RETRY_MAX_S 300.0 /* after many */
#endif
#ifndef REFUSED_S
#define REFUSED_S 900.0 /* when the broker does not admit the device */
#endif

#define KEEPALIVE_S      30
#define SESSION_EXPIRY_S 3600
#define TOPICS_MAX       8
#define NAME_MAX_BYTES   256

struct topic {
	const char *name;
	int mid;              /* of the reading on its way; 0: none */
	double refused_until; /* 0: the broker takes it */
};

struct device {
	struct mosquitto *mosq;
	const char *id;
	char command_filter[NAME_MAX_BYTES];
	char status_topic[NAME_MAX_BYTES];
	struct topic topics[TOPICS_MAX];
	int n_topics;
	bool connected, not_authorised;
	bool clean_start;  /* for the next connect */
	unsigned failures; /* in a row */
};

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
	(void)number;
	stopping = 1;
}

__attribute__((format(printf, 1, 2))) static void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)putchar('\n');
	(void)fflush(stdout);
}

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Half to all of DELAY_S: a fleet that lost its broker at one moment must not
 * come back at one. */
static double jittered(double delay_s)
{
	unsigned char byte[2] = {0, 0};
	FILE *f = fopen("/dev/urandom", "rb");
	size_t n = f != NULL ? fread(byte, 1, sizeof(byte), f) : 0;

	if (f != NULL)
		(void)fclose(f);
	return n != sizeof(byte)
		       ? delay_s
		       : delay_s * (0.5 + (byte[0] * 256 + byte[1]) / 131072.0);
}

static void publish_status(struct device *d, const char *status)
{
	(void)mosquitto_publish_v5(d->mosq, NULL, d->status_topic,
		(int)strlen(status), status, 1, true, NULL);
}

/* ----------------------------------------------------------------- callbacks */

static void on_connect(struct mosquitto *mosq, void *obj, int code, int flags,
	const mosquitto_property *props)
{
	struct device *d = obj;

	(void)props;
	if (code != 0) {
		say("connect refused %d", code);
		d->not_authorised = code == MQTT_RC_NOT_AUTHORIZED;
		return;
	}
	say("connected%s", (flags & 1) != 0 ? ", session resumed" : "");
	d->connected = true;
	d->failures = 0;
	d->clean_start = false;
	/* Each time: the broker drops a subscription that was refused. */
	(void)mosquitto_subscribe_v5(mosq, NULL, d->command_filter, 1, 0, NULL);
	publish_status(d, "online");
}

static void on_disconnect(struct mosquitto *mosq, void *obj, int code,
	const mosquitto_property *props)
{
	struct device *d = obj;

	(void)mosq;
	(void)props;
	if (d->connected)
		say("disconnected %d", code);
	d->connected = false;
}

static void on_publish(struct mosquitto *mosq, void *obj, int mid, int code,
	const mosquitto_property *props)
{
	struct device *d = obj;

	(void)mosq;
	(void)props;
	for (int i = 0; i < d->n_topics; i++) {
		struct topic *t = &d->topics[i];

		if (t->mid != mid)
			continue;
		t->mid = 0;
		/* 16: taken, and nobody listens. */
		if (code < 0x80) {
			say("sent %s", t->name);
		} else {
			say("refused %s %d", t->name, code);
			t->refused_until = now_s() + REFUSED_S;
		}
	}
}

static void on_subscribe(struct mosquitto *mosq, void *obj, int mid, int n,
	const int *granted, const mosquitto_property *props)
{
	const struct device *d = obj;

	(void)mosq;
	(void)mid;
	(void)props;
	if (n == 1 && granted[0] >= 0x80)
		say("refused %s %d", d->command_filter, granted[0]);
	else
		say("listening");
}

static void on_message(struct mosquitto *mosq, void *obj,
	const struct mosquitto_message *m, const mosquitto_property *props)
{
	(void)mosq;
	(void)obj;
	(void)props;
	/* What a device does with a command is its own; payloads are bytes. */
	say("command %s %.*s", m->topic, m->payloadlen,
		m->payloadlen != 0 ? (const char *)m->payload : "");
}

/* -------------------------------------------------------------------- running */

/* A client of the library, as the next connect needs it. */
static bool make_client(struct device *d, char **argv)
{
	static const char lost[] = "lost";
	struct mosquitto *m;

	if (d->mosq != NULL)
		mosquitto_destroy(d->mosq);
	for (int i = 0; i < d->n_topics; i++) {
		d->topics[i].mid = 0;
		d->topics[i].refused_until = 0;
	}
	/* With a session that stays, commands wait for a device that is away. */
	m = d->mosq = mosquitto_new(d->id, d->clean_start, d);
	if (m == NULL)
		return false;
	mosquitto_connect_v5_callback_set(m, on_connect);
	mosquitto_disconnect_v5_callback_set(m, on_disconnect);
	mosquitto_publish_v5_callback_set(m, on_publish);
	mosquitto_subscribe_v5_callback_set(m, on_subscribe);
	mosquitto_message_v5_callback_set(m, on_message);
	/* MQTT 5: MQTT 3.1.1 has no way to say that a publish was refused. */
	return mosquitto_int_option(m, MOSQ_OPT_PROTOCOL_VERSION,
		       MQTT_PROTOCOL_V5) == MOSQ_ERR_SUCCESS &&
	       mosquitto_tls_set(m, argv[4], NULL, argv[5], argv[6], NULL) ==
		       MOSQ_ERR_SUCCESS &&
	       mosquitto_tls_opts_set(m, 1, "tlsv1.2", NULL) ==
		       MOSQ_ERR_SUCCESS &&
	       mosquitto_will_set_v5(m, d->status_topic, (int)sizeof(lost) - 1,
		       lost, 1, true, NULL) == MOSQ_ERR_SUCCESS;
}

static bool connect_once(struct device *d, char **argv)
{
	mosquitto_property *props = NULL;
	int rc;

	d->not_authorised = false;
	if (!make_client(d, argv) ||
		mosquitto_property_add_int32(&props,
			MQTT_PROP_SESSION_EXPIRY_INTERVAL,
			SESSION_EXPIRY_S) != MOSQ_ERR_SUCCESS)
		return false;
	rc = mosquitto_connect_bind_v5(d->mosq, argv[1],
		(int)strtol(argv[2], NULL, 10), KEEPALIVE_S, NULL, props);
	mosquitto_property_free_all(&props);
	if (rc != MOSQ_ERR_SUCCESS)
		say("cannot connect: %s", mosquitto_strerror(rc));
	return rc == MOSQ_ERR_SUCCESS;
}

static void publish_readings(struct device *d)
{
	char reading[32];
	int n = snprintf(reading, sizeof(reading), "%.0f", now_s());

	for (int i = 0; i < d->n_topics; i++) {
		struct topic *t = &d->topics[i];

		/* One at a time: what is unconfirmed is not piled up. */
		if (t->mid == 0 && now_s() >= t->refused_until &&
			mosquitto_publish_v5(d->mosq, &t->mid, t->name, n,
				reading, 1, false, NULL) != MOSQ_ERR_SUCCESS)
			t->mid = 0;
	}
}

/* Until the connection ends. */
static void serve(struct device *d)
{
	double next = 0;

	while (!stopping &&
		mosquitto_loop(d->mosq, 100, 1) == MOSQ_ERR_SUCCESS) {
		if (d->connected && now_s() >= next) {
			publish_readings(d);
			next = now_s() + INTERVAL_S;
		}
	}
	if (stopping && d->connected) {
		/* A DISCONNECT, so that the will is not published. */
		publish_status(d, "offline");
		for (int i = 0; i < 10 && mosquitto_want_write(d->mosq); i++)
			(void)mosquitto_loop(d->mosq, 100, 1);
		(void)mosquitto_disconnect_v5(d->mosq, 0, NULL);
		(void)mosquitto_loop(d->mosq, 100, 1);
	}
}

static void wait_s(double delay_s)
{
	double end = now_s() + delay_s;

	say("retry in %.1f s", delay_s);
	while (!stopping && now_s() < end) {
		struct timespec t = {0, 50000000};

		(void)nanosleep(&t, NULL);
	}
}

static void back_off(struct device *d)
{
	double delay_s = RETRY_S;

	if (d->not_authorised && !d->clean_start) {
		/* It may be the session that is refused (session_stale): one
		 * try without it, at once. */
		d->clean_start = true;
		say("once with a clean session");
		return;
	}
	if (d->not_authorised) {
		/* Suspended, revoked, not known yet: people change that, not
		 * minutes. */
		d->clean_start = false;
		wait_s(jittered(REFUSED_S));
		return;
	}
	for (unsigned i = 0; i < d->failures && delay_s < RETRY_MAX_S; i++)
		delay_s *= 2;
	d->failures++;
	wait_s(jittered(delay_s < RETRY_MAX_S ? delay_s : RETRY_MAX_S));
}

int main(int argc, char **argv)
{
	struct device d = {.mosq = NULL};

	if (argc < 8 || argc - 7 > TOPICS_MAX) {
		(void)fprintf(stderr, "usage: device HOST PORT ID CAFILE "
				      "CERTIFICATE KEY TOPIC...\n");
		return 2;
	}
	d.id = argv[3];
	for (int i = 7; i < argc; i++)
		d.topics[d.n_topics++].name = argv[i];
	(void)snprintf(d.command_filter, sizeof(d.command_filter),
		"dev/%s/cmd/+", d.id);
	(void)snprintf(
		d.status_topic, sizeof(d.status_topic), "dev/%s/status", d.id);
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	(void)mosquitto_lib_init();
	while (!stopping) {
		if (connect_once(&d, argv))
			serve(&d);
		if (d.connected && !stopping)
			say("connection lost");
		d.connected = false;
		if (!stopping)
			back_off(&d);
	}
	if (d.mosq != NULL)
		mosquitto_destroy(d.mosq);
	(void)mosquitto_lib_cleanup();
	return 0;
}
