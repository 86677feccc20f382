/* Operations of the sum of normalised or scaled tensors, and its gradient. */

#include <stdlib.h>

#include "calls.h"
#include "separable.h"
#include "sums.h"

/* The rows of each term, or one number that it is multiplied with. */
typedef struct {
    int terms, channels;
    long pixels;
    float *memory;
    const float **rows;
    float **of_rows;
} Rows;

static bool is_scale(const Call *call, const Rows *rows, int term) { return elements(call, rows->terms + term) == 1; }

static Rows rows_of(Call *call, int terms) {
    Rows rows = {.terms = terms};
    if (!good(call)) return rows;
    int rank = TF_NumDims(call->tensors[0]);
    rows.channels = rank ? (int)TF_Dim(call->tensors[0], rank - 1) : 0;
    rows.pixels = rows.channels ? elements(call, 0) / rows.channels : 0;
    int64_t of_row[] = {ROWS, rows.channels};
    bool fits = rank > 0;
    for (int i = 0; fits && i < terms; i++)
        fits = same_shape(call, 0, i) && (is_scale(call, &rows, i) || has_shape(call, terms + i, 2, of_row));
    if (!fits) {
        refuse(call, "the shapes of the terms and rows of a sum do not fit");
        return rows;
    }
    long floats = ROWS * (long)rows.channels;
    rows.memory = calloc(2 * floats * terms + 1, sizeof(float));
    rows.rows = calloc(terms, sizeof *rows.rows);
    rows.of_rows = calloc(terms, sizeof *rows.of_rows);
    if (!rows.memory || !rows.rows || !rows.of_rows) {
        out_of_memory(call);
        return rows;
    }
    for (int i = 0; i < terms; i++) {
        rows.rows[i] = call->inputs[terms + i];
        rows.of_rows[i] = rows.memory + floats * (terms + i);
        if (!is_scale(call, &rows, i)) continue;
        float *row = rows.memory + floats * i;
        for (int c = 0; c < rows.channels; c++) row[FACTOR * rows.channels + c] = call->inputs[terms + i][0];
        rows.rows[i] = row;
    }
    return rows;
}

static void free_rows(Rows *rows) { free(rows->memory), free(rows->rows), free(rows->of_rows); }

static void compute_sum(void *pointer, TF_OpKernelContext *context) {
    Call call = begin(context);
    Rows rows = rows_of(&call, ((const Attributes *)pointer)->terms);
    allocate_like(&call, 0, 0);
    if (good(&call) &&
        !normalized_sum(rows.terms, call.inputs, rows.rows, rows.pixels, rows.channels, call.outputs[0]))
        out_of_memory(&call);
    free_rows(&rows);
    end(&call);
}

static void compute_sum_gradient(void *pointer, TF_OpKernelContext *context) {
    Call call = begin(context);
    Rows rows = rows_of(&call, ((const Attributes *)pointer)->terms);
    int upstream = 2 * rows.terms;
    if (good(&call) && !same_shape(&call, 0, upstream)) refuse(&call, "the gradient of a sum does not fit");
    for (int i = 0; i < rows.terms; i++) allocate_like(&call, i, rows.terms + i);
    for (int i = 0; good(&call) && i < rows.terms; i++)
        if (!is_scale(&call, &rows, i)) rows.of_rows[i] = call.outputs[i];
    if (good(&call) && !normalized_sum_backward(rows.terms, call.inputs, rows.rows, call.inputs[upstream], rows.pixels,
                                                rows.channels, rows.of_rows))
        out_of_memory(&call);
    for (int i = 0; good(&call) && i < rows.terms; i++) {
        if (!is_scale(&call, &rows, i)) continue;
        double total = 0.0;
        for (int c = 0; c < rows.channels; c++) total += rows.of_rows[i][FACTOR * rows.channels + c];
        call.outputs[i][0] = (float)total;
    }
    free_rows(&rows);
    end(&call);
}

static void compute_scale(void *pointer, TF_OpKernelContext *context) {
    Call call = begin(context);
    int edges = ((const Attributes *)pointer)->edges;
    if (good(&call) && elements(&call, 1) != edges) refuse(&call, "expected one scale for each edge");
    for (int edge = 0; edge < edges; edge++) {
        pass_on(&call, edge, 0);
        allocate(&call, edges + edge, 0, NULL);
        if (good(&call)) call.outputs[edges + edge][0] = call.inputs[1][edge];
    }
    end(&call);
}

__attribute__((constructor)) static void define_operations(void) {
    define("FairdartsScale", LIST("edges: int"), LIST("image: float", "scales: float"),
           LIST("outputs: edges * float", "rows: edges * float"), compute_scale);
    define("FairdartsNormalizedSum", LIST("terms: int"), LIST("tensors: terms * float", "rows: terms * float"),
           LIST("sum: float"), compute_sum);
    define("FairdartsNormalizedSumGradient", LIST("terms: int"),
           LIST("tensors: terms * float", "rows: terms * float", "upstream: float"), LIST("of_rows: terms * float"),
           compute_sum_gradient);
}
