/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/conn.h"

#include "feed/exchange.h"
#include "feed/feed.h"
#include "feed/log.h"
#include "feed/reply.h"
#include "feed/route.h"
#include "feed/stream_private.h"
#include "feed/turns.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* How long a state may last. An answer: without anything of it leaving. */
#define HEAD_S   5
#define BODY_S   10
#define IDLE_S   30
#define ANSWER_S 30
#define LINGER_S 2

/* What is handed to the kernel at once. libwebsockets copies what it does not
 * take, so this bounds that copy. */
#define WRITE_BYTES ((size_t)32768)

/* What is still read, to be dropped, of who was answered already: closing a
 * socket with bytes unread would reset it, and the answer could be lost. */
#define LINGER_BYTES ((size_t)262144)

/* ------------------------------------------------------------------- timing */

static void on_timer(lws_sorted_usec_list_t *sul);

static void set_timer(struct conn *c, int64_t seconds)
{
	lws_sul_schedule(lws_get_context(c->wsi), 0, &c->timer, on_timer,
		(lws_usec_t)seconds * LWS_US_PER_SEC);
}

/* What is not read waits in the kernel. */
static void set_deaf(struct conn *c, bool deaf)
{
	if (c->deaf != deaf)
		(void)lws_rx_flow_control(c->wsi, deaf ? 0 : 1);
	c->deaf = deaf;
}

/* ---------------------------------------------------------------- the answer */

static void end_exchange(struct conn *c)
{
	if (c->x == NULL)
		return;
	/* A token does not stay where it was read. All of a body need not have
	 * come, and what came after it is the next request. */
	if (c->x->head.authorization.n != 0 && c->in.p != NULL)
		OPENSSL_cleanse(c->in.p, c->need < c->in.n ? c->need : c->in.n);
	exchange_free(&c->x);
}

/* Begins to write the answer that X has. Nothing more is read before it has
 * left. */
static void send_answer(struct conn *c)
{
	turns_leave(c);
	exchange_begin(c->x, c->stopping, &c->out);
	c->state = CONN_ANSWER;
	set_timer(c, ANSWER_S);
	set_deaf(c, true);
	(void)lws_callback_on_writable(c->wsi);
}

static bool begin_exchange(struct conn *c)
{
	if (c->x == NULL)
		c->x = calloc(1, sizeof(*c->x));
	return c->x != NULL;
}

/* A request that cannot be understood is answered, and the connection ends:
 * where the next one would begin is not known. */
static bool refuse(struct conn *c, const struct http_refusal *r)
{
	if (!begin_exchange(c))
		return false;
	c->x->close = true;
	answer_problem(&c->x->answer, r->status, "%s", r->why);
	send_answer(c);
	return true;
}

/* ----------------------------------------------------------------- a stream */

static void wake(void *conn)
{
	const struct conn *c = conn;

	(void)lws_callback_on_writable(c->wsi);
}

