// The tensor cores' products of 16 x 8 matrices, four at once, and the rounding of their operands.
// It must not know where matrices lie in memory.
//
// A warp computes together: each of its 32 lanes holds parts of the operands and of the sums, as
// the PTX manual lays out for `mma.m16n8k8` and `mma.m16n8k16`. With `group = lane / 4` and
// `place = lane % 4` a lane holds
//   of the left operand, by 32-bit words:  (row, k) = (group, place), (group + 8, place),
//                                          (group, place + 4), (group + 8, place + 4);
//   of the right one:                      (k, column) = (place, group), (place + 4, group);
//   of the sums:  (row, column) = (group, 2 * place), (group, 2 * place + 1), and so group + 8.
// A word is a number in tf32, or numbers 2k (its low half) and 2k + 1 in bf16.
#pragma once
#include "types.cuh"

// To the nearest of tf32's numbers (10 stored bits), away from zero where two are as near.
__device__ inline uint32_t tf32_bits(float x) {
#ifdef CUDA_SHIM
    return shim::tf32_bits(x);
#else
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
#endif
}

// To the nearest of bf16's numbers (7 stored bits), the even one where two are as near.
__device__ inline uint16_t bf16_bits(float x) {
    const uint32_t bits = __float_as_uint(x);
    // Rounding would carry some NaNs into infinity.
    if (x != x) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// `sums[i][j] += left[i] * right[j]`, 32 rows by 16 columns in all, with 8 k's. All lanes of a warp
// must call it.
__device__ inline void multiply_tf32(float (&sums)[2][2][4], const uint32_t (&left)[2][4],
                                     const uint32_t (&right)[2][2]) {
#ifdef CUDA_SHIM
    shim::multiply_tf32(sums, left, right);
#else
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
            float(&s)[4] = sums[i][j];
            asm volatile(
                "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
                : "r"(left[i][0]), "r"(left[i][1]), "r"(left[i][2]), "r"(left[i][3]),
                  "r"(right[j][0]), "r"(right[j][1]));
        }
    }
#endif
}

// The same with 16 k's, two in a word.
__device__ inline void multiply_bf16(float (&sums)[2][2][4], const uint32_t (&left)[2][4],
                                     const uint32_t (&right)[2][2]) {
#ifdef CUDA_SHIM
    shim::multiply_bf16(sums, left, right);
#else
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
            float(&s)[4] = sums[i][j];
            asm volatile(
                "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
                : "r"(left[i][0]), "r"(left[i][1]), "r"(left[i][2]), "r"(left[i][3]),
                  "r"(right[j][0]), "r"(right[j][1]));
        }
    }
#endif
}
