/* A wall clock that is ahead by as many seconds as the file $CLOCK_AHEAD says, a long; to be preloaded.
   Clocks that count from a start are left alone, and what waits until a time on the wall is told the true one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef long (*Syscall)(long, long, long, long, long, long, long);
typedef int (*Wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

static volatile long *ahead;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("CLOCK_AHEAD");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *seen = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (seen != MAP_FAILED) ahead = seen;
}

static long seconds(void) { return ahead ? *ahead : 0; }

static long kernel(long number, long a, long b, long c, long d, long e, long f) {
    static Syscall next;
    if (!next) next = (Syscall)dlsym(RTLD_NEXT, "syscall");
    return next(number, a, b, c, d, e, f);
}

/* A time on the wall counts from 1970, all others from the start of the machine. */
static const struct timespec *truly(const struct timespec *until, struct timespec *room) {
    if (!until || until->tv_sec < 1000000000) return until;
    *room = *until;
    room->tv_sec -= seconds();
    return room;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = (int)kernel(SYS_clock_gettime, clock, (long)now, 0, 0, 0, 0);
    if (code == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds();
    return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int code = (int)kernel(SYS_gettimeofday, (long)now, (long)zone, 0, 0, 0, 0);
    if (code == 0) now->tv_sec += seconds();
    return code;
}

time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    static Wait next;
    struct timespec room;
    if (!next) next = (Wait)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    return next(condition, mutex, truly(until, &room));
}

long syscall(long number, ...) {
    va_list given;
    long a, b, c, d, e, f;
    struct timespec room;
    va_start(given, number);
    a = va_arg(given, long), b = va_arg(given, long), c = va_arg(given, long);
    d = va_arg(given, long), e = va_arg(given, long), f = va_arg(given, long);
    va_end(given);
    if (number == SYS_futex && (b & FUTEX_CLOCK_REALTIME)) d = (long)truly((const struct timespec *)d, &room);
    return kernel(number, a, b, c, d, e, f);
}
