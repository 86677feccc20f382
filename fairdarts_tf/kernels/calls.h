/* What every operation shares: its inputs and outputs as plain arrays, and its definition. Through TensorFlow's C
   interface, which any C compiler can read and which does not change between its versions. */

#ifndef FAIRDARTS_TF_CALLS_H
#define FAIRDARTS_TF_CALLS_H

#include <stdbool.h>
#include <stddef.h>

#include "tensorflow/c/tf_status.h"
#include "tensorflow/c/tf_tensor.h"

typedef struct TF_OpKernelContext TF_OpKernelContext;

/* One call of an operation: what it read, to be given back at its end, and what went wrong, if anything. */
typedef struct {
    TF_OpKernelContext *context;
    TF_Status *status;
    TF_Tensor **tensors;
    const float **inputs;
    TF_Tensor **results;
    float **outputs;
    int input_count, output_count;
} Call;

/* The attributes of a node of the graph; those that an operation lacks are 0. */
typedef struct {
    int edges, inputs, row_count, stride, dilation, terms;
    bool of_kernels;
    float epsilon, share;
} Attributes;

Call begin(TF_OpKernelContext *context);
void end(Call *call);

bool good(const Call *call);
void refuse(Call *call, const char *message);
void out_of_memory(Call *call);

void allocate(Call *call, int index, int rank, const int64_t *sizes);
void allocate_like(Call *call, int index, int input);
void allocate_nothing(Call *call, int index);

/* Makes an output of an input, without a copy. */
void pass_on(Call *call, int index, int input);

/* Returns an input, or NULL if it has no elements. */
const float *optional(const Call *call, int index);
int64_t elements(const Call *call, int index);
bool has_shape(const Call *call, int index, int rank, const int64_t *sizes);
bool same_shape(const Call *call, int one, int other);

/* Defines an operation and its kernel. The lists end with NULL; attributes are read by the names of their fields. */
void define(const char *name, const char *const *attributes, const char *const *inputs, const char *const *outputs,
            void (*compute)(void *attributes, TF_OpKernelContext *context));

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
