/* BatchNorm as rows of channels (see ROWS), and its gradient as coefficients. */

#ifndef FAIRDARTS_TF_NORMALIZATION_H
#define FAIRDARTS_TF_NORMALIZATION_H

#include <stdbool.h>

/* Scale and offset of one edge; NULL stands for 1 and for 0. */
typedef struct {
    const float *gamma, *beta;
    bool one_gamma; /* for all channels */
} Affine;

/* Writes the rows: mean, gamma / sqrt(variance + epsilon), beta and variance, from the statistics (2, channels). */
void normalization_rows(const float *statistics, Affine affine, float epsilon, int channels, float *rows);

/* Moves running statistics towards those of a batch of `count` pixels, whose variance is made unbiased. */
void move_statistics(const float *rows, double count, float share, int channels, const float *mean,
                     const float *variance, float *new_mean, float *new_variance);

/* Writes the coefficients that `separable_backward` wants, from the gradients in the rows: (4, channels). */
void normalization_coefficients(const float *rows, const float *of_rows, float epsilon, double count, int channels,
                                float *coefficients);

/* Writes the gradients in gamma and beta, where they are not NULL. */
void affine_gradients(const float *rows, const float *of_rows, float epsilon, int channels, bool one_gamma,
                      float *of_gamma, float *of_beta);

#endif
