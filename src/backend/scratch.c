#include "backend/scratch.h"

#include "base/checked.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/* All ranges, used and free, in the order of their addresses; neighbours are never both free. */
typedef struct range {
    struct range *previous, *next;
    size_t start, bytes;
    bool used;
} range;

struct svr_scratch {
    unsigned char *base;
    size_t capacity, peak, live;
    size_t recent; /* peak since svr_scratch_take_peak() */
    range *first;
};

static range *new_range(size_t start, size_t bytes)
{
    range *r = calloc(1, sizeof *r);

    if (r) {
        r->start = start;
        r->bytes = bytes;
    }
    return r;
}

svr_scratch *svr_scratch_create(void *base, size_t capacity)
{
    svr_scratch *scratch = calloc(1, sizeof *scratch);

    if (!scratch)
        return NULL;
    assert((uintptr_t) base % SVR_SCRATCH_ALIGN == 0);
    scratch->base = base;
    scratch->capacity = capacity & ~((size_t) SVR_SCRATCH_ALIGN - 1);
    scratch->first = new_range(0, scratch->capacity);
    if (!scratch->first) {
        free(scratch);
        return NULL;
    }
    return scratch;
}

svr_scratch *svr_scratch_create_counting(void)
{
    /* where no memory of a host or a device lies (a device's may be low), and below the addresses
     * of streamed weights in a dry run and of the counting backend; stands for none, so there is no
     * pointer that it could be derived from */
    const uintptr_t first = (uintptr_t) 1 << 59;

    return svr_scratch_create((void *) first, first); /* NOLINT(performance-no-int-to-ptr) */
}

void svr_scratch_destroy(svr_scratch *scratch)
{
    if (!scratch)
        return;
    for (range *r = scratch->first, *next; r; r = next) {
        next = r->next;
        free(r);
    }
    free(scratch);
}

/* Cuts a free range into a used one of `bytes` and a free rest. */
static bool take(range *r, size_t bytes)
{
    if (r->bytes > bytes) {
        range *rest = new_range(r->start + bytes, r->bytes - bytes);

        if (!rest)
            return false;
        rest->previous = r;
        rest->next = r->next;
        if (r->next)
            r->next->previous = rest;
        r->next = rest;
        r->bytes = bytes;
    }
    r->used = true;
    return true;
}

svr_status svr_scratch_alloc(svr_scratch *scratch, size_t bytes, void **out, svr_error *err)
{
    size_t need = svr_align_up(bytes ? bytes : 1, SVR_SCRATCH_ALIGN);
    range *r = scratch->first;

    while (r && (r->used || r->bytes < need))
        r = r->next;
    if (!r)
        return SVR_FAIL(err, SVR_ERR_NO_VRAM,
                        "scratch memory: no free range of %zu bytes, %zu of %zu bytes are in use; "
                        "give more memory or use smaller tiles or batches",
                        bytes, scratch->live, scratch->capacity);
    if (!take(r, need))
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no host memory to keep track of scratch memory");
    scratch->live += need;
    if (r->start + need > scratch->peak)
        scratch->peak = r->start + need;
    if (r->start + need > scratch->recent)
        scratch->recent = r->start + need;
    *out = scratch->base + r->start;
    return SVR_OK;
}

/* Makes `r` and the range behind it one. */
static void absorb_next(range *r)
{
    range *gone = r->next;

    r->bytes += gone->bytes;
    r->next = gone->next;
    if (r->next)
        r->next->previous = r;
    free(gone);
}

void svr_scratch_free(svr_scratch *scratch, void *address)
{
    range *r = scratch->first;

    if (!address)
        return;
    while (r && !(r->used && scratch->base + r->start == (unsigned char *) address))
        r = r->next;
    assert(r && "address from svr_scratch_alloc()");
    if (!r)
        return;
    r->used = false;
    scratch->live -= r->bytes;
    if (r->next && !r->next->used)
        absorb_next(r);
    if (r->previous && !r->previous->used)
        absorb_next(r->previous);
}

void svr_scratch_reset(svr_scratch *scratch)
{
    range *first = scratch->first;

    while (first->next)
        absorb_next(first);
    first->used = false;
    scratch->live = 0;
}

size_t svr_scratch_peak(const svr_scratch *scratch)
{
    return scratch->peak;
}

/* Highest end of a range that is in use. */
static size_t highest_end(const svr_scratch *scratch)
{
    size_t end = 0;

    for (const range *r = scratch->first; r; r = r->next)
        if (r->used)
            end = r->start + r->bytes;
    return end;
}

size_t svr_scratch_take_peak(svr_scratch *scratch)
{
    size_t peak = scratch->recent;

    scratch->recent = highest_end(scratch);
    return peak;
}

size_t svr_scratch_live(const svr_scratch *scratch)
{
    return scratch->live;
}
