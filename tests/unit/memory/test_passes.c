/* The store's passes: streamed groups are what resident ones are, come in time, and cost slots. */
#include "cpu/cpu_backend.h"
#include "memory/store.h"

#include "check.h"
#include "lazy_queues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 5, ITEMS = 2 };

static const svr_dit_config config = {
    .kind = SVR_MODEL_DIT_7B,
    .dim = 64,
    .heads = 1,
    .head_dim = 32,
    .layers = GROUPS,
    .split_layers = GROUPS,
    .mlp_hidden = 96,
    .rope_pairs = 2,
    .rope_axis_dim = 5,
    .txt_in = 8,
    .in_channels = 9,
    .out_channels = 4,
    .patch = 2,
    .time_freqs = 4,
};

/* Different in every tensor. */
static svr_status values(void *user, const svr_weight_spec *spec, size_t first, size_t count,
                         float *dst, svr_error *err)
{
    const char *failing = user;
    size_t salt = 0;

    if (failing && strcmp(failing, spec->name) == 0)
        return SVR_FAIL(err, SVR_ERR_IO, "no values for %s", spec->name);
    for (const char *c = spec->name; *c; c++)
        salt = salt * 31 + (unsigned char) *c;
    for (size_t i = 0; i < count; i++)
        dst[i] = (float) ((first + i + salt) % 997) / 64.0f;
    return SVR_OK;
}

typedef struct rig {
    svr_backend *backend;
    svr_weights *weights;
    svr_store *store;
    svr_scratch *scratch;
    void *block;
    svr_exec exec;
    int ids[GROUPS][ITEMS];
    svr_error err;
} rig;

enum { BLOCK = 1 << 20 };

static void add_items(rig *r)
{
    static const char *const leaves[ITEMS] = {"mlp.vid.proj_in.weight", "attn.proj_out.vid.bias"};
    static const svr_store_form forms[ITEMS] = {SVR_FORM_FACTOR, SVR_FORM_VECTOR};

    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < ITEMS; i++) {
            char name[64];
            svr_store_item item = {.name = name, .form = forms[i], .group = g};

            snprintf(name, sizeof name, "blocks.%d.%s", g, leaves[i]);
            CHECK_OK(svr_store_add(r->store, &item, &r->ids[g][i], &r->err), r->err);
        }
}

static rig open_rig(bool quantized, char *failing)
{
    rig r = {0};

    CHECK_OK(svr_cpu_backend_create(NULL, &r.backend, &r.err), r.err);
    lazy_queues_install(r.backend);
    CHECK_OK(svr_weights_generate_dit(&config, values, failing, &r.weights, &r.err), r.err);
    CHECK_OK(svr_store_create(r.backend, r.weights, SVR_F16, GROUPS, &r.store, &r.err), r.err);
    if (quantized)
        CHECK_OK(svr_store_quantize(r.store, SVR_F8_E4M3, &r.err), r.err);
    add_items(&r);
    CHECK_OK(svr_backend_alloc(r.backend, SVR_MEM_SCRATCH, BLOCK, &r.block, &r.err), r.err);
    r.scratch = svr_scratch_create(r.block, BLOCK);
    r.exec = (svr_exec){.backend = r.backend, .scratch = r.scratch};
    return r;
}

static void close_rig(rig *r)
{
    svr_store_destroy(r->store);
    svr_scratch_destroy(r->scratch);
    svr_backend_free(r->backend, SVR_MEM_SCRATCH, BLOCK, r->block);
    svr_weights_destroy(r->weights);
    svr_backend_destroy(r->backend);
}

static void stream(rig *r, unsigned groups)
{
    for (int g = 0; g < GROUPS; g++)
        svr_store_set_streamed(r->store, g, groups >> g & 1);
}

static void load(rig *r)
{
    CHECK_OK(svr_store_load(r->store, 0, GROUPS, NULL, &r->err), r->err);
}

/* All bytes of a group's items, appended at `to`. */
static char *read_group(rig *r, int g, char *to)
{
    for (int i = 0; i < ITEMS; i++) {
        svr_tensor t = svr_store_tensor(r->store, r->ids[g][i]);
        svr_tensor scale = svr_store_scale(r->store, r->ids[g][i]);

        CHECK(svr_tensor_present(&t));
        memcpy(to, t.data, svr_tensor_bytes(&t));
        to += svr_tensor_bytes(&t);
        if (svr_tensor_present(&scale)) {
            memcpy(to, scale.data, svr_tensor_bytes(&scale));
            to += svr_tensor_bytes(&scale);
        }
    }
    return to;
}

enum { ROOM = GROUPS * 64 * 96 * 5 };

