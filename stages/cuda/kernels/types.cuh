// Fixed-width types, the arguments that are structs, and walks over arrays for all kernels.
// It must not know any operation.
//
// All kernels say themselves where a product and a sum are fused; NVRTC must get `--fmad=false`,
// or results lose the bits of nn::reference's where they could have them.
#pragma once

// NVRTC has no system headers; the CPU shim brings <cstdint> itself.
#ifdef __CUDACC_RTC__
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#endif

// `n` square images of `size` rows, padded by kernel / 2.
struct ConvShape {
    int n, size, inputs, out_size, outputs, kernel, stride;
};

// What differs from one optimiser step to the next.
struct StepConstants {
    uint32_t dropout_key[2];
    float rate;
};

// What all optimiser steps share.
struct AdamConstants {
    float one_minus_beta1, one_minus_beta2, epsilon;
};

// This thread's first index in a walk over an array by all threads of a one-dimensional grid.
__device__ inline size_t first_index() {
    return (size_t)blockIdx.x * blockDim.x + threadIdx.x;
}

// How far apart a thread's indices are in that walk.
__device__ inline size_t index_step() {
    return (size_t)gridDim.x * blockDim.x;
}

// That walk over `[rows, columns]`, which knows row and column without a division at each number.
struct Walk {
    size_t index, step;
    int row, column, row_step, column_step, columns;

    __device__ explicit Walk(int of_columns) : columns(of_columns) {
        index = first_index();
        step = index_step();
        row = (int)(index / columns);
        column = (int)(index % columns);
        row_step = (int)(step / columns);
        column_step = (int)(step % columns);
    }

    __device__ void next() {
        index += step;
        row += row_step;
        column += column_step;
        if (column >= columns) {
            column -= columns;
            row += 1;
        }
    }
};

__device__ inline int smaller(int a, int b) {
    return a < b ? a : b;
}
