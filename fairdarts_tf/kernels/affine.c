#include "affine.h"

static bool one_for_each_edge(const Call *call, int gamma, int edges) { return elements(call, gamma) == edges; }

void check_affine(Call *call, int gamma, int edges, int channels) {
    int64_t of_gamma = elements(call, gamma), of_beta = elements(call, gamma + 1), all = (int64_t)edges * channels;
    bool fits = (of_gamma == 0 || of_gamma == edges || of_gamma == all) && (of_beta == 0 || of_beta == all);
    if (!fits) refuse(call, "the shapes of gamma and beta do not fit");
}

Affine affine_of(const Call *call, int gamma, int edge, int edges, int channels) {
    Affine affine = {optional(call, gamma), optional(call, gamma + 1), one_for_each_edge(call, gamma, edges)};
    if (affine.gamma) affine.gamma += (long)edge * (affine.one_gamma ? 1 : channels);
    if (affine.beta) affine.beta += (long)edge * channels;
    return affine;
}

void write_affine_gradients(Call *call, int gamma, int of_gamma, int edge, int edges, int channels,
                            const float *rows, const float *of_rows, float epsilon) {
    bool one = one_for_each_edge(call, gamma, edges);
    float *to_gamma = optional(call, gamma) ? call->outputs[of_gamma] + (long)edge * (one ? 1 : channels) : NULL;
    float *to_beta = optional(call, gamma + 1) ? call->outputs[of_gamma + 1] + (long)edge * channels : NULL;
    affine_gradients(rows, of_rows, epsilon, channels, one, to_gamma, to_beta);
}