/* The answer is a stream: a WebSocket, if that is what was asked for. */
static void send_upgrade(struct conn *c)
{
	struct answer *a = &c->x->answer;
	char accept[FRAME_ACCEPT];

	if (!c->x->head.upgrade ||
		!str_eq(c->x->head.socket_version, STR("13"))) {
		answer_problem(a, 426,
			"this is a WebSocket of version 13, and takes a "
			"request for one");
		send_answer(c);
		return;
	}
	if (!frame_accept(c->x->head.socket_key, accept)) {
		answer_problem(
			a, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
		send_answer(c);
		return;
	}
	c->stream = stream_new(a->stream, a->ctx, wake, c);
	if (c->stream == NULL) {
		answer_problem(a, 503, "out of memory; try again later");
		send_answer(c);
		return;
	}
	a->drop = NULL; /* ctx is the stream's */
	c->id = c->x->id;
	end_exchange(c);
	memmove(c->in.p, c->in.p + c->need, c->in.n - c->need);
	c->in.n -= c->need;
	reply_upgrade(&c->out, accept);
	c->state = CONN_STREAM;
	set_timer(c, STREAM_LOOK_S);
	wake(c);
}

static void read_stream(struct conn *c)
{
	size_t n = stream_take(c->stream, c->in.p, c->in.n);

	if (n < c->in.n)
		memmove(c->in.p, c->in.p + n, c->in.n - n);
	c->in.n -= n;
	if (c->in.n == 0)
		text_free(&c->in);
}

/* --------------------------------------------------------------- the request */

static void answer_request(struct conn *c)
{
	struct exchange *x = c->x;
	SSL *ssl = lws_get_ssl(c->wsi);
	struct tls_client client;
	struct err e;

	x->bare = x->head.method == ASK_HEAD;
	if (!ask_parse(x->head.target, &x->ask, &e)) {
		answer_err(&x->answer, &e);
		send_answer(c);
		return;
	}
	x->ask.method = x->head.method;
	x->ask.content_type = x->head.content_type;
	x->ask.body = (struct str){
		c->in.p + (c->need - x->head.length), x->head.length};
	memcpy(x->ask.address, c->address, sizeof(c->address));
	tls_client(ssl, &client);
	if (access_judge(c->feed, &x->head, ssl != NULL ? &client : NULL,
		    &x->ask, &x->id, &x->answer))
		route_answer(c->feed, &x->ask, &x->answer);
	if (x->answer.stream == NULL) {
		send_answer(c);
		return;
	}
	send_upgrade(c);
	/* Frames may have come in one piece with the request. */
	if (c->state == CONN_STREAM)
		read_stream(c);
}

/* The head is there: of what length is the body? */
static bool take_head(struct conn *c, size_t n)
{
	struct http_refusal r;

	if (!begin_exchange(c))
		return false;
	if (!http_parse((struct str){c->in.p, n}, &c->x->head, &r))
		return refuse(c, &r);
	if (c->x->head.length > ASK_BODY_MAX) {
		r = (struct http_refusal){
			413, "the body has more than 65536 bytes"};
		return refuse(c, &r);
	}
	c->need = n + c->x->head.length;
	if (c->in.n >= c->need)
		return true;
	c->state = CONN_BODY;
	set_timer(c, BODY_S);
	if (c->x->head.expect) {
		text_add(&c->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
		(void)lws_callback_on_writable(c->wsi);
	}
	return true;
}

/* What has been read, as far as it goes. */
static bool understand(struct conn *c)
{
	struct str in = {c->in.p, c->in.n};
	struct http_refusal r;
	size_t n;

	if (c->state == CONN_HEAD && in.n != 0) {
		n = http_head_end(in, &r);
		if (r.status != 0)
			return refuse(c, &r);
		if (n == 0)
			return true;
		if (!take_head(c, n))
			return false;
	}
	if (c->need == 0 || c->state == CONN_ANSWER || c->in.n < c->need)
		return true;
	/* The buffer may have moved since its head was looked at. */
	if (!http_parse((struct str){c->in.p, c->need - c->x->head.length},
		    &c->x->head, &r))
		return refuse(c, &r);
	if (turns_has_time(c->turns)) {
		turns_leave(c);
		answer_request(c);
		return true;
	}
	turns_wait(c->turns, c);
	set_timer(c, ANSWER_S);
	set_deaf(c, true);
	return true;
}

bool conn_read(struct conn *c, struct str bytes)
{
	if (c->state == CONN_LINGER) {
		c->dropped += bytes.n;
		return c->dropped <= LINGER_BYTES;
	}
	if (c->state == CONN_HEAD && c->in.n == 0) {
		/* libwebsockets' own clock, of the handshake, ends here. */
		lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
		set_timer(c, HEAD_S);
	}
	text_add(&c->in, bytes);
	if (c->in.failed)
		return false;
	if (c->state == CONN_STREAM)
		read_stream(c);
	else if (c->state != CONN_ANSWER)
		return understand(c);
	return true;
}

/* ------------------------------------------------------------------- writing */

/* All is said. What still comes in is dropped until the client closes too. */
static bool linger(struct conn *c)
{
	SSL *tls = lws_get_ssl(c->wsi);

	end_exchange(c);
	stream_free(&c->stream);
	text_free(&c->in);
	text_free(&c->out);
	c->state = CONN_LINGER;
	if (tls != NULL)
		(void)SSL_shutdown(tls);
	if (shutdown(lws_get_socket_fd(c->wsi), SHUT_WR) != 0)
		return false;
	set_timer(c, LINGER_S);
	set_deaf(c, false);
	return true;
}

/* The answer has left: what came after its request is the next one. */
static bool next_request(struct conn *c)
{
	size_t left = c->in.n > c->need ? c->in.n - c->need : 0;

	if (c->x->close || c->stopping)
		return linger(c);
	end_exchange(c);
	if (left != 0)
		memmove(c->in.p, c->in.p + c->need, left);
	c->in.n = left;
	c->need = 0;
	c->state = CONN_HEAD;
	text_free(&c->out);
	if (left == 0)
		text_free(&c->in);
	set_timer(c, left == 0 ? IDLE_S : HEAD_S);
	set_deaf(c, false);
	return understand(c);
}

static bool write_some(struct conn *c)
{
	size_t n = c->out.n - c->out_at;

	if (n > WRITE_BYTES)
		n = WRITE_BYTES;
	if (lws_write(c->wsi, (unsigned char *)c->out.p + c->out_at, n,
		    LWS_WRITE_RAW) < 0)
		return false;
	c->out_at += n;
	if (c->state == CONN_ANSWER)
		set_timer(c, ANSWER_S);
	/* With bytes of its own to send libwebsockets does not read, and would turn
	 * for ever around what there is to be read. */
	if (lws_partial_buffered(c->wsi))
		set_deaf(c, true);
	(void)lws_callback_on_writable(c->wsi);
	return true;
}

/* All of OUT has left a stream. */
static bool next_of_stream(struct conn *c)
{
	set_deaf(c, false);
	if (!stream_fill(c->stream, &c->out))
		return linger(c);
	if (c->out.n != 0)
		(void)lws_callback_on_writable(c->wsi);
	else
		text_free(&c->out);
	return true;
}

bool conn_write(struct conn *c)
{
	bool end = false;

	if (lws_partial_buffered(c->wsi)) {
		(void)lws_callback_on_writable(c->wsi);
		return true;
	}
	if (c->out.failed)
		return false;
	if (c->out_at < c->out.n)
		return write_some(c);
	text_clear(&c->out);
	c->out_at = 0;
	if (c->state == CONN_STREAM)
		return next_of_stream(c);
	if (c->state != CONN_ANSWER) {
		set_deaf(c, turns_waits(c));
		return true;
	}
	if (!exchange_is_made(c->x) && !turns_has_time(c->turns)) {
		turns_wait(c->turns, c);
		return true;
	}
	turns_leave(c);
	if (!exchange_next(c->x, &c->out, &end))
		return false;
	/* The client waits for us, not we for it. */
	if (c->out.n == 0 && !end)
		set_timer(c, ANSWER_S);
	if (end)
		return next_request(c);
	(void)lws_callback_on_writable(c->wsi);
	return true;
}

/* --------------------------------------------------------------- life, death */

static void kill_conn(struct conn *c)
{
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void on_timer(lws_sorted_usec_list_t *sul)
{
	struct conn *c = OWNER_OF(sul, struct conn, timer);
	static const struct http_refusal late = {
		408, "the request did not come in time"};
	static const struct http_refusal busy = {
		503, "too many ask for too much; ask again later"};
	bool begun;

	if (c->state == CONN_STREAM && stream_alive(c->stream)) {
		if (!access_still(c->feed, &c->id))
			stream_close(c->stream, STREAM_POLICY,
				"the token is not valid any more");
		set_timer(c, STREAM_LOOK_S);
		return;
	}
	begun = c->state == CONN_BODY ||
		(c->state == CONN_HEAD && c->in.n != 0);
	if (!begun || !refuse(c, turns_waits(c) ? &busy : &late))
		kill_conn(c);
}

static bool go_on(struct conn *c)
{
	if (c->state == CONN_ANSWER)
		return conn_write(c);
	set_deaf(c, false);
	return understand(c);
}

void conn_go_on(struct conn *c)
{
	if (!go_on(c))
		kill_conn(c);
}

bool conn_is_long(const struct conn *c)
{
	return c->state == CONN_ANSWER && c->x != NULL &&
	       c->x->answer.more != NULL && c->x->body_left;
}

void conn_open(struct conn *c, const struct conn_home *home, struct lws *wsi,
	const uint8_t address[static 16])
{
	c->feed = home->feed;
	c->turns = home->turns;
	c->wsi = wsi;
	memcpy(c->address, address, sizeof(c->address));
	/* It may hold a token, whole or in part. */
	c->in.secret = true;
	set_timer(c, HEAD_S);
}

void conn_stop(struct conn *c)
{
	c->stopping = true;
	if (c->state == CONN_STREAM)
		stream_close(c->stream, STREAM_GOING_AWAY, "weir-feed stops");
	else if ((c->state == CONN_HEAD && !turns_waits(c)) ||
		 c->state == CONN_LINGER)
		kill_conn(c);
}

void conn_close(struct conn *c)
{
	if (c->wsi == NULL)
		return;
	lws_sul_cancel(&c->timer);
	turns_leave(c);
	end_exchange(c);
	stream_free(&c->stream);
	text_free(&c->in);
	text_free(&c->out);
	c->wsi = NULL;
}
