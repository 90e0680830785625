// Batch normalisation backward, through the ReLU after it where there is one.
// It must not know what else the gradient flows to.
#include "types.cuh"
#include "columns.cuh"

namespace norm_gradient {

// The gradient behind ReLU, whose output is `y`; without ReLU `y` is null.
__device__ inline float rectified(const float* dy, const float* y, size_t i) {
    return y == nullptr || y[i] > 0.0f ? dy[i] : 0.0f;
}

}  // namespace norm_gradient

// Sum of g and sum of g * (x - mean) over a chunk's rows; both 0 for a chunk without rows.
extern "C" __global__ void norm_gradient_partial(const float* x, const float* dy, const float* y,
                                                 const float* mean, int rows, int channels,
                                                 int chunks, float* partial) {
    const Rows part(rows, chunks, channels);
    float level = 0.0f, slope = 0.0f;
    if (part.inside) {
        const float middle = mean[part.channel];
        for (int row = part.first; row < part.end; row += ROWS_AT_ONCE) {
            const size_t i = (size_t)row * channels + part.channel;
            const float g = norm_gradient::rectified(dy, y, i);
            level += g;
            slope = fmaf(g, x[i] - middle, slope);
        }
    }
    level = sum_of_lanes(level);
    slope = sum_of_lanes(slope);
    if (!part.writes) return;
    float* out = partial + ((size_t)blockIdx.x * channels + part.channel) * 2;
    out[0] = level;
    out[1] = slope;
}

// Adds the chunks in order, in double, and derives what `norm_gradient_apply` needs of a channel.
extern "C" __global__ void norm_gradient_finish(const float* partial, int chunks, int rows,
                                                int channels, const float* inv_std, float* dweight,
                                                float* dbias, float* slope, float* level) {
    for (size_t c = first_index(); c < (size_t)channels; c += index_step()) {
        double s1 = 0.0, s2 = 0.0;
        for (int chunk = 0; chunk < chunks; chunk++) {
            const float* in = partial + ((size_t)chunk * channels + c) * 2;
            s1 += in[0];
            s2 += in[1];
        }
        dbias[c] = (float)s1;
        dweight[c] = (float)s2 * inv_std[c];
        slope[c] = (float)(s2 / rows) * inv_std[c] * inv_std[c];
        level[c] = (float)(s1 / rows);
    }
}

// `dx` or `through` may be the same array as `dy`: each number is read before it is written.
extern "C" __global__ void norm_gradient_apply(const float* x, const float* dy, const float* y,
                                               const float* mean, const float* inv_std,
                                               const float* weight, const float* slope,
                                               const float* level, int rows, int channels,
                                               float* dx, float* through) {
    for (Walk at(channels); at.row < rows; at.next()) {
        const int c = at.column;
        const float g = norm_gradient::rectified(dy, y, at.index);
        const float d = x[at.index] - mean[c];
        dx[at.index] = fmaf(-d, slope[c], g - level[c]) * (weight[c] * inv_std[c]);
        if (through != nullptr) through[at.index] = g;
    }
}
