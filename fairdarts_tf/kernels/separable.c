#include "separable.h"

#include <stdlib.h>

#include "images.h"
#include "products.h"
#include "vectors.h"

#define AHEAD 2 /* rows that are asked for early, those of the next image too: they follow one another in memory */

bool separable_forward(const Separable *shape, const float *const *inputs, const float *const *rows,
                       const float *depthwise, const float *pointwise, float *const *outputs, float *statistics) {
    Sizes sizes = sizes_of(shape);
    int wide = sizes.channels, taps = shape->side * shape->side;
    long pixels = (long)shape->out_height * shape->out_width;
    long next_row = (long)shape->height * shape->width * shape->channels / shape->out_height;
    float *kernels = zeros((long)shape->edges * taps * wide);
    float *points = zeros((long)shape->edges * wide * sizes.filters);
    float *activated = zeros(sizes.image), *between = zeros((long)shape->out_width * wide);
    float *own = zeros(shape->filters == sizes.filters ? 0 : sizes.out_image);
    double *means = malloc(2 * sizeof(double) * shape->edges * shape->batch * sizes.filters);
    bool enough = kernels && points && activated && between && own && means;
    if (enough) {
        double *squares = means + (long)shape->edges * shape->batch * sizes.filters;
        widen_kernels(shape, depthwise, pointwise, sizes, kernels, points);
        for (int image = 0; image < shape->batch; image++)
            for (int edge = 0; edge < shape->edges; edge++) {
                if (shape->inputs > 1 || edge == 0)
                    activate(shape, of_image(shape, inputs[edge], image),
                             rows ? rows[edge] : NULL, sizes, activated);
                float *output = outputs[edge] + image * pixels * shape->filters;
                float *result = shape->filters == sizes.filters ? output : own;
                const float *next = edge < shape->inputs ? of_image(shape, inputs[edge], image + 1) : NULL;
                for (int y = 0; y < shape->out_height; y++) {
                    if (next) expect(next + y * next_row, next_row);
                    expect_to_write(result + (y + AHEAD) * sizes.out_row, sizes.out_row);
                    depthwise_row(activated + y * shape->stride * sizes.row, shape->dilation * sizes.row,
                                  shape->dilation * wide, shape->stride * wide, kernels + (long)edge * taps * wide,
                                  shape->side, shape->out_width, wide, between, false);
                    multiply(between, wide, 1, points + (long)edge * wide * sizes.filters, shape->channels,
                             result + y * sizes.out_row, shape->out_width, sizes.filters, false);
                }
                long moment = ((long)edge * shape->batch + image) * sizes.filters;
                moments(result, sizes.filters, shape->out_height, shape->out_width, means + moment, squares + moment);
                if (result == own) narrow(own, sizes.filters, output, shape->filters, pixels);
            }
        for (int edge = 0; edge < shape->edges; edge++) {
            long moment = (long)edge * shape->batch * sizes.filters;
            join_moments(means + moment, squares + moment, shape->batch, (double)pixels, sizes.filters, shape->filters,
                         statistics + (long)edge * 2 * shape->filters);
        }
    }
    free(kernels), free(points), free(activated), free(between), free(own), free(means);
    return enough;
}

/* What one edge's gradient needs beside the images: all of it small, or of one image. */
typedef struct {
    float *kernel;                      /* the edge's depthwise kernel */
    float *flipped;                     /* the same, turned by half a turn */
    float *transposed;                  /* the pointwise kernel, (filters, channels) */
    float *of_kernel, *of_point;        /* gradients of one image */
    float *activated, *of_activated;    /* padded images */
    float *between, *of_between;        /* a row and a padded image between the convolutions */
    float *of_output;                   /* a row of gradients in the outputs */
} Work;

/* Writes the gradients in a row of outputs: c[0] * g + c[1] * (y - c[2]) + c[3]. */
static void of_output_row(const float *upstream, const float *output, const float *coefficients, int filters, int wide,
                          int width, float *result) {
    const float *on_upstream = coefficients, *on_output = coefficients + filters;
    const float *mean = coefficients + 2 * filters, *constant = coefficients + 3 * filters;
    if (filters % LANES) {
        for (int x = 0; x < width; x++, upstream += filters, output += filters, result += wide)
            for (int f = 0; f < filters; f++)
                result[f] = on_upstream[f] * upstream[f] + on_output[f] * (output[f] - mean[f]) + constant[f];
        return;
    }
    for (int f = 0; f < filters; f += LANES) {
        vector a = load(on_upstream + f), b = load(on_output + f), m = load(mean + f), d = load(constant + f);
        for (int x = 0; x < width; x++) {
            long at = (long)x * filters + f;
            store(result + at, a * load(upstream + at) + (b * (load(output + at) - m) + d));
        }
    }
}

/* Adds one image's gradients in an edge's kernels, and writes what the gradient in the image is made of: a padded image
   between the convolutions, or, where the stride leaves pixels out, the gradient itself. */
