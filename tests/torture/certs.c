/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates, read and made, and the meter's segment, while memory runs
 * out. What is read is right or unusable, never usable with less than it
 * states; what is made is whole.
 */
#include "certs/bundle.h"
#include "certs/chain.h"
#include "certs/issue.h"
#include "certs/key.h"
#include "certs/mint.h"
#include "certs/pem_file.h"
#include "io/segment.h"
#include "io/x509.h"
#include "tests/support/check.h"
#include "tests/torture/alloc.h"
#include "tests/torture/torture.h"

#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#define NOW  INT64_C(1700000000)
#define IMEI "490154203237518"
#define EID  "89049032007008882600086562427831"

static struct {
	char ca[96], crt[96], out[96], seg[96];
	struct ca *loaded;
	EVP_PKEY *key;
	char *csr;
	size_t csr_len;
} fx;

static void ok(bool done, const struct err *e)
{
	if (!done)
		check_failed(__FILE__, __LINE__, "with sound memory", e->msg);
}

static struct device device(void)
{
	struct device d = {.id = "dev-1", .class_name = "meter", .id_len = 5};

	CHECK(simid_parse(SIMID_IMEI, STR(IMEI), 0, &d.sim[SIMID_IMEI], NULL));
	CHECK(simid_parse(SIMID_EID, STR(EID), 0, &d.sim[SIMID_EID], NULL));
	return d;
}

static void file_remove(const char *folder, const char *name)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)unlink(path);
}

static void ca_remove(const char *folder)
{
	file_remove(folder, "ca.crt");
	file_remove(folder, "ca.key");
	file_remove(folder, "ca.json");
	(void)rmdir(folder);
}

static void fixture_remove(void)
{
	EVP_PKEY_free(fx.key);
	free(fx.csr);
	ca_free(&fx.loaded);
	ca_remove(fx.ca);
	(void)unlink(fx.crt);
	(void)rmdir(torture_dir());
}

static void csr_make(void)
{
	X509_REQ *request = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	CHECK(X509_REQ_set_pubkey(request, fx.key) == 1);
	CHECK(X509_REQ_sign(request, fx.key, EVP_sha256()) > 0);
	CHECK(PEM_write_bio_X509_REQ(bio, request) == 1);
	fx.csr_len = (size_t)BIO_get_mem_data(bio, &text);
	fx.csr = malloc(fx.csr_len);
	CHECK(fx.csr != NULL);
	memcpy(fx.csr, text, fx.csr_len);
	(void)BIO_free(bio);
	X509_REQ_free(request);
}

static void paths_set(void)
{
	(void)snprintf(fx.ca, sizeof(fx.ca), "%s/ca", torture_dir());
	(void)snprintf(fx.crt, sizeof(fx.crt), "%s/dev.crt", torture_dir());
	(void)snprintf(fx.out, sizeof(fx.out), "%s/out", torture_dir());
	(void)snprintf(fx.seg, sizeof(fx.seg), "%s/meter.seg", torture_dir());
}

/* Once: a CA, a key, its request, and a certificate that states two
 * identifiers. */
static void fixture(void)
{
	const struct ca_options o = {
		.name = "Torture", .pen = 32473, .days = 30, .now_s = NOW};
	const struct issue_options i = {
		.now_s = NOW, .days = 3, .sim_in_cert = true};
	struct device d = device();
	struct err e = {0};
	X509 *x = NULL;

	if (fx.loaded != NULL)
		return;
	paths_set();
	ok(ca_create(fx.ca, &o, &e), &e);
	ok(ca_load(fx.ca, &fx.loaded, &e), &e);
	ok(key_generate(KEY_P256, &fx.key, &e), &e);
	ok(issue_device(fx.loaded, &d, fx.key, &i, &x, &e), &e);
	ok(pem_cert_save(fx.crt, x, &e), &e);
	X509_free(x);
	csr_make();
	(void)atexit(fixture_remove);
}

/* -------------------------------------------------------------------- read */

/* "" or what the certificate says. */
static bool is_or_empty(const char *got, const char *want)
{
	return got[0] == '\0' || strcmp(got, want) == 0;
}

static void read_run(void)
{
	struct x509_names names;
	struct certificate c;
	struct err e = {0};
	X509 *x = NULL;

	if (!torture_done(x509_load(fx.crt, &x, &e), &e)) {
		CHECK(x == NULL);
		return;
	}
	ERR_clear_error();
	if (torture_done(x509_read(x, &c, &e), &e)) {
		CHECK(c.usable || (alloc_fired() && c.problem[0] != '\0'));
		if (c.usable) {
			CHECK(strncmp(c.stated[SIMID_IMEI], IMEI, 14) == 0);
			CHECK(strcmp(c.stated[SIMID_EID], EID) == 0);
			CHECK(c.not_after_s > NOW);
		}
	}
	x509_names(x, &names);
	CHECK(is_or_empty(names.cn, "dev-1"));
	CHECK(is_or_empty(names.subject, "CN=dev-1,O=Torture"));
	CHECK(is_or_empty(names.issuer, "CN=Torture CA,O=Torture"));
	CHECK(ERR_peek_error() == 0);
	X509_free(x);
}

