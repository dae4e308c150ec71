/* seedvr2: verifies, describes, measures and runs the upscaler from the command line. */
#include "commands.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"upscale", cmd_upscale, "restore and upscale a video or picture file"},
    {"info", cmd_info, "say what a model file holds"},
    {"convert", cmd_convert, "write a model file in another type"},
    {"verify", cmd_verify, "compare this build with golden files"},
    {"plan", cmd_plan, "say what memory a stream would take on a GPU"},
    {"selftest", cmd_selftest, "validate this installation: picture, memory, timing"},
    {"bench", cmd_bench, "measure speed and memory of the phases"},
};

static void print_help(FILE *to)
{
    fprintf(to, "Usage: seedvr2 COMMAND [OPTION…] [ARGUMENT…]\n\nCommands:\n");
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\n\"seedvr2 COMMAND --help\" explains a command's options.\n"
                "Exit codes: 0 done, 1 failed, 2 wrong usage or unusable input.\n");
}

/* A report that did not reach where it was to go is a failure. */
static int finish(int code)
{
    bool written = !ferror(stdout);

    errno = 0;
    if (fflush(stdout) == 0 && written)
        return code;
    command_fails(code, "standard output cannot be written%s%s; give it a place with space",
                  errno ? ": " : "", errno ? g_strerror(errno) : "");
    return code == EXIT_OK ? EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
    g_set_prgname("seedvr2");
    setlocale(LC_ALL, "");
    /* numbers in options and reports have a point everywhere */
    setlocale(LC_NUMERIC, "C");
    if (argc < 2) {
        print_help(stderr);
        return EXIT_UNUSABLE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return finish(EXIT_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("seedvr2 %s\n", SEEDVR2_VERSION);
        return finish(EXIT_OK);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0) {
            g_autofree char *name = g_strconcat("seedvr2 ", argv[1], NULL);

            g_set_prgname(name);
            return finish(commands[i].run(argc - 1, argv + 1));
        }
    return command_fails(EXIT_UNUSABLE, "there is no command \"%s\"; see seedvr2 --help", argv[1]);
}
