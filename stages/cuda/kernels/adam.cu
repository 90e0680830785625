// Adam's update of a flat vector of parameters.
// It must not know layers or learning-rate schedules.
#include "types.cuh"

// The formula of nn::reference::adam::update; nothing changes once a step has stopped the run.
extern "C" __global__ void adam_update(float* w, float* m, float* v, const float* g, int len,
                                       const StepConstants* constants, const int* cursor,
                                       AdamConstants adam, const int* stop) {
    if (*stop != 0) return;
    const float rate = constants[*cursor].rate;
    for (size_t i = first_index(); i < (size_t)len; i += index_step()) {
        const float first = fmaf(g[i] - m[i], adam.one_minus_beta1, m[i]);
        const float second = fmaf(g[i] * g[i] - v[i], adam.one_minus_beta2, v[i]);
        m[i] = first;
        v[i] = second;
        w[i] = w[i] - (rate * first) / (sqrtf(second) + adam.epsilon);
    }
}
