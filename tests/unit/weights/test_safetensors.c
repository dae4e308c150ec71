/* The safetensors reader: a proper file, a table of hostile headers, and random damage. */
#include "weights/safetensors.h"

#include "check.h"
#include "random.h"
#include "write_safetensors.h"

#include <stdio.h>
#include <string.h>

static const char path[] = "test_safetensors.tmp";

static void test_reads_a_proper_file(void)
{
    const float b[2] = {1.5f, -2.0f};
    const int32_t number = 7;
    const test_tensor tensors[] = {{"z.weight", SVR_F16, 3, {1, 2, 3}, NULL},
                                   {"b", SVR_F32, 1, {2}, b},
                                   {"scalar", SVR_I32, 0, {0}, &number},
                                   {"empty", SVR_F32, 2, {0, 4}, NULL}};
    svr_safetensors *file = NULL;
    const svr_safetensors_entry *e;
    svr_error err = {0};
    float value[2];

    test_write_safetensors(path, tensors, 4, "{\"a\": \"\\\\\"}");
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    CHECK(svr_safetensors_count(file) == 4);
    CHECK(strcmp(svr_safetensors_path(file), path) == 0);
    CHECK(strcmp(svr_safetensors_at(file, 0)->name, "b") == 0);
    CHECK(strcmp(svr_safetensors_at(file, 3)->name, "z.weight") == 0);
    CHECK(svr_safetensors_at(file, 4) == NULL);
    CHECK(svr_safetensors_find(file, "nothing") == NULL);
    e = svr_safetensors_find(file, "b");
    CHECK(e && e->dtype == SVR_F32 && e->rank == 1 && e->dims[0] == 2 && e->bytes == 8);
    memcpy(value, e->data, sizeof value);
    CHECK(memcmp(value, b, sizeof b) == 0);
    e = svr_safetensors_find(file, "z.weight");
    CHECK(e && e->rank == 3 && e->dims[2] == 3 && svr_safetensors_elems(e) == 6);
    e = svr_safetensors_find(file, "scalar");
    CHECK(e && e->rank == 0 && svr_safetensors_elems(e) == 1 && e->bytes == 4);
    CHECK(svr_safetensors_elems(svr_safetensors_find(file, "empty")) == 0);
    CHECK(strcmp(svr_safetensors_metadata(file, "config"), "{\"a\": \"\\\\\"}") == 0);
    CHECK(svr_safetensors_metadata(file, "other") == NULL);
    svr_safetensors_close(file);
}

static void test_accepts_padding_and_no_metadata(void)
{
    static const char header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}     ";
    svr_safetensors *file = NULL;
    svr_error err = {0};

    test_write_header(path, header, 3);
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    CHECK(svr_safetensors_count(file) == 1);
    CHECK(svr_safetensors_metadata(file, "config") == NULL);
    CHECK(svr_safetensors_file_bytes(file) == 8 + strlen(header) + 3);
    svr_safetensors_close(file);
    test_write_header(path, "{}", 0);
    CHECK_OK(svr_safetensors_open(path, &file, &err), err);
    CHECK(svr_safetensors_count(file) == 0);
    svr_safetensors_close(file);
}

#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

typedef struct hostile {
    const char *header;
    size_t data_bytes;
    const char *text; /* must be in the error, beside the path */
} hostile;

