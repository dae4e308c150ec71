/* cuda/conv_cache: what is entered comes back from the file, and no file that is not exactly what
 * was saved is believed. */
#include "conv_cache.h"

#include "check.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const identity = "NVIDIA H200, driver 13000, cuDNN 91900, seedvr2 0.1.0";
static char folder[64]; /* made anew by every test */
static int warnings;
static char warning[1024];

static void remember(void *user, svr_log_level level, const char *module, const char *text)
{
    (void) user, (void) module;
    if (level != SVR_LOG_WARN)
        return;
    warnings++;
    snprintf(warning, sizeof warning, "%s", text);
}

static const svr_log warn_log = {remember, NULL, SVR_LOG_WARN};

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/seedvr2-cache-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    warnings = 0;
    warning[0] = '\0';
}

/* Files in the folder; removes them and it. */
static int end(void)
{
    DIR *dir = opendir(folder);
    char path[512];
    int files = 0;

    CHECK(dir != NULL);
    for (struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
            CHECK(unlink(path) == 0);
            files++;
        }
    closedir(dir);
    CHECK(rmdir(folder) == 0);
    return files;
}

static svr_conv_cache *opened(const char *where, const char *who)
{
    svr_conv_cache *cache = svr_conv_cache_open(where, who, &warn_log);

    CHECK(cache != NULL);
    return cache;
}

/* A convolution with a different size for everything. */
static svr_conv3d_args convolution(void)
{
    static char memory;

    return (svr_conv3d_args){
        .x = svr_tensor_4d(&memory, SVR_F16, 4, 45, 80, 64),
        .w = {.data = &memory, .dtype = SVR_F16, .rank = 5, .dims = {128, 3, 2, 5, 64}},
        .stride_t = 6,
        .stride_s = 7,
        .pad_top = 8,
        .pad_bottom = 9,
        .pad_left = 10,
        .pad_right = 11};
}

static svr_conv_key key_with_channels(int64_t channels)
{
    svr_conv3d_args args = convolution();

    args.w.dims[0] = channels;
    return svr_conv_key_of(&args);
}

static void entered(svr_conv_cache *cache, int64_t channels, int plan)
{
    svr_conv_key key = key_with_channels(channels);
    svr_conv_choice choice = {plan, plan < 0 ? -1 : 41, 1000 + channels, 900, false};

    svr_conv_cache_put(cache, &key, &choice);
}

static bool knows(const svr_conv_cache *cache, int64_t channels, int plan)
{
    svr_conv_key key = key_with_channels(channels);
    svr_conv_choice c;

    return svr_conv_cache_find(cache, &key, &c) && c.plan == plan &&
           c.engine == (plan < 0 ? -1 : 41) && c.own_us == 1000 + channels && c.dnn_us == 900 &&
           !c.for_now;
}

/* ---- keys */

/* Every property that changes the work changes the key; addresses do not. */
static void test_keys(void)
{
    svr_conv3d_args base = convolution();
    svr_conv_key first = svr_conv_key_of(&base);
    int *const options[] = {&base.stride_t,   &base.stride_s, &base.pad_top,
                            &base.pad_bottom, &base.pad_left, &base.pad_right};
    int64_t *const sizes[] = {&base.x.dims[0], &base.x.dims[1], &base.x.dims[2], &base.x.dims[3],
                              &base.w.dims[0], &base.w.dims[1], &base.w.dims[2], &base.w.dims[3]};
    svr_conv_key key;

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        ++*options[i];
        key = svr_conv_key_of(&base);
        CHECK(!svr_conv_key_equal(&key, &first));
        --*options[i];
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ++*sizes[i];
        key = svr_conv_key_of(&base);
        CHECK(!svr_conv_key_equal(&key, &first));
        --*sizes[i];
    }
    base.x.data = &base;
    key = svr_conv_key_of(&base);
    CHECK(svr_conv_key_equal(&key, &first));
    base.x.dtype = SVR_BF16;
    key = svr_conv_key_of(&base);
    CHECK(!svr_conv_key_equal(&key, &first));
}

