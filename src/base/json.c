#include "base/json.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBER_CHARS = 256 };

typedef struct parser {
    svr_arena *arena;
    const char *text, *at, *end;
    size_t values;
    svr_error *err;
} parser;

static svr_status parse_value(parser *p, int depth, svr_json *out);

static svr_status bad(const parser *p, const char *what)
{
    return SVR_FAIL(p->err, SVR_ERR_FORMAT, "JSON, byte %zu: %s; the text is damaged",
                    (size_t) (p->at - p->text), what);
}

static svr_status no_memory(const parser *p)
{
    return SVR_FAIL(p->err, SVR_ERR_NO_MEM, "no memory for a JSON text of %zu bytes",
                    (size_t) (p->end - p->text));
}

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

/* Steps over `c` if it comes next. */
static bool accept(parser *p, char c)
{
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

static bool accept_word(parser *p, const char *word)
{
    size_t n = strlen(word);

    if ((size_t) (p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return false;
    p->at += n;
    return true;
}

/* ---------------------------------------------------------------------------- strings */

/* Bytes of the UTF-8 sequence at p->at; 0 when it is none (RFC 3629: shortest form, no surrogates).
 */
static size_t utf8_length(const parser *p)
{
    const unsigned char *s = (const unsigned char *) p->at;
    size_t left = (size_t) (p->end - p->at);
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (n == 0 || s[0] > 0xf4 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static size_t put_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char) code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char) (0xc0 | code >> 6);
        out[1] = (char) (0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char) (0xe0 | code >> 12);
        out[1] = (char) (0x80 | (code >> 6 & 0x3f));
        out[2] = (char) (0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char) (0xf0 | code >> 18);
    out[1] = (char) (0x80 | (code >> 12 & 0x3f));
    out[2] = (char) (0x80 | (code >> 6 & 0x3f));
    out[3] = (char) (0x80 | (code & 0x3f));
    return 4;
}

/* Four hex digits. */
static bool accept_hex4(parser *p, uint32_t *out)
{
    uint32_t v = 0;

    if (p->end - p->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = p->at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        v = v * 16 + (uint32_t) digit;
    }
    p->at += 4;
    *out = v;
    return true;
}

/* What follows "\u"; zero is refused because strings end with NUL. */
static svr_status parse_unicode_escape(parser *p, char *out, size_t *length)
{
    uint32_t code, low;

    if (!accept_hex4(p, &code))
        return bad(p, "\\u needs four hex digits");
    if (code == 0)
        return bad(p, "\\u0000 is not allowed in a string");
    if (code >= 0xdc00 && code <= 0xdfff)
        return bad(p, "low surrogate without a high one");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!accept_word(p, "\\u") || !accept_hex4(p, &low) || low < 0xdc00 || low > 0xdfff)
            return bad(p, "high surrogate without a low one");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *length = put_utf8(code, out);
    return SVR_OK;
}

/* What follows a backslash. */
static svr_status parse_escape(parser *p, char *out, size_t *length)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (accept(p, 'u'))
        return parse_unicode_escape(p, out, length);
    if (p->at == p->end || *p->at == '\0' || !(found = strchr(from, *p->at)))
        return bad(p, "unknown escape in a string");
    p->at++;
    out[0] = to[found - from];
    *length = 1;
    return SVR_OK;
}

/* Position of the closing quote of the string that starts at p->at; NULL when there is none. */
static const char *closing_quote(const parser *p)
{
    for (const char *s = p->at; s < p->end; s++) {
        if (*s == '"')
            return s;
        if (*s == '\\')
            s++;
    }
    return NULL;
}

/* A string whose opening quote is read already. */
static svr_status parse_string(parser *p, const char **out, size_t *out_length)
{
    const char *quote = closing_quote(p);
    size_t length = 0;
    char *s;

    if (!quote)
        return bad(p, "string without an end");
    s = svr_arena_alloc(p->arena, (size_t) (quote - p->at) + 1, 1);
    if (!s)
        return no_memory(p);
    while (p->at < quote) {
        size_t n = 0;

        if (accept(p, '\\')) {
            SVR_TRY(parse_escape(p, s + length, &n));
        } else if ((unsigned char) *p->at < 0x20) {
            return bad(p, "control character in a string");
        } else {
            n = utf8_length(p);
            if (n == 0)
                return bad(p, "invalid UTF-8 in a string");
            memcpy(s + length, p->at, n);
            p->at += n;
        }
        length += n;
    }
    p->at = quote + 1;
    *out = s;
    *out_length = length;
    return SVR_OK;
}

/* ---------------------------------------------------------------------------- numbers */

static size_t skip_digits(parser *p)
{
    const char *start = p->at;

    while (p->at < p->end && *p->at >= '0' && *p->at <= '9')
        p->at++;
    return (size_t) (p->at - start);
}

/* Steps over -?int frac? exp?; *whole tells that there was neither fraction nor exponent. */
static svr_status scan_number(parser *p, bool *whole)
{
    *whole = true;
    (void) accept(p, '-');
    if (!accept(p, '0') && skip_digits(p) == 0)
        return bad(p, "no value");
    if (accept(p, '.')) {
        *whole = false;
        if (skip_digits(p) == 0)
            return bad(p, "no digit behind the decimal point");
    }
    if (accept(p, 'e') || accept(p, 'E')) {
        *whole = false;
        if (!accept(p, '+'))
            (void) accept(p, '-');
        if (skip_digits(p) == 0)
            return bad(p, "no digit in the exponent");
    }
    return SVR_OK;
}

