/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells who started the daemon that it is ready, or ends: systemd by the socket
 * in $NOTIFY_SOCKET (sd_notify(3)). Without one: nothing.
 */
#ifndef FEED_NOTIFY_H
#define FEED_NOTIFY_H

/* STATE: "READY=1", "STOPPING=1". What fails is no failure of ours. */
void notify_manager(const char *state);

#endif
