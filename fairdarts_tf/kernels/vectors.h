/* Vectors of channels, as wide as the processor's registers, and rows of pixels made of them. */

#ifndef FAIRDARTS_TF_VECTORS_H
#define FAIRDARTS_TF_VECTORS_H

#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#define BLOCK 8 /* pixels in registers at once */
#else
#if defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define BLOCK 4
#endif

typedef float vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int mask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vector load(const float *from) { return *(const vector *)from; }
INLINE void store(float *to, vector value) { *(vector *)to = value; }

/* What is not a number stays that. */
INLINE vector relu(vector x) { return (vector)((mask)x & ~(mask)(x <= 0.0f)); }

INLINE vector where_positive(vector condition, vector x) { return (vector)((mask)x & (mask)(condition > 0.0f)); }

INLINE int padded(int channels) { return (channels + LANES - 1) / LANES * LANES; }

/* Asks for what will be read soon, so that it is on its way from memory meanwhile. */
INLINE void expect(const float *from, long floats) {
    for (long i = 0; i < floats; i += 16) __builtin_prefetch(from + i);
}

/* The same for what will be written. */
INLINE void expect_to_write(float *to, long floats) {
    for (long i = 0; i < floats; i += 16) __builtin_prefetch(to + i, 1);
}

/* Copies rows of `channels` floats to rows of `wide`, whose rest is left alone. */
INLINE void widen(const float *from, int channels, float *to, int wide, long rows) {
    if (channels == wide) {
        memcpy(to, from, rows * wide * sizeof(float));
        return;
    }
    for (long row = 0; row < rows; row++) memcpy(to + row * wide, from + row * channels, channels * sizeof(float));
}

INLINE void narrow(const float *from, int wide, float *to, int channels, long rows) {
    if (channels == wide) {
        memcpy(to, from, rows * wide * sizeof(float));
        return;
    }
    for (long row = 0; row < rows; row++) memcpy(to + row * channels, from + row * wide, channels * sizeof(float));
}

#endif
