// Batch normalisation forward: statistics, moving statistics, and what is fused with applying it.
// It must not know whether rows are pixels or images.
#include "types.cuh"
#include "columns.cuh"

namespace batch_norm {

// Mean and sum of squared distances from it, over some rows of a channel.
struct Moments {
    float rows, mean, squares;
};

// Chan, Golub & LeVeque's merge, as nn::reference::norm::Moments.
__device__ inline Moments merged(Moments a, Moments b) {
    if (b.rows == 0.0f) return a;
    if (a.rows == 0.0f) return b;
    const float total = a.rows + b.rows, share = b.rows / total, d = b.mean - a.mean;
    return {total, fmaf(d, share, a.mean), fmaf(d * d, a.rows * share, a.squares + b.squares)};
}

// Rows that a thread holds at once, to find their mean before it squares distances.
const int HELD = 8;

__device__ inline Moments moments_of(const float* x, int channels, const Rows& part) {
    Moments all = {0.0f, 0.0f, 0.0f};
    if (!part.inside) return all;
    for (int start = part.first; start < part.end; start += HELD * ROWS_AT_ONCE) {
        float held[HELD];
        int count = 0;
        float sum = 0.0f;
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            // Below `end` first: the row after the last could be beyond an int.
            const bool there = i * ROWS_AT_ONCE < part.end - start;
            const size_t row = (size_t)(start + i * ROWS_AT_ONCE);
            held[i] = there ? x[row * channels + part.channel] : 0.0f;
            count += there;
            sum += held[i];
        }
        Moments some = {(float)count, sum / (float)count, 0.0f};
#pragma unroll
        for (int i = 0; i < HELD; i++) {
            const float d = held[i] - some.mean;
            if (i < count) some.squares = fmaf(d, d, some.squares);
        }
        all = merged(all, some);
        if (part.end - start <= HELD * ROWS_AT_ONCE) break;
    }
    return all;
}

// `fma(x - mean, weight * inv_std, bias)`.
__device__ inline float normalized(float x, const float* mean, const float* inv_std,
                                   const float* weight, const float* bias, int c) {
    return fmaf(x - mean[c], weight[c] * inv_std[c], bias[c]);
}

}  // namespace batch_norm

// Count, mean and sum of squared distances of a chunk's rows; all 0 for a chunk without rows.
extern "C" __global__ void norm_partial(const float* x, int rows, int channels, int chunks,
                                        float* partial) {
    __shared__ batch_norm::Moments held[ROWS_AT_ONCE][CHANNELS_AT_ONCE];
    const Rows part(rows, chunks, channels);
    held[threadIdx.y][threadIdx.x] = batch_norm::moments_of(x, channels, part);
    __syncthreads();
    if (!part.writes) return;
    const int lane = (int)threadIdx.x;
    const batch_norm::Moments all =
        batch_norm::merged(batch_norm::merged(held[0][lane], held[1][lane]),
                           batch_norm::merged(held[2][lane], held[3][lane]));
    float* out = partial + ((size_t)blockIdx.x * channels + part.channel) * 3;
    out[0] = all.rows;
    out[1] = all.mean;
    out[2] = all.squares;
}

// Merges the chunks in order, in double. One without rows has no share; the first has some.
extern "C" __global__ void norm_finish(const float* partial, int chunks, int channels,
                                       float epsilon, float* mean, float* variance,
                                       float* inv_std) {
    for (size_t c = first_index(); c < (size_t)channels; c += index_step()) {
        double rows = 0.0, middle = 0.0, squares = 0.0;
        for (int chunk = 0; chunk < chunks; chunk++) {
            const float* in = partial + ((size_t)chunk * channels + c) * 3;
            const double total = rows + in[0], share = in[0] / total, d = in[1] - middle;
            middle += d * share;
            squares = squares + in[2] + d * d * (rows * share);
            rows = total;
        }
        const float spread = (float)(squares / rows);
        mean[c] = (float)middle;
        variance[c] = spread;
        inv_std[c] = 1.0f / sqrtf(spread + epsilon);
    }
}

// Nothing moves once a step has stopped the run.
extern "C" __global__ void update_moving(float* moving, const float* batch, int len,
                                         float momentum, const int* stop) {
    if (*stop != 0) return;
    for (size_t i = first_index(); i < (size_t)len; i += index_step()) {
        moving[i] = fmaf(moving[i], momentum, (1.0f - momentum) * batch[i]);
    }
}

extern "C" __global__ void inverse_deviation(const float* variance, int channels, float epsilon,
                                             float* inv_std) {
    for (size_t c = first_index(); c < (size_t)channels; c += index_step()) {
        inv_std[c] = 1.0f / sqrtf(variance[c] + epsilon);
    }
}

// Mode 0: norm; 1: then ReLU; 2: plus `added`, ReLU; 3: plus the second norm of `added`, ReLU.
extern "C" __global__ void norm_apply(const float* x, const float* mean, const float* inv_std,
                                      const float* weight, const float* bias, int rows,
                                      int channels, int mode, const float* added,
                                      const float* mean2, const float* inv_std2,
                                      const float* weight2, const float* bias2, float* y) {
    for (Walk at(channels); at.row < rows; at.next()) {
        const int c = at.column;
        float value = batch_norm::normalized(x[at.index], mean, inv_std, weight, bias, c);
        if (mode == 2) value += added[at.index];
        if (mode == 3) {
            value += batch_norm::normalized(added[at.index], mean2, inv_std2, weight2, bias2, c);
        }
        // Not a maximum: a NaN must stay one.
        y[at.index] = mode != 0 && value < 0.0f ? 0.0f : value;
    }
}
