/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11) and the position-keyed noise
 * of spec pipeline §5, which depends on nothing but seed, stream and absolute position.
 * Level 0.  Thread: any (pure functions). */
#ifndef SVR_BASE_RNG_H
#define SVR_BASE_RNG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One Philox4x32-10 block. */
void svr_philox4x32(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Streams of svr_position_noise(). */
enum { SVR_NOISE_BASE = 0, SVR_NOISE_AUGMENT = 1, SVR_NOISE_INPUT = 2 };

/* Four N(0,1) values for channels 4*group .. 4*group+3 at (x, y, frame).
 * counter = (x, y, frame, group + 256*stream), key = (seed low, seed high); words (0,1) and (2,3)
 * give one Box-Muller pair each, u = (r + 0.5) * 2^-32.  Computed in double, rounded once. */
void svr_position_noise(uint64_t seed, uint32_t stream, const uint32_t x_y_frame_group[4],
                        float out[4]);

#ifdef __cplusplus
}
#endif
#endif
