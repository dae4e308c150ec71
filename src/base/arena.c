#include "base/arena.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, ALIGN_BYTES = 16 };

typedef struct chunk {
    struct chunk *next;
    size_t used, size; /* bytes behind the header */
} chunk;

struct svr_arena {
    chunk *head;
};

/* The payload starts at the next aligned address behind the header. */
static size_t header_bytes(void)
{
    return svr_align_up(sizeof(chunk), ALIGN_BYTES);
}

svr_arena *svr_arena_create(void)
{
    return calloc(1, sizeof(svr_arena));
}

void svr_arena_destroy(svr_arena *arena)
{
    if (!arena)
        return;
    for (chunk *c = arena->head, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    free(arena);
}

static chunk *add_chunk(svr_arena *arena, size_t bytes)
{
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    chunk *c = calloc(1, size + header_bytes());

    if (!c)
        return NULL;
    c->size = size;
    c->next = arena->head;
    arena->head = c;
    return c;
}

void *svr_arena_alloc(svr_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    chunk *c = arena->head;
    char *p;

    if (!svr_mul_size(count, size, &bytes) || bytes > PTRDIFF_MAX - CHUNK_BYTES)
        return NULL;
    bytes = svr_align_up(bytes ? bytes : 1, ALIGN_BYTES);
    if (!c || c->size - c->used < bytes)
        c = add_chunk(arena, bytes);
    if (!c)
        return NULL;
    p = (char *) c + header_bytes() + c->used;
    c->used += bytes;
    return p;
}

char *svr_arena_strndup(svr_arena *arena, const char *text, size_t n)
{
    char *copy;

    if (n == SIZE_MAX)
        return NULL;
    copy = svr_arena_alloc(arena, n + 1, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}
