#include "sums.h"

#include <stdlib.h>
#include <string.h>

#include "separable.h"
#include "vectors.h"

#define PIXELS 32 /* that a pass treats at once, so that sums stay in the nearest cache */

static void add_term(const float *tensor, const float *rows, int pixels, int channels, float *result) {
    const float *mean = rows, *factor = rows + FACTOR * channels;
    if (channels % LANES) {
        for (int p = 0; p < pixels; p++, tensor += channels, result += channels)
            for (int c = 0; c < channels; c++) result[c] += (tensor[c] - mean[c]) * factor[c];
        return;
    }
    for (int c = 0; c < channels; c += LANES) {
        vector m = load(mean + c), f = load(factor + c);
        for (int p = 0; p < pixels; p++) {
            long at = (long)p * channels + c;
            store(result + at, load(result + at) + (load(tensor + at) - m) * f);
        }
    }
}

bool normalized_sum(int terms, const float *const *tensors, const float *const *rows, long pixels, int channels,
                    float *result) {
    float *offsets = calloc(channels + 1, sizeof(float));
    if (!offsets) return false;
    for (int term = 0; term < terms; term++)
        for (int c = 0; c < channels; c++) offsets[c] += rows[term][OFFSET * channels + c];
    for (long start = 0; start < pixels; start += PIXELS) {
        int count = pixels - start < PIXELS ? (int)(pixels - start) : PIXELS;
        float *to = result + start * channels;
        for (int p = 0; p < count; p++) memcpy(to + (long)p * channels, offsets, channels * sizeof(float));
        for (int term = 0; term < terms; term++) {
            const float *from = tensors[term] + start * channels;
            expect(from + PIXELS * channels, PIXELS * channels);
            add_term(from, rows[term], count, channels, to);
        }
    }
    free(offsets);
    return true;
}

/* Adds the products of upstream and distance from the mean, channel by channel. */
static void add_products(const float *tensor, const float *mean, const float *upstream, int pixels, int channels,
                         double *totals) {
    int c = 0;
    for (; c + LANES <= channels; c += LANES) {
        vector m = load(mean + c), sums[2] = {{0}, {0}};
        int p = 0;
        for (; p + 2 <= pixels; p += 2)
            for (int i = 0; i < 2; i++) {
                long at = (long)(p + i) * channels + c;
                sums[i] += load(upstream + at) * (load(tensor + at) - m);
            }
        if (p < pixels)
            sums[0] += load(upstream + (long)p * channels + c) * (load(tensor + (long)p * channels + c) - m);
        sums[0] += sums[1];
        for (int lane = 0; lane < LANES; lane++) totals[c + lane] += sums[0][lane];
    }
    for (; c < channels; c++)
        for (int p = 0; p < pixels; p++)
            totals[c] += upstream[(long)p * channels + c] * (tensor[(long)p * channels + c] - mean[c]);
}

static void add_upstream(const float *upstream, int pixels, int channels, double *totals) {
    for (int p = 0; p < pixels; p++, upstream += channels)
        for (int c = 0; c < channels; c++) totals[c] += upstream[c];
}

bool normalized_sum_backward(int terms, const float *const *tensors, const float *const *rows, const float *upstream,
                            long pixels, int channels, float *const *of_rows) {
    double *totals = calloc((long)(terms + 1) * channels, sizeof(double));
    if (!totals) return false;
    double *of_upstream = totals + (long)terms * channels;
    for (long start = 0; start < pixels; start += PIXELS) {
        int count = pixels - start < PIXELS ? (int)(pixels - start) : PIXELS;
        const float *from = upstream + start * channels;
        add_upstream(from, count, channels, of_upstream);
        for (int term = 0; term < terms; term++) {
            const float *tensor = tensors[term] + start * channels;
            expect(tensor + PIXELS * channels, PIXELS * channels);
            add_products(tensor, rows[term], from, count, channels, totals + (long)term * channels);
        }
    }
    for (int term = 0; term < terms; term++)
        for (int c = 0; c < channels; c++) {
            of_rows[term][MEAN * channels + c] = (float)(-rows[term][FACTOR * channels + c] * of_upstream[c]);
            of_rows[term][FACTOR * channels + c] = (float)totals[(long)term * channels + c];
            of_rows[term][OFFSET * channels + c] = (float)of_upstream[c];
            of_rows[term][VARIANCE * channels + c] = 0.0f;
        }
    free(totals);
    return true;
}
