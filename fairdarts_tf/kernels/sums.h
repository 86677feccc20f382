/* The sum of many normalised tensors, and what a gradient needs of it, in one pass over memory. */

#ifndef FAIRDARTS_TF_SUMS_H
#define FAIRDARTS_TF_SUMS_H

#include <stdbool.h>

/* result = sum over terms of (term - mean) * factor + offset, with the rows of BatchNorm (see ROWS) for each.

   Tensors are (pixels, channels). Returns whether memory was enough. */
bool normalized_sum(int terms, const float *const *tensors, const float *const *rows, long pixels, int channels,
                    float *result);

/* Writes the gradients in the rows; that in a term is upstream * factor. Returns whether memory was enough. */
bool normalized_sum_backward(int terms, const float *const *tensors, const float *const *rows, const float *upstream,
                            long pixels, int channels, float *const *of_rows);

#endif