const struct scenario CERTIFICATE_READ = {
	.name = "certificate_read", .before = fixture, .run = read_run};

/* ------------------------------------------------------------------- issue */

static void check_issued(X509 *x)
{
	struct certificate c;
	struct err e = {0};

	if (torture_done(x509_read(x, &c, &e), &e) && c.usable) {
		CHECK(strncmp(c.stated[SIMID_IMEI], IMEI, 14) == 0);
		CHECK(strcmp(c.stated[SIMID_EID], EID) == 0);
	}
	CHECK(X509_verify(x, ca_public(fx.loaded)) == 1 || alloc_fired());
	ERR_clear_error();
}

static void pem_check(X509 *x)
{
	char *text = NULL;
	size_t len = 0;
	struct err e = {0};

	if (!torture_done(pem_cert_text(x, &text, &len, &e), &e)) {
		CHECK(text == NULL);
		return;
	}
	CHECK(strlen(text) == len && strncmp(text, "-----BEGIN", 10) == 0);
	OPENSSL_free(text);
}

static void issue_run(void)
{
	const struct issue_options o = {
		.now_s = NOW, .days = 3, .sim_in_cert = true};
	static const char *const host[] = {"broker.example"};
	static const char *const address[] = {"127.0.0.1"};
	const struct server_names names = {host, 1, address, 1};
	struct device d = device();
	struct err e = {0};
	EVP_PKEY *key = NULL;
	X509 *x = NULL;

	if (torture_done(
		    csr_key((struct str){fx.csr, fx.csr_len}, &key, &e), &e)) {
		if (torture_done(
			    issue_device(fx.loaded, &d, key, &o, &x, &e), &e)) {
			check_issued(x);
			pem_check(x);
		}
		EVP_PKEY_free(key);
	}
	X509_free(x);
	x = NULL;
	if (torture_done(
		    issue_server(fx.loaded, &names, fx.key, &o, &x, &e), &e))
		X509_free(x);
	ERR_clear_error();
}

const struct scenario CERTIFICATE_ISSUE = {
	.name = "certificate_issue", .before = fixture, .run = issue_run};

/* -------------------------------------------------------------------- mint */

static void strike(struct mint *m)
{
	struct credential read;
	struct minted made;
	struct err e = {0};
	const unsigned char *p = made.cert;
	X509 *x;

	if (!torture_done(mint_strike(m, "dev-1", &made, &e), &e))
		return;
	x = d2i_X509(NULL, &p, (long)made.cert_n);
	if (x != NULL &&
		torture_done(x509_device_credential(x, "dev-1", &read, &e), &e))
		CHECK(memcmp(read.fingerprint, made.credential.fingerprint,
			      FINGERPRINT_LEN) == 0);
	CHECK(x != NULL || alloc_fired());
	X509_free(x);
}

/* Without memory there may be no mint, which is slow but right. */
static void mint_run(void)
{
	const struct issue_options o = {.now_s = NOW, .days = 3};
	struct mint *m = NULL;
	struct err e = {0};

	if (torture_done(mint_new(fx.loaded, &o, &m, &e), &e))
		CHECK(m != NULL || alloc_fired());
	if (m != NULL) {
		strike(m);
		strike(m);
	}
	mint_free(&m);
	ERR_clear_error();
}

const struct scenario CERTIFICATE_MINT = {
	.name = "certificate_mint", .before = fixture, .run = mint_run};

/* ------------------------------------------------------------------ bundle */

static bool registered(void *ctx, const char *id,
	const uint8_t fingerprint[static FINGERPRINT_LEN], bool *out,
	struct err *e)
{
	(void)ctx;
	(void)fingerprint;
	(void)e;
	CHECK(strcmp(id, "dev-1") == 0);
	*out = true;
	return true;
}

static void bundle_write(struct bundle *b, struct err *e)
{
	char *line = NULL, *text = NULL;
	size_t n = 0, len = 0;

	if (!torture_done(pem_cert_text(ca_cert(fx.loaded), &text, &len, e), e))
		return;
	if (torture_done(bundle_line("dev-1", (struct str){text, len},
				 STR("key"), &line, &n, e),
		    e) &&
		torture_done(bundle_add(b, (struct str){line, n}, e), e) &&
		torture_done(bundle_sync(b, e), e))
		CHECK(bundle_publish(b, e) || alloc_fired());
	free(line);
	OPENSSL_free(text);
}

/* The first is left as a crash leaves it that comes after its registration. */
static void bundle_before(void)
{
	char name[128], named[120];
	struct bundle *b = NULL;
	struct err e = {0};

	fixture();
	CHECK(mkdir(fx.out, 0700) == 0);
	ok(bundle_open(fx.out, registered, NULL, &b, &e), &e);
	bundle_write(b, &e);
	bundle_close(&b);
	(void)snprintf(named, sizeof(named), "%s/bundle-000001.jsonl", fx.out);
	(void)snprintf(name, sizeof(name), "%s.new", named);
	CHECK(rename(named, name) == 0);
}

