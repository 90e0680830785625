// Random numbers by position: the uniform numbers of `nn::random::Stream`.
// It must not know what they are used for.
#pragma once
#include "types.cuh"

// `Stream::uniform_at(i)` of the stream with that key: Philox4x32-10, kind WORDS.
__device__ inline float uniform_at(const uint32_t* key, uint64_t i) {
    const uint64_t block = i / 4;
    uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
    uint32_t key0 = key[0], key1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)counter[0] * 0xd2511f53u;
        const uint64_t b = (uint64_t)counter[2] * 0xcd9e8d57u;
        counter[0] = (uint32_t)(b >> 32) ^ counter[1] ^ key0;
        counter[1] = (uint32_t)b;
        counter[2] = (uint32_t)(a >> 32) ^ counter[3] ^ key1;
        counter[3] = (uint32_t)a;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
    return (float)(counter[i % 4] >> 8) * (1.0f / 16777216.0f);
}
