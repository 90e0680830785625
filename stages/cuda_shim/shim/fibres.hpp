// Fibres: as many stacks as a block has threads, and a cheap switch between them.
// It must not know what runs on them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <sys/mman.h>

#if defined(__x86_64__) && defined(__ELF__) && !defined(SHIM_UCONTEXT)
#define SHIM_OWN_SWITCH 1
#else
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace shim {

typedef void (*Entry)();

#ifdef SHIM_OWN_SWITCH

// Saves what a call must keep, and the stack pointer in `*save`; resumes what `resume` saved.
// swapcontext, which serves elsewhere, makes a system call each time.
extern "C" void cuda_shim_switch(void** save, void* resume);
asm(R"(
    .text
    .globl cuda_shim_switch
    .hidden cuda_shim_switch
    .type cuda_shim_switch, @function
cuda_shim_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size cuda_shim_switch, . - cuda_shim_switch
)");

struct Context {
    void* stack_pointer = nullptr;

    void prepare(char* stack, size_t bytes, Entry entry) {
        // Where `ret` finds the entry; behind it 0, as the return address of a function that
        // never returns. A function starts with its stack pointer 8 below a multiple of 16.
        uintptr_t* top = (uintptr_t*)((uintptr_t)(stack + bytes) / 16 * 16) - 2;
        top[0] = (uintptr_t)entry;
        top[1] = 0;
        for (int i = 1; i <= 6; i++) top[-i] = 0;
        stack_pointer = top - 6;
    }

    void switch_to(Context& other) {
        cuda_shim_switch(&stack_pointer, other.stack_pointer);
    }
};

#else

struct Context {
    ucontext_t saved;

    void prepare(char* stack, size_t bytes, Entry entry) {
        getcontext(&saved);
        saved.uc_stack.ss_sp = stack;
        saved.uc_stack.ss_size = bytes;
        saved.uc_link = nullptr;
        makecontext(&saved, entry, 0);
    }

    void switch_to(Context& other) {
        swapcontext(&saved, &other.saved);
    }
};

#endif

// Stacks for some number of fibres. Their distance is no power of two: else the ends of all
// would meet in the same lines of the cache.
class Stacks {
public:
    static constexpr size_t BYTES = 32 * 1024 + 576;

    Stacks() = default;
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;
    ~Stacks() {
        release();
    }

    // Throws std::bad_alloc where there is no memory.
    void hold(size_t count) {
        if (count <= count_) return;
        release();
        void* memory = mmap(nullptr, count * BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        memory_ = (char*)memory;
        count_ = count;
    }

    // A stack on which nothing lives any more.
    char* clean(size_t i) {
        char* stack = memory_ + i * BYTES;
#if defined(__SANITIZE_ADDRESS__)
        __asan_unpoison_memory_region(stack, BYTES);
#endif
        return stack;
    }

private:
    void release() {
        if (memory_ != nullptr) munmap(memory_, count_ * BYTES);
        memory_ = nullptr;
        count_ = 0;
    }

    char* memory_ = nullptr;
    size_t count_ = 0;
};

}  // namespace shim
