// How a convolution's operands are brought from memory, as matrices that exist nowhere.
// It must not know precisions or shared memory.
//
// Neighbouring lanes read neighbouring numbers: where those are of neighbouring k's, a lane keeps
// its place in k and has several columns; else it keeps its column and has several k's.
#pragma once
#include "types.cuh"
#include "tile.cuh"

// Division of numbers below 2^31 by one number, without dividing.
struct Divisor {
    uint32_t value;
    uint64_t inverse;  // 2^32 / value, rounded up: a quotient by it is right or one too large

    __device__ explicit Divisor(int by) : value((uint32_t)by) {
        inverse = (((uint64_t)1 << 32) + value - 1) / value;
    }

    __device__ int quotient(int a) const {
        const uint32_t q = (uint32_t)((uint32_t)a * inverse >> 32);
        return (int)((uint64_t)q * value > (uint32_t)a ? q - 1 : q);
    }
};

// A lane keeps its k.
struct AlongK {
    __device__ static int k(int) {
        return (int)(threadIdx.x % 8 + threadIdx.x / 32 % 2 * 8);
    }
    __device__ static int column(int i) {
        return (int)(threadIdx.x % 32 / 8 + threadIdx.x / 64 * 4) + 16 * i;
    }
};

// A lane keeps its column.
struct AlongColumns {
    __device__ static int k(int i) {
        return (int)(threadIdx.x / TILE) + THREADS / TILE * i;
    }
    __device__ static int column(int) {
        return (int)threadIdx.x % TILE;
    }
};

// `[k][column]` as it lies in memory.
struct Matrix : AlongColumns {
    const float* from;
    int end, columns, own;

    __device__ Matrix(const float* matrix, int k_end, int of_columns, int first)
        : from(matrix), end(k_end), columns(of_columns), own(first + column(0)) {}

    __device__ void fetch(int start, float (&held)[EACH]) const {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int at = start + k(i);
            const bool there = at < end && own < columns;
            held[i] = there ? from[(size_t)at * columns + own] : 0.0f;
        }
    }
};

// A pixel of some image, as a column that a lane keeps: `image` is its image's first number, null
// beyond the last image.
struct Pixel {
    const float* image;
    int y, x;
};

// What output pixels see of the input: a column is an output pixel, k is (tap, input).
struct Windows : AlongK {
    Divisor inputs;
    int end, size, kernel;
    Pixel corners[EACH];  // of the first tap

    __device__ Windows(const ConvShape& shape, const float* from, int first)
        : inputs(shape.inputs), size(shape.size), kernel(shape.kernel) {
        end = kernel * kernel * shape.inputs;
        const int out = shape.out_size, pad = kernel / 2;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int pixel = first + column(i), image = pixel / (out * out);
            const bool there = image < shape.n;
            corners[i].image = there ? from + (size_t)image * size * size * shape.inputs : nullptr;
            corners[i].y = pixel / out % out * shape.stride - pad;
            corners[i].x = pixel % out * shape.stride - pad;
        }
    }

    __device__ void fetch(int start, float (&held)[EACH]) const {
        const int at = start + k(0), tap = inputs.quotient(at);
        const int input = at - tap * (int)inputs.value;
        const int down = tap / kernel, right = tap - down * kernel;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int y = corners[i].y + down, x = corners[i].x + right;
            const bool there = at < end && corners[i].image != nullptr && y >= 0 && y < size &&
                               x >= 0 && x < size;
            const size_t source = ((size_t)y * size + x) * inputs.value + input;
            held[i] = there ? corners[i].image[source] : 0.0f;
        }
    }
};

// In which order an input gradient's rows are pixels, and through which taps a tile looks.
//
// With stride 2 a pixel is seen only through the taps of its own parity: of 9 through 1, 2 or 4.
// So rows are pixels of one parity after another, and a tile of one parity leaves out other taps.
struct Seen {
    int size, half, area, rows;
    bool by_parity;
    int kernel, first_y, first_x, step, across, taps;

    __device__ Seen(const ConvShape& shape, int first_row)
        : size(shape.size), half(shape.size / 2), area(shape.n * half * half),
          rows(shape.n * size * size), by_parity(shape.stride == 2 && size % 2 == 0),
          kernel(shape.kernel), first_y(0), first_x(0), step(1), across(kernel),
          taps(kernel * kernel) {
        if (!by_parity) return;
        const int parity = first_row / area, last = smaller(first_row + TILE, rows) - 1;
        if (last / area != parity) return;
        first_y = (parity / 2 + kernel / 2) % 2;
        first_x = (parity % 2 + kernel / 2) % 2;
        step = 2;
        across = (kernel - first_x + 1) / 2;
        taps = (kernel - first_y + 1) / 2 * across;
        // What is divided by, also where there is no tap at all.
        if (across == 0) across = 1;
    }

