/* base/json: values of every kind, and hostile texts, each copied to a block of its exact size so
 * that an address sanitizer sees a read behind the end. */
#include "base/json.h"

#include "check.h"
#include "random.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static svr_arena *arena;

static svr_status parse_bytes(const char *text, size_t size, const svr_json **out, svr_error *err)
{
    char *exact = malloc(size ? size : 1);
    svr_status status;

    CHECK(exact != NULL);
    memcpy(exact, text, size);
    status = svr_json_parse(arena, exact, size, out, err);
    free(exact);
    return status;
}

static const svr_json *parsed(const char *text)
{
    const svr_json *value;
    svr_error err = {0};

    CHECK_OK(parse_bytes(text, strlen(text), &value, &err), err);
    return value;
}

/* FORMAT, and the text says `why` and a byte position. */
static void refused(const char *text, size_t size, const char *why)
{
    const svr_json *value;
    svr_error err = {0};

    if (parse_bytes(text, size, &value, &err) != SVR_ERR_FORMAT)
        CHECK_TEXT(text, "accepted although it should be refused");
    CHECK_TEXT(err.text, why);
    CHECK_TEXT(err.text, "byte ");
}

#define REFUSED(text, why) refused(text, sizeof(text) - 1, why)

static void test_scalars(void)
{
    CHECK(parsed("null")->type == SVR_JSON_NULL);
    CHECK(parsed(" true\n")->type == SVR_JSON_BOOL && parsed("true")->boolean);
    CHECK(parsed("false")->type == SVR_JSON_BOOL && !parsed("false")->boolean);
    CHECK(parsed("0")->is_integer && parsed("0")->integer == 0);
    CHECK(parsed("-17")->integer == -17 && parsed("-17")->number == -17);
    CHECK(parsed("9223372036854775807")->integer == INT64_MAX);
    CHECK(parsed("-9223372036854775808")->integer == INT64_MIN);
    CHECK(!parsed("9223372036854775808")->is_integer);
    CHECK(parsed("9223372036854775808")->number == 0x1p63);
    CHECK(!parsed("1.0")->is_integer && parsed("1.0")->number == 1);
    CHECK(parsed("0.1")->number == 0.1 && parsed("-2.5e-3")->number == -2.5e-3);
    CHECK(parsed("1E+2")->number == 100 && !parsed("1e2")->is_integer);
    CHECK(parsed("1e-400")->number == 0);
}

