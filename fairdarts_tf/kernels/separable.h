/* ReLU, depthwise and pointwise convolution of images, and the gradients, one image at a time.

   An image and all that lies between its input and its output fit into a core's cache, where a graph of operations
   carries a whole batch through memory for each of them. Layouts are TensorFlow's: images (height, width, channels),
   depthwise kernels (side, side, channels), pointwise kernels (channels, filters). */

#ifndef FAIRDARTS_TF_SEPARABLE_H
#define FAIRDARTS_TF_SEPARABLE_H

#include <stdbool.h>

typedef struct {
    int batch, height, width, channels; /* of the input */
    int out_height, out_width, filters; /* of the output */
    int side, stride, dilation;         /* of the depthwise kernel */
    int edges;                          /* convolutions */
    int inputs;                         /* 1, read by all edges, or one for each edge */
} Separable;

/* Rows of channels, as BatchNorm is applied: (x - mean) * factor + offset, and the variance within the factor. */
enum { MEAN, FACTOR, OFFSET, VARIANCE, ROWS };

/* Convolves `inputs` after ReLU, and before that the rows of BatchNorm, one for each input, unless that is NULL.

   Writes each edge's outputs and its batch's mean and biased variance, (edges, 2, filters).
   Returns whether memory was enough. */
bool separable_forward(const Separable *shape, const float *const *inputs, const float *const *rows,
                       const float *depthwise, const float *pointwise, float *const *outputs, float *statistics);

/* Returns the gradients of `separable_forward` followed by BatchNorm.

   `coefficients`, (edges, 4, filters), give the gradient in an output y from the one in BatchNorm's result, g:
   c[0] * g + c[1] * (y - c[2]) + c[3].

   Writes the gradient in what ReLU read, or in what its BatchNorm returned if `rows` are given, and then in those rows
   too; and in the kernels, unless they are NULL. Returns whether memory was enough. */
bool separable_backward(const Separable *shape, const float *const *inputs, const float *const *rows,
                        const float *depthwise, const float *pointwise, const float *const *outputs,
                        const float *const *upstreams, const float *coefficients, float *const *of_inputs,
                        float *const *of_rows, float *of_depthwise, float *of_pointwise);

/* Writes mean and biased variance of a batch of images, (2, channels). Returns whether memory was enough. */
bool batch_moments(const float *images, int batch, int height, int width, int channels, float *statistics);

#endif
