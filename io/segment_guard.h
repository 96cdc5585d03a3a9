/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps a process alive whose mapped file is cut short by somebody else.
 *
 * Touching a page that the file has lost is a SIGBUS. The guard's handler puts
 * zero pages of memory in the place of what is lost, notes it, and returns: the
 * access goes on, into memory that nobody else sees. A fault anywhere else
 * goes to the handler that was there before; by default the process dies, as
 * it should.
 *
 * A signal handler has no argument of its own: this is the one module with a
 * state of the whole process. Each kind of mapping is guarded one at a time.
 */
#ifndef IO_SEGMENT_GUARD_H
#define IO_SEGMENT_GUARD_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>

enum segment_guarded {
	SEGMENT_GUARDED_METER = 0,
	SEGMENT_GUARDED_SEEN, /* the record of observations */
	SEGMENT_GUARDED,      /* how many kinds there are */
};

/* Guards the SIZE bytes mapped of FD at MEM, until segment_guard_end(). Begun
 * already for WHICH, it guards these instead. False: no handler can be
 * installed. */
MUST bool segment_guard_begin(enum segment_guarded which, void *mem,
	size_t size, int fd, struct err *e);

/* True when the guarded mapping has lost something since it was begun. */
bool segment_guard_lost(enum segment_guarded which);

/* Guards no more; the handler that was there before is there again. Fine when
 * not begun. */
void segment_guard_end(void);

#endif
