/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_swarm PORT CA.CRT BACKEND.PEM DEVICES.PEM RATE
 *
 * Connects a backend, which subscribes to all, and every device of
 * DEVICES.PEM (bench_fill's output) by TLS with its own certificate, prints
 * `ready N`, and publishes RATE messages a second, the devices by turns. Then
 * each line on standard input is answered with what happened since the last:
 *
 *   GAP LATENCY SELF MESSAGES DEVICES P99
 *
 * the longest time between two deliveries at the backend, the longest time
 * from sending to delivery, the longest time that the swarm itself was late
 * to send, all in microseconds; messages delivered; devices connected; the time
 * from sending to delivery that 99 of 100 messages keep within, in microseconds.
 *
 * MQTT 3.1.1, QoS 0. One thread sends, one receives, so that neither waits
 * for the other.
 */
#define _GNU_SOURCE /* clocks */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define HANDSHAKES 32 /* at once */
#define STEP_NS    INT64_C(1000000)
#define SECOND_NS  INT64_C(1000000000)
#define ID_MAX     64
#define PACKET_MAX 160
/* Latencies are counted to 10 us, up to a second. */
#define BIN_NS 10000
#define BINS   100000

enum phase { CLOSED = 0, HANDSHAKE, CONNACK, UP };

struct device {
	SSL *ssl;
	EVP_PKEY *key;
	X509 *cert;
	enum phase phase;
	char id[ID_MAX + 1];
};

struct swarm {
	SSL_CTX *ctx;
	uint16_t port;
	int epoll;
	struct device *devices;
	size_t n, started, up, open;
	struct device backend;
	int64_t rate;
	size_t next;
	_Atomic int64_t gap_ns, latency_ns, delivered;
	_Atomic uint32_t latency[BINS];
	int64_t self_ns;
};

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND_NS + t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "bench_swarm: %s\n", what);
	_exit(3);
}

/* ------------------------------------------------------------ certificates */

static bool read_identity(FILE *f, struct device *d)
{
	d->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	if (d->key == NULL)
		return false;
	d->cert = PEM_read_X509(f, NULL, NULL, NULL);
	if (d->cert == NULL ||
		X509_NAME_get_text_by_NID(X509_get_subject_name(d->cert),
			NID_commonName, d->id, sizeof(d->id)) <= 0)
		die("a key without a certificate that has a name");
	return true;
}

static void read_devices(struct swarm *s, const char *path)
{
	FILE *f = fopen(path, "r");
	size_t cap = 0;

	if (f == NULL)
		die("cannot read the devices");
	for (;;) {
		struct device d = {0};

		if (!read_identity(f, &d))
			break;
		if (s->n == cap) {
			cap = cap == 0 ? 1024 : cap * 2;
			s->devices = realloc(s->devices, cap * sizeof(d));
			if (s->devices == NULL)
				die("no memory");
		}
		s->devices[s->n++] = d;
	}
	(void)fclose(f);
}

/* ----------------------------------------------------------------- packets */

/* A string with its length before it; the position after it. */
static uint8_t *put_text(uint8_t *p, const char *text)
{
	size_t n = strlen(text);

	*p++ = (uint8_t)(n >> 8);
	*p++ = (uint8_t)n;
	memcpy(p, text, n + 1);
	return p + n;
}

/* All packets here are shorter than 128 bytes: one byte of length. */
static bool send_packet(SSL *ssl, uint8_t *packet, const uint8_t *end)
{
	int n = (int)(end - packet);

	packet[1] = (uint8_t)(n - 2);
	return SSL_write(ssl, packet, n) == n;
}

static bool send_connect(struct device *d)
{
	uint8_t packet[PACKET_MAX] = {0x10};
	uint8_t *p = put_text(packet + 2, "MQTT");

	*p++ = 4;
	*p++ = 2; /* clean session */
	*p++ = 0;
	*p++ = 120; /* keepalive, s */
	return send_packet(d->ssl, packet, put_text(p, d->id));
}

/* Its payload is the time. */
static bool send_message(struct device *d, int64_t at_ns)
{
	uint8_t packet[PACKET_MAX] = {0x30};
	char topic[ID_MAX + 8];
	uint8_t *p;

	(void)snprintf(topic, sizeof(topic), "g/%s/up", d->id);
	p = put_text(packet + 2, topic);
	memcpy(p, &at_ns, sizeof(at_ns));
	return send_packet(d->ssl, packet, p + sizeof(at_ns));
}