static const hostile hostiles[] = {
    {"[1, 2]", 0, "no JSON object"},
    {" {}", 0, "no JSON object"},
    {"x", 0, "no JSON object"},
    {"{", 0, "no JSON object"},
    {"{\"a\":", 0, ""},
    {"{} x", 0, ""},
    {"{\"w\": 3}", 0, "'w' is described by no JSON object"},
    {"{\"__metadata__\": 3}", 0, "__metadata__"},
    {"{\"__metadata__\": {\"config\": {}}}", 0, "'config' is no string"},
    {"{\"__metadata__\": {\"format\": 1}}", 0, "'format' is no string"},
    {ENTRY("\"F32\"", "[2]", "[0,8]"), 7, "'w' lies at bytes 0 to 8"},
    {ENTRY("\"F32\"", "[2]", "[0,8]"), 9, "1 bytes behind the last tensor"},
    {ENTRY("\"F32\"", "[2]", "[4,12]"), 12, "'w' starts behind a gap"},
    {ENTRY("\"F32\"", "[2]", "[8,0]"), 8, "'w' lies at bytes"},
    {ENTRY("\"F32\"", "[2]", "[-8,0]"), 8, "'w' has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[0.5,8]"), 8, "'w' has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[0,8,8]"), 8, "'w' has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[0]"), 8, "'w' has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "8"), 8, "'w' has no data_offsets"},
    {ENTRY("\"F32\"", "[2]", "[0,18446744073709551615]"), 8, "'w'"},
    {ENTRY("\"F32\"", "[2]", "[0,9223372036854775807]"), 8, "'w' lies at bytes"},
    {ENTRY("\"F32\"", "[3]", "[0,8]"), 8, "'w' has 8 bytes but its shape and dtype need 12"},
    {ENTRY("\"F32\"", "[1,1,1,1,1,2]", "[0,8]"), 8, "'w' has 6 dimensions"},
    {ENTRY("\"F32\"", "[-2]", "[0,8]"), 8, "'w' has a dimension"},
    {ENTRY("\"F32\"", "[2.0]", "[0,8]"), 8, "'w' has a dimension"},
    {ENTRY("\"F32\"", "[1e400]", "[0,8]"), 8, ""},
    {ENTRY("\"F32\"", "[\"2\"]", "[0,8]"), 8, "'w' has a dimension"},
    {ENTRY("\"F32\"", "2", "[0,8]"), 8, "'w' has no shape"},
    {ENTRY("\"F32\"", "[4294967296,4294967296]", "[0,8]"), 8, "'w' has a shape of more bytes"},
    {ENTRY("\"F32\"", "[4611686018427387904]", "[0,8]"), 8, "'w' has a shape of more bytes"},
    {ENTRY("\"Q4\"", "[2]", "[0,8]"), 8, "unknown dtype 'Q4'"},
    {ENTRY("7", "[2]", "[0,8]"), 8, "'w' has no dtype"},
    {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "'w' has no shape"},
    {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "'w' has no data_offsets"},
    {"{\"w\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "'w' has no dtype"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[3,7]}}",
     7, "'b' overlaps"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
     4, "overlaps"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
     8, ""},
};

static void test_refuses_hostile_headers(void)
{
    for (size_t i = 0; i < sizeof hostiles / sizeof hostiles[0]; i++) {
        const hostile *h = &hostiles[i];
        svr_safetensors *file = NULL;
        svr_error err = {0};

        test_write_header(path, h->header, h->data_bytes);
        if (svr_safetensors_open(path, &file, &err) != SVR_ERR_FORMAT)
            fprintf(stderr, "accepted: %s\n", h->header);
        CHECK(file == NULL);
        CHECK(err.code == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        CHECK_TEXT(err.text, h->text);
    }
}

typedef struct broken {
    const char *bytes;
    size_t size;
    const char *text;
} broken;

static void test_refuses_other_files(void)
{
    static const broken files[] = {
        {"", 0, "has only 0 bytes"},
        {"abc", 3, "has only 3 bytes"},
        {"\x03\0\0\0\0\0\0\0{}", 10, "announces a header of 3 bytes"},
        {"\x01\0\0\0\0\0\0\0{", 9, "no JSON object"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "over the limit"},
        {"GGUF\3\0\0\0\1\0\0\0", 12, "a GGUF file"},
        {"PK\3\4\x14\0\0\0\1\0\0\0", 12, "a zip archive"},
        {"just a text, no model", 21, "no safetensors file"},
    };
    svr_safetensors *file = NULL;
    svr_error err = {0};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        test_write_bytes(path, files[i].bytes, files[i].size);
        CHECK(svr_safetensors_open(path, &file, &err) == SVR_ERR_FORMAT);
        CHECK_TEXT(err.text, path);
        CHECK_TEXT(err.text, files[i].text);
        svr_error_clear(&err);
    }
    CHECK_FAILS(svr_safetensors_open("no/such/file", &file, &err), SVR_ERR_IO, err);
    CHECK_FAILS(svr_safetensors_open(".", &file, &err), SVR_ERR_IO, err);
}

