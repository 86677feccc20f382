/* Images with padded channels and margins: the rooms that a convolution works in. */

#ifndef FAIRDARTS_TF_IMAGES_H
#define FAIRDARTS_TF_IMAGES_H

#include "separable.h"

/* Sizes that follow from a shape: all channels padded to whole vectors, images to the reach of the kernel. */
typedef struct {
    int channels, filters, margin;
    long row, image;         /* floats of a padded input */
    long out_row, out_image; /* floats of an output, with the filters padded */
    long between;            /* floats of a padded image of the depthwise convolution's outputs */
} Sizes;

Sizes sizes_of(const Separable *shape);

/* Returns zeros, or NULL where memory is short: what pads channels and margins is zero and never written. */
float *zeros(long count);

/* Returns one image of a batch of inputs. */
const float *of_image(const Separable *shape, const float *images, int image);

/* Writes the kernels of all edges with padded channels. */
void widen_kernels(const Separable *shape, const float *depthwise, const float *pointwise, Sizes sizes,
                   float *wide_depthwise, float *wide_pointwise);

/* Writes ReLU of an image, normalised if there are rows, into the middle of a padded one. */
void activate(const Separable *shape, const float *image, const float *rows, Sizes sizes, float *result);

/* Writes the mean of each filter of an image, and the sum of squared distances from it. */
void moments(const float *image, int filters, int height, int width, double *mean, double *squares);

/* Writes mean and biased variance of a batch, (2, filters), from those of its images, (images, wide). */
void join_moments(const double *means, const double *squares, int batch, double pixels, int wide, int filters,
                  float *statistics);

#endif
