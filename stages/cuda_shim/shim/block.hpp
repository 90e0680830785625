// Runs a block's threads: in turn as fibres where they wait for each other, else one by one.
// It must not know which kernel it is.
#pragma once
#include <functional>
#include <vector>
#include "device.hpp"
#include "fibres.hpp"
#include "warp.hpp"

namespace shim {

// Why a block came to no end.
enum class Fault { None, Divergence, NoFibres };

// Thrown by a thread that waits but is no fibre.
struct WaitsWithoutFibres {};

class Block {
public:
    // For blocks of `count` threads, whose indices follow from `blockDim`.
    void prepare(unsigned count, const std::function<void()>& body) {
        body_ = &body;
        if (abandoned_ || count > fibres_.size()) {
            stacks_.hold(count);
            fibres_.resize(count < fibres_.size() ? fibres_.size() : count);
            warps_.resize((fibres_.size() + LANES - 1) / LANES);
            for (size_t i = 0; i < fibres_.size(); i++) {
                fibres_[i].context.prepare(stacks_.clean(i), Stacks::BYTES, entry);
            }
            abandoned_ = false;
        }
        count_ = count;
        for (unsigned i = 0; i < count; i++) {
            fibres_[i].id = {i % blockDim.x, i / blockDim.x % blockDim.y,
                             i / blockDim.x / blockDim.y};
        }
    }

    Fault run(bool backward) {
        running = this;
        for (unsigned i = 0; i < count_; i++) fibres_[i].state = State::Running;
        Fault fault = Fault::None;
        bool done = false;
        while (!done && fault == Fault::None) {
            const unsigned warps = (count_ + LANES - 1) / LANES;
            for (unsigned w = 0; w < warps && fault == Fault::None; w++) {
                fault = run_warp(backward ? warps - 1 - w : w, backward);
            }
            if (fault == Fault::None && !alike(0, count_)) fault = Fault::Divergence;
            done = fibres_[0].state == State::Done;
        }
        running = nullptr;
        exchange = nullptr;
        // Those who wait never come to an end, and their stacks are used no more as they are.
        abandoned_ = fault != Fault::None;
        return fault;
    }

    // Of the running fibre: back to who resumed it.
    void leave(State state, int line) {
        Fibre& own = *current_;
        own.state = state;
        own.line = line;
        own.context.switch_to(scheduler_);
    }

    static thread_local Block* running;

private:
    struct Fibre {
        Context context;
        State state = State::Done;
        int line = 0;
        Index id = {0, 0, 0};
    };

    // A fibre serves block after block.
    static void entry() {
        for (;;) {
            (*running->body_)();
            running->leave(State::Done, 0);
        }
    }

    // Until all its lanes wait for the block or are done.
    Fault run_warp(unsigned warp, bool backward) {
        const unsigned first = warp * LANES;
        const unsigned lanes = count_ - first < LANES ? count_ - first : LANES;
        exchange = &warps_[warp];
        for (;;) {
            for (unsigned i = 0; i < lanes; i++) {
                lane = backward ? lanes - 1 - i : i;
                current_ = &fibres_[first + lane];
                threadIdx = current_->id;
                scheduler_.switch_to(current_->context);
            }
            if (!alike(first, first + lanes)) return Fault::Divergence;
            const State state = fibres_[first].state;
            if (state == State::Barrier || state == State::Done) return Fault::None;
            // Tensor cores take whole warps.
            if (lanes != LANES) return Fault::Divergence;
            multiply(warps_[warp], state);
        }
    }

    // Whether these threads wait at the same place, or are all done.
    bool alike(unsigned first, unsigned end) const {
        for (unsigned i = first + 1; i < end; i++) {
            const Fibre &a = fibres_[first], &b = fibres_[i];
            if (a.state != b.state || a.line != b.line) return false;
        }
        return true;
    }

    std::vector<Fibre> fibres_;
    std::vector<Exchange> warps_;
    Stacks stacks_;
    Context scheduler_;
    Fibre* current_ = nullptr;
    const std::function<void()>* body_ = nullptr;
    unsigned count_ = 0;
    bool abandoned_ = false;
};

thread_local Block* Block::running = nullptr;

static void wait(State state, int line) {
    if (Block::running == nullptr) throw WaitsWithoutFibres();
    Block::running->leave(state, line);
}

// A block whose threads never wait.
static Fault run_plainly(const std::function<void()>& body, bool backward) {
    const unsigned count = blockDim.x * blockDim.y * blockDim.z;
    try {
        for (unsigned n = 0; n < count; n++) {
            const unsigned i = backward ? count - 1 - n : n;
            threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
            body();
        }
    } catch (const WaitsWithoutFibres&) {
        return Fault::NoFibres;
    }
    return Fault::None;
}

}  // namespace shim
