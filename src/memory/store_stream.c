/* Passes: groups that come and go while the ones before them are used. */
#include "memory/store_internal.h"

#include <assert.h>
#include <stdint.h>

/* Where groups that are not loaded stand in a dry run: far from what counting hands out. */
#define DRY_WEIGHTS ((uintptr_t) 1 << 61)

/* ------------------------------------------------------------------ relay */

static size_t largest_streamed(const svr_store *store, int first, int end)
{
    uint64_t most = 0;

    for (int i = first; i < end; i++)
        if (store->groups[i].streamed && store->groups[i].bytes > most)
            most = store->groups[i].bytes;
    return (size_t) most;
}

svr_status svr_store_relay_open(svr_store *store, svr_error *err)
{
    store_relay *relay = &store->relay;
    size_t bytes = largest_streamed(store, 0, store->group_count);

    if (bytes == 0 || (bytes <= relay->bytes && store->slots <= relay->count))
        return SVR_OK;
    svr_store_relay_close(store);
    relay->bytes = bytes;
    relay->count = store->slots;
    for (int i = 0; i < store->slots; i++) {
        svr_status status = svr_backend_host_alloc(store->backend, bytes, &relay->memory[i], err);

        if (status != SVR_OK) {
            svr_store_relay_close(store);
            return status;
        }
    }
    return SVR_OK;
}

void svr_store_relay_close(svr_store *store)
{
    store_relay *relay = &store->relay;

    for (int i = 0; i < STORE_MAX_SLOTS; i++)
        svr_backend_host_free(store->backend, relay->bytes, relay->memory[i]);
    *relay = (store_relay){0};
}

/* Reads a group into the relay's memory of a slot, once the copy from there is done. */
static svr_status read_relayed(svr_store *store, svr_exec *exec, int group, int slot,
                               const void **out, svr_error *err)
{
    *out = store->relay.memory[slot];
    if (exec->backend->dry)
        return SVR_OK;
    if (store->relay.bytes < store->groups[group].bytes)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "weights of group %d are streamed before they were loaded; load them first",
                        group);
    SVR_TRY(svr_exec_poll(exec, err));
    SVR_TRY(svr_backend_await(exec->backend, store->relay.sent[slot], err));
    return svr_store_read_group(store, group, store->relay.memory[slot], err);
}

/* ------------------------------------------------------------------ pass */

/* The streamed group at or behind `group`; the pass's end when there is none. */
static int streamed_from(const svr_store *store, int group)
{
    while (group < store->pass.end && !store->groups[group].streamed)
        group++;
    return group;
}

static int count_streamed(const svr_store *store, int first, int end)
{
    int n = 0;

    for (int i = first; i < end; i++)
        n += store->groups[i].streamed;
    return n;
}

/* Puts the next streamed group on its way, to a slot that all ops so far are done with. */
static svr_status fetch(svr_store *store, svr_exec *exec, svr_error *err)
{
    store_pass *pass = &store->pass;
    int group = pass->next_fetch, slot = pass->fetched % pass->slot_count;
    const store_group *g = &store->groups[group];
    const void *src = g->address;

    if (!g->in_host)
        SVR_TRY(read_relayed(store, exec, group, slot, &src, err));
    SVR_TRY(svr_backend_order(exec->backend, SVR_QUEUE_COMPUTE, SVR_QUEUE_IN, err));
    SVR_TRY(
        svr_backend_copy_in(exec->backend, pass->slots[slot].data, src, (size_t) g->bytes, err));
    SVR_TRY(svr_backend_mark(exec->backend, SVR_QUEUE_IN, &pass->filled[slot], err));
    store->relay.sent[slot] = pass->filled[slot];
    pass->next_fetch = streamed_from(store, group + 1);
    pass->fetched++;
    return SVR_OK;
}

/* Fills the slots whose groups are not needed any more. */
static svr_status fetch_ahead(svr_store *store, svr_exec *exec, svr_error *err)
{
    store_pass *pass = &store->pass;

    while (pass->next_fetch < pass->end && pass->fetched < pass->used + pass->slot_count)
        SVR_TRY(fetch(store, exec, err));
    return SVR_OK;
}

svr_status svr_store_begin(svr_store *store, svr_exec *exec, int first, int count, svr_error *err)
{
    store_pass *pass = &store->pass;
    int streamed = count_streamed(store, first, first + count);
    int64_t bytes = (int64_t) largest_streamed(store, first, first + count);

    assert(first >= 0 && count >= 0 && first + count <= store->group_count);
    *pass = (store_pass){.active = true, .first = first, .end = first + count};
    pass->slot_count = streamed < store->slots ? streamed : store->slots;
    pass->next_fetch = pass->next_use = streamed_from(store, first);
    for (int i = 0; i < pass->slot_count; i++)
        SVR_TRY(svr_exec_alloc(exec, SVR_U8, SVR_DIMS(bytes), &pass->slots[i], err));
    return fetch_ahead(store, exec, err);
}

bool svr_store_in_pass(const svr_store *store)
{
    return store->pass.active;
}

void svr_store_forget(svr_store *store)
{
    store->pass = (store_pass){0};
}

void svr_store_end(svr_store *store, svr_exec *exec)
{
    store_pass *pass = &store->pass;

    for (int i = 0; i < pass->slot_count; i++)
        svr_exec_free(exec, &pass->slots[i]);
    *pass = (store_pass){0};
}

/* The next streamed group of the pass, whose slot is filled by now or soon. */
static svr_status acquire_streamed(svr_store *store, svr_exec *exec, int group, svr_error *err)
{
    store_pass *pass = &store->pass;
    int slot;

    if (!pass->active || group != pass->next_use || group >= pass->end)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "streamed weights of group %d are used out of order; acquire them in "
                        "ascending order within a pass",
                        group);
    SVR_TRY(fetch_ahead(store, exec, err));
    slot = pass->used % pass->slot_count;
    SVR_TRY(svr_backend_follow(exec->backend, SVR_QUEUE_COMPUTE, pass->filled[slot], err));
    svr_store_place_items(store, group, pass->slots[slot].data);
    return SVR_OK;
}

static svr_status acquire_resident(svr_store *store, const svr_exec *exec, int group,
                                   svr_error *err)
{
    const store_group *g = &store->groups[group];

    if (g->loaded && !g->in_host)
        return SVR_OK;
    if (!exec->backend->dry)
        return SVR_FAIL(err, SVR_ERR_INVALID,
                        "weights of group %d are used before they were loaded; load them first",
                        group);
    /* stands for no memory, so there is no pointer that it could be derived from */
    svr_store_place_items(store, group,
                          (void *) DRY_WEIGHTS); /* NOLINT(performance-no-int-to-ptr) */
    return SVR_OK;
}

svr_status svr_store_acquire(svr_store *store, svr_exec *exec, int group, svr_error *err)
{
    store_group *g = &store->groups[group];

    assert(group >= 0 && group < store->group_count);
    if (g->users == 0)
        SVR_TRY(g->streamed ? acquire_streamed(store, exec, group, err)
                            : acquire_resident(store, exec, group, err));
    g->users++;
    return SVR_OK;
}

void svr_store_release(svr_store *store, int group)
{
    store_group *g = &store->groups[group];

    assert(group >= 0 && group < store->group_count && g->users > 0);
    if (--g->users > 0)
        return;
    if (g->streamed) {
        store->pass.used++;
        store->pass.next_use = streamed_from(store, group + 1);
    }
    /* back to where a dry run may have taken the views from */
    svr_store_place_items(store, group, g->in_host ? NULL : g->address);
}
