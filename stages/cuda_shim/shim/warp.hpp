// What a warp computes together: the tensor cores' products, on fragments laid out as in PTX.
// It must not know when all lanes have come.
#pragma once
#include "device.hpp"

namespace shim {

constexpr unsigned LANES = 32;

// What the lanes of a warp bring to four products, 2 by 2, and take from them.
struct Exchange {
    uint32_t left[LANES][2][4], right[LANES][2][2];
    float sums[LANES][2][2][4];
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

// Calls `f(lane, i, j, s, row, column)` with the place of each sum.
template <class F>
static void each_sum(F f) {
    for (unsigned l = 0; l < LANES; l++) {
        for (unsigned i = 0; i < 2; i++) {
            for (unsigned j = 0; j < 2; j++) {
                for (unsigned s = 0; s < 4; s++) {
                    f(l, i, j, s, 16 * i + l / 4 + s / 2 * 8, 8 * j + 2 * (l % 4) + s % 2);
                }
            }
        }
    }
}

// `K` numbers a row; `PER` of them in a word of 32 bits, which `number(word, place)` takes out.
template <int K, int PER, class Number>
static void multiply(Exchange& warp, Number number) {
    float left[32][K], right[K][16], sums[32][16];
    for (unsigned l = 0; l < LANES; l++) {
        const unsigned group = l / 4, place = l % 4;
        for (unsigned product = 0; product < 2; product++) {
            for (unsigned half = 0; half < 2; half++) {
                for (unsigned p = 0; p < PER; p++) {
                    const unsigned k = (place + 4 * half) * PER + p, row = 16 * product + group;
                    left[row][k] = number(warp.left[l][product][2 * half], p);
                    left[row + 8][k] = number(warp.left[l][product][2 * half + 1], p);
                    right[k][8 * product + group] = number(warp.right[l][product][half], p);
                }
            }
        }
    }
    each_sum([&](unsigned l, unsigned i, unsigned j, unsigned s, unsigned row, unsigned column) {
        sums[row][column] = warp.sums[l][i][j][s];
    });
    for (int row = 0; row < 32; row++) {
        for (int k = 0; k < K; k++) {
            for (int column = 0; column < 16; column++) {
                sums[row][column] = fmaf(left[row][k], right[k][column], sums[row][column]);
            }
        }
    }
    each_sum([&](unsigned l, unsigned i, unsigned j, unsigned s, unsigned row, unsigned column) {
        warp.sums[l][i][j][s] = sums[row][column];
    });
}

// All lanes have come.
static void multiply(Exchange& warp, State kind) {
    if (kind == State::Tf32) {
        // A tensor core looks at no more than the stored bits.
        multiply<8, 1>(warp,
                       [](uint32_t word, unsigned) { return __uint_as_float(word & ~0x1fffu); });
    } else {
        multiply<16, 2>(warp, [](uint32_t word, unsigned place) {
            return __uint_as_float(place == 0 ? word << 16 : word & 0xffff0000u);
        });
    }
}

static void multiply_by(State kind, float (&sums)[2][2][4], const uint32_t (&left)[2][4],
                        const uint32_t (&right)[2][2]) {
    // Without fibres there is no warp; waiting then says so.
    if (exchange != nullptr) {
        std::memcpy(exchange->left[lane], left, sizeof left);
        std::memcpy(exchange->right[lane], right, sizeof right);
        std::memcpy(exchange->sums[lane], sums, sizeof sums);
    }
    wait(kind, 0);
    std::memcpy(sums, exchange->sums[lane], sizeof sums);
}

static inline void multiply_tf32(float (&sums)[2][2][4], const uint32_t (&left)[2][4],
                                 const uint32_t (&right)[2][2]) {
    multiply_by(State::Tf32, sums, left, right);
}

static inline void multiply_bf16(float (&sums)[2][2][4], const uint32_t (&left)[2][4],
                                 const uint32_t (&right)[2][2]) {
    multiply_by(State::Bf16, sums, left, right);
}

}  // namespace shim
