/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens: their text and its hash, who has one, and that a registry from
 * before them, or one that went back, has none.
 */
#include "io/registry_token.h"
#include "tests/support/registry_fixture.h"

/* RFC 4648 §5 without padding, of 00 01 … 1f; SHA-256 by coreutils. */
#define TEXT_1F "weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
static const uint8_t HASH_1F[TOKEN_HASH] = {0x1a, 0xa3, 0x39, 0x1a, 0x31, 0x67,
	0x2c, 0xd1, 0xbb, 0x21, 0x92, 0x77, 0x48, 0x20, 0x12, 0xa6, 0x54, 0x56,
	0x7e, 0xa3, 0xcb, 0xc3, 0x2a, 0x74, 0xe0, 0x5e, 0x58, 0xba, 0x7d, 0xa5,
	0x7b, 0x03};

/* -------------------------------------------------------------------- text */

static void test_text(void **state)
{
	uint8_t random[TOKEN_RANDOM], hash[TOKEN_HASH];
	char text[TOKEN_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)i;
	token_format(random, text);
	assert_string_equal(text, TEXT_1F);
	assert_true(token_hash(str_from(text), hash));
	assert_memory_equal(hash, HASH_1F, sizeof(hash));
	memset(random, 0xff, sizeof(random));
	token_format(random, text);
	assert_string_equal(text,
		"weir_"
		"__________________________________________8");
}

static void test_text_that_is_none(void **state)
{
	static const char *const table[] = {
		"",
		"weir_",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"Weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		"weir-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
		(TEXT_1F "A"),
		(TEXT_1F "="),
		"weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
		"weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+",
		"weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh/",
		"weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=",
		"weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh ",
		"weir_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh\xc3",
	};
	uint8_t hash[TOKEN_HASH];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (token_hash(str_from(table[i]), hash))
			fail_msg("'%s' is taken for a token", table[i]);
	}
	assert_false(token_hash((struct str){TEXT_1F, 47}, hash));
	assert_false(token_hash((struct str){"weir_AAECAwQFBgcICQoLDA0ODxAREhM"
					     "UFRYXGBkaGxwdHh\0",
					48},
		hash));
}

