/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes may stand in an MQTT string.
 */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include "core/str.h"

/*
 * True when S is well-formed UTF-8 (no overlong form, no surrogate, nothing
 * above U+10FFFF) and holds no character that Weir and Mosquitto both refuse:
 * U+0000..U+001F, U+007F..U+009F, and the non-characters U+FDD0..U+FDEF and
 * U+xFFFE, U+xFFFF. The empty string is valid. O(n), reads exactly n bytes.
 *
 * Source: MQTT 5.0 §1.5.4 [MQTT-1.5.4-1] "the character data MUST be
 * well-formed UTF-8", [MQTT-1.5.4-2] "MUST NOT include an encoding of the null
 * character U+0000", and its "SHOULD NOT" list, taken as a rule.
 */
bool utf8_valid(struct str s);

#endif
