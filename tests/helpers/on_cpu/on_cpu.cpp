// The scheduler of on_cpu.h. With -DTSAN it reports switches and barriers to ThreadSanitizer, which then
// names the lines of the CUDA source between which a barrier is missing; compile this file without
// instrumentation all the same. With -DSWAPCONTEXT switches are slower, but known to AddressSanitizer.
#include "on_cpu.h"

#include <ucontext.h>

#include <chrono>
#include <csetjmp>
#include <memory>
#include <vector>

#ifdef TSAN
extern "C" {
void __tsan_acquire(void*);
void __tsan_release(void*);
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_switch_to_fiber(void*, unsigned);
}
constexpr unsigned NO_SYNC = 1;
#endif

namespace on_cpu {
namespace {

constexpr size_t STACK = 1 << 16;

struct Warp {
    uint32_t slot[2][32];
    int arrived = 0, generation = 0, size = 32;
};

struct Fibre {
    ucontext_t context;
    jmp_buf jump;
    bool begun = false, done = false;
    std::unique_ptr<char[]> stack;
    dim3 index;
    int id = 0;
    void* tsan = nullptr;
};

struct Block {
    dim3 index, size, grid;
    Fibre* fibres = nullptr;
    int n_fibres = 0;
    std::vector<Warp> warps;
    int arrived = 0, generation = 0, alive = 0;
    Votes votes{}, last{};
    std::vector<char> shared;
    ucontext_t home;
    jmp_buf home_jump;
    void* tsan_home = nullptr;
    void (*body)(const void*) = nullptr;
    const void* arguments = nullptr;
    Fibre* current = nullptr;
    long idle = 0;  // switches since anything went on
};

// Fibres are kept from block to block and from kernel to kernel: to make them costs more than most kernels do.
constexpr int MOST_FIBRES = 1024;
thread_local std::unique_ptr<Fibre[]> pool;
thread_local int n_made = 0;
thread_local Block* block = nullptr;
thread_local uint32_t random_state = 1;

int order() {
    const char* const given = std::getenv("ON_CPU_ORDER");
    return given ? std::atoi(given) : 0;
}
thread_local int schedule = 0;

void tsan_release([[maybe_unused]] void* p) {
#ifdef TSAN
    __tsan_release(p);
#endif
}
void tsan_acquire([[maybe_unused]] void* p) {
#ifdef TSAN
    __tsan_acquire(p);
#endif
}

void to(Fibre& f) {
    Fibre* const from = block->current;
    block->current = &f;
    if (from == &f) return;
#ifdef TSAN
    __tsan_switch_to_fiber(f.tsan, NO_SYNC);
#endif
#if defined(TSAN) || defined(SWAPCONTEXT)
    swapcontext(from ? &from->context : &block->home, &f.context);
#else
    if (!_setjmp(from ? from->jump : block->home_jump)) {
        if (f.begun) _longjmp(f.jump, 1);
        f.begun = true;
        setcontext(&f.context);
    }
#endif
}

// The next fibre of n from a first one, that is not done.
Fibre& next(int first, int n, int now) {
    Fibre* const all = block->fibres;
    int i = now - first;
    if (schedule > 1) {
        random_state = random_state * 1664525u + 1013904223u;
        i = int((random_state >> 8) % unsigned(n));
    }
    do i = schedule == 1 ? (i + n - 1) % n : (i + 1) % n;
    while (all[first + i].done);
    return all[first + i];
}

// Let others go on. Who waits for its warp lets only the warp go on, which is all that can help.
void wait(int first, int n) {
    if (++block->idle > 1000L * block->n_fibres + 100000) {
        std::fprintf(stderr, "on_cpu: threads of a block wait for each other at different places\n");
        std::abort();
    }
    to(next(first, n, block->current->id));
}

// A fibre is done with its block: others go on, or the caller of the kernel. It comes back here with the next block.
void leave() {
    Fibre& mine = *block->current;
    mine.done = true;
    block->idle = 0;
    if (--block->alive == 0) {
#ifdef TSAN
        __tsan_switch_to_fiber(block->tsan_home, 0);
#endif
#if defined(TSAN) || defined(SWAPCONTEXT)
        swapcontext(&mine.context, &block->home);
#else
        if (!_setjmp(mine.jump)) _longjmp(block->home_jump, 1);
#endif
        return;
    }
    // those that are left may be waiting for this one at a barrier
    if (block->arrived == block->alive && block->arrived > 0) {
        block->arrived = 0;
        block->last = block->votes;
        block->votes = Votes{};
        block->generation++;
    }
    to(next(0, block->n_fibres, mine.id));
}

void entry() {
    for (;;) {
        tsan_acquire(block);
        block->body(block->arguments);
        tsan_release(block);
        leave();
    }
}

void make(Fibre& f) {
    f.stack.reset(new char[STACK]);
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack.get();
    f.context.uc_stack.ss_size = STACK;
    f.context.uc_link = nullptr;
    makecontext(&f.context, entry, 0);
#ifdef TSAN
    f.tsan = __tsan_create_fiber(0);
#endif
}

void run_block() {
    Block& b = *block;
    const int n = b.n_fibres;
    b.alive = n;
    b.arrived = 0;
    b.idle = 0;
    b.current = nullptr;
    b.votes = Votes{};
    std::memset(b.shared.data(), 0xff, b.shared.size());
    for (Warp& w : b.warps) w = Warp();
    if (n % 32) b.warps.back().size = n % 32;
    for (int i = 0; i < n; i++) {
        b.fibres[i].done = false;
        b.fibres[i].id = i;
        b.fibres[i].index = dim3(i % b.size.x, i / b.size.x % b.size.y, i / b.size.x / b.size.y);
    }
    tsan_release(&b);
    to(b.fibres[schedule == 1 ? n - 1 : 0]);
    tsan_acquire(&b);
}

}  // namespace

const uint32_t* exchange(uint32_t value) {
    const int id = block->current->id;
    Warp& w = block->warps[id / 32];
    const int generation = w.generation;
    uint32_t* const slot = w.slot[generation & 1];
    slot[id % 32] = value;
    tsan_release(&w);
    if (++w.arrived == w.size) {
        w.arrived = 0;
        w.generation++;
        block->idle = 0;
    } else {
        while (w.generation == generation) wait(id / 32 * 32, w.size);
    }
    tsan_acquire(&w);
    return slot;
}

Votes barrier(int predicate) {
    Block& b = *block;
    const int generation = b.generation;
    tsan_release(&b);
    b.votes.count += predicate != 0;
    b.votes.any |= predicate != 0;
    if (++b.arrived == b.alive) {
        b.arrived = 0;
        b.last = b.votes;
        b.votes = Votes{};
        b.generation++;
        b.idle = 0;
    } else {
        while (b.generation == generation) wait(0, b.n_fibres);
    }
    tsan_acquire(&b);
    return b.last;
}

int lane() { return block->current->id % 32; }
const dim3& thread_index() { return block->current->index; }
const dim3& block_index() { return block->index; }
const dim3& block_size() { return block->size; }
const dim3& grid_size() { return block->grid; }
void* shared_memory() {
    return reinterpret_cast<void*>((uintptr_t(block->shared.data()) + 63) / 64 * 64);
}

void run(dim3 grid, dim3 size, size_t shared_bytes, void (*body)(const void*), const void* arguments) {
    Block b;
    block = &b;
    schedule = order();
    random_state = uint32_t(schedule);
    b.grid = grid;
    b.size = size;
    b.body = body;
    b.arguments = arguments;
    b.shared.resize(shared_bytes + 64);
    const size_t n = size_t(size.x) * size.y * size.z;
    if (n > MOST_FIBRES) {
        std::fprintf(stderr, "on_cpu: a block of %zu threads, of which a GPU has %d\n", n, MOST_FIBRES);
        std::abort();
    }
    if (!pool) pool.reset(new Fibre[MOST_FIBRES]);
    while (n_made < int(n)) make(pool[n_made++]);
    b.fibres = pool.get();
    b.n_fibres = int(n);
    b.warps.resize((n + 31) / 32);
#ifdef TSAN
    b.tsan_home = __tsan_get_current_fiber();
#endif
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                b.index = dim3(x, y, z);
                run_block();
            }
    block = nullptr;
}

cudaError_t allocate(void** p, size_t bytes) {
    *p = std::malloc(bytes ? bytes : 1);
    if (!*p) return cudaErrorMemoryAllocation;
    std::memset(*p, 0xff, bytes);
    return cudaSuccess;
}

}  // namespace on_cpu

void on_cpu::deallocate(void* p) { std::free(p); }

double on_cpu::seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
