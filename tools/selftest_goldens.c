/* The shipped model against what its author computed with it. */
#include "selftest.h"

#include "commands.h"
#include "verify/verify.h"

/* Compares them all; returns how many there are. */
static int verify_folder(verify_run *run, const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    int files = 0;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        /* nano_e3.safetensors and the like; the networks are called nano, too */
        if (!g_str_has_prefix(name, "nano_e") || !g_str_has_suffix(name, ".safetensors"))
            continue;
        verify_path(run, path);
        files++;
    }
    return files;
}

void selftest_goldens(const selftest_setup *setup, const char *folder, svr_dtype storage,
                      selftest_report *report)
{
    verify_run run = {.backend = setup->probe,
                      .dtype = storage,
                      .model_dir = command_model_dir(NULL),
                      .report = {.quiet = true}};
    const verify_report *r = &run.report;
    int files;

    if (!folder) {
        selftest_line(report, SELFTEST_SKIP, "goldens",
                      "--data FOLDER with nano_e*.safetensors (tests/data/goldens of the source) "
                      "compares the shipped model with them");
        return;
    }
    device_init(&run.device, run.backend);
    files = verify_folder(&run, folder);
    device_finish(&run.device);
    selftest_line(report, selftest_judge(files > 0 && r->failed + r->unreadable == 0), "goldens",
                  "%d files nano_e*.safetensors in %s: %d tensors within their %s limits, %d not, "
                  "%d files unusable",
                  files, folder, r->passed, svr_dtype_name(storage), r->failed, r->unreadable);
}
