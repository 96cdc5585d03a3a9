/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_million STATE N: fills the registry of STATE, which has one device, up
 * to N of class `device`, each with identifiers and a certificate whose fingerprint and key
 * are random, through the registry's own writes; then times what the plugin
 * asks at a connect, for 10,000 of them at random, and prints the mean and the
 * median in microseconds, and by how many KiB the memory of its own grew.
 */
#include "io/registry.h"
#include "io/x509.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#define A_TRANSACTION 50000
#define LOOK_UPS      10000
#define MIDDLE        5000

struct bench {
	struct registry *r;
	int64_t n;
	int64_t now_s;
};

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The fingerprint of device I: spread as a real one is. */
static bool fingerprint(int64_t i, uint8_t out[static FINGERPRINT_LEN])
{
	return EVP_Digest(&i, sizeof(i), out, NULL, EVP_sha256(), NULL) == 1;
}

static char luhn(const char *digits)
{
	size_t n = strlen(digits);
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(digits[n - 1 - i] - '0');

		if (i % 2 == 0)
			d = 2 * d > 9 ? 2 * d - 9 : 2 * d;
		sum += d;
	}
	return (char)('0' + (10 - sum % 10) % 10);
}

/* KIND from FORMAT, which takes the number, and its Luhn digit. */
static bool number(struct device *d, enum simid_kind kind, const char *head,
	int64_t i, struct err *e)
{
	char text[SIMID_MAX + 1];
	size_t n =
		(size_t)snprintf(text, sizeof(text), "%s%08" PRId64, head, i);

	if (kind != SIMID_IMSI) {
		text[n] = luhn(text);
		text[n + 1] = '\0';
	}
	return simid_parse(kind, str_from(text), 0, &d->sim[kind], e);
}

static bool add(const struct bench *b, int64_t i, struct err *e)
{
	struct device d = {.status = DEVICE_ACTIVE, .class_name = "device"};
	struct credential c = {.not_before_s = b->now_s - 300,
		.not_after_s = b->now_s + INT64_C(730) * 86400,
		.issuer = "CN=Bench CA,O=Bench"};

	d.id_len =
		(uint8_t)snprintf(d.id, sizeof(d.id), "device-%07" PRId64, i);
	(void)snprintf(c.device_id, sizeof(c.device_id), "%s", d.id);
	if (!fingerprint(i, c.fingerprint) || !fingerprint(-i - 1, c.spki))
		return err_set(e, ERR_ENVIRONMENT, "no SHA-256");
	for (size_t k = 0; k < 16; k++)
		(void)snprintf(c.serial + 2 * k, 3, "%02X", c.fingerprint[k]);
	return number(&d, SIMID_ICCID, "8944500102", i, e) &&
	       number(&d, SIMID_IMSI, "2341500", i, e) &&
	       number(&d, SIMID_IMEI, "490154", i, e) &&
	       registry_device_add(b->r, &d, e) &&
	       registry_credential_add(b->r, &c, e);
}

static bool fill(const struct bench *b, int64_t from, struct err *e)
{
	int64_t seq;

	for (int64_t i = from; i < b->n;) {
		if (!registry_begin(b->r, "bench", b->now_s, e))
			return false;
		for (int k = 0; k < A_TRANSACTION && i < b->n; k++, i++) {
			if (!add(b, i, e))
				return false;
		}
		if (!registry_commit(b->r, &seq, e))
			return false;
	}
	return true;
}

/* As plugin/judge.c asks at a connect. A function of its own, for run.sh to
 * count. */
__attribute__((noinline)) static bool look_up(
	struct registry *r, int64_t i, struct err *e)
{
	uint8_t fp[FINGERPRINT_LEN];
	struct credential c;
	struct device d;
	bool found = false, barred = false;

	if (!fingerprint(i, fp) || !registry_snapshot(r, e) ||
		!registry_credential(r, fp, &c, &found, e) || !found ||
		!registry_key_barred(r, c.spki, &barred, e) ||
		!registry_device(r, str_from(c.device_id), &d, &found, e) ||
		!found)
		return false;
	device_fini(&d);
	registry_snapshot_end(r);
	return true;
}

/* KiB of this process that are no file's. */
static long own_memory(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtol(line + 8, NULL, 10);
	}
	if (f != NULL)
		(void)fclose(f);
	return kib;
}

static int by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool measure(const char *path, int64_t n, struct err *e)
{
	static int64_t took[LOOK_UPS];
	struct registry *r = NULL;
	int64_t sum = 0;
	long before;
	bool done = registry_open(path, REGISTRY_FOLLOW, &r, e);

	/* What filling took and gave back must not hide what this takes. */
	(void)malloc_trim(0);
	before = own_memory();
	for (size_t i = 0; done && i < LOOK_UPS; i++) {
		int64_t who = 1 + (int64_t)((i * UINT64_C(0x9e3779b97f4a7c15)) %
					    (uint64_t)(n - 1));
		int64_t begin = now_ns();

		done = look_up(r, who, e);
		took[i] = now_ns() - begin;
		sum += took[i];
	}
	before = own_memory() - before;
	registry_close(&r);
	if (!done)
		return false;
	qsort(took, LOOK_UPS, sizeof(took[0]), by_time);
	(void)printf("%.1f %.1f %ld\n", (double)sum / LOOK_UPS / 1000,
		(double)took[MIDDLE] / 1000, before);
	return true;
}

int main(int argc, char **argv)
{
	struct bench b = {.now_s = (int64_t)time(NULL)};
	struct registry_counts counts;
	char path[512];
	struct err e = {.code = ERR_NONE};
	bool done;

	if (argc != 3) {
		(void)fputs("usage: bench_million STATE N\n", stderr);
		return 2;
	}
	b.n = strtol(argv[2], NULL, 10);
	(void)snprintf(path, sizeof(path), "%s/" REGISTRY_FILE, argv[1]);
	done = registry_open(path, REGISTRY_WRITE, &b.r, &e) &&
	       registry_counts(b.r, &counts, &e) &&
	       fill(&b, counts.devices[DEVICE_ACTIVE], &e);
	registry_close(&b.r);
	done = done && measure(path, b.n, &e);
	if (!done)
		(void)fprintf(stderr, "bench_million: %s\n", e.msg);
	return done ? 0 : 3;
}