/* ------------------------------------------------------------- connections */

static void dial(struct swarm *s, struct device *d)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* To this machine: done at once, or the broker is gone. */
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) !=
			0)
		die("cannot connect");
	d->ssl = SSL_new(s->ctx);
	if (d->ssl == NULL || SSL_set_fd(d->ssl, fd) != 1 ||
		SSL_use_certificate(d->ssl, d->cert) != 1 ||
		SSL_use_PrivateKey(d->ssl, d->key) != 1)
		die("no TLS connection");
	SSL_set_connect_state(d->ssl);
	d->phase = HANDSHAKE;
}

static void hang_up(struct swarm *s, struct device *d)
{
	int fd = SSL_get_fd(d->ssl);

	s->open--;
	if (d->phase == UP)
		s->up--;
	d->phase = CLOSED;
	SSL_free(d->ssl);
	d->ssl = NULL;
	(void)close(fd);
}

static bool must_wait(struct device *d, int result)
{
	int why = SSL_get_error(d->ssl, result);

	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* Takes in what came for D; false: the connection is over. */
static bool take_in(struct swarm *s, struct device *d)
{
	uint8_t bytes[256];
	int n;

	if (d->phase == HANDSHAKE) {
		n = SSL_do_handshake(d->ssl);
		if (n != 1)
			return must_wait(d, n);
		d->phase = CONNACK;
		if (!send_connect(d))
			return false;
	}
	while ((n = SSL_read(d->ssl, bytes, sizeof(bytes))) > 0) {
		if (d->phase != CONNACK)
			continue;
		if (n < 4 || bytes[0] != 0x20 || bytes[3] != 0)
			return false;
		d->phase = UP;
		s->up++;
	}
	return must_wait(d, n);
}

static void start_next(struct swarm *s)
{
	struct device *d = &s->devices[s->started++];
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = d};
	int fd;

	dial(s, d);
	s->open++;
	fd = SSL_get_fd(d->ssl);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
		epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("cannot watch a connection");
	if (!take_in(s, d))
		hang_up(s, d);
}

static void serve(struct swarm *s, int timeout_ms)
{
	struct epoll_event events[64];
	int n = epoll_wait(s->epoll, events, 64, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct device *d = events[i].data.ptr;

		if (d->phase != CLOSED && !take_in(s, d))
			hang_up(s, d);
	}
}

static void connect_all(struct swarm *s)
{
	while (s->started < s->n || s->up < s->open) {
		while (s->started < s->n && s->open - s->up < HANDSHAKES)
			start_next(s);
		serve(s, 100);
	}
}

/* ----------------------------------------------------------------- backend */

static void read_whole(struct device *d, uint8_t *to, int n)
{
	while (n > 0) {
		int got = SSL_read(d->ssl, to, n);

		if (got <= 0)
			die("the backend was disconnected");
		to += got;
		n -= got;
	}
}

/* The length of the next packet's body, which is in BODY. */
static uint8_t read_packet(struct device *d, uint8_t body[static 128])
{
	uint8_t head[2];

	read_whole(d, head, 2);
	if (head[1] >= 128)
		die("a packet that no device sent");
	read_whole(d, body, head[1]);
	return head[1];
}

static void connect_backend(struct swarm *s, const char *path)
{
	uint8_t packet[PACKET_MAX] = {0x82, 0, 0, 1}, body[128];
	FILE *f = fopen(path, "r");
	uint8_t *end;
	bool read = f != NULL && read_identity(f, &s->backend);

	if (f != NULL)
		(void)fclose(f);
	if (!read)
		die("cannot read the backend's certificate");
	dial(s, &s->backend);
	if (SSL_do_handshake(s->backend.ssl) != 1 ||
		!send_connect(&s->backend) ||
		read_packet(&s->backend, body) != 2 || body[1] != 0)
		die("the backend was refused");
	end = put_text(packet + 4, "g/#");
	*end++ = 0;
	if (!send_packet(s->backend.ssl, packet, end) ||
		read_packet(&s->backend, body) != 3 || body[2] != 0)
		die("the backend's subscription was refused");
}

static void keep_highest(_Atomic int64_t *highest, int64_t value)
{
	int64_t seen = atomic_load(highest);

	while (value > seen &&
		!atomic_compare_exchange_weak(highest, &seen, value))
		;
}

