/* Bounded JSON reader (RFC 8259) for safetensors headers and small configuration texts.
 *
 * Refuses: nesting over SVR_JSON_MAX_DEPTH, more than SVR_JSON_MAX_VALUES values, invalid UTF-8 and
 * escapes (U+0000 too), trailing text, numbers that overflow a double, duplicate keys in one
 * object.  Never recurses deeper than the limit.  How long a text may be is up to the caller.
 * Level 0.  Thread: one at a time. */
#ifndef SVR_BASE_JSON_H
#define SVR_BASE_JSON_H

#include "base/arena.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SVR_JSON_MAX_DEPTH = 32, SVR_JSON_MAX_VALUES = 1000000 };

typedef enum svr_json_type {
    SVR_JSON_NULL,
    SVR_JSON_BOOL,
    SVR_JSON_NUMBER,
    SVR_JSON_STRING,
    SVR_JSON_ARRAY,
    SVR_JSON_OBJECT
} svr_json_type;

/* One value.  Children of arrays and objects form a list through `next`, in the order of the
 * text. */
typedef struct svr_json {
    svr_json_type type;
    bool boolean;
    bool is_integer; /* number without fraction and exponent that fits `integer` */
    double number;
    int64_t integer;
    const char *string; /* NUL-terminated UTF-8, owned by the arena */
    size_t string_length;
    const char *key;        /* inside an object */
    struct svr_json *next;  /* next sibling */
    struct svr_json *child; /* first child */
    size_t children;
} svr_json;

/* Parses `size` bytes at `text`; values live in `arena`.
 * Errors: FORMAT with byte position, NO_MEM. */
SVR_CHECKED svr_status svr_json_parse(svr_arena *arena, const char *text, size_t size,
                                      const svr_json **out, svr_error *err);

/* Member of an object; NULL when `object` is NULL, no object, or has no such key. */
const svr_json *svr_json_get(const svr_json *object, const char *key);

#ifdef __cplusplus
}
#endif
#endif
