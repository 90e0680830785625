// Sums over chunks and over rows, in an order that no schedule changes.
// It must not know what is summed.
#include "types.cuh"
#include "columns.cuh"

// `out[i] = partial[0][i] + partial[1][i] + ..`, in order of chunks.
extern "C" __global__ void sum_chunks(const float* partial, int chunks, int len, float* out) {
    for (size_t i = first_index(); i < (size_t)len; i += index_step()) {
        float sum = partial[i];
        for (int chunk = 1; chunk < chunks; chunk++) sum += partial[(size_t)chunk * len + i];
        out[i] = sum;
    }
}

// Sums of a chunk's rows, one a channel; 0 for a chunk without rows.
extern "C" __global__ void column_sums(const float* x, int rows, int channels, int chunks,
                                       float* partial) {
    const Rows part(rows, chunks, channels);
    float sum = 0.0f;
    if (part.inside) {
        for (int row = part.first; row < part.end; row += ROWS_AT_ONCE) {
            sum += x[(size_t)row * channels + part.channel];
        }
    }
    sum = sum_of_lanes(sum);
    if (part.writes) partial[(size_t)blockIdx.x * channels + part.channel] = sum;
}
