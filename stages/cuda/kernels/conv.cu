// Convolution forward and backward as products of matrices that are never built: implicit GEMM.
// It must not know which layer it serves.
//
// Each kernel computes a 64 x 64 tile of a product with 256 threads. In f32 a result is a chain
// `acc = fma(a, b, acc)` over k in order, from the bias or from what is carried.
#include "types.cuh"
#include "tile.cuh"
#include "readers.cuh"

namespace conv {

// Rows are output pixels, columns outputs, k is (tap, input).
template <class Tile>
__device__ void forward(const ConvShape& shape, const float* x, const float* w, const float* bias,
                        float* y) {
    const int first_row = (int)blockIdx.x * TILE, first_column = (int)blockIdx.y * TILE;
    const int rows = shape.n * shape.out_size * shape.out_size, columns = shape.outputs;
    const Windows left(shape, x, first_row);
    const Matrix right(w, left.end, columns, first_column);
    Tile tile;
    tile.each([&](int, int column, float& sum) {
        const bool there = bias != nullptr && first_column + column < columns;
        sum = there ? bias[first_column + column] : 0.0f;
    });
    multiply_tiles(tile, left, right, 0, left.end, rows - first_row, columns - first_column);
    tile.each([&](int row, int column, float& sum) {
        row += first_row;
        column += first_column;
        if (row < rows && column < columns) y[(size_t)row * columns + column] = sum;
    });
}

// Rows are input pixels, in the order that `Seen` says; columns inputs, k is (tap, output).
template <class Tile>
__device__ void input_gradient(const ConvShape& shape, const float* dy, const float* w, float* dx,
                               int carry) {
    const int first_row = (int)blockIdx.x * TILE, first_column = (int)blockIdx.y * TILE;
    const Seen seen(shape, first_row);
    const int rows = seen.rows, columns = shape.inputs;
    const Seers left(shape, seen, dy, first_row);
    const TurnedWeights right(shape, seen, w, first_column);
    Tile tile;
    tile.each([&](int row, int column, float& sum) {
        row += first_row;
        column += first_column;
        const bool there = carry != 0 && row < rows && column < columns;
        sum = there ? dx[(size_t)seen.pixel(row) * columns + column] : 0.0f;
    });
    multiply_tiles(tile, left, right, 0, left.end(), rows - first_row, columns - first_column);
    tile.each([&](int row, int column, float& sum) {
        row += first_row;
        column += first_column;
        if (row < rows && column < columns) {
            dx[(size_t)seen.pixel(row) * columns + column] = sum;
        }
    });
}

// Rows are (tap, input), columns outputs, k is an output pixel of chunk `blockIdx.z`; 0 for a
// chunk without pixels.
template <class Tile>
__device__ void weight_gradient(const ConvShape& shape, const float* x, const float* dy,
                                int chunks, float* partial) {
    const int first_row = (int)blockIdx.x * TILE, first_column = (int)blockIdx.y * TILE;
    const int rows = shape.kernel * shape.kernel * shape.inputs, columns = shape.outputs;
    const int pixels = shape.n * shape.out_size * shape.out_size;
    const int share = pixels / chunks + (pixels % chunks != 0), per = (share + 31) / 32 * 32;
    // A chunk beyond the last pixel would start beyond what an int holds.
    const size_t start = (size_t)blockIdx.z * per;
    const int begin = start < (size_t)pixels ? (int)start : pixels;
    const int end = pixels - begin < per ? pixels : begin + per;
    const TurnedWindows left(shape, x, end, first_row);
    const Matrix right(dy, end, columns, first_column);
    Tile tile;
    tile.each([](int, int, float& sum) { sum = 0.0f; });
    multiply_tiles(tile, left, right, begin, end, rows - first_row, columns - first_column);
    float* out = partial + (size_t)blockIdx.z * rows * columns;
    tile.each([&](int row, int column, float& sum) {
        row += first_row;
        column += first_column;
        if (row < rows && column < columns) out[(size_t)row * columns + column] = sum;
    });
}

}  // namespace conv

#define CONV_KERNELS(suffix, Tile)                                                                \
    extern "C" __global__ void __launch_bounds__(256) conv_forward_##suffix(                      \
        ConvShape shape, const float* x, const float* w, const float* bias, float* y) {           \
        conv::forward<Tile>(shape, x, w, bias, y);                                                \
    }                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) conv_input_gradient_##suffix(               \
        ConvShape shape, const float* dy, const float* w, float* dx, int carry) {                 \
        conv::input_gradient<Tile>(shape, dy, w, dx, carry);                                      \
    }                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) conv_weight_gradient_##suffix(              \
        ConvShape shape, const float* x, const float* dy, int chunks, float* partial) {           \
        conv::weight_gradient<Tile>(shape, x, dy, chunks, partial);                               \
    }

CONV_KERNELS(f32, Single)
CONV_KERNELS(tf32, Tf32)
CONV_KERNELS(bf16, Bf16)
