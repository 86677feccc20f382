/* Operations of separable convolutions followed by BatchNorm, and their gradients. */

#include <stdlib.h>

#include "affine.h"
#include "calls.h"
#include "normalization.h"
#include "separable.h"

/* Where the inputs of both operations begin: images, rows of the BatchNorm before, kernels. */
typedef struct {
    Separable shape;
    int rows, depthwise, pointwise, next;
    double count; /* pixels of a batch of outputs */
} Layout;

static Layout layout_of(Call *call, const Attributes *attributes) {
    Separable shape = {.stride = attributes->stride,
                       .dilation = attributes->dilation,
                       .edges = attributes->edges,
                       .inputs = attributes->inputs};
    Layout layout = {.shape = shape, .rows = shape.inputs};
    layout.depthwise = layout.rows + attributes->row_count;
    layout.pointwise = layout.depthwise + 1;
    layout.next = layout.pointwise + 1;
    if (!good(call)) return layout;
    const TF_Tensor *image = call->tensors[0], *depthwise = call->tensors[layout.depthwise];
    const TF_Tensor *pointwise = call->tensors[layout.pointwise];
    if (TF_NumDims(image) != 4 || TF_NumDims(depthwise) != 5 || TF_NumDims(pointwise) != 5) {
        refuse(call, "expected images of 4 dimensions and kernels of 5");
        return layout;
    }
    shape.batch = TF_Dim(image, 0), shape.height = TF_Dim(image, 1), shape.width = TF_Dim(image, 2);
    shape.channels = TF_Dim(image, 3), shape.side = TF_Dim(depthwise, 1), shape.filters = TF_Dim(pointwise, 4);
    shape.out_height = (shape.height + shape.stride - 1) / shape.stride;
    shape.out_width = (shape.width + shape.stride - 1) / shape.stride;
    layout.shape = shape;
    layout.count = (double)shape.batch * shape.out_height * shape.out_width;
    int64_t of_depthwise[] = {shape.edges, shape.side, shape.side, shape.channels, 1};
    int64_t of_pointwise[] = {shape.edges, 1, 1, shape.channels, shape.filters};
    int64_t of_row[] = {ROWS, shape.channels};
    bool fits = has_shape(call, layout.depthwise, 5, of_depthwise);
    fits = fits && has_shape(call, layout.pointwise, 5, of_pointwise);
    fits = fits && (shape.inputs == 1 || shape.inputs == shape.edges) && shape.side % 2 && shape.side <= 7;
    /* Rows are those of an edge's own input. */
    fits = fits && (attributes->row_count == 0 || (attributes->row_count == shape.edges && shape.inputs == shape.edges));
    fits = fits && shape.height > 0 && shape.width > 0;
    for (int i = 1; i < shape.inputs; i++) fits = fits && same_shape(call, 0, i);
    for (int i = 0; i < attributes->row_count; i++) fits = fits && has_shape(call, layout.rows + i, 2, of_row);
    if (!fits) refuse(call, "the shapes of images, rows and kernels do not fit");
    return layout;
}

static const float *const *rows_before(const Call *call, const Layout *layout, const Attributes *attributes) {
    return attributes->row_count ? call->inputs + layout->rows : NULL;
}

static void compute_separable(void *pointer, TF_OpKernelContext *context) {
    const Attributes *attributes = pointer;
    Call call = begin(context);
    Layout layout = layout_of(&call, attributes);
    int edges = layout.shape.edges, filters = layout.shape.filters;
    int gamma = layout.next, rows = edges;
    check_affine(&call, gamma, edges, filters);
    int64_t of_row[] = {ROWS, filters};
    int64_t of_output[] = {layout.shape.batch, layout.shape.out_height, layout.shape.out_width, filters};
    for (int edge = 0; edge < edges; edge++) {
        allocate(&call, edge, 4, of_output);
        allocate(&call, rows + edge, 2, of_row);
    }
    float *statistics = malloc(2 * sizeof(float) * edges * filters + 1);
    if (!statistics) out_of_memory(&call);
    if (good(&call) && !separable_forward(&layout.shape, call.inputs, rows_before(&call, &layout, attributes),
                                          call.inputs[layout.depthwise], call.inputs[layout.pointwise], call.outputs,
                                          statistics))
        out_of_memory(&call);
    for (int edge = 0; good(&call) && edge < edges; edge++)
        normalization_rows(statistics + 2L * edge * filters, affine_of(&call, gamma, edge, edges, filters),
                           attributes->epsilon, filters, call.outputs[rows + edge]);
    free(statistics);
    end(&call);
}

