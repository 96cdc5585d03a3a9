/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_keys.h"

#define PAGE 20

/* Keys that terminals send as more than one byte get numbers of their own. */
enum key {
	KEY_ESCAPE = 27,
	KEY_UP = 256,
	KEY_DOWN,
	KEY_LEFT,
	KEY_RIGHT,
	KEY_PAGE_UP,
	KEY_PAGE_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_OTHER,
};

static int letter_key(char c)
{
	static const struct {
		char c;
		int key;
	} keys[] = {{'A', KEY_UP}, {'B', KEY_DOWN}, {'C', KEY_RIGHT},
		{'D', KEY_LEFT}, {'H', KEY_HOME}, {'F', KEY_END}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].c == c)
			return keys[i].key;
	}
	return KEY_OTHER;
}

static int number_key(char c)
{
	switch (c) {
	case '1':
	case '7':
		return KEY_HOME;
	case '4':
	case '8':
		return KEY_END;
	case '5':
		return KEY_PAGE_UP;
	case '6':
		return KEY_PAGE_DOWN;
	default:
		return KEY_OTHER;
	}
}

/* The key at *AT, past which *AT is moved. Source: ECMA-48 §5.4, control
 * sequences: parameters, then a final byte from 0x40 to 0x7E. */
static int next_key(const char *keys, size_t n, size_t *at)
{
	char c = keys[(*at)++], first, final;

	if (c != KEY_ESCAPE || *at >= n ||
		(keys[*at] != '[' && keys[*at] != 'O'))
		return (unsigned char)c;
	if (++*at >= n)
		return KEY_OTHER;
	first = keys[*at];
	while (*at < n && (keys[*at] < 0x40 || keys[*at] > 0x7e))
		(*at)++;
	if (*at >= n)
		return KEY_OTHER;
	final = keys[(*at)++];
	return final == '~' ? number_key(first) : letter_key(final);
}

/* ------------------------------------------------------------------- a text */

static void finish_text(struct top_keys *k, struct top *t)
{
	struct top_view *v = &t->view;

	if (k->asked == '/') {
		memcpy(v->device, k->typed, sizeof(v->device));
	} else if (k->typed[0] != '\0' &&
		   meter_class_find(&t->w, str_from(k->typed)) == METER_NONE) {
		(void)snprintf(k->told, sizeof(k->told),
			"no device was ever of class '%s'", k->typed);
	} else {
		v->one_class = k->typed[0] != '\0';
		memcpy(v->class_name, k->typed, sizeof(v->class_name));
	}
	v->offset = 0;
	k->asked = 0;
}

_Static_assert(CLASS_NAME_MAX == DEVICE_ID_MAX, "one text for both");

static void type_text(struct top_keys *k, struct top *t, int key)
{
	size_t n = strlen(k->typed);

	if (key == '\r' || key == '\n')
		finish_text(k, t);
	else if (key == KEY_ESCAPE)
		k->asked = 0;
	else if ((key == 127 || key == '\b') && n != 0)
		k->typed[n - 1] = '\0';
	else if (key > ' ' && key <= '~' && n + 1 < sizeof(k->typed))
		k->typed[n] = (char)key;
}

static void ask_text(struct top_keys *k, char what)
{
	k->asked = what;
	memset(k->typed, 0, sizeof(k->typed));
}

/* --------------------------------------------------------------------- keys */

static void scroll(struct top *t, int key)
{
	size_t *at = &t->view.offset;

	if (key == KEY_UP || key == 'k')
		*at -= *at != 0 ? 1 : 0;
	else if (key == KEY_DOWN || key == 'j')
		++*at;
	else if (key == KEY_PAGE_UP)
		*at -= *at < PAGE ? *at : PAGE;
	else if (key == KEY_PAGE_DOWN)
		*at += PAGE;
	else if (key == KEY_HOME)
		*at = 0;
	else if (key == KEY_END)
		*at = t->fit;
}

/* What is sorted by. */
static void turn(struct top *t, int by)
{
	t->view.sort =
		(t->view.sort + METER_COUNTS + (unsigned)by) % METER_COUNTS;
	t->view.offset = 0;
}

static void reset(struct top *t)
{
	t->view.one_class = t->view.refused = false;
	t->view.device[0] = '\0';
	t->view.offset = 0;
}

static void command_key(struct top_keys *k, struct top *t, int key)
{
	switch (key) {
	case 'q':
		k->quit = true;
		break;
	case '?':
	case 'h':
		k->help = true;
		break;
	case ' ':
		k->paused = !k->paused;
		break;
	case KEY_LEFT:
	case '<':
		turn(t, -1);
		break;
	case KEY_RIGHT:
	case '>':
		turn(t, 1);
		break;
	case 'r':
		t->view.reverse = !t->view.reverse;
		break;
	case 't':
		t->view.totals = !t->view.totals;
		break;
	case 'x':
		t->view.refused = !t->view.refused;
		break;
	case 'c':
	case '/':
		ask_text(k, (char)key);
		break;
	case KEY_ESCAPE:
		reset(t);
		break;
	default:
		scroll(t, key);
	}
}

void top_keys_take(
	struct top_keys *k, struct top *t, const char *keys, size_t n)
{
	for (size_t at = 0; at < n && !k->quit;) {
		int key = next_key(keys, n, &at);

		k->told[0] = '\0';
		if (k->asked != 0)
			type_text(k, t, key);
		else if (k->help)
			k->help = false;
		else
			command_key(k, t, key);
	}
}

/* --------------------------------------------------------------------- texts */

void top_keys_bottom(const struct top_keys *k, const struct top *t,
	char out[static TOP_BOTTOM])
{
	(void)t;
	if (k->asked != 0)
		(void)snprintf(out, TOP_BOTTOM, "%s: %s_",
			k->asked == 'c' ? "class, or nothing for all"
					: "part of the id, or nothing for all",
			k->typed);
	else if (k->told[0] != '\0')
		(void)snprintf(out, TOP_BOTTOM, "%s", k->told);
	else if (k->help)
		(void)snprintf(out, TOP_BOTTOM, "any key: back");
	else
		(void)snprintf(out, TOP_BOTTOM,
			"%sq quit  <> sort  t totals  c class  / id  x refused "
			" space pause  ? help",
			k->paused ? "PAUSED  " : "");
}

void top_keys_help(FILE *out)
{
	(void)fputs(
		"weir top\n\n"
		"  q              quit\n"
		"  < >  left right  sort by another counter; it is the one "
		"marked\n"
		"  r              the least first, not the most\n"
		"  t              totals since the meter began, or what came "
		"a second\n"
		"  c              only the devices of a class\n"
		"  /              only devices whose id has a text in it\n"
		"  x              only devices that were ever refused\n"
		"  Esc            all devices again\n"
		"  up down j k    scroll; by pages: PgUp PgDn; Home End\n"
		"  space          hold the picture, and go on\n\n"
		"'!' marks a device that was refused since the look before."
		"\nWhat the counters count: weir help usage\n\n",
		out);
}