/* Touches everything that an accepted file promises. */
static unsigned look_at_all(const svr_safetensors *file)
{
    unsigned sum = 0;

    for (size_t i = 0; i < svr_safetensors_count(file); i++) {
        const svr_safetensors_entry *e = svr_safetensors_at(file, i);
        const unsigned char *data = e->data;

        sum += (unsigned) strlen(e->name) + (unsigned) svr_safetensors_elems(e);
        CHECK(svr_safetensors_find(file, e->name) == e);
        for (size_t b = 0; b < e->bytes; b++)
            sum += data[b];
    }
    return sum;
}

static const char fuzz_header[] =
    "{\"__metadata__\":{\"config\":\"{}\",\"format\":\"pt\"},"
    "\"a.b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
    "\"c\":{\"dtype\":\"BF16\",\"shape\":[10],\"data_offsets\":[24,44]},"
    "\"d\\u00e9\":{\"dtype\":\"F8_E4M3\",\"shape\":[],\"data_offsets\":[44,45]}}  ";

/* Replaces, removes or doubles a few bytes; returns the new size. */
static size_t mutate(test_random *random, char *bytes, size_t size)
{
    static const char telling[] = "{}[]\",:\\0123456789-eE.nutF \xff";
    int changes = 1 + test_random_below(random, 4);

    for (int i = 0; i < changes; i++) {
        size_t at = (size_t) test_random_below(random, (int) size);

        switch (test_random_below(random, 5)) {
        case 0:
            bytes[at] = (char) test_random_below(random, 256);
            break;
        case 1:
            memmove(bytes + at, bytes + at + 1, size - at - 1);
            size--;
            break;
        case 2:
            memmove(bytes + at + 1, bytes + at, size - at);
            size++;
            break;
        default:
            bytes[at] = telling[test_random_below(random, (int) sizeof telling - 1)];
        }
    }
    return test_random_below(random, 20) ? size : (size_t) test_random_below(random, (int) size);
}

static void test_survives_random_damage(void)
{
    enum { ROUNDS = 3000, DATA = 45 };
    char bytes[8 + sizeof fuzz_header + DATA + 8];
    test_random random = test_random_seed(20250);
    int accepted = 0, refused = 0;
    unsigned sum = 0;

    for (int round = 0; round < ROUNDS; round++) {
        size_t size = 8 + sizeof fuzz_header - 1 + DATA;
        svr_safetensors *file = NULL;
        svr_error err = {0};

        memset(bytes, 0, sizeof bytes);
        bytes[0] = (char) ((sizeof fuzz_header - 1) & 0xFF);
        bytes[1] = (char) ((sizeof fuzz_header - 1) >> 8);
        memcpy(bytes + 8, fuzz_header, sizeof fuzz_header - 1);
        size = mutate(&random, bytes, size);
        test_write_bytes(path, bytes, size);
        if (svr_safetensors_open(path, &file, &err) == SVR_OK) {
            sum += look_at_all(file);
            accepted++;
        } else {
            CHECK(err.code == SVR_ERR_FORMAT);
            CHECK_TEXT(err.text, path);
            refused++;
        }
        svr_safetensors_close(file);
    }
    printf("  %d accepted, %d refused (%u)\n", accepted, refused, sum);
    CHECK(accepted > ROUNDS / 100 && refused > ROUNDS / 2);
}

int main(void)
{
    RUN(test_reads_a_proper_file);
    RUN(test_accepts_padding_and_no_metadata);
    RUN(test_refuses_hostile_headers);
    RUN(test_refuses_other_files);
    RUN(test_survives_random_damage);
    remove(path);
    return check_done();
}