static void test_keys_of_optional_operands(void)
{
    svr_conv3d_args args = convolution();
    svr_conv_key none = svr_conv_key_of(&args), empty, two, apart, added, counted;

    args.head = svr_tensor_4d(&args, SVR_F16, 0, 45, 80, 64);
    empty = svr_conv_key_of(&args);
    args.head.dims[0] = 2;
    two = svr_conv_key_of(&args);
    args.head.dims[0] = 1;
    args.recent = svr_tensor_4d(&args, SVR_F16, 1, 45, 80, 64);
    apart = svr_conv_key_of(&args);
    args.residual = svr_tensor_4d(&args, SVR_F16, 4, 45, 80, 128);
    added = svr_conv_key_of(&args);
    CHECK(!svr_conv_key_equal(&none, &empty)); /* without head, frame 0 is repeated */
    CHECK(!svr_conv_key_equal(&empty, &two));
    CHECK(svr_conv_key_equal(&two, &apart)); /* one work, wherever the frames lie */
    CHECK(!svr_conv_key_equal(&apart, &added));
    args.moments = svr_tensor_3d(&args, SVR_F32, 4, 32, 3);
    counted = svr_conv_key_of(&args);
    CHECK(!svr_conv_key_equal(&added, &counted));
}

/* ---- memory and file */

static void test_memory_only(void)
{
    svr_conv_cache *cache = opened(NULL, identity);

    CHECK(!knows(cache, 1, 2));
    entered(cache, 1, 2);
    entered(cache, 2, -1);
    CHECK(knows(cache, 1, 2) && knows(cache, 2, -1) && !knows(cache, 3, -1));
    entered(cache, 1, 5);
    CHECK(knows(cache, 1, 5));
    CHECK(svr_conv_cache_path(cache) == NULL);
    svr_conv_cache_close(cache);
}

static void test_comes_back(void)
{
    svr_conv_cache *cache;

    begin();
    cache = opened(folder, identity);
    for (int64_t k = 1; k <= 200; k++)
        entered(cache, k, (int) (k % 4) - 1);
    svr_conv_cache_close(cache);
    cache = opened(folder, identity);
    for (int64_t k = 1; k <= 200; k++)
        CHECK(knows(cache, k, (int) (k % 4) - 1));
    svr_conv_cache_close(cache);
    CHECK(warnings == 0);
    CHECK(end() == 1); /* the file alone: none that was half written */
}

/* The folder and what is above it are made when there is something to save. */
static void test_makes_folders(void)
{
    char deep[128], middle[128];
    svr_conv_cache *cache;

    begin();
    snprintf(middle, sizeof middle, "%s/a", folder);
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    cache = opened(deep, identity);
    CHECK(access(middle, F_OK) != 0);
    entered(cache, 1, 0);
    CHECK(access(svr_conv_cache_path(cache), R_OK) == 0);
    CHECK(unlink(svr_conv_cache_path(cache)) == 0 && rmdir(deep) == 0 && rmdir(middle) == 0);
    svr_conv_cache_close(cache);
    CHECK(warnings == 0 && end() == 0);
}

static void test_identities_do_not_meet(void)
{
    svr_conv_cache *one, *two;

    begin();
    one = opened(folder, identity);
    two = opened(folder, "another GPU");
    entered(one, 1, 0);
    entered(two, 1, 2);
    svr_conv_cache_close(one);
    svr_conv_cache_close(two);
    one = opened(folder, identity);
    two = opened(folder, "another GPU");
    CHECK(knows(one, 1, 0) && knows(two, 1, 2));
    svr_conv_cache_close(one);
    svr_conv_cache_close(two);
    CHECK(warnings == 0 && end() == 2);
}

/* A name that would break the file's quotes. */
static void test_odd_identity(void)
{
    static const char odd[] = "a \"GPU\" \\ \x01\xff";
    svr_conv_cache *cache;

    begin();
    cache = opened(folder, odd);
    entered(cache, 1, 0);
    svr_conv_cache_close(cache);
    cache = opened(folder, odd);
    CHECK(knows(cache, 1, 0) && warnings == 0);
    svr_conv_cache_close(cache);
    end();
}

/* Choices for the moment serve this cache, not the next. */
static void test_for_now(void)
{
    svr_conv_key key = key_with_channels(7);
    svr_conv_choice choice = {.plan = -1, .engine = -1, .for_now = true}, got;
    svr_conv_cache *cache;

    begin();
    cache = opened(folder, identity);
    svr_conv_cache_put(cache, &key, &choice);
    entered(cache, 1, 0);
    CHECK(svr_conv_cache_find(cache, &key, &got) && got.for_now);
    svr_conv_cache_close(cache);
    cache = opened(folder, identity);
    CHECK(!svr_conv_cache_find(cache, &key, &got) && knows(cache, 1, 0));
    svr_conv_cache_close(cache);
    end();
}

/* ---- damage */

static void write_text(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL && fwrite(text, 1, size, file) == size && fclose(file) == 0);
}

static size_t read_text(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    CHECK(file != NULL);
    size = fread(text, 1, room, file);
    CHECK(size > 0 && size < room && fclose(file) == 0);
    text[size] = '\0';
    return size;
}

