#include "products.h"

#include "vectors.h"

/* A block of `rows` x `vectors` results stays in registers; both are constants where this is called. */
INLINE void multiply_block(const float *a, long a_row, long a_column, const float *b, int depth, float *result,
                           int columns, bool add, int rows, int vectors) {
    vector sums[BLOCK][3];
    for (int n = 0; n < rows; n++)
        for (int v = 0; v < vectors; v++)
            sums[n][v] = add ? load(result + (long)n * columns + v * LANES) : (vector){0};
    for (int k = 0; k < depth; k++) {
        vector weights[3];
        for (int v = 0; v < vectors; v++) weights[v] = load(b + (long)k * columns + v * LANES);
        for (int n = 0; n < rows; n++) {
            float factor = a[n * a_row + k * a_column];
            for (int v = 0; v < vectors; v++) sums[n][v] += weights[v] * factor;
        }
    }
    for (int n = 0; n < rows; n++)
        for (int v = 0; v < vectors; v++) store(result + (long)n * columns + v * LANES, sums[n][v]);
}

INLINE void multiply_vectors(const float *a, long a_row, long a_column, const float *b, int depth, float *result,
                             int rows, int columns, bool add, int vectors) {
    int n = 0;
    for (; n + BLOCK <= rows; n += BLOCK)
        multiply_block(a + n * a_row, a_row, a_column, b, depth, result + (long)n * columns, columns, add, BLOCK,
                       vectors);
    for (; n < rows; n++)
        multiply_block(a + n * a_row, a_row, a_column, b, depth, result + (long)n * columns, columns, add, 1, vectors);
}

void multiply(const float *a, long a_row, long a_column, const float *b, int depth, float *result, int rows,
              int columns, bool add) {
    for (int f = 0; f < columns;) {
        int left = (columns - f) / LANES;
        if (left == 3 && BLOCK == 8) {
            multiply_vectors(a, a_row, a_column, b + f, depth, result + f, rows, columns, add, 3);
            f += 3 * LANES;
        } else if (left >= 2) {
            multiply_vectors(a, a_row, a_column, b + f, depth, result + f, rows, columns, add, 2);
            f += 2 * LANES;
        } else {
            multiply_vectors(a, a_row, a_column, b + f, depth, result + f, rows, columns, add, 1);
            f += LANES;
        }
    }
}

INLINE void depthwise_block(const float *input, long tap_row, long tap, long pixel, const float *kernel, int side,
                            int channels, float *result, bool add, int pixels) {
    vector sums[BLOCK];
    for (int x = 0; x < pixels; x++) sums[x] = add ? load(result + (long)x * channels) : (vector){0};
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            vector weight = load(kernel + (long)(i * side + j) * channels);
            const float *from = input + i * tap_row + j * tap;
            for (int x = 0; x < pixels; x++) sums[x] += weight * load(from + x * pixel);
        }
    for (int x = 0; x < pixels; x++) store(result + (long)x * channels, sums[x]);
}

INLINE void depthwise_side(const float *input, long tap_row, long tap, long pixel, const float *kernel, int side,
                           int width, int channels, float *result, bool add) {
    for (int c = 0; c < channels; c += LANES) {
        int x = 0;
        for (; x + BLOCK <= width; x += BLOCK)
            depthwise_block(input + x * pixel + c, tap_row, tap, pixel, kernel + c, side, channels,
                            result + (long)x * channels + c, add, BLOCK);
        for (; x + 2 <= width; x += 2)
            depthwise_block(input + x * pixel + c, tap_row, tap, pixel, kernel + c, side, channels,
                            result + (long)x * channels + c, add, 2);
        if (x < width)
            depthwise_block(input + x * pixel + c, tap_row, tap, pixel, kernel + c, side, channels,
                            result + (long)x * channels + c, add, 1);
    }
}

/* A side known to the compiler lets it unroll the taps. */
#define BY_SIDE(function, ...)                       \
    do {                                             \
        if (side == 3) {                             \
            const int constant_side = 3;             \
            function(__VA_ARGS__);                   \
        } else if (side == 5) {                      \
            const int constant_side = 5;             \
            function(__VA_ARGS__);                   \
        } else if (side == 7) {                      \
            const int constant_side = 7;             \
            function(__VA_ARGS__);                   \
        } else {                                     \
            const int constant_side = side;          \
            function(__VA_ARGS__);                   \
        }                                            \
    } while (0)

void depthwise_row(const float *input, long tap_row, long tap, long pixel, const float *kernel, int side, int width,
                   int channels, float *result, bool add) {
    BY_SIDE(depthwise_side, input, tap_row, tap, pixel, kernel, constant_side, width, channels, result, add);
}

#define MOST_TAPS 7

INLINE void of_kernel_taps(const float *input, long tap, long pixel, const float *upstream, int side, int width,
                           int channels, float *of_kernel) {
    vector sums[MOST_TAPS];
    for (int j = 0; j < side; j++) sums[j] = load(of_kernel + (long)j * channels);
    for (int x = 0; x < width; x++) {
        vector gradient = load(upstream + (long)x * channels);
        for (int j = 0; j < side; j++) sums[j] += gradient * load(input + x * pixel + j * tap);
    }
    for (int j = 0; j < side; j++) store(of_kernel + (long)j * channels, sums[j]);
}

INLINE void of_kernel_side(const float *input, long tap_row, long tap, long pixel, const float *upstream, int side,
                           int width, int channels, float *of_kernel) {
    for (int c = 0; c < channels; c += LANES)
        for (int i = 0; i < side; i++)
            of_kernel_taps(input + i * tap_row + c, tap, pixel, upstream + c, side, width, channels,
                           of_kernel + (long)i * side * channels + c);
}

void depthwise_row_of_kernel(const float *input, long tap_row, long tap, long pixel, const float *upstream, int side,
                             int width, int channels, float *of_kernel) {
    BY_SIDE(of_kernel_side, input, tap_row, tap, pixel, upstream, constant_side, width, channels, of_kernel);
}

void depthwise_row_of_input(float *of_input, long tap_row, long tap, long pixel, const float *kernel,
                            const float *upstream, int side, int width, int channels) {
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++)
            for (int c = 0; c < channels; c += LANES) {
                vector weight = load(kernel + (long)(i * side + j) * channels + c);
                float *to = of_input + i * tap_row + j * tap + c;
                const float *from = upstream + c;
                for (int x = 0; x < width; x++, to += pixel, from += channels)
                    store(to, load(to) + weight * load(from));
            }
}
