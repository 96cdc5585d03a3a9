/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/server.h"

#include "feed/conn.h"
#include "feed/feed.h"
#include "feed/listen.h"
#include "feed/log.h"
#include "feed/notify.h"
#include "feed/peers.h"
#include "feed/tls.h"
#include "feed/turns.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Descriptors that are not connections: databases, the log, the segment. */
#define OTHER_FILES 128u
/* A record of TLS, so that one read empties it. */
#define READ_BYTES 16640u
/* How long a stop waits for answers that are under way. */
#define STOP_S 5
/* How many clients are let in before others are served. */
#define ACCEPTS_A_TURN 64
/* How often it is said that some were turned away. */
#define TELL_MS 10000

struct server {
	struct feed *feed;
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lws *listener, *signals; /* NULL: closed */
	lws_sorted_usec_list_t second, step, beat, stop;
	lws_dll2_owner_t conns;
	struct turns turns;
	uint8_t next_address[16]; /* of the client that is being let in */
	bool entering;            /* it is counted, and nobody's yet */
	uint64_t turned_away;
	int64_t told_ms;   /* when that was said last */
	SSL_CTX *tls;      /* libwebsockets'; NULL: no TLS */
	struct err no_tls; /* why it could not be set up */
	bool stopping, done;
	char url[CONFIG_ADDRESS_MAX + 16];
};

/* ------------------------------------------------------------------- the clock */