static void count_latency(struct swarm *s, int64_t ns)
{
	int64_t bin = ns < 0 ? 0 : ns / BIN_NS;

	atomic_fetch_add(&s->latency[bin < BINS ? bin : BINS - 1], 1);
}

/* Begins a new count, too. */
static long long latency_p99_us(struct swarm *s)
{
	static uint32_t bin[BINS];
	uint64_t all = 0, below = 0;
	size_t i;

	for (i = 0; i < BINS; i++)
		all += bin[i] = atomic_exchange(&s->latency[i], 0);
	for (i = 0; i < BINS && below * 100 < all * 99; i++)
		below += bin[i];
	return (long long)i * BIN_NS / 1000;
}

static void *receive(void *arg)
{
	struct swarm *s = arg;
	int64_t last_ns = 0;

	for (;;) {
		uint8_t body[128];
		uint8_t n = read_packet(&s->backend, body);
		int64_t at_ns = now_ns(), sent_ns;

		if (n < sizeof(sent_ns))
			continue;
		memcpy(&sent_ns, body + n - sizeof(sent_ns), sizeof(sent_ns));
		if (last_ns != 0)
			keep_highest(&s->gap_ns, at_ns - last_ns);
		keep_highest(&s->latency_ns, at_ns - sent_ns);
		count_latency(s, at_ns - sent_ns);
		atomic_fetch_add(&s->delivered, 1);
		last_ns = at_ns;
	}
	return NULL;
}

/* -------------------------------------------------------------------- main */

static void publish_one(struct swarm *s, int64_t at_ns)
{
	for (size_t tried = 0; tried < s->n; tried++) {
		struct device *d = &s->devices[s->next];

		s->next = (s->next + 1) % s->n;
		if (d->phase == UP) {
			(void)send_message(d, at_ns);
			return;
		}
	}
}

/* Answers a line of standard input; false: there is none any more. */
static bool answer(struct swarm *s)
{
	char line[64];

	if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
		return false;
	(void)printf("%lld %lld %lld %lld %zu %lld\n",
		(long long)atomic_exchange(&s->gap_ns, 0) / 1000,
		(long long)atomic_exchange(&s->latency_ns, 0) / 1000,
		(long long)s->self_ns / 1000,
		(long long)atomic_exchange(&s->delivered, 0), s->up,
		latency_p99_us(s));
	(void)fflush(stdout);
	s->self_ns = 0;
	return true;
}

static void run(struct swarm *s)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	int64_t due_ns = now_ns(), credit = 0;

	for (;;) {
		struct timespec until = {
			due_ns / SECOND_NS, due_ns % SECOND_NS};
		int64_t at_ns;

		(void)clock_nanosleep(
			CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		at_ns = now_ns();
		if (at_ns - due_ns > s->self_ns)
			s->self_ns = at_ns - due_ns;
		for (credit += s->rate * STEP_NS; credit >= SECOND_NS;
			credit -= SECOND_NS)
			publish_one(s, now_ns());
		due_ns += STEP_NS;
		serve(s, 0);
		if (poll(&in, 1, 0) > 0 && !answer(s))
			return;
	}
}

int main(int argc, char **argv)
{
	static struct swarm s;
	pthread_t receiver;

	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc != 6 || s.epoll < 0)
		die("usage: PORT CA.CRT BACKEND.PEM DEVICES.PEM RATE");
	s.port = (uint16_t)strtol(argv[1], NULL, 10);
	s.rate = strtol(argv[5], NULL, 10);
	s.ctx = SSL_CTX_new(TLS_client_method());
	if (s.ctx == NULL ||
		SSL_CTX_load_verify_locations(s.ctx, argv[2], NULL) != 1)
		die("cannot read the CA's certificate");
	SSL_CTX_set_verify(s.ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_session_cache_mode(s.ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(s.ctx, SSL_MODE_RELEASE_BUFFERS);
	read_devices(&s, argv[4]);
	connect_backend(&s, argv[3]);
	connect_all(&s);
	if (pthread_create(&receiver, NULL, receive, &s) != 0)
		die("no thread");
	(void)printf("ready %zu\n", s.up);
	(void)fflush(stdout);
	run(&s);
	/* The receiver waits in the backend's connection: end it all at once. */
	_exit(0);
}
