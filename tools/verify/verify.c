#include "verify/verify.h"

#include "verify/ladder.h"
#include "weights/config.h"

#include <stdio.h>
#include <string.h>

svr_status verify_tensor(verify_run *run, const golden *g, const char *name, const float *got,
                         size_t n, const verify_limit *limit, svr_error *err)
{
    const svr_safetensors_entry *entry;
    g_autofree float *want = NULL;

    SVR_TRY(golden_entry(g, name, -1, &entry, err));
    SVR_TRY(golden_floats(g, name, &want, err));
    if (!got)
        verify_fail(&run->report, name, "the network does not show it");
    else if (svr_safetensors_elems(entry) != n)
        verify_fail(&run->report, name, "another number of values here");
    else
        verify_compare(&run->report, name, got, want, n, limit);
    return SVR_OK;
}

typedef svr_status (*family)(verify_run *run, const golden *g, svr_error *err);

/* A family is recognised by a tensor that all its files and no others have: the whole name, or the
 * end of one where it starts with '.' or '_'. */
static const struct {
    const char *tensor;
    family verify;
} families[] = {
    {"mean", verify_vae},
    {"y", verify_vae},
    {"in.latent33", verify_dit_case},
    {"vid_out_rows", verify_dit_block},
    {"freqs", verify_dit_angles},
    {".x_T", verify_pipe_sampler},
    {"quant.in", verify_pipe_tables},
    {".w_prev", verify_pipe_blend},
    {".in_u8_thwc", verify_pipe_resize},
    {".content", verify_pipe_colour},
    {".alpha_in", verify_pipe_alpha},
    {"t0_y0_x0", verify_pipe_noise},
    {"_overlap_prepend_cc", verify_pipe_e2e},
    {"frames_u8_thwc", verify_nano},
    {"pos", verify_text},
};

static bool has_tensor(const golden *g, const char *tensor)
{
    g_auto(GStrv) prefixes = NULL;

    if (tensor[0] != '.' && tensor[0] != '_')
        return golden_has(g, tensor);
    prefixes = golden_prefixes(g, tensor);
    return prefixes[0] != NULL;
}

static family recognise(const golden *g)
{
    for (size_t i = 0; i < G_N_ELEMENTS(families); i++)
        if (has_tensor(g, families[i].tensor))
            return families[i].verify;
    return NULL;
}

/* Weights of tiny networks lie among the cases and are used by them. */
static bool is_network(const golden *g)
{
    svr_model_kind kind = svr_model_recognise(g->file);

    return kind == SVR_MODEL_VAE || kind == SVR_MODEL_DIT_3B || kind == SVR_MODEL_DIT_7B;
}

/* Whether something of a family is in 8 bits. */
static bool climbs(const verify_ladder *ladder, family verify)
{
    if (verify == verify_nano)
        return true;
    return ladder->kind == VERIFY_LADDER_PARKED
               ? verify == verify_vae
               : verify == verify_dit_case || verify == verify_dit_block;
}

svr_vae_memory verify_parking_memory(const verify_parking *parking, int64_t values)
{
    return (svr_vae_memory){.piece_values = 1,
                            .carried_values = parking->carried > 0 ? parking->carried * values : 1,
                            .parked = parking->type,
                            .parked_exact = SVR_VAE_PARKED_ALL & ~parking->what};
}

static svr_status verify_safetensors(verify_run *run, const char *path, svr_error *err)
{
    golden g;
    svr_status status = golden_open(path, &g, err);
    family verify;

    if (status != SVR_OK)
        return status;
    run->report.file = g.stem;
    verify = recognise(&g);
    if (run->report.ladder && !climbs(run->report.ladder, verify))
        status = SVR_OK;
    else if (verify)
        status = verify(run, &g, err);
    else if (!is_network(&g))
        status = SVR_FAIL(err, SVR_ERR_FORMAT,
                          "%s: no golden file of a known kind; see docs/testing.md", path);
    golden_close(&g);
    return status;
}

static void verify_file(verify_run *run, const char *path)
{
    svr_error err = {0};
    svr_status status;

    if (g_str_has_suffix(path, ".json"))
        status = run->report.ladder ? SVR_OK : verify_dit_windows(run, path, &err);
    else
        status = verify_safetensors(run, path, &err);
    if (status == SVR_OK)
        return;
    fflush(stdout);
    fprintf(stderr, "seedvr2 verify: %s\n", err.text);
    run->report.unreadable++;
}

static int by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void verify_folder(verify_run *run, const char *path, GDir *folder)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while ((name = g_dir_read_name(folder)))
        if (g_str_has_suffix(name, ".safetensors") || g_str_has_suffix(name, ".json"))
            g_ptr_array_add(names, g_build_filename(path, name, NULL));
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++)
        verify_file(run, (const char *) names->pdata[i]);
    if (names->len == 0) {
        fprintf(stderr, "seedvr2 verify: %s: no golden files in this folder\n", path);
        run->report.unreadable++;
    }
}

void verify_path(verify_run *run, const char *path)
{
    g_autoptr(GDir) folder = NULL;

    if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
        verify_file(run, path);
        return;
    }
    folder = g_dir_open(path, 0, NULL);
    if (folder) {
        verify_folder(run, path, folder);
        return;
    }
    fprintf(stderr, "seedvr2 verify: %s: cannot read this folder\n", path);
    run->report.unreadable++;
}
