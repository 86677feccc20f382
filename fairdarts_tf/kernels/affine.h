/* Gamma and beta of several edges as inputs of an operation: none, one gamma for each edge, or one for each channel. */

#ifndef FAIRDARTS_TF_AFFINE_H
#define FAIRDARTS_TF_AFFINE_H

#include "calls.h"
#include "normalization.h"

/* Refuses inputs of other sizes. Beta follows gamma. */
void check_affine(Call *call, int gamma, int edges, int channels);

Affine affine_of(const Call *call, int gamma, int edge, int edges, int channels);

/* Writes an edge's gradients in gamma and beta to the outputs `of_gamma` and the one after it, shaped as the inputs. */
void write_affine_gradients(Call *call, int gamma, int of_gamma, int edge, int edges, int channels,
                            const float *rows, const float *of_rows, float epsilon);

#endif