static void test_strings(void)
{
    const svr_json *s = parsed("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"");

    CHECK(strcmp(s->string, "a\"\\/\b\f\n\r\tA") == 0 && s->string_length == 10);
    CHECK(strcmp(parsed("\"\"")->string, "") == 0);
    CHECK(strcmp(parsed("\"\\u00e9\\u20AC\"")->string, "\xc3\xa9\xe2\x82\xac") == 0);
    CHECK(strcmp(parsed("\"\\ud83d\\ude00\"")->string, "\xf0\x9f\x98\x80") == 0);
    CHECK(strcmp(parsed("\"\xc3\xa9\xf0\x9f\x98\x80\"")->string, "\xc3\xa9\xf0\x9f\x98\x80") == 0);
}

static void test_tree(void)
{
    const svr_json *root =
        parsed("{ \"w\" : {\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,"
               "24]} , \"e\":[], \"o\":{} }");
    const svr_json *shape = svr_json_get(svr_json_get(root, "w"), "shape");

    CHECK(root->type == SVR_JSON_OBJECT && root->children == 3);
    CHECK(strcmp(root->child->key, "w") == 0 && strcmp(root->child->next->key, "e") == 0);
    CHECK(shape && shape->type == SVR_JSON_ARRAY && shape->children == 2);
    CHECK(shape->child->integer == 2 && shape->child->next->integer == 3);
    CHECK(shape->child->next->next == NULL && shape->child->key == NULL);
    CHECK(svr_json_get(root, "e")->children == 0 && svr_json_get(root, "o")->child == NULL);
    CHECK(!svr_json_get(root, "x") && !svr_json_get(NULL, "w") && !svr_json_get(shape, "w"));
}

static void nest(char *text, int depth)
{
    memset(text, '[', (size_t) depth);
    memset(text + depth, ']', (size_t) depth);
    text[2 * depth] = '\0';
}

static void test_depth(void)
{
    static char text[2 * 100000 + 1];

    nest(text, SVR_JSON_MAX_DEPTH);
    CHECK(parsed(text)->children == 1);
    nest(text, SVR_JSON_MAX_DEPTH + 1);
    refused(text, strlen(text), "nested too deeply");
    nest(text, 100000);
    refused(text, strlen(text), "nested too deeply");
}

static void test_duplicate_keys(void)
{
    REFUSED("{\"a\":1,\"b\":2,\"a\":3}", "key \"a\" occurs twice");
    REFUSED("{\"x\":{\"A\":1,\"\\u0041\":2}}", "key \"A\" occurs twice"); /* equal once read */
    CHECK(parsed("{\"a\":{\"a\":1},\"b\":{\"a\":1}}")->children == 2);
}

/* Every prefix of a good text is refused, none is read beyond its end. */
static void test_truncated(void)
{
    static const char text[] =
        "{\"a\\u00e9\\ud83d\\ude00\":[1.5e+3,-2,true,false,null,\"\xc3\xa9\"],\"b\":{}}";

    CHECK(parsed(text)->children == 2);
    for (size_t n = 0; n + 1 < sizeof text; n++)
        refused(text, n, "JSON");
}

static void test_bad_strings(void)
{
    REFUSED("\"abc", "without an end");
    REFUSED("\"abc\\\"", "without an end");
    REFUSED("\"\\x41\"", "unknown escape");
    REFUSED("\"\\\0\"", "unknown escape");
    REFUSED("\"\\u12\"", "four hex digits");
    REFUSED("\"\\u12g4\"", "four hex digits");
    REFUSED("\"a\\u0000b\"", "\\u0000");
    REFUSED("\"\\ud83d\"", "high surrogate");
    REFUSED("\"\\ud83dx\"", "high surrogate");
    REFUSED("\"\\ud83d\\u0041\"", "high surrogate");
    REFUSED("\"\\ude00\"", "low surrogate");
    REFUSED("\"a\nb\"", "control character");
    REFUSED("\"a\0b\"", "control character");
    REFUSED("\"\x80\"", "invalid UTF-8");
    REFUSED("\"\xc0\xaf\"", "invalid UTF-8");         /* overlong '/' */
    REFUSED("\"\xe0\x80\xaf\"", "invalid UTF-8");     /* overlong again */
    REFUSED("\"\xed\xa0\x80\"", "invalid UTF-8");     /* surrogate */
    REFUSED("\"\xf4\x90\x80\x80\"", "invalid UTF-8"); /* beyond U+10FFFF */
    REFUSED("\"\xe2\x82\"", "invalid UTF-8");         /* cut off by the quote */
}

static void test_bad_numbers(void)
{
    char many[400];

    REFUSED("1e999", "range of a double");
    REFUSED("-1e999", "range of a double");
    REFUSED("01", "behind the value");
    REFUSED("+1", "no value");
    REFUSED(".5", "no value");
    REFUSED("1.", "decimal point");
    REFUSED("1e", "exponent");
    REFUSED("1e+", "exponent");
    REFUSED("-", "no value");
    REFUSED("0x10", "behind the value");
    REFUSED("NaN", "no value");
    REFUSED("Infinity", "no value");
    memset(many, '9', sizeof many);
    refused(many, sizeof many, "too many digits");
}

static void test_bad_structure(void)
{
    REFUSED("", "no value");
    REFUSED("  ", "no value");
    REFUSED("[1,]", "no value");
    REFUSED("[1 2]", "','");
    REFUSED("[1", "','");
    REFUSED("{\"a\":1,}", "no key");
    REFUSED("{a:1}", "no key");
    REFUSED("{\"a\" 1}", "':'");
    REFUSED("{\"a\":1 \"b\":2}", "','");
    REFUSED("{\"a\":}", "no value");
    REFUSED("[}", "no value");
    REFUSED("nul", "no value");
    REFUSED("truex", "behind the value");
    REFUSED("{} {}", "behind the value");
    REFUSED("{}\0", "behind the value");
    REFUSED("\xef\xbb\xbf{}", "no value"); /* byte order mark */
}

static void test_too_many_values(void)
{
    size_t n = 2 * (size_t) SVR_JSON_MAX_VALUES + 1;
    char *text = malloc(n);

    CHECK(text != NULL);
    for (size_t i = 0; i < n; i++)
        text[i] = i % 2 ? '0' : ',';
    text[0] = '[';
    text[n - 1] = ']';
    refused(text, n, "too many values");
    free(text);
}

/* The decimal point must not follow the program's locale. */
static void test_locale(void)
{
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE")) {
        puts("# no locale with a decimal comma on this machine");
        return;
    }
    CHECK(strtod("1.5", NULL) == 1); /* the locale is as expected */
    CHECK(parsed("1.5")->number == 1.5);
    setlocale(LC_ALL, "C");
}

/* Random damage to a good text: refused or accepted, never worse (run under sanitizers). */
static void test_random_damage(void)
{
    static const char good[] =
        "{\"k\":[1,2.5e3,{\"s\":\"\\u00e9\\n\xc3\xa9\",\"t\":true}],\"z\":null,\"n\":-12}";
    test_random random = test_random_seed(4);
    int accepted = 0;

    for (int i = 0; i < 20000; i++) {
        char text[sizeof good];
        const svr_json *value;
        svr_error err = {0};
        svr_status status;

        memcpy(text, good, sizeof good);
        for (int j = 0; j <= i % 3; j++)
            text[test_random_below(&random, sizeof good - 1)] =
                (char) (i % 2 ? good[test_random_below(&random, sizeof good - 1)]
                              : test_random_below(&random, 256));
        status = parse_bytes(text, sizeof good - 1, &value, &err);
        CHECK(status == SVR_OK || status == SVR_ERR_FORMAT);
        accepted += status == SVR_OK;
    }
    CHECK(accepted > 100 && accepted < 19000);
}

int main(void)
{
    arena = svr_arena_create();
    CHECK(arena != NULL);
    RUN(test_scalars);
    RUN(test_strings);
    RUN(test_tree);
    RUN(test_depth);
    RUN(test_duplicate_keys);
    RUN(test_truncated);
    RUN(test_bad_strings);
    RUN(test_bad_numbers);
    RUN(test_bad_structure);
    RUN(test_too_many_values);
    RUN(test_locale);
    RUN(test_random_damage);
    svr_arena_destroy(arena);
    return check_done();
}
