#pragma once
// Arrays that begin on cache lines.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "failure.h"

constexpr size_t HUGE_PAGE = 2 * 1024 * 1024;

struct FreeDeleter {
    void operator()(float* p) const { std::free(p); }
};
using Array = std::unique_ptr<float, FreeDeleter>;

// n zeros; throws OutOfMemory.
inline Array make_array(int64_t n, size_t alignment = 64) {
    const size_t bytes = (n * sizeof(float) + 63) / 64 * 64;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, bytes)) throw OutOfMemory(int64_t(bytes));
    Array array(static_cast<float*>(memory));
#if defined(MADV_HUGEPAGE)
    if (alignment == HUGE_PAGE)
        madvise(memory, bytes, MADV_HUGEPAGE);  // a hint, which may be refused
#endif
    std::memset(memory, 0, bytes);
    return array;
}

// The same on huge pages, where the system has them. For what is walked through from end to end, as
// the states that neurons keep of a trial: Izhikevich's then take a tenth less time.
inline Array make_long_array(int64_t n) {
    return make_array(n, n * int64_t(sizeof(float)) < int64_t(HUGE_PAGE) ? 64 : HUGE_PAGE);
}

inline void clear(const Array& array, int64_t n) { std::memset(array.get(), 0, n * sizeof(float)); }
