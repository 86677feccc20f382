#include "normalization.h"

#include <math.h>
#include <string.h>

#include "separable.h"

static float inverse_deviation(float variance, float epsilon) { return 1.0f / sqrtf(variance + epsilon); }

void normalization_rows(const float *statistics, Affine affine, float epsilon, int channels, float *rows) {
    for (int c = 0; c < channels; c++) {
        float gamma = affine.gamma ? affine.gamma[affine.one_gamma ? 0 : c] : 1.0f;
        float variance = statistics[channels + c];
        rows[MEAN * channels + c] = statistics[c];
        rows[FACTOR * channels + c] = gamma * inverse_deviation(variance, epsilon);
        rows[OFFSET * channels + c] = affine.beta ? affine.beta[c] : 0.0f;
        rows[VARIANCE * channels + c] = variance;
    }
}

void move_statistics(const float *rows, double count, float share, int channels, const float *mean,
                     const float *variance, float *new_mean, float *new_variance) {
    double unbiased = count > 1.0 ? count / (count - 1.0) : 1.0;
    for (int c = 0; c < channels; c++) {
        new_mean[c] = mean[c] + (rows[MEAN * channels + c] - mean[c]) * share;
        new_variance[c] = variance[c] + ((float)(rows[VARIANCE * channels + c] * unbiased) - variance[c]) * share;
    }
}

void normalization_coefficients(const float *rows, const float *of_rows, float epsilon, double count, int channels,
                                float *coefficients) {
    for (int c = 0; c < channels; c++) {
        float inverse = inverse_deviation(rows[VARIANCE * channels + c], epsilon), factor = rows[FACTOR * channels + c];
        coefficients[c] = factor;
        coefficients[channels + c] = (float)(-of_rows[FACTOR * channels + c] * factor * inverse * inverse / count);
        coefficients[2 * channels + c] = rows[MEAN * channels + c];
        coefficients[3 * channels + c] = (float)(of_rows[MEAN * channels + c] / count);
    }
}

void affine_gradients(const float *rows, const float *of_rows, float epsilon, int channels, bool one_gamma,
                      float *of_gamma, float *of_beta) {
    double total = 0.0;
    for (int c = 0; of_gamma && c < channels; c++) {
        float of_channel =
            of_rows[FACTOR * channels + c] * inverse_deviation(rows[VARIANCE * channels + c], epsilon);
        total += of_channel;
        of_gamma[one_gamma ? 0 : c] = one_gamma ? (float)total : of_channel;
    }
    if (of_beta) memcpy(of_beta, of_rows + OFFSET * channels, channels * sizeof(float));
}
