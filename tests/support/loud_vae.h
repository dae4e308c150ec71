/* A VAE that fp16 cannot hold. */
#ifndef SVR_TESTS_LOUD_VAE_H
#define SVR_TESTS_LOUD_VAE_H

/* Copies the F16 file `from` to `to` with weights that lift values behind the decoder's first layer
 * over fp16's 65504. */
void test_write_loud_vae(const char *from, const char *to);

#endif
