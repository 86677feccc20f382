#include "calls.h"

#include <stdlib.h>
#include <string.h>

/* TensorFlow's headers name these types as C++ does. */
typedef struct TF_OpDefinitionBuilder TF_OpDefinitionBuilder;
typedef struct TF_ShapeInferenceContext TF_ShapeInferenceContext;
typedef struct TF_ShapeHandle TF_ShapeHandle;
typedef struct TF_DimensionHandle TF_DimensionHandle;
typedef struct TF_KernelBuilder TF_KernelBuilder;
typedef struct TF_OpKernelConstruction TF_OpKernelConstruction;

#include "tensorflow/c/kernels.h"
#include "tensorflow/c/ops.h"

#define MOST_DIMENSIONS 8

bool good(const Call *call) { return TF_GetCode(call->status) == TF_OK; }

void refuse(Call *call, const char *message) {
    if (good(call)) TF_SetStatus(call->status, TF_INVALID_ARGUMENT, message);
}

void out_of_memory(Call *call) {
    if (good(call)) TF_SetStatus(call->status, TF_RESOURCE_EXHAUSTED, "out of memory");
}

Call begin(TF_OpKernelContext *context) {
    Call call = {.context = context, .status = TF_NewStatus()};
    call.input_count = TF_NumInputs(context);
    call.output_count = TF_NumOutputs(context);
    call.tensors = calloc(call.input_count, sizeof *call.tensors);
    call.inputs = calloc(call.input_count, sizeof *call.inputs);
    call.results = calloc(call.output_count, sizeof *call.results);
    call.outputs = calloc(call.output_count, sizeof *call.outputs);
    if (!call.tensors || !call.inputs || !call.results || !call.outputs) out_of_memory(&call);
    for (int i = 0; good(&call) && i < call.input_count; i++) {
        TF_GetInput(context, i, &call.tensors[i], call.status);
        if (good(&call)) call.inputs[i] = TF_TensorData(call.tensors[i]);
    }
    return call;
}

void end(Call *call) {
    if (!good(call)) TF_OpKernelContext_Failure(call->context, call->status);
    for (int i = 0; call->tensors && i < call->input_count; i++)
        if (call->tensors[i]) TF_DeleteTensor(call->tensors[i]);
    for (int i = 0; call->results && i < call->output_count; i++)
        if (call->results[i]) TF_DeleteTensor(call->results[i]);
    free(call->tensors), free(call->inputs), free(call->results), free(call->outputs);
    TF_DeleteStatus(call->status);
}

void allocate(Call *call, int index, int rank, const int64_t *sizes) {
    if (!good(call)) return;
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= sizes[i];
    call->results[index] =
        TF_AllocateOutput(call->context, index, TF_FLOAT, sizes, rank, count * sizeof(float), call->status);
    if (good(call)) call->outputs[index] = TF_TensorData(call->results[index]);
}

void allocate_like(Call *call, int index, int input) {
    if (!good(call)) return;
    int64_t sizes[MOST_DIMENSIONS];
    int rank = TF_NumDims(call->tensors[input]);
    if (rank > MOST_DIMENSIONS) refuse(call, "a tensor has too many dimensions");
    for (int i = 0; good(call) && i < rank; i++) sizes[i] = TF_Dim(call->tensors[input], i);
    allocate(call, index, rank, sizes);
}

void allocate_nothing(Call *call, int index) {
    int64_t sizes[] = {0};
    allocate(call, index, 1, sizes);
}

int64_t elements(const Call *call, int index) { return good(call) ? TF_TensorElementCount(call->tensors[index]) : 0; }

void pass_on(Call *call, int index, int input) {
    if (good(call)) TF_SetOutput(call->context, index, call->tensors[input], call->status);
}

const float *optional(const Call *call, int index) { return elements(call, index) ? call->inputs[index] : NULL; }

