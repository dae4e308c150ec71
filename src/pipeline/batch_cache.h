/* The finished frames of the last batch, for a batch that repeats it: stills and frozen video.
 *
 * A batch is known by a 64-bit hash of its source frames and their number; all else that its result
 * depends on belongs to the stream.  While the source frames of the batch before are still there,
 * equal hashes are only a reason to compare the bytes.  Where they are gone (a new sequence) the
 * hash decides: two different batches in a row have equal ones once in 2^64.
 * Level 5.  Thread: the one that computes. */
#ifndef SVR_PIPELINE_BATCH_CACHE_H
#define SVR_PIPELINE_BATCH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_batch_cache svr_batch_cache;

/* For batches of up to `frames` frames of `in_bytes`, which become frames of `out_bytes`.  Takes
 * the memory for the latter.  NULL when there is none. */
svr_batch_cache *svr_batch_cache_create(int frames, size_t in_bytes, size_t out_bytes);
/* Accepts NULL. */
void svr_batch_cache_destroy(svr_batch_cache *cache);

/* Source frames of a batch. */
typedef struct svr_cache_key {
    const uint8_t *const *frames; /* [count] tightly packed */
    int count;
    uint64_t hash;
} svr_cache_key;

/* `frames` is borrowed. */
svr_cache_key svr_batch_cache_key(const svr_batch_cache *cache, const uint8_t *const *frames,
                                  int count);

/* Whether the kept batch was made from frames like these.  `before`: its source frames, as many;
 * NULL: they are gone. */
bool svr_batch_cache_holds(const svr_batch_cache *cache, const svr_cache_key *key,
                           const uint8_t *const *before);

/* Finished frame `index` of the kept batch. */
const uint8_t *svr_batch_cache_frame(const svr_batch_cache *cache, int index);

/* Keeping another batch: begin, every frame once, end.  Nothing is held in between. */
void svr_batch_cache_begin(svr_batch_cache *cache, const svr_cache_key *key);
void svr_batch_cache_put(svr_batch_cache *cache, int index, const uint8_t *data);
void svr_batch_cache_end(svr_batch_cache *cache);

/* Keeps nothing any more: something else that results depend on has changed. */
void svr_batch_cache_forget(svr_batch_cache *cache);

#ifdef __cplusplus
}
#endif
#endif
