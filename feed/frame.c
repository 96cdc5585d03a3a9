/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/frame.h"

#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>

#define SHORT_MAX 125u /* a length in the second byte, and of control frames */
#define LONG_MARK 126u /* the length is in two bytes more */
#define HUGE_MARK 127u /* in eight */
#define MASK_LEN  4u
#define HEAD_LEN  4u /* that stream_begin leaves room for */

/* ------------------------------------------------------------- from the client */

static enum frame_got bad(enum stream_close *why, enum stream_close code)
{
	*why = code;
	return FRAME_BAD;
}

/* "All frames sent from client to server have [the mask] bit set to 1"; "MUST
 * be 0 unless an extension is negotiated" (RSV1 to 3, and none is);
 * "All control frames MUST have a payload length of 125 bytes or less and MUST
 * NOT be fragmented." */
static bool first_bytes_ok(uint8_t a, uint8_t b)
{
	unsigned kind = a & 0x0Fu;
	bool last = (a & 0x80u) != 0;

	if ((a & 0x70u) != 0 || (b & 0x80u) == 0)
		return false;
	if (kind >= FRAME_CLOSE)
		return kind <= FRAME_PONG && last && (b & 0x7Fu) <= SHORT_MAX;
	return kind <= FRAME_BINARY;
}

enum frame_got frame_take(char *p, size_t n, struct frame *out, size_t *used,
	enum stream_close *why)
{
	const uint8_t *b = (const uint8_t *)p;
	size_t head = 2 + MASK_LEN, len;

	if (n >= 1 && n < 2 && !first_bytes_ok(b[0], 0x80))
		return bad(why, STREAM_PROTOCOL);
	if (n < 2)
		return FRAME_PART;
	if (!first_bytes_ok(b[0], b[1]))
		return bad(why, STREAM_PROTOCOL);
	len = b[1] & 0x7Fu;
	if (len == HUGE_MARK)
		return bad(why, STREAM_TOO_BIG);
	if (len == LONG_MARK) {
		if (n < 4)
			return FRAME_PART;
		head += 2;
		len = (size_t)b[2] << 8 | b[3];
		/* "the minimal number of bytes MUST be used" */
		if (len <= SHORT_MAX)
			return bad(why, STREAM_PROTOCOL);
	}
	if (len > STREAM_MESSAGE_MAX)
		return bad(why, STREAM_TOO_BIG);
	if (n < head + len)
		return FRAME_PART;
	for (size_t i = 0; i < len; i++)
		p[head + i] =
			(char)(b[head + i] ^ b[head - MASK_LEN + i % MASK_LEN]);
	out->kind = (enum frame_kind)(b[0] & 0x0Fu);
	out->last = (b[0] & 0x80u) != 0;
	out->payload = (struct str){p + head, len};
	*used = head + len;
	return FRAME_WHOLE;
}

/* §7.4.1 and §7.4.2: 1004 to 1006 and 1015 are never sent, and below 1000 and
 * above 4999 nothing is defined. */
bool frame_close_code(struct str payload, unsigned *code)
{
	const uint8_t *b = (const uint8_t *)payload.p;

	*code = 1005;
	if (payload.n == 0)
		return true;
	if (payload.n == 1)
		return false;
	*code = (unsigned)b[0] << 8 | b[1];
	return (*code >= 1000 && *code <= 1003) ||
	       (*code >= 1007 && *code <= 1014) ||
	       (*code >= 3000 && *code <= 4999);
}

/* --------------------------------------------------------------- to the client */

size_t stream_begin(struct text *out)
{
	size_t at = out->n;

	text_add(out, (struct str){"\0\0\0\0", HEAD_LEN});
	return at;
}

/* Puts the head of a frame before what was added since BEGUN. */
static void finish(struct text *out, size_t begun, enum frame_kind kind)
{
	uint8_t *p;
	size_t n;

	if (out->failed)
		return;
	p = (uint8_t *)out->p + begun;
	n = out->n - begun - HEAD_LEN;
	if (n > UINT16_MAX) {
		out->failed = true;
		return;
	}
	p[0] = (uint8_t)(0x80u | (unsigned)kind);
	if (n > SHORT_MAX) {
		p[1] = LONG_MARK;
		p[2] = (uint8_t)(n >> 8);
		p[3] = (uint8_t)n;
		return;
	}
	p[1] = (uint8_t)n;
	memmove(p + 2, p + HEAD_LEN, n);
	out->n -= HEAD_LEN - 2;
}

void stream_end(struct text *out, size_t begun)
{
	finish(out, begun, FRAME_TEXT);
	/* What follows is another message, not another member. */
	out->comma = false;
}

void frame_add(struct text *out, enum frame_kind kind, struct str payload)
{
	size_t begun = stream_begin(out);

	text_add(out, payload);
	finish(out, begun, kind);
}

void frame_add_close(
	struct text *out, enum stream_close code, struct str reason)
{
	char payload[SHORT_MAX];
	size_t n = reason.n < SHORT_MAX - 2 ? reason.n : SHORT_MAX - 2;

	payload[0] = (char)((unsigned)code >> 8);
	payload[1] = (char)code;
	if (n != 0)
		memcpy(payload + 2, reason.p, n);
	frame_add(out, FRAME_CLOSE, (struct str){payload, n + 2});
}

/* ------------------------------------------------------------------ handshake */

bool frame_accept(struct str key, char out[static FRAME_ACCEPT])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	unsigned char raw[20], hash[EVP_MAX_MD_SIZE];
	char joined[24 + sizeof(guid)];
	unsigned n = 0;

	/* 16 bytes are 24 characters, of which the last two are '='. */
	if (key.n != 24 || key.p[21] == '=' || key.p[22] != '=' ||
		key.p[23] != '=' ||
		EVP_DecodeBlock(raw, (const unsigned char *)key.p, 24) != 18)
		return false;
	(void)snprintf(joined, sizeof(joined), "%.*s%s", STR_ARG(key), guid);
	if (EVP_Digest(joined, sizeof(joined) - 1, hash, &n, EVP_sha1(),
		    NULL) != 1 ||
		n != 20)
		return false;
	return EVP_EncodeBlock((unsigned char *)out, hash, 20) ==
	       FRAME_ACCEPT - 1;
}
