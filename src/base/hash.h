/* XXH64, the 64-bit hash of Y. Collet's specification: fast and well mixed, no protection against
 * somebody who looks for equal hashes.  Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_HASH_H
#define SVR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Hash of `bytes` bytes, as a machine with little-endian integers sees them.  The hash of one piece
 * may be the seed of the next. */
uint64_t svr_hash64(const void *data, size_t bytes, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