static void test_state(void **state)
{
	static const struct {
		struct token t;
		enum token_state want;
		const char *name;
	} table[] = {
		{{.right = TOKEN_READ}, TOKEN_VALID, "valid"},
		{{.right = TOKEN_ACT}, TOKEN_VALID, "valid"},
		{{.right = TOKEN_NOTHING}, TOKEN_INVALID, "invalid"},
		{{.right = (enum token_right)3}, TOKEN_INVALID, "invalid"},
		{{.right = TOKEN_ACT, .expires_s = FX_NOW + 1}, TOKEN_VALID,
			"valid"},
		{{.right = TOKEN_ACT, .expires_s = FX_NOW}, TOKEN_EXPIRED,
			"expired"},
		{{.right = TOKEN_ACT, .expires_s = -1}, TOKEN_EXPIRED,
			"expired"},
		{{.right = TOKEN_ACT, .revoked_s = FX_NOW + 9}, TOKEN_REVOKED,
			"revoked"},
		{{.right = TOKEN_ACT, .revoked_s = -1}, TOKEN_REVOKED,
			"revoked"},
		{{.right = TOKEN_READ, .revoked_s = 1, .expires_s = 1},
			TOKEN_REVOKED, "revoked"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(
			token_state(&table[i].t, FX_NOW), table[i].want);
		assert_string_equal(
			token_state_name(table[i].want), table[i].name);
	}
	assert_string_equal(token_right_name(TOKEN_NOTHING), "nothing");
	assert_int_equal(token_right_find(STR("nothing")), TOKEN_NOTHING);
	assert_int_equal(token_right_find(STR("Read")), TOKEN_NOTHING);
	assert_int_equal(token_right_find(STR("")), TOKEN_NOTHING);
	assert_int_equal(token_right_find(STR("act")), TOKEN_ACT);
}

/* ---------------------------------------------------------------- registry */

static struct token token(const char *name, enum token_right right)
{
	struct token t = {.right = right};

	(void)snprintf(t.name, sizeof(t.name), "%s", name);
	return t;
}

static void hash_of(uint8_t fill, uint8_t out[static TOKEN_HASH])
{
	memset(out, fill, TOKEN_HASH);
}

/* In a transaction of its own. */
static void add(struct fixture *fx, const struct token *t, uint8_t fill)
{
	uint8_t hash[TOKEN_HASH];

	hash_of(fill, hash);
	fx_begin(fx);
	OK(fx, registry_token_add(fx->w, t, hash, &fx->e));
	assert_int_equal(fx_commit(fx), 0); /* nobody's rights shrank */
}

static bool find(struct fixture *fx, uint8_t fill, struct token *out)
{
	uint8_t hash[TOKEN_HASH];
	bool found = false;

	hash_of(fill, hash);
	OK(fx, registry_token_find(fx->w, hash, 0, out, &found, &fx->e));
	return found;
}

static bool any(struct fixture *fx, int64_t now_s)
{
	bool yes = false;

	OK(fx, registry_token_any(fx->w, now_s, 0, &yes, &fx->e));
	return yes;
}

#define LISTED 256

static bool count(void *ctx, const struct token *t)
{
	char *names = ctx;
	size_t n = strlen(names);

	(void)snprintf(names + n, LISTED - n, "%s ", t->name);
	return strcmp(t->name, "stop") != 0;
}

static void check_list(struct fixture *fx, const char *want)
{
	char names[LISTED] = "";

	OK(fx, registry_tokens(fx->w, count, names, &fx->e));
	assert_string_equal(names, want);
}

static void test_add_find_revoke(void **state)
{
	struct fixture *fx = *state;
	struct token read = token("grafana", TOKEN_READ), got;
	struct token act = token("a.b-c_9", TOKEN_ACT);

	act.expires_s = FX_NOW + 60;
	assert_false(find(fx, 1, &got));
	assert_false(any(fx, FX_NOW));
	check_list(fx, "");
	add(fx, &read, 1);
	add(fx, &act, 2);
	check_list(fx, "a.b-c_9 grafana ");
	assert_true(find(fx, 1, &got));
	assert_string_equal(got.name, "grafana");
	assert_int_equal(got.right, TOKEN_READ);
	assert_int_equal(got.created_s, FX_NOW);
	assert_int_equal(got.expires_s, 0);
	assert_int_equal(got.revoked_s, 0);
	assert_int_equal(got.revision, 2);
	assert_true(find(fx, 2, &got));
	assert_int_equal(got.right, TOKEN_ACT);
	assert_int_equal(got.expires_s, FX_NOW + 60);
	assert_false(find(fx, 3, &got));
	fx_begin(fx);
	OK(fx, registry_token_revoke(fx->w, STR("grafana"), &fx->e));
	assert_int_equal(fx_commit(fx), 0);
	assert_true(find(fx, 1, &got));
	assert_int_equal(token_state(&got, FX_NOW), TOKEN_REVOKED);
	assert_int_equal(got.revoked_s, FX_NOW);
	assert_int_equal(got.revision, 4);
	assert_true(any(fx, FX_NOW + 59));
	assert_false(any(fx, FX_NOW + 60));
	check_list(fx, "a.b-c_9 grafana ");
}

static void test_list_stops(void **state)
{
	struct fixture *fx = *state;
	struct token a = token("a", TOKEN_READ), s = token("stop", TOKEN_READ);
	struct token z = token("z", TOKEN_READ);

	add(fx, &z, 1);
	add(fx, &s, 2);
	add(fx, &a, 3);
	check_list(fx, "a stop ");
}

static void test_refused(void **state)
{
	static const char *const names[] = {
		"", ".a", "a b", "a/b", "a\nb", "\xc3\xa9", "-a", "a:b"};
	struct fixture *fx = *state;
	struct token t = token("ops", TOKEN_READ), got;
	uint8_t hash[TOKEN_HASH];

	add(fx, &t, 1);
	hash_of(2, hash);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct token bad = token(names[i], TOKEN_READ);

		fx_begin(fx);
		REFUSED(fx, registry_token_add(fx->w, &bad, hash, &fx->e),
			ERR_INPUT, "a token's name is");
		registry_rollback(fx->w);
	}
	fx_begin(fx);
	REFUSED(fx, registry_token_add(fx->w, &t, hash, &fx->e), ERR_CONFLICT,
		"there is a token 'ops'; a name is given once");
	registry_rollback(fx->w);
	t = token("new", TOKEN_NOTHING);
	fx_begin(fx);
	REFUSED(fx, registry_token_add(fx->w, &t, hash, &fx->e), ERR_INPUT,
		"read or act");
	registry_rollback(fx->w);
	t = token("new", TOKEN_ACT);
	t.expires_s = FX_NOW;
	fx_begin(fx);
	REFUSED(fx, registry_token_add(fx->w, &t, hash, &fx->e), ERR_INPUT,
		"has passed");
	registry_rollback(fx->w);
	/* Nobody makes the same token twice; who tries has no random numbers. */
	t = token("new", TOKEN_ACT);
	hash_of(1, hash);
	fx_begin(fx);
	REFUSED(fx, registry_token_add(fx->w, &t, hash, &fx->e),
		ERR_ENVIRONMENT, "contradicts itself");
	registry_rollback(fx->w);
	REFUSED(fx, registry_token_add(fx->w, &t, hash, &fx->e),
		ERR_ENVIRONMENT, "no change is under way");
	check_list(fx, "ops ");
	assert_true(find(fx, 1, &got));
}

