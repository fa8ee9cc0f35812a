/* Preloaded into a program: its wall clock, and the stamps that the kernel puts
 * on datagrams by that clock, are stepped as the file BR_WALLCLOCK says. The
 * other clocks go on. See wallclock.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define STEPS 64
static struct table {
    volatile int64_t asked, stamps, steps;
    struct { int64_t since, offset; } step[STEPS]; /* true time in ns; seconds added */
} *table;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("BR_WALLCLOCK");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (table == MAP_FAILED)
        table = NULL;
    close(fd);
}

/* What the clock was ahead by, in seconds, at a moment of true time. */
static int64_t offset_at(int64_t seconds, int64_t nanos)
{
    int64_t found = 0, now = seconds * 1000000000 + nanos;
    for (int64_t i = 0; table && i < table->steps && i < STEPS; i++)
        if (table->step[i].since <= now)
            found = table->step[i].offset;
    return found;
}

int clock_gettime(clockid_t clock, struct timespec *at)
{
    int result = (int)syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && table && clock == CLOCK_REALTIME) {
        __atomic_add_fetch(&table->asked, 1, __ATOMIC_RELAXED);
        at->tv_sec += offset_at(at->tv_sec, at->tv_nsec);
    }
    return result;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t (*real)(int, struct msghdr *, int) =
        (ssize_t (*)(int, struct msghdr *, int))dlsym(RTLD_NEXT, "recvmsg");
    ssize_t result = real(fd, message, flags);
    if (result < 0 || !table)
        return result;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(message); one; one = CMSG_NXTHDR(message, one)) {
        if (one->cmsg_level != SOL_SOCKET)
            continue;
        if (one->cmsg_type == SCM_TIMESTAMP) {
            struct timeval *at = (struct timeval *)CMSG_DATA(one);
            at->tv_sec += offset_at(at->tv_sec, at->tv_usec * 1000);
            __atomic_add_fetch(&table->stamps, 1, __ATOMIC_RELAXED);
        } else if (one->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec *at = (struct timespec *)CMSG_DATA(one);
            at->tv_sec += offset_at(at->tv_sec, at->tv_nsec);
            __atomic_add_fetch(&table->stamps, 1, __ATOMIC_RELAXED);
        }
    }
    return result;
}
