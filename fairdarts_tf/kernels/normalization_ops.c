/* Operations of BatchNorm whose product is left to a sum, and its gradient. */

#include <stdlib.h>
#include <string.h>

#include "affine.h"
#include "calls.h"
#include "separable.h"
#include "sums.h"

/* Images of the edges: one that all share, or one for each. */
typedef struct {
    int edges, inputs, channels;
    long pixels;
} Layout;

static Layout layout_of(Call *call, const Attributes *attributes) {
    Layout layout = {.edges = attributes->edges, .inputs = attributes->inputs};
    if (!good(call)) return layout;
    bool fits = TF_NumDims(call->tensors[0]) == 4 && (layout.inputs == 1 || layout.inputs == layout.edges);
    for (int i = 1; fits && i < layout.inputs; i++) fits = same_shape(call, 0, i);
    if (!fits) {
        refuse(call, "expected images of 4 dimensions, of one shape");
        return layout;
    }
    layout.channels = (int)TF_Dim(call->tensors[0], 3);
    layout.pixels = layout.channels ? elements(call, 0) / layout.channels : 0;
    return layout;
}

static void compute_normalization(void *pointer, TF_OpKernelContext *context) {
    const Attributes *attributes = pointer;
    Call call = begin(context);
    Layout layout = layout_of(&call, attributes);
    int edges = layout.edges, channels = layout.channels, gamma = layout.inputs;
    check_affine(&call, gamma, edges, channels);
    int64_t of_row[] = {ROWS, channels};
    for (int edge = 0; edge < edges; edge++) {
        pass_on(&call, edge, layout.inputs > 1 ? edge : 0);
        allocate(&call, edges + edge, 2, of_row);
    }
    float *statistics = malloc(2 * sizeof(float) * layout.inputs * channels + 1);
    if (!statistics) out_of_memory(&call);
    for (int i = 0; good(&call) && i < layout.inputs; i++) {
        int batch = (int)TF_Dim(call.tensors[i], 0), height = (int)TF_Dim(call.tensors[i], 1);
        int width = (int)TF_Dim(call.tensors[i], 2);
        if (!batch_moments(call.inputs[i], batch, height, width, channels, statistics + 2L * i * channels))
            out_of_memory(&call);
    }
    for (int edge = 0; good(&call) && edge < edges; edge++)
        normalization_rows(statistics + (layout.inputs > 1 ? 2L * edge * channels : 0),
                           affine_of(&call, gamma, edge, edges, channels), attributes->epsilon, channels,
                           call.outputs[edges + edge]);
    free(statistics);
    end(&call);
}

static void compute_moved_statistics(void *pointer, TF_OpKernelContext *context) {
    const Attributes *attributes = pointer;
    Call call = begin(context);
    int edges = attributes->edges, mean = edges, variance = edges + 1, count = edges + 2;
    int channels = good(&call) && edges ? (int)(elements(&call, 0) / ROWS) : 0;
    int64_t of_running[] = {edges, channels}, of_row[] = {ROWS, channels};
    bool fits = has_shape(&call, mean, 2, of_running) && has_shape(&call, variance, 2, of_running);
    for (int edge = 0; fits && edge < edges; edge++) fits = has_shape(&call, edge, 2, of_row);
    if (!fits || elements(&call, count) != 1) refuse(&call, "the shapes of running statistics do not fit");
    allocate_like(&call, 0, mean);
    allocate_like(&call, 1, variance);
    for (int edge = 0; good(&call) && edge < edges; edge++) {
        long at = (long)edge * channels;
        move_statistics(call.inputs[edge], call.inputs[count][0], attributes->share, channels, call.inputs[mean] + at,
                        call.inputs[variance] + at, call.outputs[0] + at, call.outputs[1] + at);
    }
    end(&call);
}

