/* The seedvr2 command's subcommands and what they share. */
#ifndef SEEDVR2_COMMANDS_H
#define SEEDVR2_COMMANDS_H

#include "base/dtype.h"
#include "pipeline/upscaler.h"

#include <glib.h>

/* Exit codes. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,  /* the work did not succeed, or a comparison failed */
    EXIT_UNUSABLE = 2 /* wrong usage, or input that cannot be used */
};

/* Each takes its own argument vector (argv[0] = its name) and returns an exit code. */
int cmd_verify(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_upscale(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_selftest(int argc, char **argv);

/* Parses options of a command; `arguments` are shown behind its name in --help, NULL where it takes
 * none.  What is left in argv are the arguments.  On wrong usage it says so on stderr and returns
 * false. */
bool command_parse(int *argc, char ***argv, const GOptionEntry *entries, const char *arguments,
                   const char *summary);

/* A line on stderr, "seedvr2 NAME: …"; what was printed before comes first.  Returns `code`. */
int command_fails(int code, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* "auto", "cpu", "cuda", and "f32", "f16", "bf16"; NULL is the first.  False, with a line on
 * stderr, for anything else. */
bool command_backend(const char *name, svr_backend_kind *out);
bool command_dtype(const char *name, svr_dtype *out);

/* A quantization's name (NULL: auto-fp16), likewise.  fp16 and bf16 choose the type too: they are
 * wrong beside another one of --dtype. */
bool command_quantization(const char *name, const char *dtype, svr_quantization *out,
                          svr_dtype *storage);

/* The option --device of a command, for its table of options. */
#define COMMAND_DEVICE_ENTRY(variable)                                                             \
    {                                                                                              \
        "device", 0, 0, G_OPTION_ARG_INT, (variable),                                              \
            "GPU to compute on, from 0; -1 (default): the first usable one", "N"                   \
    }

/* False, with a line on stderr, unless `device` is -1 or more. */
bool command_device(int device);

/* "auto" (NULL too), "economy" and "extreme-economy", likewise. */
bool command_vram_mode(const char *name, svr_vram_mode *out);

/* "16-bit" (NULL too), "fp8" and "int8", likewise. */
bool command_parked_precision(const char *name, svr_parked_precision *out);

/* A number of bytes with B, KB, MB, GB, KiB, MiB or GiB behind it (none: bytes); NULL is 0.
 * Likewise; `option` names it. */
bool command_bytes(const char *option, const char *text, uint64_t *out);

/* "WIDTHxHEIGHT", both of `least` to `most`, e.g. 1280x720.  Likewise. */
bool command_size(const char *option, const char *text, int least, int most, int *width,
                  int *height);

/* A number within bounds.  Likewise. */
bool command_range(const char *option, int value, int least, int most);

/* The folder with the shipped models: `given`, else the environment variable SEEDVR2_MODEL_PATH,
 * else the installed folder, as seen from the command. */
const char *command_model_dir(const char *given);

/* Fills in the shipped nano's files where an option (g_free()) is NULL. */
void command_default_models(char **transformer, char **vae);

/* The folder where this machine's measurements are kept, to be freed with g_free(). */
char *command_cache_folder(void);

/* A log sink that writes warnings and errors to stderr. */
svr_log command_log(void);

#endif
