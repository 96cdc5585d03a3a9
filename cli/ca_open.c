/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ca_open.h"

#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define PIN_VARIABLE "WEIR_CA_PIN"

/* The variable's own bytes are wiped: they stand in /proc/PID/environ. */
static bool pin_from_environment(
	char out[static PKCS11_PIN_MAX], bool *found, struct err *e)
{
	/* weir has one thread here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	char *v = getenv(PIN_VARIABLE);
	size_t n = v != NULL ? strlen(v) : 0;

	*found = n != 0 && n < PKCS11_PIN_MAX;
	if (*found)
		memcpy(out, v, n + 1);
	if (n != 0)
		OPENSSL_cleanse(v, n);
	return n < PKCS11_PIN_MAX ||
	       err_set(e, ERR_INPUT, PIN_VARIABLE " holds more than %d bytes",
		       PKCS11_PIN_MAX - 1);
}

/* OpenSSL asks first and then turns the echo off: what is typed in between
 * would be shown. It returns when it is interrupted, too. */
static bool read_unseen(int tty, const char *prompt, char *out, int cap)
{
	struct termios before, quiet;
	bool known = tcgetattr(tty, &before) == 0;
	bool done;

	if (known) {
		quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(tty, TCSANOW, &quiet);
	}
	done = EVP_read_pw_string(out, cap, prompt, 0) == 0;
	if (known)
		(void)tcsetattr(tty, TCSANOW, &before);
	return done;
}

static bool pin_from_terminal(
	const char *uri, char out[static PKCS11_PIN_MAX], struct err *e)
{
	char prompt[PKCS11_URI_MAX + 32];
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	bool done;

	if (tty < 0)
		return err_set(e, ERR_INPUT,
			"the token wants a PIN: name a file that holds it in "
			"the URI (pin-source=file:/…), or set " PIN_VARIABLE);
	(void)snprintf(prompt, sizeof(prompt), "PIN for %s: ", uri);
	done = read_unseen(tty, prompt, out, PKCS11_PIN_MAX - 1);
	(void)close(tty);
	return done || err_set(e, ERR_INPUT, "no PIN was given");
}

static bool pin_ask(void *ctx, const char *uri, char out[static PKCS11_PIN_MAX],
	struct err *e)
{
	bool found = false;

	(void)ctx;
	return pin_from_environment(out, &found, e) &&
	       (found || pin_from_terminal(uri, out, e));
}

const struct pkcs11_pin CLI_PIN = {.ask = pin_ask};

bool cli_ca_open(const struct cli *c, struct ca **out, struct err *e)
{
	char path[CLI_PATH_MAX];
	struct ca *ca = NULL;

	/* Names the option when there is no folder to look in. */
	if (!cli_ca_path(c, "ca.crt", path, sizeof(path), e) ||
		!ca_load(c->ca, &ca, e))
		return false;
	if (!ca_open_key(ca, &CLI_PIN, e)) {
		ca_free(&ca);
		return false;
	}
	*out = ca;
	return true;
}

bool cli_ca_find(const struct cli *c, struct ca **out, struct err *e)
{
	char path[CLI_PATH_MAX];

	*out = NULL;
	return !cli_ca_path(c, "ca.crt", path, sizeof(path), NULL) ||
	       (access(path, F_OK) != 0 && errno == ENOENT) ||
	       ca_look(c->ca, out, e);
}
