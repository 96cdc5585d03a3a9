/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that held a key. OpenSSL wipes what it knows to be one, but not all
 * on the way there: its decoders free the PEM's inside as it is.
 */
#ifndef CERTS_WIPE_H
#define CERTS_WIPE_H

/* From now on OpenSSL wipes every block that it frees. Before any other use of
 * OpenSSL in the process, by programs that handle keys; does nothing later. */
void wipe_install(void);

#endif
