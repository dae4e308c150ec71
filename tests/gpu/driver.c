#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTER_ATTRIBUTE_CONTEXT = 1 }; /* CU_POINTER_ATTRIBUTE_CONTEXT */

static struct {
    int (*init)(unsigned flags);
    int (*device_get)(int *device, int ordinal);
    int (*create)(void **context, unsigned flags, int device);
    int (*destroy)(void *context);
    int (*get_current)(void **context);
    int (*set_current)(void *context);
    int (*primary_state)(int device, unsigned *flags, int *active);
    int (*primary_retain)(void **context, int device);
    int (*primary_release)(int device);
    int (*memory_info)(size_t *free_bytes, size_t *total);
    int (*memory_alloc)(unsigned long long *address, size_t bytes);
    int (*memory_free)(unsigned long long address);
    int (*pointer_attribute)(void *value, int attribute, unsigned long long address);
    int (*module_load)(void **module, const void *image);
    int (*module_function)(void **function, void *module, const char *name);
    int (*launch)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                  unsigned bz, unsigned shared, void *stream, void **parameters, void **extra);
    int (*synchronize)(void);
} driver;

/* The names are those of the library, with the version that has the signature above. */
static const struct {
    const char *name;
    void *function;
} functions[] = {
    {"cuInit", &driver.init},
    {"cuDeviceGet", &driver.device_get},
    {"cuCtxCreate_v2", &driver.create},
    {"cuCtxDestroy_v2", &driver.destroy},
    {"cuCtxGetCurrent", &driver.get_current},
    {"cuCtxSetCurrent", &driver.set_current},
    {"cuDevicePrimaryCtxGetState", &driver.primary_state},
    {"cuDevicePrimaryCtxRetain", &driver.primary_retain},
    {"cuDevicePrimaryCtxRelease_v2", &driver.primary_release},
    {"cuMemGetInfo_v2", &driver.memory_info},
    {"cuMemAlloc_v2", &driver.memory_alloc},
    {"cuMemFree_v2", &driver.memory_free},
    {"cuPointerGetAttribute", &driver.pointer_attribute},
    {"cuModuleLoadData", &driver.module_load},
    {"cuModuleGetFunction", &driver.module_function},
    {"cuLaunchKernel", &driver.launch},
    {"cuCtxSynchronize", &driver.synchronize},
};

static void must(int result, const char *what)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s failed: CUDA error %d\n", what, result);
    exit(1);
}

bool driver_open(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW);
    int device;

    for (size_t i = 0; library && i < sizeof functions / sizeof functions[0]; i++) {
        void *symbol = dlsym(library, functions[i].name);

        if (!symbol) {
            fprintf(stderr, "the driver has no %s\n", functions[i].name);
            return false;
        }
        /* ISO C has no conversion from object to function pointers */
        memcpy(functions[i].function, &symbol, sizeof symbol);
    }
    return library && driver.init(0) == 0 && driver.device_get(&device, 0) == 0;
}

void *driver_context_create(void)
{
    void *before = driver_current(), *context = NULL;

    must(driver.create(&context, 0, 0), "cuCtxCreate");
    driver_set_current(before);
    return context;
}

void driver_context_destroy(void *context)
{
    int result = driver.destroy(context);

    /* a lost one goes and tells its error once more */
    if (result != 0)
        printf("seen: cuCtxDestroy gives error %d\n", result);
}

void *driver_current(void)
{
    void *context = NULL;

    must(driver.get_current(&context), "cuCtxGetCurrent");
    return context;
}

void driver_set_current(void *context)
{
    must(driver.set_current(context), "cuCtxSetCurrent");
}

bool driver_primary_is_active(void)
{
    unsigned flags;
    int active = 0;

    must(driver.primary_state(0, &flags, &active), "cuDevicePrimaryCtxGetState");
    return active != 0;
}

void *driver_primary_retain(void)
{
    void *context = NULL;

    must(driver.primary_retain(&context, 0), "cuDevicePrimaryCtxRetain");
    return context;
}

void driver_primary_release(void)
{
    /* a broken one may say so once more */
    (void) driver.primary_release(0);
}

uint64_t driver_free_bytes(void)
{
    void *before = driver_current();
    size_t free_bytes = 0, total = 0;

    driver_set_current(driver_primary_retain());
    must(driver.memory_info(&free_bytes, &total), "cuMemGetInfo");
    driver_set_current(before);
    driver_primary_release();
    return free_bytes;
}

int driver_try(void *context)
{
    void *before = driver_current();
    unsigned long long address = 0;
    int result = driver.set_current(context);

    if (result == 0)
        result = driver.memory_alloc(&address, 1 << 20);
    if (result == 0)
        result = driver.memory_free(address);
    (void) driver.set_current(before);
    return result;
}

void *driver_owner(const void *address)
{
    void *context = NULL;

    must(driver.pointer_attribute(&context, POINTER_ATTRIBUTE_CONTEXT,
                                  (unsigned long long) (uintptr_t) address),
         "cuPointerGetAttribute");
    return context;
}

bool driver_break(void *context)
{
    static const char kernel[] = ".version 7.0\n.target sm_80\n.address_size 64\n"
                                 ".visible .entry wrong()\n{\n"
                                 "  .reg .b64 %address;\n  .reg .b32 %value;\n"
                                 "  mov.u64 %address, 64;\n  mov.u32 %value, 1;\n"
                                 "  st.global.u32 [%address], %value;\n  ret;\n}\n";
    void *before = driver_current(), *module = NULL, *function = NULL;
    int result;

    driver_set_current(context);
    must(driver.module_load(&module, kernel), "cuModuleLoadData");
    must(driver.module_function(&function, module, "wrong"), "cuModuleGetFunction");
    must(driver.launch(function, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL), "cuLaunchKernel");
    result = driver.synchronize();
    (void) driver.set_current(before);
    return result != 0;
}
