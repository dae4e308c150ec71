/* Window cuts against the reference's tables, and the properties that every partition has.
 *   test_window DATA_DIR */
#include "dit/window.h"

#include "base/file.h"
#include "base/json.h"
#include "check.h"
#include "random.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *data_dir;
static const int published[3] = {4, 3, 3};

static int64_t json_int(const svr_json *object, const char *key)
{
    const svr_json *value = svr_json_get(object, key);

    CHECK(value && value->is_integer);
    return value->integer;
}

static void check_axis(const svr_axis_cut *cut, const svr_json *want)
{
    CHECK(want && want->type == SVR_JSON_ARRAY);
    CHECK((size_t) cut->count == want->children);
    const svr_json *segment = want->child;
    for (int i = 0; i < cut->count; i++, segment = segment->next) {
        CHECK(segment->children == 2);
        CHECK(cut->segments[i].begin == segment->child->integer);
        CHECK(cut->segments[i].end == segment->child->next->integer);
    }
}

/* Every token is in exactly one window. */
static void check_cover(const svr_windows *windows, int tokens)
{
    unsigned char *seen = calloc((size_t) tokens, 1);

    CHECK(seen && windows->offsets[0] == 0 && windows->offsets[windows->count] == tokens);
    for (int i = 0; i < tokens; i++) {
        CHECK(windows->order[i] >= 0 && windows->order[i] < tokens);
        CHECK(seen[windows->order[i]] == 0);
        seen[windows->order[i]] = 1;
    }
    free(seen);
}

static void check_sizes(const svr_windows *windows, const svr_json *entry)
{
    int largest = 0, smallest = INT_MAX;

    for (int i = 0; i < windows->count; i++) {
        int size = windows->offsets[i + 1] - windows->offsets[i];
        largest = size > largest ? size : largest;
        smallest = size < smallest ? size : smallest;
    }
    CHECK(largest == json_int(entry, "max_tokens"));
    CHECK(smallest == json_int(entry, "min_tokens"));
}

/* `boxes` lists [t0,t1,h0,h1,w0,w1] of all windows in order. */
static void check_boxes(const svr_windows *windows, const int grid[3], const svr_json *boxes)
{
    CHECK(boxes && (size_t) windows->count == boxes->children);
    const svr_json *box = boxes->child;
    for (int i = 0; i < windows->count; i++, box = box->next) {
        int64_t b[6];
        const svr_json *value = box->child;
        CHECK(box->children == 6);
        for (int j = 0; j < 6; j++, value = value->next)
            b[j] = value->integer;
        int32_t first = windows->offsets[i], last = windows->offsets[i + 1] - 1;
        CHECK(last - first + 1 == (b[1] - b[0]) * (b[3] - b[2]) * (b[5] - b[4]));
        CHECK(windows->order[first] == (b[0] * grid[1] + b[2]) * grid[2] + b[4]);
        CHECK(windows->order[last] == ((b[1] - 1) * grid[1] + b[3] - 1) * grid[2] + b[5] - 1);
    }
}

/* The partition that an entry of the table is about. */
static void make_windows(svr_arena *arena, const svr_json *entry, int grid[3], svr_windows *out)
{
    svr_error err = {0};
    const svr_json *shifted = svr_json_get(entry, "shifted");

    grid[0] = (int) json_int(entry, "t");
    grid[1] = (int) json_int(entry, "h");
    grid[2] = (int) json_int(entry, "w");
    CHECK(shifted && shifted->type == SVR_JSON_BOOL);
    CHECK_OK(svr_windows_make(arena, grid, published, shifted->boolean, out, &err), err);
}

static void check_entry(const svr_json *entry)
{
    svr_windows windows;
    svr_arena *arena = svr_arena_create();
    int grid[3];

    make_windows(arena, entry, grid, &windows);
    CHECK(windows.count == json_int(entry, "n"));
    check_axis(&windows.axis[0], svr_json_get(entry, "axis_t"));
    check_axis(&windows.axis[1], svr_json_get(entry, "axis_h"));
    check_axis(&windows.axis[2], svr_json_get(entry, "axis_w"));
    check_cover(&windows, grid[0] * grid[1] * grid[2]);
    check_sizes(&windows, entry);
    svr_arena_destroy(arena);
}