/* Saves two choices; the text of the file and its path. */
static size_t saved(char *path, size_t path_room, char *text, size_t room)
{
    svr_conv_cache *cache = opened(folder, identity);

    entered(cache, 1, 0);
    entered(cache, 2, -1);
    snprintf(path, path_room, "%s", svr_conv_cache_path(cache));
    svr_conv_cache_close(cache);
    return read_text(path, text, room);
}

/* Opens over a file that cannot be believed: nothing of it is known, it is said, and the next save
 * repairs it. */
static void expect_ignored(const char *why)
{
    svr_conv_cache *cache = opened(folder, identity);

    CHECK(!knows(cache, 1, 0) && !knows(cache, 2, -1));
    CHECK(warnings == 1);
    CHECK_TEXT(warning, why);
    entered(cache, 3, 1);
    svr_conv_cache_close(cache);
    cache = opened(folder, identity);
    CHECK(knows(cache, 3, 1) && !knows(cache, 1, 0) && warnings == 1);
    svr_conv_cache_close(cache);
    warnings = 0;
}

static void test_cut_anywhere(void)
{
    char path[256], text[4096];
    size_t size;

    begin();
    size = saved(path, sizeof path, text, sizeof text);
    for (size_t cut = 0; cut + 1 < size; cut++) { /* the last byte is a line end */
        write_text(path, text, cut);
        expect_ignored("damaged");
    }
    CHECK(end() == 1);
}

/* One place of the text replaced by another one. */
static void expect_ignored_with(const char *what, const char *instead, const char *why)
{
    char path[256], text[4096], changed[8192], *at;
    size_t front;

    begin();
    saved(path, sizeof path, text, sizeof text);
    at = strstr(text, what);
    CHECK(at != NULL);
    front = (size_t) (at - text);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int) front, text, instead, at + strlen(what));
    write_text(path, changed, strlen(changed));
    expect_ignored(why);
    end();
}

static void test_damage(void)
{
    expect_ignored_with(", 41,", ", 41.5,", "damaged");
    expect_ignored_with(", 41,", ", \"41\",", "damaged");
    expect_ignored_with(", 41,", ", 41, 0,", "damaged"); /* a value too many */
    expect_ignored_with(", 41,", ", ", "damaged");       /* one too few */
    expect_ignored_with("-1, -1, 1002", "-2, -1, 1002", "damaged");
    expect_ignored_with("1002, 900", "-1, 900", "damaged");
    expect_ignored_with("\"choices\": [", "\"choices\": 4, \"old\": [", "damaged");
    expect_ignored_with("\"choices\"", "\"other\"", "damaged");
    expect_ignored_with("\"format\": 1", "\"format\": 2", "another version");
    expect_ignored_with("H200", "H100", "another version");
}

static void test_not_a_file(void)
{
    char path[256], text[4096];
    svr_conv_cache *cache;

    begin();
    saved(path, sizeof path, text, sizeof text);
    CHECK(unlink(path) == 0 && mkdir(path, 0700) == 0);
    cache = opened(folder, identity);
    CHECK(!knows(cache, 1, 0) && warnings == 1);
    CHECK_TEXT(warning, "cannot be opened");
    entered(cache, 1, 0); /* a file cannot take the place of a folder: said once, kept in memory */
    entered(cache, 2, 0);
    CHECK(knows(cache, 1, 0) && knows(cache, 2, 0) && warnings == 2);
    CHECK_TEXT(warning, "cannot be written");
    svr_conv_cache_close(cache);
    CHECK(rmdir(path) == 0);
    CHECK(end() == 0); /* nothing half written is left */
}

static void test_no_folder_to_be_made(void)
{
    svr_conv_cache *cache;

    warnings = 0;
    cache = opened("/dev/null/cache", identity);
    entered(cache, 1, 0);
    entered(cache, 2, 0);
    CHECK(knows(cache, 1, 0) && knows(cache, 2, 0) && warnings == 1);
    CHECK_TEXT(warning, "cannot be written");
    svr_conv_cache_close(cache);
}

int main(void)
{
    RUN(test_keys);
    RUN(test_keys_of_optional_operands);
    RUN(test_memory_only);
    RUN(test_comes_back);
    RUN(test_makes_folders);
    RUN(test_identities_do_not_meet);
    RUN(test_odd_identity);
    RUN(test_for_now);
    RUN(test_cut_anywhere);
    RUN(test_damage);
    RUN(test_not_a_file);
    RUN(test_no_folder_to_be_made);
    return check_done();
}
