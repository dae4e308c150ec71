/* The few functions of the CUDA driver that tests of contexts need, found at run time so that the
 * tests build and start anywhere.  Contexts are plain addresses. */
#ifndef SVR_TESTS_GPU_DRIVER_H
#define SVR_TESTS_GPU_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

/* False where there is no driver or no device. */
bool driver_open(void);

/* A context of its own on device 0, not current; and its end, lost or not. */
void *driver_context_create(void);
void driver_context_destroy(void *context);

/* What is current on this thread. */
void *driver_current(void);
void driver_set_current(void *context);

/* Whether device 0 has a primary context. */
bool driver_primary_is_active(void);

/* Holds device 0's primary context, and lets go of it. */
void *driver_primary_retain(void);
void driver_primary_release(void);

/* Free memory of device 0 in bytes, with its primary context alive: made for it where there is
 * none.
 */
uint64_t driver_free_bytes(void);

/* Whether a context works: what taking and giving back memory in it gives, 0 or CUDA's number of
 * the error. */
int driver_try(void *context);

/* The context that device memory belongs to. */
void *driver_owner(const void *address);

/* Launches a kernel that writes to a wrong address and waits for it.  Afterwards CUDA is lost to
 * the process: of the functions here only those that return an error, tell what is current or
 * active, or end a context may still be called.  False when that did not happen. */
bool driver_break(void *context);

#endif
