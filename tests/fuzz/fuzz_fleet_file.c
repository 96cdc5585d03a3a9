/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file of devices, CSV or JSON Lines. Oracle: what is read keeps the rules
 * of core/device.h; what is refused is said, with a line; lines only grow; the
 * end comes, and comes again.
 */
#define _GNU_SOURCE /* memfd_create */
#include "io/fleet_file.h"
#include "tests/support/check.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_attrs(const struct device *d)
{
	for (size_t i = 0; i < d->n_attrs; i++) {
		CHECK(attr_name_valid(d->attrs[i].name));
		CHECK(attr_value_valid(d->attrs[i].value));
	}
}

static void check_entry(const struct fleet_entry *x)
{
	const struct device *d = &x->device;

	CHECK(device_id_valid((struct str){d->id, d->id_len}));
	CHECK(strlen(d->id) == d->id_len);
	CHECK(d->class_name[0] == '\0' ||
		class_name_valid(str_from(d->class_name)));
	for (int k = SIMID_NONE + 1; k < SIMID_KINDS; k++) {
		struct simid again;

		CHECK(d->sim[k].kind == SIMID_NONE ||
			simid_parse((enum simid_kind)k,
				str_from(d->sim[k].digits), 0, &again, NULL));
	}
	check_attrs(d);
	CHECK(x->n_credentials <= FLEET_CREDENTIALS_MAX + 1);
	for (size_t i = 0; i < x->n_credentials; i++) {
		const struct credential *c = &x->credentials[i];

		CHECK(strcmp(c->device_id, d->id) == 0);
		CHECK(c->status == CREDENTIAL_ACTIVE ||
			c->status == CREDENTIAL_REVOKED);
		CHECK((c->status == CREDENTIAL_REVOKED) ==
			(c->reason[0] != '\0'));
	}
	CHECK(x->csr == NULL || x->csr[0] != '\0');
}

static void read_all(struct fleet_file *f, size_t size)
{
	uint32_t line = 0;
	bool end = false;

	/* Every call takes a byte at least, or is the end. */
	for (size_t calls = 0; !end; calls++) {
		struct fleet_entry x = {0};
		struct err e = {0};

		CHECK(calls <= size + 1);
		if (!fleet_next(f, &x, &end, &e)) {
			CHECK(check_report(&e) && e.code == ERR_INPUT);
			CHECK(e.line > line);
			line = e.line;
		} else if (!end) {
			CHECK(x.line > line);
			line = x.line;
			check_entry(&x);
			fleet_entry_fini(&x);
		}
	}
	CHECK(fleet_next(f, NULL, &end, NULL) && end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fleet", MFD_CLOEXEC);
	struct fleet_file *f = NULL;
	struct err e = {0};
	char path[32];

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (int use = FLEET_IMPORT; use <= FLEET_BULK; use++) {
		if (fleet_open(path, (enum fleet_use)use, false, &f, &e))
			read_all(f, size);
		else
			CHECK(check_report(&e) && e.code == ERR_INPUT);
		fleet_close(&f);
	}
	(void)close(fd);
	return 0;
}
