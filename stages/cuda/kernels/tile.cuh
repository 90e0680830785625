// Products of a 64 x 64 tile by 256 threads, from operands in shared memory, in three precisions.
// It must not know convolutions.
#pragma once
#include "types.cuh"
#include "mma.cuh"

const int TILE = 64;     // rows and columns of a block's tile
const int STEP = 16;     // k's that lie in shared memory at once
const int THREADS = 256;
const int EACH = STEP * TILE / THREADS;  // numbers of an operand that a thread brings

// Where word `line` of column `column` lies in an operand. The columns of neighbouring lines are
// shifted against each other, so that lanes that read four lines at once, or write eight, meet
// few others in a bank; groups of eight columns stay together and aligned.
__device__ inline int tile_place(int line, int column) {
    return line * TILE + (column ^ (((line ^ (line >> 2)) & 3) << 3));
}

// Operands and sums in f32. A thread has four rows and four columns of the tile.
struct Single {
    static const int LINES = STEP;
    typedef float Word;
    struct alignas(16) Four {
        float at[4];
    };
    float sums[4][4];

    __device__ static void put(Word* operand, int k, int column, float value) {
        operand[tile_place(k, column)] = value;
    }

    __device__ static int first_row() {
        return (int)threadIdx.x / 16 * 4;
    }
    __device__ static int first_column() {
        return (int)threadIdx.x % 16 * 4;
    }

    __device__ void multiply(const Word* left, const Word* right) {
        const int row = first_row(), column = first_column();
#pragma unroll
        for (int k = 0; k < STEP; k++) {
            const Four a = *(const Four*)(left + tile_place(k, row));
            const Four b = *(const Four*)(right + tile_place(k, column));
#pragma unroll
            for (int i = 0; i < 4; i++) {
#pragma unroll
                for (int j = 0; j < 4; j++) sums[i][j] = fmaf(a.at[i], b.at[j], sums[i][j]);
            }
        }
    }

    // Calls `f(row, column, sum)` with each of this thread's sums.
    template <class F>
    __device__ void each(F f) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) f(first_row() + i, first_column() + j, sums[i][j]);
        }
    }
};

// Sums in tensor cores' fragments: eight warps, 2 by 4, have 32 rows and 16 columns each.
struct Fragments {
    float sums[2][2][4];

    __device__ static int group() {
        return (int)threadIdx.x % 32 / 4;
    }
    __device__ static int place() {
        return (int)threadIdx.x % 4;
    }
    __device__ static int first_row() {
        return (int)threadIdx.x / 32 / 4 * 32;
    }
    __device__ static int first_column() {
        return (int)threadIdx.x / 32 % 4 * 16;
    }

    // The words of lines `line`.. of this warp's two fragments of each operand.
    __device__ static void take(const uint32_t* left, const uint32_t* right, int line,
                                uint32_t (&a)[2][4], uint32_t (&b)[2][2]) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int word = 0; word < 4; word++) {
                const int row = first_row() + i * 16 + group() + word % 2 * 8;
                a[i][word] = left[tile_place(line + place() + word / 2 * 4, row)];
            }
#pragma unroll
            for (int word = 0; word < 2; word++) {
                const int column = first_column() + i * 8 + group();
                b[i][word] = right[tile_place(line + place() + word * 4, column)];
            }
        }
    }

    template <class F>
    __device__ void each(F f) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
#pragma unroll
                for (int s = 0; s < 4; s++) {
                    f(first_row() + i * 16 + group() + s / 2 * 8,
                      first_column() + j * 8 + place() * 2 + s % 2, sums[i][j][s]);
                }
            }
        }
    }
};

// Operands rounded to tf32: a line is a k.
struct Tf32 : Fragments {
    static const int LINES = STEP;
    typedef uint32_t Word;

    __device__ static void put(Word* operand, int k, int column, float value) {
        operand[tile_place(k, column)] = tf32_bits(value);
    }

    __device__ void multiply(const Word* left, const Word* right) {
#pragma unroll
        for (int line = 0; line < LINES; line += 8) {
            uint32_t a[2][4], b[2][2];
            take(left, right, line, a, b);
            multiply_tf32(sums, a, b);
        }
    }
};

// Operands rounded to bf16: a line is two k's.
struct Bf16 : Fragments {
    static const int LINES = STEP / 2;
    typedef uint32_t Word;

    __device__ static void put(Word* operand, int k, int column, float value) {
        ((uint16_t*)(operand + tile_place(k / 2, column)))[k % 2] = bf16_bits(value);
    }

    __device__ void multiply(const Word* left, const Word* right) {
        uint32_t a[2][4], b[2][2];
        take(left, right, 0, a, b);
        multiply_bf16(sums, a, b);
    }
};

// Adds the products over k in [begin, end) to `tile`'s sums. While a step's products are computed
// the next step's numbers are on their way; shared memory holds two steps, so that one barrier a
// step is enough. A reader's `fetch(k, held)` gives 0 beyond what it reads; its number `i` is that
// of column `column(i)` and of the k that lies `k(i)` after. Of the tile `rows` by `columns`, if
// as many, are wanted: who has none of them (in tensor cores whole warps) multiplies nothing.
template <class Tile, class Left, class Right>
__device__ void multiply_tiles(Tile& tile, const Left& left, const Right& right, int begin, int end,
                               int rows, int columns) {
    alignas(16) __shared__ typename Tile::Word lefts[2][Tile::LINES * TILE];
    alignas(16) __shared__ typename Tile::Word rights[2][Tile::LINES * TILE];
    const bool wanted = Tile::first_row() < rows && Tile::first_column() < columns;
    float a[EACH], b[EACH];
    left.fetch(begin, a);
    right.fetch(begin, b);
    int side = 0;
    for (int k = begin; k < end; k += STEP) {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            Tile::put(lefts[side], left.k(i), left.column(i), a[i]);
            Tile::put(rights[side], right.k(i), right.column(i), b[i]);
        }
        __syncthreads();
        // The last of these reads nothing, for it is beyond the end.
        left.fetch(k + STEP, a);
        right.fetch(k + STEP, b);
        if (wanted) tile.multiply(lefts[side], rights[side]);
        side ^= 1;
    }
}