static void test_revoke_refused(void **state)
{
	struct fixture *fx = *state;
	struct token t = token("ops", TOKEN_READ);
	uint8_t hash[TOKEN_HASH];

	fx_begin(fx);
	REFUSED(fx, registry_token_revoke(fx->w, STR("ops"), &fx->e),
		ERR_NOT_FOUND, "no token 'ops'");
	registry_rollback(fx->w);
	add(fx, &t, 1);
	fx_begin(fx);
	REFUSED(fx, registry_token_revoke(fx->w, STR("OPS"), &fx->e),
		ERR_NOT_FOUND, "no token 'OPS'");
	registry_rollback(fx->w);
	fx_begin(fx);
	OK(fx, registry_token_revoke(fx->w, STR("ops"), &fx->e));
	(void)fx_commit(fx);
	fx_begin(fx);
	REFUSED(fx, registry_token_revoke(fx->w, STR("ops"), &fx->e),
		ERR_CONFLICT, "revoked already");
	registry_rollback(fx->w);
	hash_of(2, hash);
	fx_begin(fx);
	REFUSED(fx, registry_token_add(fx->w, &t, hash, &fx->e), ERR_CONFLICT,
		"there is a token 'ops', revoked; a name is given once");
	registry_rollback(fx->w);
}

/* As an older weir left it: no table. Readers that have it open see the first
 * token all the same. */
static void test_registry_without_tokens(void **state)
{
	struct fixture *fx = *state;
	struct token t = token("ops", TOKEN_READ), got;
	struct registry *r = NULL;
	uint8_t hash[TOKEN_HASH];
	bool found = true, yes = true;

	hash_of(1, hash);
	OK(fx, registry_open(fx->path, REGISTRY_FOLLOW, &r, &fx->e));
	OK(fx, registry_token_find(r, hash, 0, &got, &found, &fx->e));
	assert_false(found);
	OK(fx, registry_token_any(r, FX_NOW, 0, &yes, &fx->e));
	assert_false(yes);
	add(fx, &t, 1);
	OK(fx, registry_token_find(r, hash, 0, &got, &found, &fx->e));
	assert_true(found);
	OK(fx, registry_token_any(r, FX_NOW, 0, &yes, &fx->e));
	assert_true(yes);
	registry_close(&r);
}

/* A change that was rolled back made no table either. */
static void test_rolled_back(void **state)
{
	struct fixture *fx = *state;
	struct token t = token("ops", TOKEN_READ), got;
	uint8_t hash[TOKEN_HASH];

	hash_of(1, hash);
	fx_begin(fx);
	OK(fx, registry_token_add(fx->w, &t, hash, &fx->e));
	registry_rollback(fx->w);
	assert_false(find(fx, 1, &got));
	fx_begin(fx);
	REFUSED(fx, registry_token_revoke(fx->w, STR("ops"), &fx->e),
		ERR_NOT_FOUND, "no token");
	registry_rollback(fx->w);
	add(fx, &t, 1);
	assert_true(find(fx, 1, &got));
}

static void check_untrusted(struct fixture *fx, int64_t seen)
{
	uint8_t hash[TOKEN_HASH];
	struct token got;
	bool found, yes;

	hash_of(1, hash);
	REFUSED(fx,
		registry_token_find(fx->w, hash, seen, &got, &found, &fx->e),
		ERR_CONFLICT, "went back");
	REFUSED(fx, registry_token_any(fx->w, FX_NOW, seen, &yes, &fx->e),
		ERR_CONFLICT, "weir registry accept");
}

