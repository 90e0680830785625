// Gathers a batch from the uploaded images: changed at random as the epoch says, and scaled.
// It must not know networks, or how an epoch's order and changes are drawn.
#include "types.cuh"

namespace prepare {
const int WIDTH = 32, CHANNELS = 3, IMAGE = WIDTH * WIDTH * CHANNELS;
}

// The numbers of train::augment's `Change::apply_into`.
extern "C" __global__ void prepare_images(const uint8_t* pixels, const uint32_t* order,
                                          const uint8_t* flip, const float* delta,
                                          const int* cursor, int batch, int n, float* images) {
    const size_t start = (size_t)*cursor * batch;
    for (Walk at(prepare::IMAGE); at.row < n; at.next()) {
        const size_t entry = start + at.row;
        const int pixel = at.column / prepare::CHANNELS, channel = at.column % prepare::CHANNELS;
        const int row = pixel / prepare::WIDTH, column = pixel % prepare::WIDTH;
        const int mirrored = flip[entry] ? prepare::WIDTH - 1 - column : column;
        const int from = row * prepare::WIDTH + mirrored;
        const uint8_t byte =
            pixels[(size_t)order[entry] * prepare::IMAGE + from * prepare::CHANNELS + channel];
        float shade = (float)byte / 255.0f + delta[entry];
        shade = shade < 0.0f ? 0.0f : shade;
        shade = shade > 1.0f ? 1.0f : shade;
        images[at.index] = (shade - 0.5f) / 0.5f;
    }
}

extern "C" __global__ void prepare_labels(const uint8_t* labels, const uint32_t* order,
                                          const int* cursor, int batch, int n, uint8_t* out) {
    const size_t start = (size_t)*cursor * batch;
    for (size_t i = first_index(); i < (size_t)n; i += index_step()) {
        out[i] = labels[order[start + i]];
    }
}

// The next step of the epoch.
extern "C" __global__ void advance(int* cursor) {
    if (first_index() == 0) *cursor += 1;
}
