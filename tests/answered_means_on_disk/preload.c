/*
 * Stands between the relay's program and the C library (LD_PRELOAD), and does what disks and clocks do in bad hours.
 *
 * What it does is said by a file that is mapped into memory (RELAY_TEST_CONTROL, `struct control`), so that a test can change
 * it while the program runs. Only files whose paths begin with RELAY_TEST_FOLDER are touched: below a folder, with a slash at its
 * end, or a single one.
 *
 * A sync that fails gives up what it should have written, as Linux does: the program goes on reading it, no later sync writes
 * it, and when the program has ended it is gone. That is done for the journal, which holds the truth.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The same as `Field` in preload.rs. */
struct control {
    volatile int64_t clock_shift_ms; /* added to the wall clock */
    volatile int64_t sync_delay_ms;  /* what a sync takes longer; to be changed while one waits */
    volatile int64_t fail_at;        /* the operation that fails, counted from 1; 0: none */
    volatile int64_t fail_for_good;  /* 1: all that follow it fail as well */
    volatile int64_t fail_errno;
    volatile int64_t fail_halfway; /* 1: half of a write that fails is written */
    volatile int64_t operations;   /* so far */
    volatile int64_t failures;     /* so far */
};

/* What was in the journal before a write that no sync has taken along yet. */
struct undo {
    struct undo *older;
    int fd;
    int given_up;
    off_t offset;
    size_t length;
    off_t file_size;
    ssize_t had;
    char bytes[];
};

enum { FILES = 65536, SLICE_MS = 5 };
enum { NOT_OURS, OURS, JOURNAL };

static struct control nothing_wrong;
static struct control *control = &nothing_wrong;
static const char *folder = "";
static char kinds[FILES];
static struct undo *newest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("RELAY_TEST_CONTROL");
    if (getenv("RELAY_TEST_FOLDER")) folder = getenv("RELAY_TEST_FOLDER");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0) _exit(99);
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) _exit(99);
    control = mapped;
    syscall(SYS_close, fd);
}

static int kind_of(const char *path) {
    size_t length = strlen(folder);
    if (length == 0 || strncmp(path, folder, length) != 0) return NOT_OURS;
    return strstr(path, "/journal/") ? JOURNAL : OURS;
}

static int kind(int fd) { return fd >= 0 && fd < FILES ? kinds[fd] : NOT_OURS; }

/* Counts an operation. Returns whether it has to fail; errno is set then. */
static int fails(void) {
    int64_t number = __atomic_add_fetch(&control->operations, 1, __ATOMIC_SEQ_CST), at = control->fail_at;
    if (at == 0 || (control->fail_for_good ? number < at : number != at)) return 0;
    __atomic_add_fetch(&control->failures, 1, __ATOMIC_SEQ_CST);
    errno = (int)control->fail_errno;
    return 1;
}

static void note_before_write(int fd, size_t length, off_t offset) {
    struct stat now;
    struct undo *undo = malloc(sizeof *undo + length);
    if (!undo || fstat(fd, &now) != 0) abort();
    *undo = (struct undo){newest, fd, 0, offset, length, now.st_size, 0};
    undo->had = syscall(SYS_pread64, fd, undo->bytes, length, offset);
    newest = undo;
}

/* What is written once more is dirty once more: the next sync takes it along, whatever became of the last one. */
static void heal(int fd, size_t length, off_t offset) {
    for (struct undo **link = &newest; *link;) {
        struct undo *undo = *link;
        int overlaps = offset < undo->offset + (off_t)undo->length && undo->offset < offset + (off_t)length;
        if (undo->fd == fd && undo->given_up && overlaps) {
            *link = undo->older;
            free(undo);
        } else {
            link = &undo->older;
        }
    }
}

static void note_sync(int fd, int failed) {
    pthread_mutex_lock(&lock);
    for (struct undo **link = &newest; *link;) {
        struct undo *undo = *link;
        if (undo->fd == fd && !undo->given_up && !failed) {
            *link = undo->older;
            free(undo);
        } else {
            undo->given_up |= undo->fd == fd && failed;
            link = &undo->older;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* At the end of the program: what was given up is not on the disk. */
__attribute__((destructor)) static void forget_what_was_given_up(void) {
    pthread_mutex_lock(&lock);
    for (struct undo *undo = newest; undo; undo = undo->older) {
        if (!undo->given_up) continue;
        if (undo->had > 0) syscall(SYS_pwrite64, undo->fd, undo->bytes, (size_t)undo->had, undo->offset);
        syscall(SYS_ftruncate, undo->fd, undo->file_size);
    }
    newest = NULL;
    pthread_mutex_unlock(&lock);
}

static int opened(const char *path, int fd) {
    if (fd >= 0 && fd < FILES) kinds[fd] = (char)kind_of(path);
    return fd;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    if (kind_of(path) != NOT_OURS && fails()) return -1;
    return opened(path, (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}

/* A file that is closed with something given up in it stays open behind the program's back, for the end. */
int close(int fd) {
    pthread_mutex_lock(&lock);
    int elsewhere = -1;
    for (struct undo *undo = newest; undo; undo = undo->older) {
        if (undo->fd != fd) continue;
        if (elsewhere < 0) elsewhere = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0);
        undo->fd = elsewhere;
    }
    if (fd >= 0 && fd < FILES) kinds[fd] = NOT_OURS;
    pthread_mutex_unlock(&lock);
    return (int)syscall(SYS_close, fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    if (kind(fd) == NOT_OURS) return syscall(SYS_pwrite64, fd, bytes, length, offset);
    int failed = fails(), error = errno;
    if (failed) length = control->fail_halfway ? length / 2 : 0;
    pthread_mutex_lock(&lock);
    if (kind(fd) == JOURNAL && length > 0) {
        heal(fd, length, offset);
        note_before_write(fd, length, offset);
    }
    ssize_t written = length > 0 || !failed ? syscall(SYS_pwrite64, fd, bytes, length, offset) : 0;
    pthread_mutex_unlock(&lock);
    if (!failed) return written;
    errno = error;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t write(int fd, const void *bytes, size_t length) {
    if (kind(fd) != NOT_OURS && fails()) return -1;
    return syscall(SYS_write, fd, bytes, length);
}

static int sync_file(int fd, long number) {
    if (kind(fd) == NOT_OURS) return (int)syscall(number, fd);
    for (int64_t waited = 0; waited < control->sync_delay_ms; waited += SLICE_MS) {
        nanosleep(&(struct timespec){0, SLICE_MS * 1000000}, NULL);
    }
    int failed = fails(), error = errno;
    if (kind(fd) == JOURNAL) note_sync(fd, failed);
    if (!failed) return (int)syscall(number, fd);
    errno = error;
    return -1;
}

int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

int fsync(int fd) { return sync_file(fd, SYS_fsync); }

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
    if (kind(fd) != NOT_OURS && fails()) return -1;
    return (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
}

int ftruncate64(int fd, off64_t length) {
    if (kind(fd) != NOT_OURS && fails()) return -1;
    return (int)syscall(SYS_ftruncate, fd, length);
}

int rename(const char *from, const char *to) {
    if (kind_of(from) != NOT_OURS && fails()) return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlink(const char *path) {
    if (kind_of(path) != NOT_OURS && fails()) return -1;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int mkdir(const char *path, mode_t mode) {
    if (kind_of(path) != NOT_OURS && fails()) return -1;
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    int result = (int)syscall(SYS_clock_gettime, clock, at);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t shift = control->clock_shift_ms;
        at->tv_sec += shift / 1000;
    }
    return result;
}
