#include "write_safetensors.h"

#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_length(FILE *file, size_t length)
{
    for (int i = 0; i < 8; i++)
        CHECK(fputc((int) (length >> (8 * i) & 0xFF), file) != EOF);
}

static void put_zeros(FILE *file, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(fputc(0, file) != EOF);
}

static FILE *open_file(const char *path)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL);
    return file;
}

void test_write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file = open_file(path);

    CHECK(size == 0 || fwrite(bytes, 1, size, file) == size);
    CHECK(fclose(file) == 0);
}

void test_write_header(const char *path, const char *header, size_t data_bytes)
{
    FILE *file = open_file(path);

    put_length(file, strlen(header));
    CHECK(fputs(header, file) >= 0);
    put_zeros(file, data_bytes);
    CHECK(fclose(file) == 0);
}

static const char *type_name(svr_dtype dtype)
{
    static const char *const names[] = {"F32", "F16", "BF16", "F8_E4M3", "I32",
                                        "U8",  "F64", "I64",  "I8"};

    return names[dtype];
}

static size_t bytes_of(const test_tensor *t)
{
    size_t n = svr_dtype_size(t->dtype);

    for (int i = 0; i < t->rank; i++)
        n *= (size_t) t->dims[i];
    return n;
}

static void put_config(FILE *header, const char *config)
{
    fputs("\"__metadata__\":{\"config\":\"", header);
    for (; *config; config++) {
        if (*config == '"' || *config == '\\')
            fputc('\\', header);
        fputc(*config, header);
    }
    fputs("\"}", header);
}

static void put_entry(FILE *header, const test_tensor *t, size_t begin)
{
    fprintf(header, "\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, type_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        fprintf(header, "%s%" PRId64, i ? "," : "", t->dims[i]);
    fprintf(header, "],\"data_offsets\":[%zu,%zu]}", begin, begin + bytes_of(t));
}

static char *make_header(const test_tensor *tensors, size_t count, const char *config)
{
    char *text = NULL;
    size_t size = 0, begin = 0;
    FILE *header = open_memstream(&text, &size);

    CHECK(header != NULL);
    fputc('{', header);
    if (config)
        put_config(header, config);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 || config)
            fputc(',', header);
        put_entry(header, &tensors[i], begin);
        begin += bytes_of(&tensors[i]);
    }
    fputc('}', header);
    CHECK(fclose(header) == 0);
    return text;
}

void test_write_safetensors(const char *path, const test_tensor *tensors, size_t count,
                            const char *config)
{
    char *header = make_header(tensors, count, config);
    FILE *file = open_file(path);

    put_length(file, strlen(header));
    CHECK(fputs(header, file) >= 0);
    for (size_t i = 0; i < count; i++) {
        size_t n = bytes_of(&tensors[i]);

        if (tensors[i].data)
            CHECK(fwrite(tensors[i].data, 1, n, file) == n);
        else
            put_zeros(file, n);
    }
    CHECK(fclose(file) == 0);
    free(header);
}
