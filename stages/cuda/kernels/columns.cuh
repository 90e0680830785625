// How blocks of 64 channels by 4 rows share out the rows of `[rows, channels]`.
// It must not know what is computed of a column.
#pragma once
#include "types.cuh"

const int CHANNELS_AT_ONCE = 64, ROWS_AT_ONCE = 4;

// A thread's part: rows `first`, `first + 4`, .. below `end` of one channel. Block x is the
// chunk, block y the 64 channels, thread y the first row's place.
struct Rows {
    int channel, first, end;
    bool inside, writes;

    __device__ Rows(int rows, int chunks, int channels) {
        const int per = rows / chunks + (rows % chunks != 0);
        // A chunk beyond the last row would start beyond what an int holds.
        const size_t start = (size_t)blockIdx.x * per;
        const int begin = start < (size_t)rows ? (int)start : rows;
        channel = (int)(blockIdx.y * CHANNELS_AT_ONCE + threadIdx.x);
        end = rows - begin < per ? rows : begin + per;
        first = begin + (int)threadIdx.y;
        inside = channel < channels;
        writes = inside && threadIdx.y == 0;
    }
};

// `(a[0] + a[1]) + (a[2] + a[3])` over the four threads of a channel, for the first of them. All
// threads of the block must call it.
__device__ inline float sum_of_lanes(float value) {
    __shared__ float held[ROWS_AT_ONCE][CHANNELS_AT_ONCE];
    __syncthreads();  // What an earlier call wrote is read by now.
    held[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    const int x = (int)threadIdx.x;
    return (held[0][x] + held[1][x]) + (held[2][x] + held[3][x]);
}
