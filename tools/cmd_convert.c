/* seedvr2 convert: a model file in another type. */
#include "commands.h"
#include "weights/convert.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char summary[] =
    "Writes the model of IN to OUT in another type.  int8, fp8: the large matrices of a "
    "transformer\n"
    "in 8 bits with a scale for each row, everything else as it is; fp16, bf16: all of a "
    "transformer\n"
    "or VAE in 16 bits.  OUT appears when it is complete, and loads without IN; quantization\n"
    "as-stored uses the 8 bits.\n"
    "Exit codes: 0 done, 1 OUT could not be written, 2 wrong usage or an input that cannot be "
    "used.";

static const struct {
    const char *name;
    svr_dtype dtype;
} types[] = {{"int8", SVR_I8}, {"fp8", SVR_F8_E4M3}, {"fp16", SVR_F16}, {"bf16", SVR_BF16}};

static bool find_type(const char *name, svr_dtype *out)
{
    for (size_t i = 0; name && i < G_N_ELEMENTS(types); i++)
        if (strcmp(name, types[i].name) == 0) {
            *out = types[i].dtype;
            return true;
        }
    if (name)
        command_fails(EXIT_UNUSABLE, "--to is \"%s\"; it can be int8, fp8, fp16 or bf16", name);
    else
        command_fails(EXIT_UNUSABLE, "--to is needed; it can be int8, fp8, fp16 or bf16");
    return false;
}

static svr_cancel *cancel;

static void stop(int number)
{
    (void) number;
    svr_cancel_set(cancel, true);
}

/* What would end the program has it remove its unfinished output first; a second one ends it. */
static void watch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction before;

    for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i],
                      &(struct sigaction){.sa_handler = stop,
                                          .sa_flags = (int) (SA_RESETHAND | SA_RESTART)},
                      NULL);
}

static svr_status convert(const char *in, const char *out, svr_dtype to, svr_error *err)
{
    svr_safetensors *file = NULL, *made = NULL;
    svr_status status;

    SVR_TRY(svr_safetensors_open(in, &file, err));
    cancel = svr_cancel_create();
    if (cancel)
        watch_signals();
    status = svr_convert(file, to, out, cancel, err);
    if (status == SVR_OK)
        status = svr_safetensors_open(out, &made, err);
    if (status == SVR_OK)
        printf("%s: %.2f MB, from %.2f MB\n", out, (double) svr_safetensors_file_bytes(made) / 1e6,
               (double) svr_safetensors_file_bytes(file) / 1e6);
    svr_safetensors_close(made);
    svr_safetensors_close(file);
    return status;
}

/* An input that cannot be read is unusable, an output that cannot be written a failure. */
static int exit_code(const char *in, const svr_error *err)
{
    g_autofree char *named = g_strconcat(in, ": ", NULL);

    if (err->code == SVR_ERR_NO_MEM || err->code == SVR_ERR_CANCELLED ||
        (err->code == SVR_ERR_IO && !g_str_has_prefix(err->text, named)))
        return EXIT_FAILED;
    return EXIT_UNUSABLE;
}

int cmd_convert(int argc, char **argv)
{
    g_autofree char *name = NULL;
    const GOptionEntry entries[] = {
        {"to", 0, 0, G_OPTION_ARG_STRING, &name, "int8, fp8, fp16 or bf16", "TYPE"},
        {NULL, 0, 0, 0, NULL, NULL, NULL},
    };
    svr_error err = {0};
    svr_dtype to;

    if (!command_parse(&argc, &argv, entries, "IN OUT", summary) || !find_type(name, &to))
        return EXIT_UNUSABLE;
    if (argc != 3)
        return command_fails(EXIT_UNUSABLE,
                             "name a model file and the file to write; see %s --help",
                             g_get_prgname());
    if (convert(argv[1], argv[2], to, &err) == SVR_OK)
        return EXIT_OK;
    return command_fails(exit_code(argv[1], &err), "%s", err.text);
}
