/* The two products that convolutions are made of, on padded channels. */

#ifndef FAIRDARTS_TF_PRODUCTS_H
#define FAIRDARTS_TF_PRODUCTS_H

#include <stdbool.h>

/* result[n][f] (+)= sum over k of a[n * a_row + k * a_column] * b[k][f], with f below `columns`, whole vectors.

   The rows of b and result have `columns` floats. */
void multiply(const float *a, long a_row, long a_column, const float *b, int depth, float *result, int rows,
              int columns, bool add);

/* Convolves one row: result[x][c] (+)= sum of kernel[i][j][c] * input[i * tap_row + j * tap + x * pixel + c]. */
void depthwise_row(const float *input, long tap_row, long tap, long pixel, const float *kernel, int side, int width,
                   int channels, float *result, bool add);

/* Adds the gradient in the kernel: of_kernel[i][j][c] += sum over x of input[...] * upstream[x][c]. */
void depthwise_row_of_kernel(const float *input, long tap_row, long tap, long pixel, const float *upstream, int side,
                             int width, int channels, float *of_kernel);

/* Adds the gradient in the input: of_input[...] += kernel[i][j][c] * upstream[x][c]. */
void depthwise_row_of_input(float *of_input, long tap_row, long tap, long pixel, const float *kernel,
                            const float *upstream, int side, int width, int channels);

#endif
