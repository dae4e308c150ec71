/* Rotary angles (dit_*_rope_angles) and window cuts (dit_windows.json). */
#include "base/file.h"
#include "base/json.h"
#include "dit/rope.h"
#include "verify/verify_dit.h"

#include <stdio.h>
#include <string.h>

enum {
    ANGLES_TEXT_LEN = 58, /* the text length behind the "video_*" tensors of the 3B */
    MAX_GRID = 1024       /* tokens of an axis; more is a broken file */
};

static const verify_limit one_ulp = {.ulp = 1.0};

/* Angles of the rows in `rows` [n, 3] as [n, 3p]. */
static float *spread(const svr_rope_table *table, const int32_t *rows, int64_t n, int pairs)
{
    float *out = g_new(float, (size_t) (n * 3 * pairs));

    for (int64_t i = 0; i < n * 3; i++)
        memcpy(out + i * pairs, table->angles + (int64_t) rows[i] * pairs,
               (size_t) pairs * sizeof(float));
    return out;
}

static svr_status compare_angles(verify_run *run, const golden *g, const char *name,
                                 const svr_rope_table *table, const int32_t *rows, int64_t n,
                                 int pairs)
{
    g_autofree float *want = NULL, *got = NULL;
    const svr_safetensors_entry *entry = svr_safetensors_find(g->file, name);

    if (!rows || svr_safetensors_elems(entry) != (size_t) (n * 3 * pairs)) {
        verify_fail(&run->report, name, "another number of angles here");
        return SVR_OK;
    }
    SVR_TRY(golden_floats(g, name, &want, NULL));
    got = spread(table, rows, n, pairs);
    verify_compare(&run->report, name, got, want, (size_t) (n * 3 * pairs), &one_ulp);
    return SVR_OK;
}

static bool grid_in_range(const int grid[3])
{
    for (int i = 0; i < 3; i++)
        if (grid[i] < 1 || grid[i] > MAX_GRID)
            return false;
    return true;
}

/* "video_TxHxW": one window of that size; "textL": L text tokens. */
static svr_status compare_tensor(verify_run *run, const golden *g, const svr_dit_config *config,
                                 const char *name, svr_error *err)
{
    /* one window however large the grid (up to 3600 tokens a frame) */
    static const int single[3] = {1, 1, 1};
    svr_arena *arena = svr_arena_create();
    int grid[3] = {1, 1, 1}, text_len = ANGLES_TEXT_LEN;
    bool video = sscanf(name, "video_%dx%dx%d", &grid[0], &grid[1], &grid[2]) == 3;
    svr_windows windows;
    svr_rope_table table;
    svr_status status;

    g_assert(arena);
    if (video ? !grid_in_range(grid)
              : sscanf(name, "text%d", &text_len) != 1 || text_len < 1 || text_len > MAX_GRID)
        status = SVR_FAIL(err, SVR_ERR_FORMAT, "%s: %s is neither video_TxHxW nor textL",
                          svr_safetensors_path(g->file), name);
    else
        status = svr_windows_make(arena, grid, single, false, &windows, err);
    if (status == SVR_OK)
        status = svr_rope_table_make(arena, config, &windows, text_len, &table, err);
    if (status == SVR_OK)
        status = compare_angles(run, g, name, &table, video ? table.video_rows : table.text_rows,
                                video ? (int64_t) grid[0] * grid[1] * grid[2] : text_len,
                                config->rope_pairs);
    svr_arena_destroy(arena);
    return status;
}

svr_status verify_dit_angles(verify_run *run, const golden *g, svr_error *err)
{
    svr_dit_config config = svr_dit_config_published(SVR_MODEL_DIT_3B);
    g_autofree float *want = NULL;
    g_autofree float *got = NULL;
    const svr_safetensors_entry *entry;

    SVR_TRY(golden_entry(g, "freqs", 1, &entry, err));
    if (entry->dims[0] != config.rope_pairs)
        config = svr_dit_config_published(SVR_MODEL_DIT_7B);
    got = g_new(float, (size_t) config.rope_pairs);
    SVR_TRY(golden_floats(g, "freqs", &want, err));
    svr_rope_frequencies(&config, got);
    if (entry->dims[0] != config.rope_pairs)
        verify_fail(&run->report, "freqs", "another number of frequencies here");
    else
        verify_compare(&run->report, "freqs", got, want, (size_t) config.rope_pairs, &one_ulp);
    for (size_t i = 0; i < svr_safetensors_count(g->file); i++) {
        const char *name = svr_safetensors_at(g->file, i)->name;

        if (strcmp(name, "freqs") != 0)
            SVR_TRY(compare_tensor(run, g, &config, name, err));
    }
    return SVR_OK;
}

/* ------------------------------------------------------------------------- dit_windows.json */

/* Growing lists of what the file says and what was computed, by property. */
typedef enum window_property {
    PROPERTY_COUNT,
    PROPERTY_AXES,
    PROPERTY_LARGEST,
    PROPERTY_SMALLEST,
    PROPERTIES
} window_property;

typedef struct window_lists {
    GArray *got[PROPERTIES], *want[PROPERTIES]; /* int64_t */
} window_lists;

static void add(GArray *list, int64_t value)
{
    g_array_append_val(list, value);
}

static bool integer(const svr_json *value, int64_t *out)
{
    if (!value || value->type != SVR_JSON_NUMBER || !value->is_integer)
        return false;
    *out = value->integer;
    return true;
}