static void of_edge(const Separable *shape, Sizes sizes, const Work *work, const float *upstream, const float *output,
                    const float *coefficients, const float *next, bool of_kernels) {
    int wide = sizes.channels, side = shape->side;
    long next_row = (long)shape->height * shape->width * shape->channels / shape->out_height;
    long tap = (long)shape->dilation * wide, tap_row = shape->dilation * sizes.row, pixel = (long)shape->stride * wide;
    long between_row = (long)(shape->out_width + 2 * sizes.margin) * wide;
    long step = (long)shape->out_width * shape->filters;
    for (int y = 0; y < shape->out_height; y++) {
        const float *read = work->activated + y * shape->stride * sizes.row;
        expect(upstream + (y + AHEAD) * step, step);
        expect(output + (y + AHEAD) * step, step);
        if (next) expect(next + y * next_row, next_row);
        float *row = work->of_between + (y + sizes.margin) * between_row + (long)sizes.margin * wide;
        of_output_row(upstream + y * step, output + y * step, coefficients, shape->filters, sizes.filters,
                      shape->out_width, work->of_output);
        multiply(work->of_output, sizes.filters, 1, work->transposed, shape->filters, row, shape->out_width, wide,
                 false);
        if (shape->stride > 1)
            depthwise_row_of_input(work->of_activated + y * shape->stride * sizes.row, tap_row, tap, pixel,
                                   work->kernel, row, side, shape->out_width, wide);
        if (!of_kernels) continue;
        depthwise_row(read, tap_row, tap, pixel, work->kernel, side, shape->out_width, wide, work->between, false);
        multiply(work->between, 1, wide, work->of_output, shape->out_width, work->of_point, shape->channels,
                 sizes.filters, true);
        depthwise_row_of_kernel(read, tap_row, tap, pixel, row, side, shape->out_width, wide, work->of_kernel);
    }
}

/* An image's input and where its gradient goes. */
typedef struct {
    const float *image, *rows;
    float *of_image;
    double *of_rows;
} Target;

/* Writes a row of the gradient before ReLU, and adds those in the rows of the BatchNorm before it. */
static void before_relu(const Separable *shape, const float *gradient, const float *positive, int y, int wide,
                        Target target) {
    int channels = shape->channels;
    long at = (long)y * shape->width * channels;
    const float *input = target.image + at, *rows = target.rows;
    float *to = target.of_image + at;
    int c = 0;
    for (; c + LANES <= channels; c += LANES) {
        vector sum = {0}, products = {0}, mean = rows ? load(rows + c) : sum;
        for (int x = 0; x < shape->width; x++) {
            long here = (long)x * wide + c;
            vector value = where_positive(load(positive + here), load(gradient + here));
            store(to + (long)x * channels + c, value);
            if (!rows) continue;
            sum += value;
            products += value * (load(input + (long)x * channels + c) - mean);
        }
        if (!rows) continue;
        for (int lane = 0; lane < LANES; lane++) {
            target.of_rows[FACTOR * channels + c + lane] += products[lane];
            target.of_rows[OFFSET * channels + c + lane] += sum[lane];
        }
    }
    for (; c < channels; c++)
        for (int x = 0; x < shape->width; x++) {
            long here = (long)x * wide + c;
            float value = positive[here] > 0.0f ? gradient[here] : 0.0f;
            to[(long)x * channels + c] = value;
            if (!rows) continue;
            target.of_rows[FACTOR * channels + c] += value * (input[(long)x * channels + c] - rows[c]);
            target.of_rows[OFFSET * channels + c] += value;
        }
}

/* Adds an edge's gradient in an image to that of the edges before, and, after the last, writes it row by row. */
static void of_image_rows(const Separable *shape, Sizes sizes, const Work *work, bool first, const Target *target) {
    int wide = sizes.channels;
    long between_row = (long)(shape->out_width + 2 * sizes.margin) * wide, tap = (long)shape->dilation * wide;
    long image_row = (long)shape->width * shape->channels;
    for (int y = 0; y < shape->height; y++) {
        long at = (y + sizes.margin) * sizes.row + (long)sizes.margin * wide;
        if (shape->stride == 1)
            depthwise_row(work->of_between + y * between_row, shape->dilation * between_row, tap, wide, work->flipped,
                          shape->side, shape->width, wide, work->of_activated + at, !first);
        if (!target) continue;
        expect_to_write(target->of_image + (y + 1) * image_row, image_row);
        before_relu(shape, work->of_activated + at, work->activated + at, y, wide, *target);
    }
}

/* Adds an image's gradients to those of the batch, and clears them. */
static void add_up(float *of_image, double *totals, long count) {
    for (long i = 0; i < count; i++) totals[i] += of_image[i];
    memset(of_image, 0, count * sizeof(float));
}

static void transpose(const float *from, int rows, int columns, long from_row, float *to, long to_row) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) to[j * to_row + i] = from[i * from_row + j];
}