/* What a pass reads, in order. */
static void run_pass(rig *r, char *out)
{
    memset(out, 0, ROOM);
    CHECK_OK(svr_store_begin(r->store, &r->exec, 0, GROUPS, &r->err), r->err);
    for (int g = 0; g < GROUPS; g++) {
        CHECK_OK(svr_store_acquire(r->store, &r->exec, g, &r->err), r->err);
        out = read_group(r, g, out);
        svr_store_release(r->store, g);
    }
    svr_store_end(r->store, &r->exec);
    CHECK(svr_scratch_live(r->scratch) == 0);
}

/* Whatever is streamed, through however many slots, with a copy or without: the same bytes. */
static void check_same(bool quantized)
{
    rig r = open_rig(quantized, NULL);
    char *want = malloc(ROOM), *got = malloc(ROOM);
    bool any = false;

    load(&r);
    run_pass(&r, want);
    for (int i = 0; i < ROOM; i++)
        any = any || want[i] != 0;
    CHECK(any);
    for (unsigned groups = 1; groups < 1u << GROUPS; groups += 3)
        for (int slots = 1; slots <= 3; slots++)
            for (int relay = 0; relay < 2; relay++) {
                stream(&r, groups);
                svr_store_set_slots(r.store, slots);
                svr_store_set_relay(r.store, relay);
                load(&r);
                for (int pass = 0; pass < 2; pass++) {
                    run_pass(&r, got);
                    CHECK(memcmp(want, got, ROOM) == 0);
                }
            }
    free(want);
    free(got);
    close_rig(&r);
}

static void test_streamed_is_resident(void)
{
    check_same(false);
    check_same(true);
}

static void test_memory(void)
{
    rig r = open_rig(false, NULL);
    uint64_t one = svr_store_group_bytes(r.store, 0);
    char *got = malloc(ROOM);
    svr_memory_use use;

    stream(&r, 0x1e);
    load(&r);
    use = svr_backend_memory(r.backend);
    CHECK(use.live[SVR_MEM_WEIGHTS] == one && use.host_live == 4 * one);
    run_pass(&r, got);
    CHECK(svr_scratch_peak(r.scratch) == 2 * one);
    CHECK(svr_backend_memory(r.backend).copied_in == 4 * one);
    CHECK(svr_backend_memory(r.backend).copied_out == 0); /* weights are never copied back */
    svr_store_set_relay(r.store, true);
    load(&r);
    use = svr_backend_memory(r.backend);
    CHECK(use.live[SVR_MEM_WEIGHTS] == one && use.host_live == 2 * one);
    stream(&r, 0);
    load(&r);
    CHECK(svr_backend_memory(r.backend).live[SVR_MEM_WEIGHTS] == 5 * one);
    free(got);
    close_rig(&r);
}

/* The next group is under way while the one before is used. */
static void test_fetches_ahead(void)
{
    rig r = open_rig(false, NULL);

    stream(&r, 0x1f);
    load(&r);
    CHECK_OK(svr_store_begin(r.store, &r.exec, 0, GROUPS, &r.err), r.err);
    CHECK(lazy_queues_pending() == 2);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 0, &r.err), r.err);
    CHECK(lazy_queues_pending() == 1);
    svr_store_release(r.store, 0);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 1, &r.err), r.err);
    CHECK(lazy_queues_pending() == 1); /* group 2, into the slot of group 0 */
    svr_store_release(r.store, 1);
    svr_store_end(r.store, &r.exec);
    close_rig(&r);
}

/* Where the host has no room for copies, the groups are read from the file in every pass. */
static void test_host_without_room(void)
{
    rig r = open_rig(false, NULL);
    uint64_t one = svr_store_group_bytes(r.store, 0);
    char *want = malloc(ROOM), *got = malloc(ROOM);

    load(&r);
    run_pass(&r, want);
    lazy_queues_limit(3 * one);
    stream(&r, 0x1f);
    load(&r);
    CHECK(svr_backend_memory(r.backend).host_live == 2 * one);
    run_pass(&r, got);
    CHECK(memcmp(want, got, ROOM) == 0);
    lazy_queues_limit(one);
    stream(&r, 0);
    svr_store_set_relay(r.store, false);
    stream(&r, 0x1f);
    CHECK_FAILS(svr_store_load(r.store, 0, GROUPS, NULL, &r.err), SVR_ERR_NO_MEM, r.err);
    CHECK(svr_backend_memory(r.backend).host_live == 0);
    free(want);
    free(got);
    close_rig(&r);
}

