// Max pool behind a batch norm, global average pool with dropout behind it, and their gradients.
// It must not know networks, or when dropout is wanted.
#include "types.cuh"
#include "random.cuh"

namespace pool {

// What inverted dropout makes of number `i` of a batch: forward and backward alike.
__device__ inline float dropped(float value, const StepConstants* constants, const int* cursor,
                                float rate, size_t i) {
    if (!(rate > 0.0f)) return value;
    const bool keep = uniform_at(constants[*cursor].dropout_key, i) >= rate;
    return keep ? value * (1.0f / (1.0f - rate)) : 0.0f;
}

}  // namespace pool

// The first of a window's largest wins; a window's ReLU is its winner's.
extern "C" __global__ void max_pool(const float* x, const float* mean, const float* inv_std,
                                    const float* weight, const float* bias, int n, int size,
                                    int channels, float* y, uint8_t* winners) {
    const int half = size / 2;
    for (Walk at(channels); at.row < n * half * half; at.next()) {
        const int image = at.row / (half * half);
        const int row = at.row / half % half, column = at.row % half;
        const int c = at.column;
        const float scale = weight[c] * inv_std[c];
        float largest = 0.0f;
        int winner = 0;
        for (int i = 0; i < 4; i++) {
            const size_t pixel =
                ((size_t)image * size + 2 * row + i / 2) * size + 2 * column + i % 2;
            const float value = fmaf(x[pixel * channels + c] - mean[c], scale, bias[c]);
            if (i == 0 || value > largest) {
                largest = value;
                winner = i;
            }
        }
        y[at.index] = largest < 0.0f ? 0.0f : largest;
        winners[at.index] = (uint8_t)winner;
    }
}

extern "C" __global__ void max_pool_gradient(const float* dy, const float* y,
                                             const uint8_t* winners, int n, int size, int channels,
                                             float* g) {
    const int half = size / 2;
    for (Walk at(channels); at.row < n * size * size; at.next()) {
        const int image = at.row / (size * size);
        const int row = at.row / size % size, column = at.row % size;
        float value = 0.0f;
        // An odd last row or column is in no window.
        if (row / 2 < half && column / 2 < half) {
            const size_t window = ((size_t)image * half + row / 2) * half + column / 2;
            const size_t i = window * channels + at.column;
            const int place = row % 2 * 2 + column % 2;
            if (winners[i] == place && y[i] > 0.0f) value = dy[i];
        }
        g[at.index] = value;
    }
}

extern "C" __global__ void average_pool(const float* x, int n, int pixels, int channels,
                                        const StepConstants* constants, const int* cursor,
                                        float rate, float* features) {
    for (Walk at(channels); at.row < n; at.next()) {
        const float* image = x + (size_t)at.row * pixels * channels + at.column;
        float sum = 0.0f;
        for (int p = 0; p < pixels; p++) sum += image[(size_t)p * channels];
        features[at.index] =
            pool::dropped(sum / (float)pixels, constants, cursor, rate, at.index);
    }
}

extern "C" __global__ void average_pool_gradient(const float* dfeatures, int n, int pixels,
                                                 int channels, const StepConstants* constants,
                                                 const int* cursor, float rate, float* dx) {
    for (Walk at(channels); at.row < n; at.next()) {
        const float g = pool::dropped(dfeatures[at.index], constants, cursor, rate, at.index);
        float* image = dx + (size_t)at.row * pixels * channels + at.column;
        for (int p = 0; p < pixels; p++) image[(size_t)p * channels] = g / (float)pixels;
    }
}
