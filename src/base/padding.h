/* How pictures are filled up to multiples of the networks' grid, right and bottom.
 * Level 0.  Thread: any (plain values). */
#ifndef SVR_BASE_PADDING_H
#define SVR_BASE_PADDING_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum svr_padding {
    SVR_PADDING_BLACK = 0,
    SVR_PADDING_REPLICATE, /* the last column and row again and again */
    SVR_PADDING_COUNT
} svr_padding;

#ifdef __cplusplus
}
#endif
#endif
