/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A topic of a device as a template that serves every device alike.
 */
#ifndef CORE_LEARN_TEMPLATE_H
#define CORE_LEARN_TEMPLATE_H

#include "core/device.h"
#include "core/str.h"

/* An id shorter than this is looked for as a whole level only: within other
 * text it would be found by chance. */
#define LEARN_ID_PART 4u

/*
 * TOPIC with the levels that are D's own as variables: its id (also with text
 * around it), SIM identifiers and attributes. The name of its class stays as it
 * is: within the class it is the same, and in a class that includes it, as a
 * canary's, `${class}` would be another's name. Given: free(), NUL terminated.
 * NULL: no memory.
 */
char *learn_template(struct str topic, const struct device *d);

#endif