/* Every number below `value`, in the order of the text. */
static void flatten(const svr_json *value, GArray *list)
{
    if (value->type == SVR_JSON_NUMBER)
        add(list, value->integer);
    for (const svr_json *child = value->child; child; child = child->next)
        flatten(child, list);
}

static void add_axis(const svr_axis_cut *axis, GArray *list)
{
    for (int i = 0; i < axis->count; i++) {
        add(list, axis->segments[i].begin);
        add(list, axis->segments[i].end);
    }
}

static void add_computed(const svr_windows *windows, window_lists *lists)
{
    int64_t largest = 0, smallest = INT64_MAX;

    add(lists->got[PROPERTY_COUNT], windows->count);
    for (int a = 0; a < 3; a++)
        add_axis(&windows->axis[a], lists->got[PROPERTY_AXES]);
    for (int i = 0; i < windows->count; i++) {
        int64_t tokens = windows->offsets[i + 1] - windows->offsets[i];

        largest = MAX(largest, tokens);
        smallest = MIN(smallest, tokens);
    }
    add(lists->got[PROPERTY_LARGEST], largest);
    add(lists->got[PROPERTY_SMALLEST], smallest);
}

static svr_status add_entry(const svr_json *entry, svr_arena *arena, window_lists *lists,
                            svr_error *err)
{
    static const char *const axes[] = {"axis_t", "axis_h", "axis_w"};
    static const int windows_param[3] = {4, 3, 3};
    const svr_json *shifted = svr_json_get(entry, "shifted");
    int64_t sizes[3], count, largest, smallest;
    svr_windows windows;
    int grid[3];

    if (!integer(svr_json_get(entry, "t"), &sizes[0]) ||
        !integer(svr_json_get(entry, "h"), &sizes[1]) ||
        !integer(svr_json_get(entry, "w"), &sizes[2]) ||
        !integer(svr_json_get(entry, "n"), &count) ||
        !integer(svr_json_get(entry, "max_tokens"), &largest) ||
        !integer(svr_json_get(entry, "min_tokens"), &smallest) || !shifted ||
        shifted->type != SVR_JSON_BOOL)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "an entry lacks t, h, w, n, shifted or token counts");
    for (int a = 0; a < 3; a++)
        grid[a] = (int) CLAMP(sizes[a], 0, MAX_GRID + 1);
    if (!grid_in_range(grid))
        return SVR_FAIL(err, SVR_ERR_FORMAT, "the grid of an entry is out of range");
    add(lists->want[PROPERTY_COUNT], count);
    add(lists->want[PROPERTY_LARGEST], largest);
    add(lists->want[PROPERTY_SMALLEST], smallest);
    for (int a = 0; a < 3; a++)
        if (svr_json_get(entry, axes[a]))
            flatten(svr_json_get(entry, axes[a]), lists->want[PROPERTY_AXES]);
    SVR_TRY(svr_windows_make(arena, grid, windows_param, shifted->boolean, &windows, err));
    add_computed(&windows, lists);
    return SVR_OK;
}

static svr_status read_entries(const char *path, const svr_json *root, window_lists *lists,
                               svr_error *err)
{
    const svr_json *entries = svr_json_get(root, "entries");
    svr_status status = SVR_OK;

    if (!entries || entries->type != SVR_JSON_ARRAY || !entries->child)
        return SVR_FAIL(err, SVR_ERR_FORMAT, "%s: no list \"entries\" of window cuts", path);
    for (const svr_json *entry = entries->child; entry && status == SVR_OK; entry = entry->next) {
        svr_arena *arena = svr_arena_create();

        g_assert(arena);
        status = add_entry(entry, arena, lists, err);
        if (status != SVR_OK)
            svr_error_prefix(err, "%s: ", path);
        svr_arena_destroy(arena);
    }
    return status;
}

static void compare_lists(verify_run *run, const window_lists *lists)
{
    static const char *const names[PROPERTIES] = {"count", "axes", "max_tokens", "min_tokens"};

    for (int i = 0; i < PROPERTIES; i++) {
        const GArray *got = lists->got[i], *want = lists->want[i];

        if (got->len != want->len)
            verify_fail(&run->report, names[i], "another number of values here");
        else
            verify_compare_ints(&run->report, names[i], (const int64_t *) (void *) got->data,
                                (const int64_t *) (void *) want->data, got->len);
    }
}

svr_status verify_dit_windows(verify_run *run, const char *path, svr_error *err)
{
    g_autofree char *name = g_path_get_basename(path);
    svr_arena *arena = svr_arena_create();
    window_lists lists;
    svr_file file = {0};
    const svr_json *root;
    svr_status status;

    g_assert(arena);
    run->report.file = name;
    for (int i = 0; i < PROPERTIES; i++) {
        lists.got[i] = g_array_new(FALSE, FALSE, sizeof(int64_t));
        lists.want[i] = g_array_new(FALSE, FALSE, sizeof(int64_t));
    }
    status = svr_file_open(path, &file, err);
    if (status == SVR_OK) {
        status = svr_json_parse(arena, (const char *) file.data, file.size, &root, err);
        if (status != SVR_OK)
            svr_error_prefix(err, "%s: ", path);
    }
    if (status == SVR_OK)
        status = read_entries(path, root, &lists, err);
    if (status == SVR_OK)
        compare_lists(run, &lists);
    for (int i = 0; i < PROPERTIES; i++) {
        g_array_unref(lists.got[i]);
        g_array_unref(lists.want[i]);
    }
    svr_file_close(&file);
    svr_arena_destroy(arena);
    return status;
}
