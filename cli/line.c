/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/line.h"

#include "io/file.h"

#include <errno.h>
#include <inttypes.h>

bool line_at(const struct line *l, const char *name, struct err *e)
{
	return err_at(e, "%.160s:%" PRIu64, name, l->number);
}

bool line_next(
	struct line *l, FILE *in, const char *name, bool *end, struct err *e)
{
	int byte;

	l->n = 0;
	l->number++;
	/* One thread reads it. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((byte = getc_unlocked(in)) != EOF && byte != '\n') {
		if (l->n == LINE_BYTES) {
			(void)err_set(e, ERR_INPUT,
				"this line is longer than %zu bytes; is it the "
				"right file?",
				LINE_BYTES);
			return line_at(l, name, e);
		}
		l->text[l->n++] = (char)byte;
	}
	if (byte == EOF && ferror(in) != 0)
		return file_err(e, "read", name, errno);
	*end = byte == EOF && l->n == 0;
	if (l->n != 0 && l->text[l->n - 1] == '\r')
		l->n--;
	l->text[l->n] = '\0';
	return true;
}