static void check_full_entry(const svr_json *entry)
{
    svr_windows windows;
    svr_arena *arena = svr_arena_create();
    int grid[3];

    make_windows(arena, entry, grid, &windows);
    check_boxes(&windows, grid, svr_json_get(entry, "boxes_t0t1h0h1w0w1"));
    svr_arena_destroy(arena);
}

static void test_reference_table(void)
{
    char path[1024];
    svr_error err = {0};
    svr_file file;
    const svr_json *root = NULL;
    svr_arena *arena = svr_arena_create();
    int count = 0, full = 0;

    snprintf(path, sizeof(path), "%s/goldens/dit_windows.json", data_dir);
    CHECK_OK(svr_file_open(path, &file, &err), err);
    CHECK_OK(svr_json_parse(arena, (const char *) file.data, file.size, &root, &err), err);
    const svr_json *entries = svr_json_get(root, "entries");
    const svr_json *full_boxes = svr_json_get(root, "full_boxes");
    CHECK(entries && full_boxes);
    for (const svr_json *entry = entries->child; entry; entry = entry->next, count++)
        check_entry(entry);
    for (const svr_json *entry = full_boxes->child; entry; entry = entry->next, full++)
        check_full_entry(entry);
    CHECK(count == 544 && full == 12);
    svr_arena_destroy(arena);
    svr_file_close(&file);
}

static void check_size(int t, int h, int w, const int want[3])
{
    int got[3];

    svr_window_size((const int[]){t, h, w}, published, got);
    CHECK(memcmp(got, want, sizeof(got)) == 0);
}

static void test_published_sizes(void)
{
    check_size(1, 45, 80, (const int[]){1, 15, 27});
    check_size(5, 68, 120, (const int[]){2, 15, 27});
    check_size(21, 135, 240, (const int[]){6, 15, 27});
    check_size(16, 80, 45, (const int[]){4, 27, 15});
    check_size(11, 64, 64, (const int[]){3, 20, 20});
    check_size(40, 68, 160, (const int[]){8, 13, 31});
    /* 25 * .5 = 12.5 is halfway: to even, 12; rounded away it would need 5 rows */
    check_size(3, 25, 576, (const int[]){1, 4, 96});
}

static void test_shifted_axis(void)
{
    svr_error err = {0};
    svr_axis_cut cut;
    svr_arena *arena = svr_arena_create();
    static const int h68[] = {7, 15, 15, 15, 15, 1};

    CHECK_OK(svr_window_cut_axis(arena, 68, 15, true, &cut, &err), err);
    CHECK(cut.count == 6);
    for (int i = 0; i < 6; i++)
        CHECK(cut.segments[i].end - cut.segments[i].begin == h68[i]);
    /* an axis with one window is not shifted */
    CHECK_OK(svr_window_cut_axis(arena, 15, 15, true, &cut, &err), err);
    CHECK(cut.count == 1 && cut.segments[0].begin == 0 && cut.segments[0].end == 15);
    svr_arena_destroy(arena);
}

static void test_any_grid_is_covered(void)
{
    test_random random = test_random_seed(7);

    for (int i = 0; i < 400; i++) {
        svr_error err = {0};
        svr_windows windows;
        svr_arena *arena = svr_arena_create();
        int grid[3] = {1 + test_random_below(&random, 12), 1 + test_random_below(&random, 60),
                       1 + test_random_below(&random, 60)};
        int parts[3] = {1 + test_random_below(&random, 5), 1 + test_random_below(&random, 9),
                        1 + test_random_below(&random, 9)};
        CHECK_OK(svr_windows_make(arena, grid, parts, i % 2 == 1, &windows, &err), err);
        check_cover(&windows, grid[0] * grid[1] * grid[2]);
        svr_arena_destroy(arena);
    }
}

static void test_too_many_tokens(void)
{
    svr_error err = {0};
    svr_windows windows;
    svr_arena *arena = svr_arena_create();

    CHECK_FAILS(svr_windows_make(arena, (const int[]){1 << 16, 1 << 15, 1}, published, false,
                                 &windows, &err),
                SVR_ERR_SHAPE, err);
    svr_arena_destroy(arena);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    data_dir = argv[1];
    RUN(test_reference_table);
    RUN(test_published_sizes);
    RUN(test_shifted_axis);
    RUN(test_any_grid_is_covered);
    RUN(test_too_many_tokens);
    return check_done();
}
