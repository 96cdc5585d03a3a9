/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile seen.seg, read as `weir` reads it and gone on with as the plugin
 * does. The first two bytes say how much of the file there is; of the third,
 * bit 0 whether it starts as zeros or as a good record, the others how many
 * requests are recorded; then come patches of { area 1, offset 2, length 1,
 * bytes }. Oracle: plain reads of the same bytes, without the sequence's
 * protocol; of the writer, that it keeps what is sound and loses no message
 * uncounted.
 */
#include "core/seen_write.h"
#include "core/topic.h"
#include "core/utf8.h"
#include "io/seen_file.h"
#include "tests/support/check.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATCHES 64
#define NOW     INT64_C(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
	char path[64];
	int fd;
	unsigned char *bytes; /* the file, mapped */
	/* What the last input has written, to be undone. */
	struct {
		size_t at, len;
	} patched[PATCHES];
	size_t n_patched;
} fx;

static void remove_all(void)
{
	(void)unlink(fx.path);
}

static void setup(void)
{
	(void)snprintf(fx.path, sizeof(fx.path), "/tmp/weir-fuzz-XXXXXX");
	fx.fd = mkstemp(fx.path);
	CHECK(fx.fd >= 0);
	(void)atexit(remove_all);
	CHECK(ftruncate(fx.fd, SEEN_SIZE) == 0);
	fx.bytes = mmap(
		NULL, SEEN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fx.fd, 0);
	CHECK(fx.bytes != MAP_FAILED);
}

static size_t u16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static void undo(void)
{
	CHECK(ftruncate(fx.fd, SEEN_SIZE) == 0);
	memset(fx.bytes, 0, sizeof(struct seen_header));
	while (fx.n_patched != 0) {
		fx.n_patched--;
		memset(fx.bytes + fx.patched[fx.n_patched].at, 0,
			fx.patched[fx.n_patched].len);
	}
}

static void patch(const uint8_t *p, size_t n)
{
	static const size_t base[] = {0, SEEN_DEVICES_AT, SEEN_REQUESTS_AT,
		SEEN_CERTS_AT, SEEN_REQUESTS_AT - 0x10000,
		SEEN_CERTS_AT - 0x10000, SEEN_SIZE - 0x10000, 24};

	while (n >= 4 && fx.n_patched < PATCHES) {
		size_t at = base[p[0] % 8] + u16(p + 1), len = p[3];

		p += 4;
		n -= 4;
		if (len > n)
			len = n;
		if (len > SEEN_SIZE - at)
			len = SEEN_SIZE - at;
		memcpy(fx.bytes + at, p, len);
		fx.patched[fx.n_patched].at = at;
		fx.patched[fx.n_patched++].len = len;
		p += len;
		n -= len;
	}
}

/* -------------------------------------------------------------- plain reads */

