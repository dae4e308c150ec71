/* Prompt embeddings: both prompts are readable and finite, and equal those of the model folder. */
#include "verify/verify.h"

#include <math.h>

static svr_status compare_prompt(verify_run *run, const golden *g, const golden *shipped,
                                 const char *name, svr_error *err)
{
    const svr_safetensors_entry *entry, *other;
    g_autofree float *want = NULL, *got = NULL;
    size_t n;

    SVR_TRY(golden_entry(g, name, 2, &entry, err));
    SVR_TRY(golden_entry(shipped, name, 2, &other, err));
    SVR_TRY(golden_floats(g, name, &want, err));
    SVR_TRY(golden_floats(shipped, name, &got, err));
    n = svr_safetensors_elems(entry);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(want[i])) {
            verify_fail(&run->report, name, "holds a value that is not finite");
            return SVR_OK;
        }
    if (entry->dims[0] != other->dims[0] || entry->dims[1] != other->dims[1])
        verify_fail(&run->report, name, "the model folder's text_emb has another shape");
    else
        verify_compare(&run->report, name, got, want, n, &(verify_limit){.exact = true});
    return SVR_OK;
}

svr_status verify_text(verify_run *run, const golden *g, svr_error *err)
{
    static const char *const prompts[] = {"pos", "neg"};
    g_autofree char *path = g_build_filename(run->model_dir, "text_emb.safetensors", NULL);
    golden shipped;
    svr_status status = golden_open(path, &shipped, err);

    for (size_t i = 0; status == SVR_OK && i < G_N_ELEMENTS(prompts); i++)
        if (golden_has(g, prompts[i]))
            status = compare_prompt(run, g, &shipped, prompts[i], err);
    golden_close(&shipped);
    return status;
}
