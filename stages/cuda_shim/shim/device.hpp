// What CUDA C++ has beyond C++, so that kernels compile for the CPU: keywords, indices, barriers.
// It must not know kernels, or how threads take turns.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#define CUDA_SHIM 1
#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
// One block runs at a time on an OS thread, so what is static is a block's own. AddressSanitizer
// guards the ends only of what all threads share; there a lock lets one launch run at a time.
#ifdef SHIM_SANITIZE
#define __shared__ static
#else
#define __shared__ static thread_local
#endif
#define __syncthreads() shim::wait(shim::State::Barrier, __LINE__)

struct Index {
    unsigned x, y, z;
};
static thread_local Index threadIdx, blockIdx, blockDim, gridDim;

static inline uint32_t __float_as_uint(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float __uint_as_float(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

namespace shim {

// What a thread of a block is about.
enum class State { Running, Barrier, Tf32, Bf16, Done };

// Lets the other threads run until they wait alike. `line` tells apart barriers of the source.
static void wait(State state, int line);

}  // namespace shim