static void test_went_back(void **state)
{
	struct fixture *fx = *state;
	const struct registry_seen seen = {9, 9};
	struct token t = token("ops", TOKEN_READ), got;

	add(fx, &t, 1);
	check_untrusted(fx, 3);
	fx_begin(fx);
	OK(fx, registry_note_restored(fx->w, &seen, &fx->e));
	(void)fx_commit(fx);
	check_untrusted(fx, 0);
	check_list(fx, "ops ");
	fx_begin(fx);
	OK(fx, registry_accept(fx->w, &seen, &fx->e));
	(void)fx_commit(fx);
	assert_true(find(fx, 1, &got));
	assert_true(any(fx, FX_NOW));
}

/* What the registry did not write is no token. */
static void test_damaged(void **state)
{
	static const char *const table[] = {
		"UPDATE token SET rights = 'ACT'",
		"UPDATE token SET rights = ''",
		"UPDATE token SET rights = 7",
		"UPDATE token SET name = 'a b'",
		"UPDATE token SET name = x'6f7073'",
		"UPDATE token SET name = NULL",
		"UPDATE token SET expires_s = ''",
		"UPDATE token SET revoked_s = NULL",
		"UPDATE token SET revoked_s = 'no'",
		"UPDATE token SET created_s = 1.5",
		"UPDATE token SET revision = NULL",
	};
	struct fixture *fx = *state;
	struct token got;
	uint8_t hash[TOKEN_HASH];
	char names[LISTED];
	bool found, yes;

	hash_of(1, hash);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		fx_sql(fx, "DROP TABLE IF EXISTS token;"
			   "CREATE TABLE token (name, hash, rights, created_s,"
			   " expires_s, revoked_s, revision);"
			   "INSERT INTO token VALUES ('ops', "
			   "x'0101010101010101010101010101010101010101010101010"
			   "101010101010101', 'act', 1, 0, 0, 1)");
		assert_true(find(fx, 1, &got));
		fx_sql(fx, table[i]);
		found = false;
		REFUSED(fx,
			registry_token_find(
				fx->w, hash, 0, &got, &found, &fx->e),
			ERR_ENVIRONMENT, "damaged: a token");
		assert_false(found);
		names[0] = '\0';
		REFUSED(fx, registry_tokens(fx->w, count, names, &fx->e),
			ERR_ENVIRONMENT, "damaged: a token");
		REFUSED(fx, registry_token_any(fx->w, FX_NOW, 0, &yes, &fx->e),
			ERR_ENVIRONMENT, "damaged: a token");
	}
	/* A text that SQLite finds equal to nothing. */
	fx_sql(fx, "UPDATE token SET revision = 1, hash = "
		   "CAST(hash AS TEXT)");
	assert_false(find(fx, 1, &got));
	/* A view named so is none of ours. */
	fx_sql(fx, "DROP TABLE token; CREATE VIEW token AS SELECT 'ops' name, "
		   "x'01' hash, 'act' rights, 1 created_s, 0 expires_s, "
		   "0 revoked_s, 1 revision");
	assert_false(find(fx, 1, &got));
	check_list(fx, "");
}

#define AUDITED 1024

static bool note(void *ctx, const struct audit_row *a)
{
	char *all = ctx;
	size_t n = strlen(all);

	(void)snprintf(all + n, AUDITED - n, "%.*s%.*s", (int)a->action.n,
		a->action.p, (int)a->detail.n, a->detail.p);
	return true;
}

static void test_audit(void **state)
{
	struct fixture *fx = *state;
	struct token t = token("ops", TOKEN_ACT);
	char all[AUDITED] = "";

	t.expires_s = FX_NOW + 5;
	add(fx, &t, 0x61);
	fx_begin(fx);
	OK(fx, registry_token_revoke(fx->w, STR("ops"), &fx->e));
	(void)fx_commit(fx);
	OK(fx, registry_audit(fx->w, 1, note, all, &fx->e));
	assert_string_equal(all,
		"token.add{\"name\":\"ops\",\"rights\":\"act\","
		"\"expires_s\":1700000005,\"revision\":2}"
		"token.revoke{\"name\":\"ops\",\"rights\":\"act\","
		"\"expires_s\":1700000005,\"revision\":3}");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fx_setup, fx_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_that_is_none),
		cmocka_unit_test(test_state),
		TEST(test_add_find_revoke),
		TEST(test_list_stops),
		TEST(test_refused),
		TEST(test_revoke_refused),
		TEST(test_registry_without_tokens),
		TEST(test_rolled_back),
		TEST(test_went_back),
		TEST(test_damaged),
		TEST(test_audit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
