// What a warp computes together: the tensor cores' products, on fragments laid out as in PTX.
// It must not know when all lanes have come.
#pragma once
#include "device.hpp"

namespace shim {

constexpr unsigned LANES = 32;

// What the lanes of a warp bring to a product, and take from it.
struct Exchange {
    uint32_t left[LANES][4], right[LANES][2];
    float sums[LANES][4];
};

// The running thread's exchange and its lane in it.
static thread_local Exchange* exchange;
static thread_local unsigned lane;

// As cvt.rna.tf32.f32: ties go away from zero, every NaN becomes the canonical one.
static inline uint32_t tf32_bits(float x) {
    const uint32_t bits = __float_as_uint(x);
    if (x != x) return 0x7fffffffu;
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    // Half of the last of 10 stored bits.
    return finite ? (bits + 0x1000u) & ~0x1fffu : bits;
}

// `K` numbers a row; `PER` of them in a word of 32 bits, which `number(word, place)` takes out.
template <int K, int PER, class Number>
static void multiply(Exchange& warp, Number number) {
    float left[16][K], right[K][8], sums[16][8];
    for (unsigned l = 0; l < LANES; l++) {
        const unsigned group = l / 4, place = l % 4;
        for (unsigned half = 0; half < 2; half++) {
            for (unsigned p = 0; p < PER; p++) {
                const unsigned k = (place + 4 * half) * PER + p;
                left[group][k] = number(warp.left[l][2 * half], p);
                left[group + 8][k] = number(warp.left[l][2 * half + 1], p);
                right[k][group] = number(warp.right[l][half], p);
            }
        }
        for (unsigned s = 0; s < 4; s++) {
            sums[group + s / 2 * 8][2 * place + s % 2] = warp.sums[l][s];
        }
    }
    for (int row = 0; row < 16; row++) {
        for (int k = 0; k < K; k++) {
            for (int column = 0; column < 8; column++) {
                sums[row][column] = fmaf(left[row][k], right[k][column], sums[row][column]);
            }
        }
    }
    for (unsigned l = 0; l < LANES; l++) {
        for (unsigned s = 0; s < 4; s++) {
            warp.sums[l][s] = sums[l / 4 + s / 2 * 8][2 * (l % 4) + s % 2];
        }
    }
}

// All lanes have come.
static void multiply(Exchange& warp, State kind) {
    if (kind == State::Tf32) {
        // A tensor core looks at no more than the stored bits.
        multiply<8, 1>(warp, [](uint32_t word, unsigned) { return __uint_as_float(word & ~0x1fffu); });
    } else {
        multiply<16, 2>(warp, [](uint32_t word, unsigned place) {
            return __uint_as_float(place == 0 ? word << 16 : word & 0xffff0000u);
        });
    }
}

static void multiply_by(State kind, float (&sums)[4], const uint32_t (&left)[4],
                        const uint32_t (&right)[2], int line) {
    // Without fibres there is no warp; waiting then says so.
    if (exchange != nullptr) {
        std::memcpy(exchange->left[lane], left, sizeof left);
        std::memcpy(exchange->right[lane], right, sizeof right);
        std::memcpy(exchange->sums[lane], sums, sizeof sums);
    }
    wait(kind, line);
    std::memcpy(sums, exchange->sums[lane], sizeof sums);
}

static inline void multiply_tf32(float (&sums)[4], const uint32_t (&left)[4],
                                 const uint32_t (&right)[2]) {
    multiply_by(State::Tf32, sums, left, right, 0);
}

static inline void multiply_bf16(float (&sums)[4], const uint32_t (&left)[4],
                                 const uint32_t (&right)[2]) {
    multiply_by(State::Bf16, sums, left, right, 0);
}

}  // namespace shim