bool has_shape(const Call *call, int index, int rank, const int64_t *sizes) {
    if (!good(call) || TF_NumDims(call->tensors[index]) != rank) return false;
    for (int i = 0; i < rank; i++)
        if (TF_Dim(call->tensors[index], i) != sizes[i]) return false;
    return true;
}

bool same_shape(const Call *call, int one, int other) {
    int64_t sizes[MOST_DIMENSIONS];
    if (!good(call)) return false;
    int rank = TF_NumDims(call->tensors[one]);
    if (rank > MOST_DIMENSIONS) return false;
    for (int i = 0; i < rank; i++) sizes[i] = TF_Dim(call->tensors[one], i);
    return has_shape(call, other, rank, sizes);
}

/* Reads an attribute where the operation has it. */
static bool has_attribute(TF_OpKernelConstruction *construction, const char *name) {
    TF_Status *status = TF_NewStatus();
    bool found = TF_OpKernelConstruction_HasAttr(construction, name, status) && TF_GetCode(status) == TF_OK;
    TF_DeleteStatus(status);
    return found;
}

static void integer(TF_OpKernelConstruction *construction, const char *name, int *value, TF_Status *status) {
    if (!has_attribute(construction, name)) return;
    int32_t found = 0;
    TF_OpKernelConstruction_GetAttrInt32(construction, name, &found, status);
    *value = found;
}

static void real(TF_OpKernelConstruction *construction, const char *name, float *value, TF_Status *status) {
    if (has_attribute(construction, name)) TF_OpKernelConstruction_GetAttrFloat(construction, name, value, status);
}

static void *create(TF_OpKernelConstruction *construction) {
    Attributes *result = calloc(1, sizeof *result);
    TF_Status *status = TF_NewStatus();
    if (!result) {
        TF_SetStatus(status, TF_RESOURCE_EXHAUSTED, "out of memory");
        TF_OpKernelConstruction_Failure(construction, status);
        TF_DeleteStatus(status);
        return NULL;
    }
    integer(construction, "edges", &result->edges, status);
    integer(construction, "inputs", &result->inputs, status);
    integer(construction, "row_count", &result->row_count, status);
    integer(construction, "stride", &result->stride, status);
    integer(construction, "dilation", &result->dilation, status);
    integer(construction, "terms", &result->terms, status);
    real(construction, "epsilon", &result->epsilon, status);
    real(construction, "share", &result->share, status);
    if (has_attribute(construction, "of_kernels")) {
        unsigned char wanted = 0;
        TF_OpKernelConstruction_GetAttrBool(construction, "of_kernels", &wanted, status);
        result->of_kernels = wanted;
    }
    if (TF_GetCode(status) != TF_OK) TF_OpKernelConstruction_Failure(construction, status);
    TF_DeleteStatus(status);
    return result;
}

static void delete(void *attributes) { free(attributes); }

static void any_shape(TF_ShapeInferenceContext *context, TF_Status *status) {
    TF_ShapeInferenceContextSetUnknownShape(context, status);
}

void define(const char *name, const char *const *attributes, const char *const *inputs, const char *const *outputs,
            void (*compute)(void *attributes, TF_OpKernelContext *context)) {
    TF_Status *status = TF_NewStatus();
    TF_OpDefinitionBuilder *definition = TF_NewOpDefinitionBuilder(name);
    for (; *attributes; attributes++) TF_OpDefinitionBuilderAddAttr(definition, *attributes);
    for (; *inputs; inputs++) TF_OpDefinitionBuilderAddInput(definition, *inputs);
    for (; *outputs; outputs++) TF_OpDefinitionBuilderAddOutput(definition, *outputs);
    TF_OpDefinitionBuilderSetShapeInferenceFunction(definition, any_shape);
    TF_RegisterOpDefinition(definition, status);
    if (TF_GetCode(status) == TF_OK)
        TF_RegisterKernelBuilder(name, TF_NewKernelBuilder(name, "CPU", create, compute, delete), status);
    TF_DeleteStatus(status);
}
