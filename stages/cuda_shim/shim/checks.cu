// For tests alone: kernels that do what no kernel may, that show what a launch does, and that
// reach what others build on. It must not know networks.
#include "../../cuda/kernels/mma.cuh"
#include "../../cuda/kernels/math.cuh"
#include "../../cuda/kernels/readers.cuh"

// One thread leaves while the others wait.
extern "C" __global__ void faulty_barrier() {
    if (threadIdx.x == 1) return;
    __syncthreads();
}

// Threads of one block wait at two places.
extern "C" __global__ void faulty_barriers() {
    if (threadIdx.x == 1) {
        __syncthreads();
    } else {
        __syncthreads();
    }
}

// Registered as one that never waits.
extern "C" __global__ void faulty_barrier_without_fibres() {
    __syncthreads();
}

// One lane of a warp takes no part in a product.
extern "C" __global__ void faulty_product(float* out) {
    const uint32_t left[2][4] = {}, right[2][2] = {};
    float sums[2][2][4] = {};
    if (threadIdx.x != 1) multiply_tf32(sums, left, right);
    out[threadIdx.x] = sums[0][0][0];
}

// Each thread writes, at its place, the number of its block and of itself.
extern "C" __global__ void indices(uint32_t* blocks, uint32_t* threads) {
    const uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const uint32_t thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const uint32_t at = block * blockDim.x * blockDim.y * blockDim.z + thread;
    blocks[at] = block;
    threads[at] = thread;
}

// Numbers move one place within a block, many times.
extern "C" __global__ void rotate(uint32_t* x, int times) {
    for (int i = 0; i < times; i++) {
        const uint32_t own = x[threadIdx.x];
        __syncthreads();
        x[(threadIdx.x + 1) % blockDim.x] = own;
        __syncthreads();
    }
}

// Shared memory has room for 64 threads.
extern "C" __global__ void faulty_shared(float* out) {
    __shared__ float held[64];
    const float* end = held;
    out[threadIdx.x] = end[threadIdx.x];
}

extern "C" __global__ void quotients(const int* a, int by, int len, int* out) {
    const Divisor divisor(by);
    for (size_t i = first_index(); i < (size_t)len; i += index_step()) {
        out[i] = divisor.quotient(a[i]);
    }
}

extern "C" __global__ void functions(const float* x, int len, float* exponentials,
                                     float* logarithms) {
    for (size_t i = first_index(); i < (size_t)len; i += index_step()) {
        exponentials[i] = exponential(x[i]);
        logarithms[i] = logarithm(x[i]);
    }
}