/* Groups that are relayed have memory for as many slots as the next pass takes. */
static void test_relay_follows_slots(void)
{
    rig r = open_rig(false, NULL);
    uint64_t one = svr_store_group_bytes(r.store, 0);
    char *want = malloc(ROOM), *got = malloc(ROOM);

    load(&r);
    run_pass(&r, want);
    stream(&r, 0x1f);
    svr_store_set_relay(r.store, true);
    for (int slots = 1; slots <= 3; slots++) {
        svr_store_set_slots(r.store, slots);
        load(&r);
        CHECK(svr_backend_memory(r.backend).host_live == (uint64_t) slots * one);
        run_pass(&r, got);
        CHECK(memcmp(want, got, ROOM) == 0);
    }
    free(want);
    free(got);
    close_rig(&r);
}

static void test_order_is_kept(void)
{
    rig r = open_rig(false, NULL);

    stream(&r, 0x1f);
    CHECK_FAILS(svr_store_acquire(r.store, &r.exec, 0, &r.err), SVR_ERR_INVALID, r.err);
    load(&r);
    CHECK_FAILS(svr_store_acquire(r.store, &r.exec, 0, &r.err), SVR_ERR_INVALID, r.err);
    CHECK_OK(svr_store_begin(r.store, &r.exec, 0, 2, &r.err), r.err);
    CHECK_FAILS(svr_store_acquire(r.store, &r.exec, 1, &r.err), SVR_ERR_INVALID, r.err);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 0, &r.err), r.err);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 0, &r.err), r.err); /* twice is once */
    svr_store_release(r.store, 0);
    svr_store_release(r.store, 0);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 1, &r.err), r.err);
    svr_store_release(r.store, 1);
    CHECK_FAILS(svr_store_acquire(r.store, &r.exec, 2, &r.err), SVR_ERR_INVALID, r.err);
    svr_store_end(r.store, &r.exec);
    close_rig(&r);
}

/* A pass that failed is forgotten by the next; values that cannot be read are said. */
static void test_failures(void)
{
    char failing[] = "blocks.2.attn.proj_out.vid.bias";
    char *want = malloc(ROOM), *got = malloc(ROOM);
    rig r = open_rig(false, NULL);

    load(&r);
    run_pass(&r, want);
    stream(&r, 0x1f);
    load(&r);
    CHECK_OK(svr_store_begin(r.store, &r.exec, 0, GROUPS, &r.err), r.err);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 0, &r.err), r.err);
    svr_store_release(r.store, 0);
    CHECK_OK(svr_backend_synchronize(r.backend, &r.err), r.err);
    svr_scratch_reset(r.scratch);
    run_pass(&r, got);
    CHECK(memcmp(want, got, ROOM) == 0);
    close_rig(&r);

    r = open_rig(false, failing);
    stream(&r, 0x1f);
    svr_store_set_relay(r.store, true);
    load(&r);
    CHECK_OK(svr_store_begin(r.store, &r.exec, 0, GROUPS, &r.err), r.err);
    CHECK_OK(svr_store_acquire(r.store, &r.exec, 0, &r.err), r.err);
    svr_store_release(r.store, 0);
    CHECK_FAILS(svr_store_acquire(r.store, &r.exec, 1, &r.err), SVR_ERR_IO, r.err);
    CHECK_OK(svr_backend_synchronize(r.backend, &r.err), r.err);
    close_rig(&r);
    free(want);
    free(got);
}

/* Counting needs no weights and gives the scratch and the traffic of the run. */
static void test_dry_run(void)
{
    rig r = open_rig(false, NULL);
    svr_backend *counting = svr_counting_backend_create(r.backend);
    svr_exec dry = {.backend = counting, .scratch = svr_scratch_create_counting()};
    char *got = malloc(ROOM);

    stream(&r, 0x15);
    CHECK_OK(svr_store_begin(r.store, &dry, 0, GROUPS, &r.err), r.err);
    for (int g = 0; g < GROUPS; g++) {
        svr_tensor t;

        CHECK_OK(svr_store_acquire(r.store, &dry, g, &r.err), r.err);
        t = svr_store_tensor(r.store, r.ids[g][0]);
        CHECK(svr_tensor_present(&t));
        svr_store_release(r.store, g);
    }
    svr_store_end(r.store, &dry);
    CHECK(svr_backend_memory(r.backend).live[SVR_MEM_WEIGHTS] == 0);
    load(&r);
    run_pass(&r, got);
    CHECK(svr_scratch_peak(dry.scratch) == svr_scratch_peak(r.scratch));
    CHECK(svr_backend_memory(counting).copied_in == svr_backend_memory(r.backend).copied_in);
    svr_scratch_destroy(dry.scratch);
    svr_backend_destroy(counting);
    free(got);
    close_rig(&r);
}

int main(void)
{
    RUN(test_streamed_is_resident);
    RUN(test_memory);
    RUN(test_fetches_ahead);
    RUN(test_host_without_room);
    RUN(test_relay_follows_slots);
    RUN(test_order_is_kept);
    RUN(test_failures);
    RUN(test_dry_run);
    return check_done();
}
