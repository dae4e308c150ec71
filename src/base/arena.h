/* Host bump allocator: many small objects with one owner and one destroy.
 * Memory is zeroed and 16-byte aligned.  Level 0.  Thread: one at a time. */
#ifndef SVR_BASE_ARENA_H
#define SVR_BASE_ARENA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct svr_arena svr_arena;

/* NULL when there is no memory.  Caller owns; end with svr_arena_destroy(). */
svr_arena *svr_arena_create(void);

/* Accepts NULL.  Frees everything that was allocated from the arena. */
void svr_arena_destroy(svr_arena *arena);

/* `count` zeroed objects of `size` bytes; NULL on overflow or when there is no memory.
 * Valid until the arena is destroyed. */
void *svr_arena_alloc(svr_arena *arena, size_t count, size_t size);

/* Copy of the first `n` bytes of `text`, NUL added; NULL when there is no memory. */
char *svr_arena_strndup(svr_arena *arena, const char *text, size_t n);

#ifdef __cplusplus
}
#endif
#endif
