#include "weights/specs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256, MAX_NAME = 160 };

static bool grow(svr_spec_list *list)
{
    size_t capacity = list->capacity ? 2 * list->capacity : FIRST_CAPACITY;
    svr_weight_spec *specs = realloc(list->specs, capacity * sizeof *specs);

    if (!specs)
        return false;
    list->specs = specs;
    list->capacity = capacity;
    return true;
}

void svr_spec_add(svr_spec_list *list, const char *name, int rank, const int64_t *dims)
{
    svr_weight_spec *spec;
    const char *copy;

    if (list->failed)
        return;
    copy = svr_arena_strndup(list->arena, name, strlen(name));
    if (!copy || (list->count == list->capacity && !grow(list))) {
        list->failed = true;
        return;
    }
    spec = &list->specs[list->count++];
    *spec = (svr_weight_spec){.name = copy, .rank = rank};
    memcpy(spec->dims, dims, (size_t) rank * sizeof dims[0]);
}

void svr_spec_mark_optional(svr_spec_list *list)
{
    if (!list->failed)
        list->specs[list->count - 1].optional = true;
}

void svr_spec_mark_factor(svr_spec_list *list)
{
    if (!list->failed)
        list->specs[list->count - 1].factor = true;
}

static void add_suffixed(svr_spec_list *list, const char *prefix, const char *suffix, int rank,
                         const int64_t *dims)
{
    char name[MAX_NAME];

    snprintf(name, sizeof name, "%s.%s", prefix, suffix);
    svr_spec_add(list, name, rank, dims);
}

void svr_spec_add_norm(svr_spec_list *list, const char *prefix, int64_t channels)
{
    add_suffixed(list, prefix, "weight", 1, &channels);
    add_suffixed(list, prefix, "bias", 1, &channels);
}

void svr_spec_add_linear(svr_spec_list *list, const char *prefix, int64_t out, int64_t in)
{
    add_suffixed(list, prefix, "weight", 2, (int64_t[]){out, in});
    add_suffixed(list, prefix, "bias", 1, &out);
}

void svr_spec_add_conv(svr_spec_list *list, const char *prefix, int64_t out, int64_t in,
                       const int64_t kernel[3])
{
    add_suffixed(list, prefix, "weight", 5, (int64_t[]){out, in, kernel[0], kernel[1], kernel[2]});
    add_suffixed(list, prefix, "bias", 1, &out);
}

int svr_spec_by_name(const void *a, const void *b)
{
    const svr_weight_spec *x = a, *y = b;

    return strcmp(x->name, y->name);
}
