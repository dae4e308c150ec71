#include "dit/dit_internal.h"

#include "dit/rope.h"

#include <assert.h>
#include <math.h>

static svr_status check_latent(const svr_dit_config *config, const int latent[3], svr_error *err)
{
    if (latent[0] < 1 || latent[1] < config->patch || latent[2] < config->patch ||
        latent[1] % config->patch != 0 || latent[2] % config->patch != 0)
        return SVR_FAIL(err, SVR_ERR_SHAPE,
                        "a latent of %d x %d x %d does not divide into patches; height and width "
                        "must be multiples of %d",
                        latent[0], latent[1], latent[2], config->patch);
    return SVR_OK;
}

/* Host side of a cut: the rotation of each row of the table.  Computed in double from the F32
 * angle, so that it does not depend on the C library. */
static svr_status rotations(svr_arena *arena, const svr_rope_table *table, int pairs,
                            float **cosines, float **sines, svr_error *err)
{
    size_t count = (size_t) table->rows * (size_t) pairs;

    *cosines = svr_arena_alloc(arena, count, sizeof(float));
    *sines = svr_arena_alloc(arena, count, sizeof(float));
    if (!*cosines || !*sines)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for rotary tables");
    for (size_t i = 0; i < count; i++) {
        (*cosines)[i] = (float) cos((double) table->angles[i]);
        (*sines)[i] = (float) sin((double) table->angles[i]);
    }
    return SVR_OK;
}

enum { TABLES_PER_CUT = 6, CUTS = 2 };

/* Makes the tables of a cut on the host, notes their shapes in `cut` and appends them to `list`. */
static svr_status make_cut(svr_arena *scratch, const svr_dit_config *config,
                           svr_dit_geometry *geometry, bool shifted, dit_table **list,
                           svr_error *err)
{
    dit_cut *cut = &geometry->cut[shifted];
    svr_windows windows;
    svr_rope_table table;
    float *cosines, *sines;
    int pairs = config->rope_pairs;

    /* the offsets stay on the host as well, so all of the windows do not go to `scratch` */
    SVR_TRY(
        svr_windows_make(geometry->arena, geometry->grid, config->windows, shifted, &windows, err));
    SVR_TRY(svr_rope_table_make(scratch, config, &windows, geometry->text_len, &table, err));
    SVR_TRY(rotations(scratch, &table, pairs, &cosines, &sines, err));
    int64_t tokens = windows.offsets[windows.count];
    cut->window_count = windows.count;
    cut->host_offsets = windows.offsets;
    cut->order = svr_tensor_1d(NULL, SVR_I32, tokens);
    cut->offsets = svr_tensor_1d(NULL, SVR_I32, windows.count + 1);
    cut->cosines = svr_tensor_2d(NULL, SVR_F32, table.rows, pairs);
    cut->sines = svr_tensor_2d(NULL, SVR_F32, table.rows, pairs);
    cut->rows[DIT_VIDEO] = svr_tensor_2d(NULL, SVR_I32, tokens, 3);
    *(*list)++ = (dit_table){&cut->order, windows.order};
    *(*list)++ = (dit_table){&cut->offsets, windows.offsets};
    *(*list)++ = (dit_table){&cut->cosines, cosines};
    *(*list)++ = (dit_table){&cut->sines, sines};
    *(*list)++ = (dit_table){&cut->rows[DIT_VIDEO], table.video_rows};
    if (table.text_rows) {
        cut->rows[DIT_TEXT] = svr_tensor_2d(NULL, SVR_I32, geometry->text_len, 3);
        *(*list)++ = (dit_table){&cut->rows[DIT_TEXT], table.text_rows};
    }
    return SVR_OK;
}

static svr_status make_tables(svr_backend *backend, const svr_dit_config *config,
                              svr_dit_geometry *geometry, svr_error *err)
{
    dit_table list[CUTS * TABLES_PER_CUT];
    dit_table *end = list;
    svr_status status = SVR_OK;
    svr_arena *scratch = svr_arena_create();

    if (!scratch)
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the tables of a grid");
    for (int shifted = 0; shifted < CUTS && status == SVR_OK; shifted++)
        status = make_cut(scratch, config, geometry, shifted != 0, &end, err);
    if (status == SVR_OK)
        status =
            svr_dit_tables_upload(backend, list, (size_t) (end - list), &geometry->tables, err);
    svr_arena_destroy(scratch);
    return status;
}

svr_status svr_dit_geometry_create(svr_backend *backend, const svr_dit *dit, const int latent[3],
                                   int text_len, svr_dit_geometry **out, svr_error *err)
{
    const svr_dit_config *config = &dit->config;
    svr_dit_geometry *geometry = NULL;

    assert(text_len > 0);
    SVR_TRY(check_latent(config, latent, err));
    svr_arena *arena = svr_arena_create();
    if (arena)
        geometry = svr_arena_alloc(arena, 1, sizeof(*geometry));
    if (!geometry) {
        svr_arena_destroy(arena);
        return SVR_FAIL(err, SVR_ERR_NO_MEM, "no memory for the tables of a grid");
    }
    *geometry = (svr_dit_geometry){
        .arena = arena,
        .latent = {latent[0], latent[1], latent[2]},
        .grid = {latent[0], latent[1] / config->patch, latent[2] / config->patch},
        .text_len = text_len};
    svr_status status = make_tables(backend, config, geometry, err);
    if (status != SVR_OK)
        svr_dit_geometry_destroy(geometry);
    else
        *out = geometry;
    return status;
}

void svr_dit_geometry_destroy(svr_dit_geometry *geometry)
{
    if (!geometry)
        return;
    svr_dit_tables_free(&geometry->tables);
    svr_arena_destroy(geometry->arena);
}
