// Preloaded by campaign.py: ends or interrupts the process inside a chosen operation on a file. A write
// that is killed has written half of its bytes, as on a full disk or after a power cut.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

static long left = -1;   // operations until the signal; negative: none will come
static long done = 0;    // operations so far
static int number = 0;   // the signal
static pid_t armed = 0;  // the process that it is for; its children are spared

void kill_at(long n, int signal_number) {
    left = n;
    done = 0;
    number = signal_number;
    armed = getpid();
}

long operations(void) { return done; }

static int is_now(void) {
    if (armed == 0 || getpid() != armed) return 0;
    done++;
    return left >= 0 && left-- == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void* bytes, size_t n) {
    if (file > 2 && is_now()) {
        if (number == SIGKILL && REAL(write)(file, bytes, n / 2) >= 0) kill(getpid(), number);
        kill(getpid(), number);
    }
    return REAL(write)(file, bytes, n);
}

ssize_t pwrite64(int file, const void* bytes, size_t n, off64_t at) {
    if (file > 2 && is_now()) {
        if (number == SIGKILL && REAL(pwrite64)(file, bytes, n / 2, at) >= 0) kill(getpid(), number);
        kill(getpid(), number);
    }
    return REAL(pwrite64)(file, bytes, n, at);
}

#define WATCHED(type, name, parameters, arguments)   \
    type name parameters {                           \
        if (is_now()) kill(getpid(), number);        \
        return REAL(name) arguments;                 \
    }

WATCHED(int, fsync, (int file), (file))
WATCHED(int, fdatasync, (int file), (file))
WATCHED(int, ftruncate64, (int file, off64_t n), (file, n))
WATCHED(int, rename, (const char* from, const char* to), (from, to))
WATCHED(int, unlink, (const char* path), (path))
WATCHED(int, rmdir, (const char* path), (path))
WATCHED(int, mkdir, (const char* path, mode_t mode), (path, mode))