/* Adds one edge's coefficients to the row of its image, and writes the row of its upstream. */
static void add_coefficients(const float *coefficients, int channels, float *on_image, float *on_upstream) {
    for (int c = 0; c < channels; c++) {
        on_image[MEAN * channels + c] = coefficients[2 * channels + c];
        on_image[FACTOR * channels + c] += coefficients[channels + c];
        on_image[OFFSET * channels + c] += coefficients[3 * channels + c];
        on_upstream[FACTOR * channels + c] = coefficients[c];
    }
}

static void compute_normalization_gradient(void *pointer, TF_OpKernelContext *context) {
    const Attributes *attributes = pointer;
    Call call = begin(context);
    Layout layout = layout_of(&call, attributes);
    int edges = layout.edges, channels = layout.channels, inputs = layout.inputs;
    int upstreams = inputs, rows = upstreams + edges, of_rows = rows + edges;
    int gamma = of_rows + edges, beta = gamma + 1, of_gamma = inputs, of_beta = inputs + 1;
    int64_t of_row[] = {ROWS, channels};
    bool fits = good(&call);
    for (int edge = 0; fits && edge < edges; edge++)
        fits = same_shape(&call, 0, upstreams + edge) && has_shape(&call, rows + edge, 2, of_row) &&
               has_shape(&call, of_rows + edge, 2, of_row);
    if (!fits) refuse(&call, "the shapes of images and their gradients do not fit");
    check_affine(&call, gamma, edges, channels);
    for (int i = 0; i < inputs; i++) allocate_like(&call, i, i);
    allocate_like(&call, of_gamma, gamma);
    allocate_like(&call, of_beta, beta);
    long floats = ROWS * (long)channels;
    float *on_images = calloc((inputs + edges) * floats + 1, sizeof(float));
    float *on_upstreams = on_images + inputs * floats;
    float *coefficients = calloc(4L * channels + 1, sizeof(float));
    const float **tensors = calloc(edges + 1, sizeof *tensors), **factors = calloc(edges + 1, sizeof *factors);
    if (!on_images || !coefficients || !tensors || !factors) out_of_memory(&call);
    for (int edge = 0; good(&call) && edge < edges; edge++) {
        int image = inputs > 1 ? edge : 0;
        normalization_coefficients(call.inputs[rows + edge], call.inputs[of_rows + edge], attributes->epsilon,
                                   (double)layout.pixels, channels, coefficients);
        add_coefficients(coefficients, channels, on_images + image * floats, on_upstreams + edge * floats);
        write_affine_gradients(&call, gamma, of_gamma, edge, edges, channels, call.inputs[rows + edge],
                               call.inputs[of_rows + edge], attributes->epsilon);
    }
    for (int image = 0; good(&call) && image < inputs; image++) {
        int first = inputs > 1 ? image : 0, count = inputs > 1 ? 1 : edges;
        for (int i = 0; i < count; i++) {
            tensors[i] = call.inputs[upstreams + first + i];
            factors[i] = on_upstreams + (first + i) * floats;
        }
        tensors[count] = call.inputs[image];
        factors[count] = on_images + image * floats;
        if (!normalized_sum(count + 1, tensors, factors, layout.pixels, channels, call.outputs[image]))
            out_of_memory(&call);
    }
    free(on_images), free(coefficients), free(tensors), free(factors);
    end(&call);
}

__attribute__((constructor)) static void define_operations(void) {
    define("FairdartsNormalization", LIST("edges: int", "inputs: int", "epsilon: float"),
           LIST("images: inputs * float", "gamma: float", "beta: float"),
           LIST("outputs: edges * float", "rows: edges * float"), compute_normalization);
    define("FairdartsNormalizationGradient", LIST("edges: int", "inputs: int", "epsilon: float"),
           LIST("images: inputs * float", "upstreams: edges * float", "rows: edges * float", "of_rows: edges * float",
                "gamma: float", "beta: float"),
           LIST("of_images: inputs * float", "of_gamma: float", "of_beta: float"), compute_normalization_gradient);
    define("FairdartsMovedStatistics", LIST("edges: int", "share: float"),
           LIST("rows: edges * float", "mean: float", "variance: float", "count: float"),
           LIST("new_mean: float", "new_variance: float"), compute_moved_statistics);
}