    // The pixel of a row, counted over all images.
    __device__ int pixel(int row) const {
        if (!by_parity) return row;
        const int parity = row / area, place = row % area, image = place / (half * half);
        const int y = place / half % half * 2 + parity / 2, x = place % half * 2 + parity % 2;
        return (image * size + y) * size + x;
    }

    __device__ int down(int tap) const {
        return first_y + tap / across * step;
    }
    __device__ int right(int tap) const {
        return first_x + tap % across * step;
    }
};

// Weights of an input gradient: k is (tap, output), a column is an input.
struct TurnedWeights : AlongK {
    const float* from;
    Seen seen;
    Divisor outputs;
    int inputs, first;

    __device__ TurnedWeights(const ConvShape& shape, const Seen& through, const float* w,
                             int first_column)
        : from(w), seen(through), outputs(shape.outputs), inputs(shape.inputs),
          first(first_column) {}

    __device__ void fetch(int start, float (&held)[EACH]) const {
        const int at = start + k(0), tap = outputs.quotient(at);
        const int output = at - tap * (int)outputs.value;
        const int place = seen.down(tap) * seen.kernel + seen.right(tap);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int input = first + column(i);
            const bool there = tap < seen.taps && input < inputs;
            const size_t source = ((size_t)place * inputs + input) * outputs.value + output;
            held[i] = there ? from[source] : 0.0f;
        }
    }
};

// The output gradients that see an input pixel: a column is an input pixel, k is (tap, output).
struct Seers : AlongK {
    Seen seen;
    Divisor outputs;
    int out, stride;
    Pixel pixels[EACH];  // shifted by the padding

    __device__ Seers(const ConvShape& shape, const Seen& through, const float* from, int first)
        : seen(through), outputs(shape.outputs), out(shape.out_size), stride(shape.stride) {
        const int size = shape.size, pad = shape.kernel / 2;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int row = first + column(i), pixel = seen.pixel(row);
            const bool there = row < seen.rows;
            const size_t image = pixel / (size * size);
            pixels[i].image = there ? from + image * out * out * shape.outputs : nullptr;
            pixels[i].y = pixel / size % size + pad;
            pixels[i].x = pixel % size + pad;
        }
    }

    // Of k's.
    __device__ int end() const {
        return seen.taps * (int)outputs.value;
    }

    __device__ void fetch(int start, float (&held)[EACH]) const {
        const int at = start + k(0), tap = outputs.quotient(at);
        const int output = at - tap * (int)outputs.value;
        const int down = seen.down(tap), right = seen.right(tap);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            int y = pixels[i].y - down, x = pixels[i].x - right;
            bool there = tap < seen.taps && pixels[i].image != nullptr && y >= 0 && x >= 0;
            if (stride == 2) {
                // An input pixel between two windows' corners is not seen through this tap.
                there = there && y % 2 == 0 && x % 2 == 0;
                y /= 2;
                x /= 2;
            }
            there = there && y < out && x < out;
            const size_t source = ((size_t)y * out + x) * outputs.value + output;
            held[i] = there ? pixels[i].image[source] : 0.0f;
        }
    }
};

// What output pixels see of the input, turned: a column is (tap, input), k is an output pixel.
struct TurnedWindows : AlongColumns {
    const float* from;
    Divisor area, line;
    int end, size, inputs, stride, down, right, input;
    bool inside;

    __device__ TurnedWindows(const ConvShape& shape, const float* x, int k_end, int first)
        : from(x), area(shape.out_size * shape.out_size), line(shape.out_size), end(k_end),
          size(shape.size), inputs(shape.inputs), stride(shape.stride) {
        const int own = first + column(0), tap = own / inputs, pad = shape.kernel / 2;
        inside = tap < shape.kernel * shape.kernel;
        input = own % inputs;
        down = tap / shape.kernel - pad;
        right = tap % shape.kernel - pad;
    }

    __device__ void fetch(int start, float (&held)[EACH]) const {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int pixel = start + k(i);
            const int image = area.quotient(pixel), place = pixel - image * (int)area.value;
            const int row = line.quotient(place), column = place - row * (int)line.value;
            const int y = row * stride + down, x = column * stride + right;
            const bool there =
                inside && pixel < end && y >= 0 && y < size && x >= 0 && x < size;
            const size_t source = ((size_t)image * size + y) * size + x;
            held[i] = there ? from[source * inputs + input] : 0.0f;
        }
    }
};