static int64_t now_ms(clockid_t clock)
{
	struct timespec t = {0, 0};

	(void)clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void on_step(lws_sorted_usec_list_t *sul)
{
	struct server *s = OWNER_OF(sul, struct server, step);

	if (feed_step(s->feed))
		lws_sul_schedule(s->context, 0, &s->step, on_step, 1);
}

static void tell_turned_away(struct server *s, int64_t ms)
{
	if (s->turned_away == 0 || ms - s->told_ms < TELL_MS)
		return;
	log_say(LOG_WARNING, "full",
		"%" PRIu64 " connections were turned away: %u are open, and of "
		"one address at most %u (limits)",
		s->turned_away, (unsigned)s->conns.count,
		(unsigned)s->feed->config.limits.address_connections);
	s->turned_away = 0;
	s->told_ms = ms;
}

static void on_second(lws_sorted_usec_list_t *sul)
{
	struct server *s = OWNER_OF(sul, struct server, second);

	feed_second(s->feed, now_ms(CLOCK_REALTIME) / 1000,
		now_ms(CLOCK_MONOTONIC));
	tell_turned_away(s, now_ms(CLOCK_MONOTONIC));
	if (s->listener != NULL)
		(void)lws_rx_flow_control(s->listener, 1);
	lws_sul_schedule(s->context, 0, &s->second, on_second, LWS_US_PER_SEC);
	lws_sul_schedule(s->context, 0, &s->step, on_step, 1);
}

static void on_beat(lws_sorted_usec_list_t *sul)
{
	struct server *s = OWNER_OF(sul, struct server, beat);

	lws_sul_schedule(s->context, 0, &s->beat, on_beat,
		(lws_usec_t)feed_beat(s->feed) * LWS_US_PER_MS);
}

void server_beat(struct server *s)
{
	lws_sul_schedule(s->context, 0, &s->beat, on_beat, 1);
}

/* ------------------------------------------------------------------------ room */

bool server_has_room(const struct server *s, const uint8_t address[static 16])
{
	uint32_t all = 0, of_address = 0;

	for (struct lws_dll2 *d = s->conns.head; d != NULL; d = d->next) {
		const struct conn *c = OWNER_OF(d, struct conn, all);

		if (!conn_is_long(c))
			continue;
		all++;
		of_address += peers_same(c->address, address) ? 1 : 0;
	}
	return all < SERVER_LONG &&
	       (of_address < SERVER_LONG_ADDRESS || access_loopback(address));
}

/* -------------------------------------------------------------------- stopping */

static void on_stop_late(lws_sorted_usec_list_t *sul)
{
	struct server *s = OWNER_OF(sul, struct server, stop);

	log_say(LOG_WARNING, "stop",
		"%u connections did not end in %d s and are cut",
		(unsigned)s->conns.count, STOP_S);
	s->done = true;
}

static void stop(struct server *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	notify_manager("STOPPING=1");
	if (s->listener != NULL)
		lws_set_timeout(
			s->listener, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	log_say(LOG_NOTICE, "stop", "asked to stop; %u connections are open",
		(unsigned)s->conns.count);
	for (struct lws_dll2 *d = s->conns.head, *next; d != NULL; d = next) {
		next = d->next;
		conn_stop(OWNER_OF(d, struct conn, all));
	}
	lws_sul_schedule(s->context, 0, &s->stop, on_stop_late,
		(lws_usec_t)STOP_S * LWS_US_PER_SEC);
	if (s->conns.count == 0)
		s->done = true;
}

/* Certificates are renewed; all else in the configuration takes a start. */
static void reload(struct server *s)
{
	struct err e;

	if (s->tls == NULL)
		log_say(LOG_NOTICE, "reload", "there is no TLS to be renewed");
	else if (tls_renew(s->tls, &s->feed->config.tls, &e))
		log_say(LOG_NOTICE, "reload",
			"new connections get the certificate that is in %s now",
			s->feed->config.tls.cert);
	else
		log_err(LOG_ERROR, "reload", &e);
}

static void on_signal(struct server *s, struct lws *wsi)
{
	struct signalfd_siginfo info;
	int fd = (int)(intptr_t)lws_get_socket_fd(wsi);

	if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(s);
	else
		stop(s);
}

/* --------------------------------------------------------------- connections */

static void let_in(struct server *s, struct lws *wsi)
{
	int listener = (int)(intptr_t)lws_get_socket_fd(wsi);

	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		lws_sock_file_fd_type fd = {0};
		int client = -1;

		enum listen_got got =
			listen_accept(listener, &client, s->next_address);

		/* Who waits is still there when a descriptor is not, and would be
		 * told of without end. */
		if (got == LISTEN_FULL)
			(void)lws_rx_flow_control(wsi, 0);
		if (got != LISTEN_CLIENT)
			return;
		if (!access_enter(s->feed, s->next_address)) {
			s->turned_away++;
			listen_turn_away(
				client, s->feed->config.tls.cert[0] == '\0');
			continue;
		}
		s->entering = true;
		fd.sockfd = client;
		/* What it cannot take it closes. */
		(void)lws_adopt_descriptor_vhost(s->vhost,
			LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL, fd, "http",
			NULL);
		if (s->entering)
			access_leave(s->feed, s->next_address);
		s->entering = false;
	}
}

static int adopted(struct server *s, struct lws *wsi, struct conn *c)
{
	if (s->stopping)
		return -1;
	conn_open(c, &(struct conn_home){s->feed, &s->turns}, wsi,
		s->next_address);
	s->entering = false;
	lws_dll2_add_tail(&c->all, &s->conns);
	return 0;
}

static int gone(struct server *s, struct conn *c)
{
	if (c == NULL || c->wsi == NULL)
		return 0;
	lws_dll2_remove(&c->all);
	access_leave(s->feed, c->address);
	conn_close(c);
	if (s->stopping && s->conns.count == 0)
		s->done = true;
	return 0;
}

/* The memory is libwebsockets', which fills it again when somebody else says as
 * much; a token does not wait for that. */
static int took(struct conn *c, void *in, size_t len)
{
	bool on = conn_read(c, (struct str){in, len});

	OPENSSL_cleanse(in, len);
	return on ? 0 : -1;
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason,
	void *user, void *in, size_t len)
{
	struct server *s = lws_context_user(lws_get_context(wsi));
	struct conn *c = user;

	/* Many reasons are of no interest, and libwebsockets' list is long. */
	switch ((int)reason) {
	case LWS_CALLBACK_RAW_ADOPT:
		return adopted(s, wsi, c);
	case LWS_CALLBACK_RAW_RX:
		return took(c, in, len);
	case LWS_CALLBACK_RAW_WRITEABLE:
		return conn_write(c) ? 0 : -1;
	case LWS_CALLBACK_RAW_CLOSE:
		return gone(s, c);
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		/* Of whatever it was given libwebsockets has loaded nothing. */
		s->tls = user;
		return tls_setup(user, &s->feed->config.tls, &s->no_tls) ? 0
									 : -1;
	default:
		return 0;
	}
}

/* The listening socket and the signals are files to libwebsockets. */
static int on_file(struct lws *wsi, enum lws_callback_reasons reason,
	void *user, void *in, size_t len)
{
	struct server *s = lws_context_user(lws_get_context(wsi));

	(void)user;
	(void)in;
	(void)len;
	switch ((int)reason) {
	case LWS_CALLBACK_RAW_RX_FILE:
		if (wsi == s->listener)
			let_in(s, wsi);
		else if (wsi == s->signals)
			on_signal(s, wsi);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		if (wsi == s->listener)
			s->listener = NULL;
		else if (wsi == s->signals)
			s->signals = NULL;
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols PROTOCOLS[] = {
	{"http", on_http, sizeof(struct conn), 0, 0, NULL,
		/* bytes a write: all it is given */ 65536},
	{"file", on_file, 0, 0, 0, NULL, 0},
	{NULL, NULL, 0, 0, 0, NULL, 0},
};

/* ------------------------------------------------------------- opening, closing */

/* libwebsockets has one log for the process. */
static void on_lws_log(int level, const char *line)
{
	char text[ERR_MSG_MAX];
	size_t n = strcspn(line, "\n");

	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, line, n);
	text[n] = '\0';
	log_say(level == LLL_ERR ? LOG_ERROR : LOG_WARNING, "libwebsockets",
		"%s", text);
}

/* libwebsockets keeps a table as long as descriptors may be many. */
static bool limit_files(const struct feed *f, struct err *e)
{
	struct rlimit r;
	rlim_t need = f->config.limits.connections + OTHER_FILES;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_max < need)
		return err_set(e, ERR_ENVIRONMENT,
			"%u connections take %lu descriptors, and this process "
			"may open %lu; raise LimitNOFILE, or lower "
			"limits.connections",
			f->config.limits.connections, (unsigned long)need,
			(unsigned long)r.rlim_max);
	r.rlim_cur = need;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		return err_set(e, ERR_ENVIRONMENT,
			"cannot limit open files to %lu", (unsigned long)need);
	return true;
}

static bool no_loop(struct err *e, const char *what)
{
	return err_set(e, ERR_ENVIRONMENT,
		"libwebsockets cannot %s; its own lines are above", what);
}

/* TLS is libwebsockets' to speak, and ours to set up (feed/tls.h). HTTP/2 is
 * not served: its name is not offered. */
static bool make_host(
	struct server *s, struct lws_context_creation_info *info, struct err *e)
{
	info->vhost_name = "feed";
	info->alpn = "http/1.1";
	if (s->feed->config.tls.cert[0] != '\0')
		info->options |= LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
	s->vhost = lws_create_vhost(s->context, info);
	if (s->vhost == NULL && s->no_tls.code != ERR_NONE)
		*e = s->no_tls;
	return s->vhost != NULL ||
	       (s->no_tls.code == ERR_NONE && no_loop(e, "make its host"));
}

static bool make_loop(struct server *s, struct err *e)
{
	struct lws_context_creation_info info = {0};

	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = PROTOCOLS;
	info.user = s;
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	if (s->feed->config.tls.cert[0] != '\0')
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info.pt_serv_buf_size = READ_BYTES;
	info.timeout_secs = 5; /* of a TLS handshake */
	s->context = lws_create_context(&info);
	if (s->context == NULL)
		return no_loop(e, "start");
	turns_open(&s->turns, s->context);
	return make_host(s, &info, e);
}

static bool adopt_file(
	struct server *s, int file, struct lws **out, struct err *e)
{
	lws_sock_file_fd_type fd = {0};

	fd.filefd = file;
	*out = lws_adopt_descriptor_vhost(
		s->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "file", NULL);
	return *out != NULL || no_loop(e, "watch a file");
}

static bool open_all(struct server *s, struct err *e)
{
	struct config_listen *l = &s->feed->config.listen;
	char at[CONFIG_ADDRESS_MAX];
	sigset_t signals;
	int fd;

	if (!access_check(s->feed, e) || !limit_files(s->feed, e) ||
		!make_loop(s, e) || !listen_open(l, &fd, e) ||
		!adopt_file(s, fd, &s->listener, e))
		return false;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return err_set(e, ERR_ENVIRONMENT, "cannot await signals");
	if (!adopt_file(s, fd, &s->signals, e))
		return false;
	config_listen_format(l, at);
	(void)snprintf(s->url, sizeof(s->url), "http%s://%s",
		s->feed->config.tls.cert[0] != '\0' ? "s" : "", at);
	return true;
}

bool server_open(struct feed *f, struct server **out, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_set(e, ERR_ENVIRONMENT, "out of memory");
	s->feed = f;
	if (!open_all(s, e)) {
		server_close(&s);
		return false;
	}
	f->server = s;
	*out = s;
	return true;
}

const char *server_url(const struct server *s)
{
	return s->url;
}

struct server_clients server_clients(const struct server *s)
{
	struct server_clients n = {0, 0};

	for (struct lws_dll2 *d = s->conns.head; d != NULL; d = d->next) {
		const struct conn *c = OWNER_OF(d, struct conn, all);

		n.websocket += c->state == CONN_STREAM ? 1 : 0;
		n.http += c->state != CONN_STREAM ? 1 : 0;
	}
	return n;
}

bool server_run(struct server *s, struct err *e)
{
	lws_sul_schedule(s->context, 0, &s->second, on_second, 1);
	server_beat(s);
	while (!s->done) {
		if (lws_service(s->context, 0) < 0)
			return no_loop(e, "go on");
	}
	return true;
}

void server_close(struct server **s)
{
	if (*s == NULL)
		return;
	(*s)->stopping = true;
	if ((*s)->context != NULL) {
		lws_sul_cancel(&(*s)->second);
		lws_sul_cancel(&(*s)->step);
		lws_sul_cancel(&(*s)->beat);
		lws_sul_cancel(&(*s)->stop);
		turns_close(&(*s)->turns);
		lws_context_destroy((*s)->context);
	}
	(*s)->feed->server = NULL;
	free(*s);
	*s = NULL;
}
