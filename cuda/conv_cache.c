#include "conv_cache.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bounds for what a file may hold; no run of the networks comes near. */
enum { FORMAT = 1, MOST_ENTRIES = 4096, MOST_BYTES = 1 << 20 };

/* A line of the file: the key, then these. */
enum { PLAN = SVR_CONV_KEY_VALUES, ENGINE, OWN_US, DNN_US, LINE_VALUES };

typedef struct entry {
    svr_conv_key key;
    svr_conv_choice choice;
} entry;

struct svr_conv_cache {
    char *path, *folder, *identity;
    const svr_log *log;
    entry *entries;
    int count, capacity;
    bool read_only; /* a save has failed: the next would too */
};

/* ---- keys */

int64_t svr_conv3d_before(const svr_conv3d_args *args)
{
    if (!svr_tensor_present(&args->head))
        return -1;
    return args->head_starts ? -2 : args->head.dims[0] + svr_tensor_present(&args->recent);
}

svr_conv_key svr_conv_key_of(const svr_conv3d_args *args)
{
    const int64_t *x = args->x.dims, *w = args->w.dims;

    return (svr_conv_key){{args->x.dtype, x[0], x[1], x[2], x[3], w[0], w[1], w[2], w[3],
                           args->stride_t, args->stride_s, args->pad_top, args->pad_bottom,
                           args->pad_left, args->pad_right, svr_conv3d_before(args),
                           svr_tensor_present(&args->residual),
                           svr_tensor_present(&args->moments) ? args->moments.dims[1] : 0}};
}

bool svr_conv_key_equal(const svr_conv_key *a, const svr_conv_key *b)
{
    return memcmp(a->values, b->values, sizeof a->values) == 0;
}

/* ---- entries */

static entry *find(const svr_conv_cache *c, const svr_conv_key *key)
{
    for (int i = 0; i < c->count; i++)
        if (svr_conv_key_equal(&c->entries[i].key, key))
            return &c->entries[i];
    return NULL;
}

/* False when there is no room. */
static bool put(svr_conv_cache *c, const svr_conv_key *key, const svr_conv_choice *choice)
{
    entry *e = find(c, key);

    if (!e && c->count == c->capacity) {
        int capacity = c->capacity ? 2 * c->capacity : 64;
        entry *more =
            c->count < MOST_ENTRIES ? realloc(c->entries, (size_t) capacity * sizeof *more) : NULL;

        if (!more)
            return false;
        c->entries = more;
        c->capacity = capacity;
    }
    if (!e)
        e = &c->entries[c->count++];
    *e = (entry){*key, *choice};
    return true;
}

/* ---- reading */

/* One line; false when it is none that write_file() makes. */
static bool read_entry(svr_conv_cache *c, const svr_json *line)
{
    const svr_json *item = line->child;
    int64_t v[LINE_VALUES];
    svr_conv_key key;
    svr_conv_choice choice;

    if (line->type != SVR_JSON_ARRAY || line->children != LINE_VALUES)
        return false;
    for (int i = 0; i < LINE_VALUES; i++, item = item->next) {
        if (item->type != SVR_JSON_NUMBER || !item->is_integer)
            return false;
        v[i] = item->integer;
    }
    if (v[PLAN] < -1 || v[PLAN] > INT_MAX || v[OWN_US] < 0 || v[DNN_US] < 0)
        return false;
    memcpy(key.values, v, sizeof key.values);
    choice = (svr_conv_choice){(int) v[PLAN], v[ENGINE], v[OWN_US], v[DNN_US], false};
    return put(c, &key, &choice);
}

/* NULL, or what is wrong with the text. */
static const char *read_entries(svr_conv_cache *c, svr_arena *arena, const svr_file *file)
{
    const svr_json *root = NULL, *format, *identity, *choices;
    char *text = file->size > MOST_BYTES ? NULL : svr_arena_alloc(arena, file->size, 1);

    if (!text || svr_file_read(file, 0, text, file->size, NULL) != SVR_OK ||
        svr_json_parse(arena, text, file->size, &root, NULL) != SVR_OK)
        return "is damaged";
    format = svr_json_get(root, "format");
    identity = svr_json_get(root, "identity");
    choices = svr_json_get(root, "choices");
    if (!format || !format->is_integer || format->integer != FORMAT || !identity ||
        identity->type != SVR_JSON_STRING || strcmp(identity->string, c->identity) != 0)
        return "is of another version or device";
    if (!choices || choices->type != SVR_JSON_ARRAY)
        return "is damaged";
    for (const svr_json *line = choices->child; line; line = line->next)
        if (!read_entry(c, line))
            return "is damaged";
    return NULL;
}

