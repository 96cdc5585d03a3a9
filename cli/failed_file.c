/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/failed_file.h"

#include "certs/pem_file.h"
#include "core/csv.h"
#include "io/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool failed_init(struct failed_file *f, const char *dir, struct err *e)
{
	f->path = path_join(dir, "failed", ".csv");
	f->path_new = path_join(dir, "failed", ".csv.new");
	return (f->path != NULL && f->path_new != NULL) ||
	       err_set(e, ERR_ENVIRONMENT, "out of memory");
}

static bool write_error(const struct failed_file *f, struct err *e)
{
	return file_err(e, "write", f->path_new, errno);
}

static void put(FILE *out, const char *text)
{
	char field[CSV_FIELD_MAX(ERR_MSG_MAX)];
	size_t n = strlen(text) < ERR_MSG_MAX ? strlen(text) : ERR_MSG_MAX;

	n = csv_field((struct str){text, n}, field);
	(void)fwrite(field, 1, n, out);
}

bool failed_note(struct failed_file *f, uint32_t line, const char *id,
	const struct err *why, struct err *e)
{
	if (f->file == NULL) {
		/* A new file, not what somebody has laid under its name. */
		(void)unlink(f->path_new);
		f->file = fopen(f->path_new, "wxe");
		if (f->file == NULL)
			return write_error(f, e);
		(void)fputs("line,id,error\n", f->file);
	}
	f->n++;
	(void)fprintf(f->file, "%" PRIu32 ",", line);
	put(f->file, id);
	(void)fputc(',', f->file);
	put(f->file, why->msg);
	(void)fputc('\n', f->file);
	return ferror(f->file) == 0 || write_error(f, e);
}

bool failed_finish(struct failed_file *f, struct err *e)
{
	FILE *file = f->file;

	f->file = NULL;
	if (file == NULL) {
		(void)unlink(f->path_new);
		return unlink(f->path) == 0 || errno == ENOENT ||
		       file_err(e, "remove", f->path, errno);
	}
	if (fclose(file) != 0 || rename(f->path_new, f->path) != 0)
		return write_error(f, e);
	return true;
}

void failed_fini(struct failed_file *f)
{
	if (f->file != NULL)
		(void)fclose(f->file);
	free(f->path);
	free(f->path_new);
	memset(f, 0, sizeof(*f));
}
