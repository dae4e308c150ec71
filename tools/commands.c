#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int command_fails(int code, const char *format, ...)
{
    va_list values;

    fflush(stdout);
    fprintf(stderr, "%s: ", g_get_prgname());
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    return code;
}

/* The same for what a user gave. */
#define REFUSE(...) (command_fails(EXIT_UNUSABLE, __VA_ARGS__), false)

bool command_parse(int *argc, char ***argv, const GOptionEntry *entries, const char *arguments,
                   const char *summary)
{
    g_autoptr(GOptionContext) context = g_option_context_new(arguments);
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_summary(context, summary);
    if (!g_option_context_parse(context, argc, argv, &error))
        return REFUSE("%s; see %s --help", error->message, g_get_prgname());
    if (!arguments && *argc > 1)
        return REFUSE("it takes no argument \"%s\"; see %s --help", (*argv)[1], g_get_prgname());
    return true;
}

/* Index of `name` among n names; NULL is 0.  -1, with a line on stderr, when it is none of them. */
static int choose(const char *option, const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (!name || strcmp(name, names[i]) == 0)
            return i;
    command_fails(EXIT_UNUSABLE, "--%s is \"%s\"; it can be %s, %s or %s", option, name, names[0],
                  names[1], names[2]);
    return -1;
}

bool command_backend(const char *name, svr_backend_kind *out)
{
    static const char *const names[] = {"auto", "cpu", "cuda"};
    static const svr_backend_kind kinds[] = {SVR_BACKEND_AUTO, SVR_BACKEND_CPU, SVR_BACKEND_CUDA};
    int i = choose("backend", name, names, 3);

    if (i < 0)
        return false;
    *out = kinds[i];
    return true;
}

bool command_vram_mode(const char *name, svr_vram_mode *out)
{
    static const char *const names[] = {"auto", "economy", "extreme-economy"};
    int i = choose("vram-mode", name, names, 3);

    if (i < 0)
        return false;
    *out = (svr_vram_mode) i;
    return true;
}

bool command_parked_precision(const char *name, svr_parked_precision *out)
{
    const char *const names[] = {svr_parked_precision_name(SVR_PARKED_16_BIT),
                                 svr_parked_precision_name(SVR_PARKED_FP8),
                                 svr_parked_precision_name(SVR_PARKED_INT8)};
    int i = choose("parked-precision", name, names, 3);

    if (i < 0)
        return false;
    *out = (svr_parked_precision) i;
    return true;
}

bool command_bytes(const char *option, const char *text, uint64_t *out)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1},     {"B", 1},         {"KB", 1e3},      {"MB", 1e6},
                 {"GB", 1e9}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    char *end = NULL;
    double value = text ? g_ascii_strtod(text, &end) : 0.0;

    *out = 0;
    if (!text)
        return true;
    for (size_t i = 0; end != text && i < G_N_ELEMENTS(units); i++)
        if (strcmp(end, units[i].name) == 0 && value >= 0.0 && value * units[i].bytes < 1e18) {
            *out = (uint64_t) (value * units[i].bytes);
            return true;
        }
    return REFUSE("--%s is \"%s\"; give bytes, or a number with KB, MB, GB, KiB, MiB or GiB",
                  option, text);
}

bool command_dtype(const char *name, svr_dtype *out)
{
    static const char *const names[] = {"f32", "f16", "bf16"};
    static const svr_dtype dtypes[] = {SVR_F32, SVR_F16, SVR_BF16};
    int i = choose("dtype", name, names, 3);

    if (i < 0)
        return false;
    *out = dtypes[i];
    return true;
}

bool command_device(int device)
{
    if (device >= -1)
        return true;
    return REFUSE("--device is %d; it can be the number of a GPU, or -1 for the first", device);
}

static bool find_quantization(const char *name, svr_quantization *out)
{
    for (int i = 0; i < SVR_QUANTIZATION_COUNT; i++) {
        *out = (svr_quantization) i;
        if (!name || strcmp(name, svr_quantization_name(*out)) == 0)
            return true;
    }
    return REFUSE("--quantization is \"%s\"; it can be auto-fp16, fp16, bf16, fp8, int8, int8-w8a8 "
                  "or as-stored",
                  name);
}

bool command_quantization(const char *name, const char *dtype, svr_quantization *out,
                          svr_dtype *storage)
{
    svr_dtype wanted;

    if (!find_quantization(name, out))
        return false;
    if (*out != SVR_QUANTIZATION_FP16 && *out != SVR_QUANTIZATION_BF16)
        return true;
    wanted = *out == SVR_QUANTIZATION_FP16 ? SVR_F16 : SVR_BF16;
    if (dtype && *storage != wanted)
        return REFUSE("--quantization %s and --dtype %s contradict each other", name, dtype);
    *storage = wanted;
    return true;
}

/* The digits at *text as a number, and *text behind them; -1 where there are none or too many. */
static int read_side(const char **text)
{
    char *end;
    long value;

    if (!g_ascii_isdigit(**text))
        return -1;
    errno = 0;
    value = strtol(*text, &end, 10);
    *text = end;
    return errno == 0 && value <= G_MAXINT ? (int) value : -1;
}

bool command_size(const char *option, const char *text, int least, int most, int *width,
                  int *height)
{
    const char *at = text;

    *width = read_side(&at);
    *height = -1;
    if (*width >= 0 && *at == 'x') {
        at++;
        *height = read_side(&at);
    }
    if (*at == '\0' && MIN(*width, *height) >= least && MAX(*width, *height) <= most)
        return true;
    return REFUSE("--%s is \"%s\"; give width and height of %d to %d pixels, like 1280x720", option,
                  text, least, most);
}

bool command_range(const char *option, int value, int least, int most)
{
    if (value >= least && value <= most)
        return true;
    return REFUSE("--%s is %d; it can be %d to %d", option, value, least, most);
}

/* Of an installed tree that may have been moved; NULL where there is none. */
static char *folder_from_command(void)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *place = program ? g_path_get_dirname(program) : NULL;
    g_autofree char *folder =
        place ? g_canonicalize_filename(SEEDVR2_MODELS_FROM_COMMAND, place) : NULL;

    return folder && g_file_test(folder, G_FILE_TEST_IS_DIR) ? g_steal_pointer(&folder) : NULL;
}

const char *command_model_dir(const char *given)
{
    static char *beside;
    const char *variable = g_getenv("SEEDVR2_MODEL_PATH");

    if (given)
        return given;
    if (variable && *variable)
        return variable;
    if (!beside)
        beside = folder_from_command();
    return beside ? beside : SEEDVR2_MODEL_DIR;
}

void command_default_models(char **transformer, char **vae)
{
    if (!*transformer)
        *transformer = g_build_filename(command_model_dir(NULL), "nano_dit.safetensors", NULL);
    if (!*vae)
        *vae = g_build_filename(command_model_dir(NULL), "nano_vae.safetensors", NULL);
}

char *command_cache_folder(void)
{
    return g_build_filename(g_get_user_cache_dir(), "seedvr2", NULL);
}

static void write_log(void *user, svr_log_level level, const char *module, const char *text)
{
    (void) user;
    fprintf(stderr, "%s: %s%s: %s\n", g_get_prgname(), level == SVR_LOG_WARN ? "warning: " : "",
            module, text);
}

svr_log command_log(void)
{
    return (svr_log){.fn = write_log, .level = SVR_LOG_WARN};
}