static void read_file(svr_conv_cache *c)
{
    svr_file file;
    svr_arena *arena;
    const char *wrong = "cannot be read for lack of memory";

    if (access(c->path, F_OK) != 0)
        return;
    if (svr_file_open(c->path, &file, NULL) != SVR_OK) {
        svr_log_write(c->log, SVR_LOG_WARN, "conv",
                      "%s cannot be opened: convolutions are measured", c->path);
        return;
    }
    arena = svr_arena_create();
    if (arena)
        wrong = read_entries(c, arena, &file);
    svr_arena_destroy(arena);
    svr_file_close(&file);
    if (!wrong)
        return;
    c->count = 0;
    svr_log_write(c->log, SVR_LOG_WARN, "conv", "%s %s: convolutions are measured anew", c->path,
                  wrong);
}

/* ---- writing */

/* Makes the folder and what is missing above it; whether it worked shows when it is used. */
static void make_folders(const char *path)
{
    char *copy = strdup(path);

    if (!copy)
        return;
    for (char *at = copy + 1; *at; at++)
        if (*at == '/') {
            *at = '\0';
            (void) mkdir(copy, 0700);
            *at = '/';
        }
    (void) mkdir(copy, 0700);
    free(copy);
}

static bool write_entries(const svr_conv_cache *c, FILE *file)
{
    const char *separator = "";

    fprintf(file, "{\"format\": %d,\n \"identity\": \"%s\",\n \"choices\": [", FORMAT, c->identity);
    for (int i = 0; i < c->count; i++) {
        const entry *e = &c->entries[i];

        if (e->choice.for_now)
            continue;
        fprintf(file, "%s\n  [", separator);
        for (int v = 0; v < SVR_CONV_KEY_VALUES; v++)
            fprintf(file, "%" PRId64 ", ", e->key.values[v]);
        fprintf(file, "%d, %" PRId64 ", %" PRId64 ", %" PRId64 "]", e->choice.plan,
                e->choice.engine, e->choice.own_us, e->choice.dnn_us);
        separator = ",";
    }
    fprintf(file, "]}\n");
    return fflush(file) == 0 && !ferror(file);
}

/* A complete file under another name first: readers see the old one or the new one. */
static bool write_file(const svr_conv_cache *c)
{
    size_t size = strlen(c->path) + sizeof ".XXXXXX";
    char *name = malloc(size);
    FILE *file;
    int fd;
    bool ok = false;

    if (!name)
        return false;
    snprintf(name, size, "%s.XXXXXX", c->path);
    fd = mkstemp(name);
    file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file) {
        ok = write_entries(c, file);
        ok = fclose(file) == 0 && ok;
        ok = ok && rename(name, c->path) == 0;
    } else if (fd >= 0) {
        close(fd);
    }
    if (fd >= 0 && !ok)
        (void) unlink(name);
    free(name);
    return ok;
}

static void save(svr_conv_cache *c)
{
    if (!c->path || c->read_only)
        return;
    make_folders(c->folder);
    errno = 0;
    if (write_file(c))
        return;
    c->read_only = true;
    svr_log_write(c->log, SVR_LOG_WARN, "conv",
                  "%s cannot be written (%s): convolutions will be measured again next time",
                  c->path, strerror(errno));
}

/* ---- the cache */

/* In names of GPUs nothing needs an escape; this makes sure of it. */
static char *plain_copy(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c && *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '_';
    return copy;
}

/* One file an identity: FNV-1a of the text in the name. */
static char *path_of(const char *folder, const char *identity)
{
    size_t size = strlen(folder) + 64;
    char *path = malloc(size);
    uint64_t hash = 0xcbf29ce484222325u;

    for (const char *c = identity; *c; c++)
        hash = (hash ^ (unsigned char) *c) * 0x100000001b3u;
    if (path)
        snprintf(path, size, "%s/convolutions-%016" PRIx64 ".json", folder, hash);
    return path;
}

svr_conv_cache *svr_conv_cache_open(const char *folder, const char *identity, const svr_log *log)
{
    svr_conv_cache *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->log = log;
    c->identity = plain_copy(identity);
    if (folder && c->identity) {
        c->folder = strdup(folder);
        c->path = path_of(folder, c->identity);
    }
    if (!c->identity || (folder && (!c->folder || !c->path))) {
        svr_conv_cache_close(c);
        return NULL;
    }
    if (c->path)
        read_file(c);
    return c;
}

void svr_conv_cache_close(svr_conv_cache *c)
{
    if (!c)
        return;
    free(c->entries);
    free(c->identity);
    free(c->folder);
    free(c->path);
    free(c);
}

bool svr_conv_cache_find(const svr_conv_cache *c, const svr_conv_key *key, svr_conv_choice *choice)
{
    const entry *e = find(c, key);

    if (e)
        *choice = e->choice;
    return e != NULL;
}

void svr_conv_cache_put(svr_conv_cache *c, const svr_conv_key *key, const svr_conv_choice *choice)
{
    if (put(c, key, choice) && !choice->for_now)
        save(c);
}

const char *svr_conv_cache_path(const svr_conv_cache *c)
{
    return c->path;
}
