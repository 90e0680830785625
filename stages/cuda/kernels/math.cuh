// Exponential and logarithm with the bits of `nn::math`'s.
// It must not know who needs them.
//
// CUDA's own differ from those in the last bits, and between its versions. The constants are
// Cephes' (S. Moshier), the order of operations is that of stages/nn/src/math.rs.
#pragma once
#include "types.cuh"

// 2^n for n in -126..=127.
__device__ inline float power_of_two(int n) {
    return __uint_as_float((uint32_t)(n + 127) << 23);
}

// Within 2 ulp; 0 below about -104, infinite above about 88.72, NaN for NaN.
__device__ inline float exponential(float x) {
    // 1.5 * 2^23: adding it rounds a small number to an integer, ties to even.
    const float round = 12582912.0f;
    if (x != x) return x;
    if (x > 88.72284f) return __uint_as_float(0x7f800000u);
    if (x < -104.0f) return 0.0f;
    const float n = fmaf(x, 1.44269504088896341f, round) - round;
    const float r = fmaf(n, 2.1219444e-4f, fmaf(n, -0.6933594f, x));
    float p = 1.9875691e-4f;
    p = fmaf(p, r, 1.3982e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 1.6666665e-1f);
    p = fmaf(p, r, 0.5f);
    const float y = fmaf(p, r * r, r) + 1.0f;
    // Two factors, so that neither leaves the normal range where the product does not.
    const int exponent = (int)n;
    return y * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
}

// Within 2 ulp, for positive normal numbers: softmax's sums are at least 1. NaN for NaN.
__device__ inline float logarithm(float x) {
    if (!(x < __uint_as_float(0x7f800000u))) return x;
    const uint32_t bits = __float_as_uint(x);
    int exponent = (int)(bits >> 23) - 126;
    // The mantissa in [0.5, 1), then in [sqrt(1/2), sqrt(2)).
    float m = __uint_as_float((bits & 0x007fffffu) | 0x3f000000u);
    if (m < 0.70710678118654752f) {
        exponent -= 1;
        m += m;
    }
    const float e = (float)exponent;
    const float r = m - 1.0f;
    const float z = r * r;
    float p = 7.0376836e-2f;
    p = fmaf(p, r, -1.151461e-1f);
    p = fmaf(p, r, 1.1676999e-1f);
    p = fmaf(p, r, -1.2420141e-1f);
    p = fmaf(p, r, 1.4249323e-1f);
    p = fmaf(p, r, -1.6668058e-1f);
    p = fmaf(p, r, 2.0000715e-1f);
    p = fmaf(p, r, -2.4999994e-1f);
    p = fmaf(p, r, 0.3333333f);
    float y = fmaf(e, -2.1219444e-4f, p * r * z);
    y = fmaf(z, -0.5f, y);
    return fmaf(e, 0.6933594f, r + y);
}
