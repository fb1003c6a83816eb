#pragma once
// How an entry point fails: no exception may leave a function that Python calls. `Failure` and
// `FailureCode` are written by support/interface.py, which raises the error in Python.

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>

#include "interface.h"

// An array that the system has no memory for.
struct OutOfMemory : std::bad_alloc {
    int64_t bytes;
    explicit OutOfMemory(int64_t n) : bytes(n) {}
};

// An argument of an entry point that would lead to a read or write outside of an array.
struct InvalidArgument : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A state variable that grows without bound.
struct Diverged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void refuse_unless(bool holds, const char* problem) {
    if (!holds) throw InvalidArgument(problem);
}

inline void report(Failure& failure, FailureCode code, const char* format, ...) {
    failure.code = code;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(failure.message, sizeof failure.message, format, arguments);
    va_end(arguments);
}

// The C++ library gives each thread some memory of its own when the thread first throws; if there is
// none left then, it ends the program. So let it do so beforehand.
inline void prepare_to_throw() {
    [[maybe_unused]] const volatile int none = std::uncaught_exceptions();
}

// Run body(); what it throws becomes a code and a message. Returns whether all went well.
template <class Body>
inline bool guarded(Failure& failure, const Body& body) noexcept {
    prepare_to_throw();
    failure.code = SUCCESS;
    failure.bytes = 0;
    failure.message[0] = '\0';
    try {
        body();
    } catch (const OutOfMemory& error) {
        failure.bytes = error.bytes;
        report(failure, OUT_OF_MEMORY, "an array of %lld bytes does not fit into memory",
               static_cast<long long>(error.bytes));
    } catch (const std::bad_alloc&) {
        report(failure, OUT_OF_MEMORY, "the system has no more memory");
    } catch (const std::length_error&) {
        report(failure, OUT_OF_MEMORY, "an array would be longer than any can be");
    } catch (const std::system_error& error) {
        report(failure, NO_THREAD, "the system does not start another thread (%s)", error.what());
    } catch (const InvalidArgument& error) {
        report(failure, INVALID_ARGUMENT, "%s", error.what());
    } catch (const Diverged& error) {
        report(failure, DIVERGED, "%s", error.what());
    } catch (const std::exception& error) {
        report(failure, UNEXPECTED, "%s", error.what());
    } catch (...) {
        report(failure, UNEXPECTED, "an exception of an unknown type");
    }
    return failure.code == SUCCESS;
}