/* Nobody else writes: the words are bytes. */
static const char *plain(const void *words)
{
	return words;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The id of DEVICE; n == 0: none that is sound. */
static struct str plain_id(uint32_t device)
{
	const struct seen_header *h = (const void *)fx.bytes;
	const struct seen_device *d = seen_device_at(fx.bytes, device);
	struct str id = {plain(d->id), 0};

	if (device < least(h->n_devices, SEEN_DEVICES) &&
		d->id_len <= DEVICE_ID_MAX)
		id.n = d->id_len;
	return device_id_valid(id) ? id : (struct str){id.p, 0};
}

static bool plain_topic(uint32_t what, struct str topic)
{
	struct str group, filter;

	if ((what & 0xFF) == ACTION_PUBLISH && (what >> 25 & 1) == 0)
		return topic_valid(topic);
	return share_split(topic, &group, &filter) && filter_valid(filter);
}

static bool plain_request(const struct seen_request *r, struct str *id)
{
	uint32_t action = r->what & 0xFF, reason = r->what >> 8 & 0xFF;

	if (r->seq % 2 != 0 || r->topic_len == 0 || r->topic_len > SEEN_TOPIC)
		return false;
	if (r->device >= SEEN_DEVICES || (r->what >> 16 & 0xFF) > 2)
		return false;
	*id = plain_id(r->device);
	return id->n != 0 && reason < REASON_COUNT &&
	       (action == ACTION_PUBLISH || action == ACTION_SUBSCRIBE) &&
	       plain_topic(
		       r->what, (struct str){plain(r->topic), r->topic_len});
}

static void check_request(const void *mem, uint32_t i)
{
	const struct seen_request *r = seen_request_at(fx.bytes, i);
	struct str id = {NULL, 0};
	bool sound = plain_request(r, &id);
	struct seen s;

	CHECK(seen_request_load(mem, i, &s) == sound);
	if (!sound)
		return;
	CHECK(str_eq(str_from(s.device), id));
	CHECK(s.text.p == s.topic && s.text.n == r->topic_len);
	CHECK(strlen(s.topic) == s.text.n);
	CHECK(memcmp(s.topic, plain(r->topic), s.text.n) == 0);
	CHECK(s.count == r->count && s.largest == r->largest);
	CHECK(s.first_s == r->first_s && s.last_s == r->last_s);
	CHECK((uint32_t)s.action == (r->what & 0xFF));
	CHECK((uint32_t)s.reason == (r->what >> 8 & 0xFF));
	CHECK(s.qos == (r->what >> 16 & 0xFF));
	CHECK(s.retain == ((r->what >> 24 & 1) != 0));
	CHECK(s.folded == ((r->what >> 25 & 1) != 0));
}

static void check_cert(const void *mem, uint32_t i)
{
	const struct seen_cert *r = seen_cert_at(fx.bytes, i);
	static const uint8_t none[FINGERPRINT_LEN];
	struct seen_credential s;
	const struct credential *c = &s.credential;

	if (!seen_cert_load(mem, i, &s)) {
		struct str id = {plain(r->id), r->id_len};

		/* Nothing but its sequence, its id or a text is why not. */
		CHECK(r->seq % 2 != 0 || id.n > DEVICE_ID_MAX ||
			!device_id_valid(id) || r->serial[0] != 0 ||
			r->issuer[0] != 0);
		return;
	}
	CHECK(r->seq % 2 == 0 && r->id_len <= DEVICE_ID_MAX);
	CHECK(device_id_valid(str_from(c->device_id)));
	CHECK(str_eq(
		str_from(c->device_id), (struct str){plain(r->id), r->id_len}));
	CHECK(utf8_valid(str_from(c->serial)) &&
		utf8_valid(str_from(c->issuer)));
	CHECK(strncmp(c->issuer, plain(r->issuer), SEEN_ISSUER - 1) == 0);
	CHECK(strncmp(c->serial, plain(r->serial), sizeof(c->serial) - 1) == 0);
	CHECK(memcmp(c->fingerprint, plain(r->fingerprint), FINGERPRINT_LEN) ==
		0);
	CHECK(memcmp(c->spki, plain(r->spki), FINGERPRINT_LEN) == 0);
	CHECK(s.issuer_known ==
		(memcmp(s.issuer_fingerprint, none, FINGERPRINT_LEN) != 0));
	CHECK(s.connects == r->connects && s.last_s == r->last_s);
	CHECK(c->status == CREDENTIAL_ACTIVE);
}

/* --------------------------------------------------------------- the writer */

/* All messages at MEM, told or lost. */
static uint64_t messages(void *mem)
{
	uint64_t sum = ((const struct seen_header *)mem)->lost_messages;
	struct seen s;

	for (uint32_t i = 0; i < seen_requests(mem); i++)
		if (seen_request_load(mem, i, &s))
			sum += s.count;
	return sum;
}

/* What the writer has made of it is what was sound, and of each device no more
 * than it may have. */
static void check_begun(void *mem)
{
	static uint32_t of_device[SEEN_DEVICES];
	struct str id = {NULL, 0};
	struct seen s;

	memset(of_device, 0, sizeof(of_device));
	for (uint32_t i = 0; i < seen_requests(mem); i++) {
		const struct seen_request *r = seen_request_at(fx.bytes, i);
		bool kept = plain_request(r, &id) &&
			    of_device[r->device]++ < SEEN_PER_DEVICE;

		CHECK(seen_request_load(mem, i, &s) == kept);
		CHECK(!kept || s.count == r->count);
	}
}

static void record(struct seen_writer *w, uint32_t device, unsigned k)
{
	static const char *const around[][2] = {{"t/", "/x"}, {"", "/t"},
		{"$share/g", "/t"}, {"$share/g/", ""}};
	struct request what = {
		.action = k % 4 < 2 ? ACTION_PUBLISH : ACTION_SUBSCRIBE,
		.qos = (uint8_t)(k % 3),
		.payload_len = k,
		.now_s = NOW};
	char topic[32];

	(void)snprintf(topic, sizeof(topic), "%s%u%s", around[k % 4][0], k,
		around[k % 4][1]);
	what.topic = str_from(topic);
	seen_record(w, device, &what, REASON_NO_RULE);
}

/* The first sound certificate of that fingerprint. */
static bool find_cert(
	void *mem, const uint8_t *fingerprint, struct seen_credential *out)
{
	for (uint32_t i = 0; i < seen_certs(mem); i++)
		if (seen_cert_load(mem, i, out) &&
			memcmp(out->credential.fingerprint, fingerprint,
				FINGERPRINT_LEN) == 0)
			return true;
	return false;
}

/* A certificate that is taken in is one connect more, or a lost one; a new one
 * has nothing of whatever was at its place. */
static void take_in(struct seen_writer *w, uint8_t k)
{
	const struct seen_header *h = w->mem;
	struct credential c = {.device_id = "fuzz", .serial = "01"};
	uint64_t lost = h->lost_connects;
	struct seen_credential before, s;
	bool known;

	memset(c.fingerprint, k, sizeof(c.fingerprint));
	known = find_cert(w->mem, c.fingerprint, &before);
	seen_record_cert(w, &c, NULL, NOW);
	if (!known && h->lost_connects == lost + 1)
		return;
	CHECK(h->lost_connects == lost);
	CHECK(find_cert(w->mem, c.fingerprint, &s));
	CHECK(s.last_s == NOW);
	CHECK(s.connects == (known ? before.connects : 0) + 1);
	CHECK(s.issuer_known == (known && before.issuer_known));
}

static void go_on(unsigned n)
{
	void *mem = mmap(
		NULL, SEEN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fx.fd, 0);
	struct seen_writer w;
	uint64_t before;
	uint32_t device;

	CHECK(mem != MAP_FAILED);
	CHECK(seen_writer_init(&w, mem));
	check_begun(mem);
	before = messages(mem);
	device = seen_device(&w, plain_id(0).n != 0 ? plain_id(0) : STR("d"));
	for (unsigned k = 0; k < n; k++)
		record(&w, device, k);
	CHECK(messages(mem) == before + n);
	take_in(&w, 0);
	take_in(&w, 1);
	seen_writer_fini(&w);
	/* Whoever begins on what it left finds the same. */
	CHECK(seen_writer_init(&w, mem));
	CHECK(messages(mem) == before + n);
	seen_writer_fini(&w);
	CHECK(munmap(mem, SEEN_SIZE) == 0);
}

/* What opening should find. */
static bool good(size_t size)
{
	const struct seen_header *h = (const void *)fx.bytes;

	return size == SEEN_SIZE && h->magic == SEEN_MAGIC &&
	       h->version == SEEN_VERSION && h->header_size == sizeof(*h) &&
	       h->size == SEEN_SIZE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen_file f = {NULL, -1};
	struct err e = {0};
	size_t there;

	if (size < 3)
		return 0;
	if (fx.bytes == NULL)
		setup();
	undo();
	if (data[2] % 2 == 0)
		seen_format(fx.bytes, NOW);
	patch(data + 3, size - 3);
	there = u16(data) < 0x8000 ? SEEN_SIZE : u16(data) - 0x8000;
	if (there != SEEN_SIZE)
		CHECK(ftruncate(fx.fd, (off_t)there) == 0);
	if (!seen_file_open_read(fx.path, &f, &e)) {
		CHECK(check_report(&e) && e.code == ERR_ENVIRONMENT);
		CHECK(there != SEEN_SIZE || !good(there));
		return 0;
	}
	CHECK(good(there));
	for (uint32_t i = 0; i < seen_requests(f.mem); i++)
		check_request(f.mem, i);
	for (uint32_t i = 0; i < seen_certs(f.mem); i++)
		check_cert(f.mem, i);
	seen_file_close(&f);
	CHECK(f.mem == NULL);
	go_on(data[2] & 0xFEu);
	return 0;
}
