#include "images.h"

#include <stdlib.h>

#include "vectors.h"

Sizes sizes_of(const Separable *shape) {
    Sizes sizes;
    sizes.channels = padded(shape->channels);
    sizes.filters = padded(shape->filters);
    sizes.margin = shape->dilation * (shape->side / 2);
    sizes.row = (long)(shape->width + 2 * sizes.margin) * sizes.channels;
    sizes.image = (shape->height + 2 * sizes.margin) * sizes.row;
    sizes.out_row = (long)shape->out_width * sizes.filters;
    sizes.out_image = shape->out_height * sizes.out_row;
    sizes.between = (shape->out_height + 2L * sizes.margin) * (shape->out_width + 2L * sizes.margin) * sizes.channels;
    return sizes;
}

float *zeros(long count) {
    long bytes = (count * sizeof(float) + 64) / 64 * 64;
    float *result = aligned_alloc(64, bytes);
    if (result) memset(result, 0, bytes);
    return result;
}

const float *of_image(const Separable *shape, const float *images, int image) {
    return images + (long)image * shape->height * shape->width * shape->channels;
}

void widen_kernels(const Separable *shape, const float *depthwise, const float *pointwise, Sizes sizes,
                          float *wide_depthwise, float *wide_pointwise) {
    long taps = (long)shape->edges * shape->side * shape->side;
    widen(depthwise, shape->channels, wide_depthwise, sizes.channels, taps);
    for (int edge = 0; edge < shape->edges; edge++)
        widen(pointwise + (long)edge * shape->channels * shape->filters, shape->filters,
              wide_pointwise + (long)edge * sizes.channels * sizes.filters, sizes.filters, shape->channels);
}

void activate(const Separable *shape, const float *image, const float *rows, Sizes sizes, float *result) {
    int channels = shape->channels, wide = sizes.channels;
    for (int y = 0; y < shape->height; y++) {
        const float *from = image + (long)y * shape->width * channels;
        float *to = result + (y + sizes.margin) * sizes.row + (long)sizes.margin * wide;
        if (channels % LANES) {
            for (int x = 0; x < shape->width; x++, from += channels, to += wide)
                for (int c = 0; c < channels; c++) {
                    float value = from[c];
                    if (rows) value = (value - rows[c]) * rows[FACTOR * channels + c] + rows[OFFSET * channels + c];
                    to[c] = value <= 0.0f ? 0.0f : value;
                }
            continue;
        }
        for (int c = 0; c < channels; c += LANES) {
            vector mean = {0}, factor = mean + 1.0f, offset = mean;
            if (rows)
                mean = load(rows + c), factor = load(rows + FACTOR * channels + c),
                offset = load(rows + OFFSET * channels + c);
            for (int x = 0; x < shape->width; x++)
                store(to + (long)x * wide + c, relu((load(from + (long)x * channels + c) - mean) * factor + offset));
        }
    }
}

void moments(const float *image, int filters, int height, int width, double *mean, double *squares) {
    for (int f = 0; f < filters; f += LANES) {
        double sums[LANES] = {0}, distances[LANES] = {0};
        for (int y = 0; y < height; y++) {
            vector sum = {0};
            for (int x = 0; x < width; x++) sum += load(image + ((long)y * width + x) * filters + f);
            for (int lane = 0; lane < LANES; lane++) sums[lane] += sum[lane];
        }
        vector middle;
        for (int lane = 0; lane < LANES; lane++) {
            mean[f + lane] = sums[lane] / ((double)height * width);
            middle[lane] = (float)mean[f + lane];
        }
        for (int y = 0; y < height; y++) {
            vector sum = {0};
            for (int x = 0; x < width; x++) {
                vector distance = load(image + ((long)y * width + x) * filters + f) - middle;
                sum += distance * distance;
            }
            for (int lane = 0; lane < LANES; lane++) distances[lane] += sum[lane];
        }
        for (int lane = 0; lane < LANES; lane++) squares[f + lane] = distances[lane];
    }
}

void join_moments(const double *means, const double *squares, int batch, double pixels, int wide, int filters,
                         float *statistics) {
    for (int f = 0; f < filters; f++) {
        double mean = 0.0, total = 0.0;
        for (int image = 0; image < batch; image++) mean += means[(long)image * wide + f];
        mean /= batch;
        for (int image = 0; image < batch; image++) {
            double distance = means[(long)image * wide + f] - mean;
            total += squares[(long)image * wide + f] + pixels * distance * distance;
        }
        statistics[f] = (float)mean;
        statistics[filters + f] = (float)(total / (pixels * batch));
    }
}

bool batch_moments(const float *images, int batch, int height, int width, int channels, float *statistics) {
    int wide = padded(channels);
    long pixels = (long)height * width;
    float *own = zeros(wide == channels ? 0 : pixels * wide);
    double *means = malloc(2 * sizeof(double) * batch * wide);
    bool enough = own && means;
    for (int image = 0; enough && image < batch; image++) {
        const float *from = images + image * pixels * channels;
        if (wide != channels) widen(from, channels, own, wide, pixels);
        moments(wide == channels ? from : own, wide, height, width, means + (long)image * wide,
                means + (long)(batch + image) * wide);
    }
    if (enough) join_moments(means, means + (long)batch * wide, batch, (double)pixels, wide, channels, statistics);
    free(own), free(means);
    return enough;
}