/* Writes the batch's gradients in an edge's kernels without the padding of the channels. */
static void write_kernels(const Separable *shape, Sizes sizes, const double *totals, float *of_depthwise,
                          float *of_pointwise) {
    int taps = shape->side * shape->side;
    for (int tap = 0; tap < taps; tap++)
        for (int c = 0; c < shape->channels; c++)
            of_depthwise[(long)tap * shape->channels + c] = (float)totals[(long)tap * sizes.channels + c];
    totals += (long)taps * sizes.channels;
    for (int c = 0; c < shape->channels; c++)
        for (int f = 0; f < shape->filters; f++)
            of_pointwise[(long)c * shape->filters + f] = (float)totals[(long)c * sizes.filters + f];
}

/* The gradient in the mean is that in the offset, times minus the factor; none is asked for in the variance. */
static void write_rows(int channels, const float *rows, const double *totals, float *of_rows) {
    for (int c = 0; c < channels; c++) {
        double of_offset = totals[OFFSET * channels + c];
        of_rows[MEAN * channels + c] = (float)(-rows[FACTOR * channels + c] * of_offset);
        of_rows[FACTOR * channels + c] = (float)totals[FACTOR * channels + c];
        of_rows[OFFSET * channels + c] = (float)of_offset;
        of_rows[VARIANCE * channels + c] = 0.0f;
    }
}

bool separable_backward(const Separable *shape, const float *const *inputs, const float *const *rows,
                        const float *depthwise, const float *pointwise, const float *const *outputs,
                        const float *const *upstreams, const float *coefficients, float *const *of_inputs,
                        float *const *of_rows, float *of_depthwise, float *of_pointwise) {
    Sizes sizes = sizes_of(shape);
    int wide = sizes.channels, taps = shape->side * shape->side;
    long of_kernel = (long)taps * wide, of_point = (long)wide * sizes.filters, own_rows = ROWS * shape->channels;
    long image_floats = (long)shape->height * shape->width * shape->channels;
    long output_floats = (long)shape->out_height * shape->out_width * shape->filters;
    long totals_of_edge = of_kernel + of_point + own_rows;
    long of_all = shape->edges * (2 * (of_kernel + of_point)), of_image_floats = of_kernel + of_point;
    float *memory = zeros(of_all + of_image_floats + 2 * sizes.image + sizes.between + (long)shape->out_width * wide +
                          (long)shape->out_width * sizes.filters);
    double *totals = calloc(shape->edges * totals_of_edge, sizeof(double));
    bool enough = memory && totals;
    if (enough) {
        float *kernels = memory, *points = kernels + shape->edges * of_kernel;
        float *flipped = points + shape->edges * of_point, *transposed = flipped + shape->edges * of_kernel;
        Work work = {.of_kernel = transposed + shape->edges * of_point};
        work.of_point = work.of_kernel + of_kernel;
        work.activated = work.of_point + of_point;
        work.of_activated = work.activated + sizes.image;
        work.of_between = work.of_activated + sizes.image;
        work.between = work.of_between + sizes.between;
        work.of_output = work.between + (long)shape->out_width * wide;
        widen_kernels(shape, depthwise, pointwise, sizes, kernels, points);
        for (int edge = 0; edge < shape->edges; edge++) {
            for (int tap = 0; tap < taps; tap++)
                memcpy(flipped + edge * of_kernel + (long)tap * wide,
                       kernels + edge * of_kernel + (long)(taps - 1 - tap) * wide, wide * sizeof(float));
            transpose(points + edge * of_point, shape->channels, shape->filters, sizes.filters,
                      transposed + edge * of_point, wide);
        }
        for (int image = 0; image < shape->batch; image++)
            for (int edge = 0; edge < shape->edges; edge++) {
                bool own = shape->inputs > 1, first = own || edge == 0;
                const float *input = of_image(shape, inputs[own ? edge : 0], image);
                const float *edge_rows = rows ? rows[edge] : NULL;
                double *edge_totals = totals + edge * totals_of_edge;
                if (first) activate(shape, input, edge_rows, sizes, work.activated);
                if (first && shape->stride > 1) memset(work.of_activated, 0, sizes.image * sizeof(float));
                work.kernel = kernels + edge * of_kernel;
                work.flipped = flipped + edge * of_kernel;
                work.transposed = transposed + edge * of_point;
                of_edge(shape, sizes, &work, upstreams[edge] + image * output_floats,
                        outputs[edge] + image * output_floats, coefficients + (long)edge * 4 * shape->filters,
                        first ? input + image_floats : NULL, of_depthwise != NULL);
                if (of_depthwise) add_up(work.of_kernel, edge_totals, of_image_floats);
                Target target = {input, edge_rows, of_inputs[own ? edge : 0] + image * image_floats,
                                 edge_totals + of_image_floats};
                bool last = own || edge == shape->edges - 1;
                of_image_rows(shape, sizes, &work, first, last ? &target : NULL);
            }
        for (int edge = 0; edge < shape->edges; edge++) {
            double *edge_totals = totals + edge * totals_of_edge;
            if (of_depthwise)
                write_kernels(shape, sizes, edge_totals, of_depthwise + (long)edge * taps * shape->channels,
                              of_pointwise + (long)edge * shape->channels * shape->filters);
            if (rows)
                write_rows(shape->channels, rows[edge], edge_totals + of_image_floats, of_rows[edge]);
        }
    }
    free(memory), free(totals);
    return enough;
}