/* strtod() reads the decimal point of the program's locale, so the thread uses "C" for the call. */
static svr_status to_double(const parser *p, const char *digits, double *out)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t) 0), old;

    if (c_locale == (locale_t) 0)
        return no_memory(p);
    old = uselocale(c_locale);
    *out = strtod(digits, NULL);
    uselocale(old);
    freelocale(c_locale);
    return SVR_OK;
}

static svr_status parse_number(parser *p, svr_json *out)
{
    const char *start = p->at;
    char digits[MAX_NUMBER_CHARS + 1];
    bool whole;
    size_t n;

    SVR_TRY(scan_number(p, &whole));
    n = (size_t) (p->at - start);
    if (n > MAX_NUMBER_CHARS)
        return bad(p, "number with too many digits");
    memcpy(digits, start, n);
    digits[n] = '\0';
    out->type = SVR_JSON_NUMBER;
    if (whole) {
        errno = 0;
        out->integer = strtoll(digits, NULL, 10);
        out->is_integer = errno == 0;
        if (out->is_integer) {
            out->number = (double) out->integer;
            return SVR_OK;
        }
        out->integer = 0;
    }
    SVR_TRY(to_double(p, digits, &out->number));
    return isfinite(out->number) ? SVR_OK : bad(p, "number beyond the range of a double");
}

/* ---------------------------------------------------------------------------- arrays, objects */

static svr_status new_value(parser *p, svr_json **out)
{
    if (++p->values > SVR_JSON_MAX_VALUES)
        return bad(p, "too many values");
    *out = svr_arena_alloc(p->arena, 1, sizeof **out);
    return *out ? SVR_OK : no_memory(p);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Sorts the keys instead of comparing all pairs: a hostile object may have very many. */
static svr_status refuse_duplicate_keys(const parser *p, const svr_json *object)
{
    const char **keys;
    svr_status status = SVR_OK;
    size_t n = 0;

    if (object->children < 2)
        return SVR_OK;
    keys = malloc(object->children * sizeof *keys);
    if (!keys)
        return no_memory(p);
    for (const svr_json *child = object->child; child; child = child->next)
        keys[n++] = child->key;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n && status == SVR_OK; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            status = SVR_FAIL(p->err, SVR_ERR_FORMAT,
                              "JSON, object that ends at byte %zu: key \"%.100s\" occurs twice",
                              (size_t) (p->at - p->text), keys[i]);
    free(keys);
    return status;
}

static svr_status parse_key(parser *p, svr_json *child)
{
    size_t length;

    skip_space(p);
    if (!accept(p, '"'))
        return bad(p, "no key in quotes");
    SVR_TRY(parse_string(p, &child->key, &length));
    skip_space(p);
    return accept(p, ':') ? SVR_OK : bad(p, "no ':' behind a key");
}

/* The inside of an array or object, whose opening bracket is read already. */
static svr_status parse_children(parser *p, int depth, svr_json *out)
{
    char close = out->type == SVR_JSON_OBJECT ? '}' : ']';
    svr_json **tail = &out->child;

    skip_space(p);
    if (accept(p, close))
        return SVR_OK;
    for (;;) {
        svr_json *child;

        SVR_TRY(new_value(p, &child));
        if (out->type == SVR_JSON_OBJECT)
            SVR_TRY(parse_key(p, child));
        SVR_TRY(parse_value(p, depth + 1, child));
        *tail = child;
        tail = &child->next;
        out->children++;
        skip_space(p);
        if (accept(p, close))
            break;
        if (!accept(p, ','))
            return bad(p, out->type == SVR_JSON_OBJECT ? "neither ',' nor '}' behind a member"
                                                       : "neither ',' nor ']' behind an element");
    }
    return out->type == SVR_JSON_OBJECT ? refuse_duplicate_keys(p, out) : SVR_OK;
}

static svr_status parse_value(parser *p, int depth, svr_json *out)
{
    if (depth > SVR_JSON_MAX_DEPTH)
        return bad(p, "nested too deeply");
    skip_space(p);
    if (accept(p, '{')) {
        out->type = SVR_JSON_OBJECT;
        return parse_children(p, depth, out);
    }
    if (accept(p, '[')) {
        out->type = SVR_JSON_ARRAY;
        return parse_children(p, depth, out);
    }
    if (accept(p, '"')) {
        out->type = SVR_JSON_STRING;
        return parse_string(p, &out->string, &out->string_length);
    }
    if (accept_word(p, "null"))
        return SVR_OK;
    if (accept_word(p, "true") || accept_word(p, "false")) {
        out->type = SVR_JSON_BOOL;
        out->boolean = p->at[-2] == 'u';
        return SVR_OK;
    }
    return parse_number(p, out);
}

svr_status svr_json_parse(svr_arena *arena, const char *text, size_t size, const svr_json **out,
                          svr_error *err)
{
    parser p = {.arena = arena, .text = text, .at = text, .end = text + size, .err = err};
    svr_json *root;

    SVR_TRY(new_value(&p, &root));
    SVR_TRY(parse_value(&p, 1, root));
    skip_space(&p);
    if (p.at != p.end)
        return bad(&p, "text behind the value");
    *out = root;
    return SVR_OK;
}

const svr_json *svr_json_get(const svr_json *object, const char *key)
{
    if (!object || object->type != SVR_JSON_OBJECT)
        return NULL;
    for (const svr_json *child = object->child; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}