static void compute_separable_gradient(void *pointer, TF_OpKernelContext *context) {
    const Attributes *attributes = pointer;
    Call call = begin(context);
    Layout layout = layout_of(&call, attributes);
    Separable shape = layout.shape;
    int edges = shape.edges, filters = shape.filters;
    int outputs = layout.next, upstreams = outputs + edges, rows = upstreams + edges, of_rows = rows + edges;
    int gamma = of_rows + edges, beta = gamma + 1;
    int of_input_rows = shape.inputs, of_depthwise = of_input_rows + attributes->row_count;
    int of_pointwise = of_depthwise + 1, of_gamma = of_depthwise + 2, of_beta = of_depthwise + 3;
    int64_t of_output[] = {shape.batch, shape.out_height, shape.out_width, filters};
    int64_t of_row[] = {ROWS, filters};
    bool fits = good(&call);
    for (int edge = 0; fits && edge < edges; edge++)
        fits = has_shape(&call, outputs + edge, 4, of_output) && has_shape(&call, upstreams + edge, 4, of_output) &&
               has_shape(&call, rows + edge, 2, of_row) && has_shape(&call, of_rows + edge, 2, of_row);
    if (good(&call) && !fits) refuse(&call, "the shapes of outputs and their gradients do not fit");
    check_affine(&call, gamma, edges, filters);
    for (int i = 0; i < shape.inputs; i++) allocate_like(&call, i, i);
    for (int i = 0; i < attributes->row_count; i++) allocate_like(&call, of_input_rows + i, layout.rows + i);
    if (attributes->of_kernels) {
        allocate_like(&call, of_depthwise, layout.depthwise);
        allocate_like(&call, of_pointwise, layout.pointwise);
    } else {
        allocate_nothing(&call, of_depthwise);
        allocate_nothing(&call, of_pointwise);
    }
    allocate_like(&call, of_gamma, gamma);
    allocate_like(&call, of_beta, beta);
    float *coefficients = malloc(4 * sizeof(float) * edges * filters);
    if (!coefficients) out_of_memory(&call);
    for (int edge = 0; good(&call) && edge < edges; edge++) {
        normalization_coefficients(call.inputs[rows + edge], call.inputs[of_rows + edge], attributes->epsilon,
                                   layout.count, filters, coefficients + 4L * edge * filters);
        write_affine_gradients(&call, gamma, of_gamma, edge, edges, filters, call.inputs[rows + edge],
                               call.inputs[of_rows + edge], attributes->epsilon);
    }
    if (good(&call) &&
        !separable_backward(&shape, call.inputs, rows_before(&call, &layout, attributes),
                            call.inputs[layout.depthwise], call.inputs[layout.pointwise], call.inputs + outputs,
                            call.inputs + upstreams, coefficients, call.outputs,
                            attributes->row_count ? call.outputs + of_input_rows : NULL,
                            attributes->of_kernels ? call.outputs[of_depthwise] : NULL,
                            attributes->of_kernels ? call.outputs[of_pointwise] : NULL))
        out_of_memory(&call);
    free(coefficients);
    end(&call);
}

__attribute__((constructor)) static void define_operations(void) {
    define("FairdartsSeparable",
           LIST("edges: int", "inputs: int", "row_count: int >= 0", "stride: int >= 1", "dilation: int >= 1", "epsilon: float",
                "of_kernels: bool"),
           LIST("images: inputs * float", "rows: row_count * float", "depthwise: float", "pointwise: float",
                "gamma: float", "beta: float"),
           LIST("outputs: edges * float", "out_rows: edges * float"), compute_separable);
    define("FairdartsSeparableGradient",
           LIST("edges: int", "inputs: int", "row_count: int >= 0", "stride: int >= 1", "dilation: int >= 1", "epsilon: float",
                "of_kernels: bool"),
           LIST("images: inputs * float", "rows: row_count * float", "depthwise: float", "pointwise: float",
                "outputs: edges * float", "upstreams: edges * float", "out_rows: edges * float",
                "of_out_rows: edges * float", "gamma: float", "beta: float"),
           LIST("of_images: inputs * float", "of_rows: row_count * float", "of_depthwise: float",
                "of_pointwise: float", "of_gamma: float", "of_beta: float"),
           compute_separable_gradient);
}