static void bundle_run(void)
{
	struct bundle *b = NULL;
	struct err e = {0};

	if (torture_done(bundle_open(fx.out, registered, NULL, &b, &e), &e))
		bundle_write(b, &e);
	bundle_close(&b);
	ERR_clear_error();
}

/* What was registered is there, whatever failed. */
static void bundle_after(void)
{
	struct bundle *b = NULL;
	struct err e = {0};

	ok(bundle_open(fx.out, registered, NULL, &b, &e), &e);
	bundle_close(&b);
	file_remove(fx.out, "bundle-000002.jsonl");
	file_remove(fx.out, "bundle-000001.jsonl");
	CHECK(rmdir(fx.out) == 0);
}

const struct scenario BUNDLE = {
	"bundle", bundle_before, bundle_run, bundle_after};

/* ---------------------------------------------------------------------- CA */

static bool ca_made;

static void ca_run(void)
{
	const struct ca_options o = {
		.name = "Torture", .pen = 32473, .days = 30, .now_s = NOW};
	struct ca *ca = NULL;
	EVP_PKEY *key = NULL;
	struct err e = {0};

	ca_made = torture_done(ca_create(fx.out, &o, &e), &e);
	if (ca_made && torture_done(ca_load(fx.out, &ca, &e), &e)) {
		CHECK(strcmp(ca_name(ca), "Torture") == 0);
		CHECK(ca_pen(ca) == 32473);
		if (torture_done(key_generate(KEY_P256, &key, &e), &e) &&
			torture_done(pem_pair_save(
					     fx.out, "d", key, ca_cert(ca), &e),
				&e))
			file_remove(fx.out, "d.crt");
		EVP_PKEY_free(key);
	}
	ca_free(&ca);
	ERR_clear_error();
}

/* All of it or nothing: what failed left no file in the way of the next. */
static void ca_after(void)
{
	const struct ca_options o = {
		.name = "Torture", .pen = 32473, .days = 30, .now_s = NOW};
	struct ca *ca = NULL;
	struct err e = {0};

	if (!ca_made)
		ok(ca_create(fx.out, &o, &e), &e);
	ok(ca_load(fx.out, &ca, &e), &e);
	ca_free(&ca);
	file_remove(fx.out, "d.key");
	ca_remove(fx.out);
	CHECK(access(fx.out, F_OK) != 0);
}

const struct scenario CA_MAKE = {"ca_make", paths_set, ca_run, ca_after};

/* ------------------------------------------------------------------ import */

static struct ca_import import_of(const char *cert, const char *key)
{
	return (struct ca_import){
		.cert = cert, .key = key, .pen = 32473, .now_s = NOW};
}

static void chain_run(STACK_OF(X509) *anchors)
{
	STACK_OF(X509) *chain = NULL;
	struct err e = {0};

	if (!torture_done(chain_load(fx.crt, &chain, &e), &e)) {
		CHECK(chain == NULL);
		return;
	}
	CHECK(sk_X509_num(chain) == 1);
	/* Without memory OpenSSL may well call a good signature bad. */
	CHECK(chain_verify(chain, anchors, &e) || alloc_fired());
	chain_free(&chain);
}

static void import_run(void)
{
	char cert[128] = "", key[128] = "";
	struct ca_import i = import_of(cert, key);
	struct ca *ca = NULL;
	struct err e = {0};

	(void)snprintf(cert, sizeof(cert), "%s/ca.crt", fx.ca);
	(void)snprintf(key, sizeof(key), "%s/ca.key", fx.ca);
	/* A certificate that cannot be read for want of memory is called
	 * broken: the report need not name memory. */
	ca_made = ca_import(fx.out, &i, &e);
	CHECK(ca_made || (alloc_fired() && e.msg[0] != '\0'));
	if (ca_made && ca_load(fx.out, &ca, &e)) {
		CHECK(strcmp(ca_name(ca), "Torture") == 0);
		CHECK(ca_key_place(ca) == CA_KEY_FILE);
		chain_run(ca_chain(ca));
	}
	ca_free(&ca);
	ERR_clear_error();
}

const struct scenario CA_IMPORT = {"ca_import", fixture, import_run, ca_after};

/* ----------------------------------------------------------------- segment */

static void segment_run(void)
{
	struct segment w = {NULL, 0, -1}, r = {NULL, 0, -1};
	struct err e = {0};
	char note[64];

	ok(segment_open_write(fx.seg, &w, note, sizeof(note), &e), &e);
	ok(segment_open_read(fx.seg, &r, &e), &e);
	CHECK(segment_intact(&r) && segment_writer_alive(&r));
	segment_close(&r);
	segment_close(&w);
	/* The broker's own file needs no memory that could run out. */
	CHECK(alloc_count() == 0);
}

static void segment_after(void)
{
	CHECK(unlink(fx.seg) == 0);
}

const struct scenario SEGMENT = {
	"segment", paths_set, segment_run, segment_after};
