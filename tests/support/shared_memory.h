/* Device memory that others share with a backend, stood in for by host memory.  Its addresses lie
 * where the host can reach nothing, so that whoever takes it for host memory crashes. */
#ifndef SVR_TESTS_SHARED_MEMORY_H
#define SVR_TESTS_SHARED_MEMORY_H

#include "backend/backend.h"

/* The address on the device of host memory, which somebody else owns, and back. */
uint8_t *shared_memory_address(void *host);
uint8_t *shared_memory_host(uint8_t *address);
bool shared_memory_is(const uint8_t *address);

/* Gives `backend`, one whose own memory is the host's, such memory; one backend at a time. */
void shared_memory_install(svr_backend *backend);

/* The n-th copy from now (from 1) fails; 0 (at first): none.  Not while copies are made. */
void shared_memory_fail(int n);

/* Frames copied out of such memory, and into it, since the backend got it. */
int shared_memory_read(void);
int shared_memory_written(void);

#endif
