#include "pipeline/batch_cache.h"

#include "base/checked.h"
#include "base/hash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct svr_batch_cache {
    int capacity; /* frames */
    size_t in_bytes, out_bytes;
    bool valid;
    uint64_t hash; /* of the kept batch */
    int count;
    uint8_t *frames; /* [capacity][out_bytes] */
};

svr_batch_cache *svr_batch_cache_create(int frames, size_t in_bytes, size_t out_bytes)
{
    svr_batch_cache *c = calloc(1, sizeof *c);
    size_t bytes;

    if (!c)
        return NULL;
    *c = (svr_batch_cache){.capacity = frames, .in_bytes = in_bytes, .out_bytes = out_bytes};
    if (svr_mul_size((size_t) frames, out_bytes, &bytes))
        c->frames = malloc(bytes);
    if (c->frames)
        return c;
    free(c);
    return NULL;
}

void svr_batch_cache_destroy(svr_batch_cache *c)
{
    if (!c)
        return;
    free(c->frames);
    free(c);
}

svr_cache_key svr_batch_cache_key(const svr_batch_cache *c, const uint8_t *const *frames, int count)
{
    svr_cache_key key = {.frames = frames, .count = count};

    for (int i = 0; i < count; i++)
        key.hash = svr_hash64(frames[i], c->in_bytes, key.hash);
    return key;
}

bool svr_batch_cache_holds(const svr_batch_cache *c, const svr_cache_key *key,
                           const uint8_t *const *before)
{
    if (!c->valid || key->count != c->count || key->hash != c->hash)
        return false;
    for (int i = 0; before && i < key->count; i++)
        if (memcmp(before[i], key->frames[i], c->in_bytes) != 0)
            return false;
    return true;
}

const uint8_t *svr_batch_cache_frame(const svr_batch_cache *c, int index)
{
    assert(c->valid && index >= 0 && index < c->count);
    return c->frames + (size_t) index * c->out_bytes;
}

void svr_batch_cache_begin(svr_batch_cache *c, const svr_cache_key *key)
{
    assert(key->count <= c->capacity);
    c->valid = false;
    c->hash = key->hash;
    c->count = key->count;
}

void svr_batch_cache_put(svr_batch_cache *c, int index, const uint8_t *data)
{
    assert(!c->valid && index >= 0 && index < c->count);
    memcpy(c->frames + (size_t) index * c->out_bytes, data, c->out_bytes);
}

void svr_batch_cache_end(svr_batch_cache *c)
{
    c->valid = true;
}

void svr_batch_cache_forget(svr_batch_cache *c)
{
    c->valid = false;
}
