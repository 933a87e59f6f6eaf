/*
 * Preloaded into a broker: notes what a device would still hold if the power went now.
 *
 * Under POWERLOSS_DATA nothing is kept from the process: it reads and writes its files as ever. Beside
 * it, under POWERLOSS_SHADOW, this library keeps
 *   files/INODE     the content of a file when it was last synced, from the moment the file is first
 *                   changed in this life (a file without it is wholly synced);
 *   graves/INODE    a second name of each file that was unlinked or replaced, as the unlinking may not
 *                   have reached the device;
 *   names           a line per change of a directory and per sync of one, in their order.
 * A sync costs no real sync: the process is killed, not the machine. `power-loss.ts` turns directory and
 * shadow into one of the states that a loss of power may have left.
 *
 * The content of a sync is taken when it is called: what is written while it runs is promised by none.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 65536
#define INODES_MAX 262144 /* a power of two */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char data_path[PATH_MAX], shadow_path[PATH_MAX];
static size_t data_length;
static int names = -1;
static pid_t owner;

/* What is open under the data directory: its inode, 0 for anything else. */
static struct {
  ino_t inode;
  int is_directory;
} open_now[DESCRIPTORS_MAX];

/* Files changed in this life: the range that their shadow lacks. */
static struct changed {
  ino_t inode;
  off_t from, to;
} changed[INODES_MAX];

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_mkdir)(const char *, mode_t);
static int (*real_rmdir)(const char *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);

static void die(const char *what) {
  fprintf(stderr, "powerloss: %s: %s\n", what, strerror(errno));
  abort();
}

static void lock_for_fork(void) { pthread_mutex_lock(&lock); }
static void unlock_after_fork(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void begin(void) {
  if (real_write != NULL) return;
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwritev = dlsym(RTLD_NEXT, "pwritev64");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_open = dlsym(RTLD_NEXT, "open64");
  real_close = dlsym(RTLD_NEXT, "close");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_mkdir = dlsym(RTLD_NEXT, "mkdir");
  real_rmdir = dlsym(RTLD_NEXT, "rmdir");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  const char *data = getenv("POWERLOSS_DATA"), *shadow = getenv("POWERLOSS_SHADOW");
  if (data == NULL || shadow == NULL) return;
  /* A child between fork and exec must find the lock free, and closes nothing of ours. */
  pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
  owner = getpid();
  snprintf(data_path, sizeof data_path, "%s", data);
  snprintf(shadow_path, sizeof shadow_path, "%s", shadow);
  data_length = strlen(data_path);
  char path[PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/names", shadow_path);
  names = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (names < 0) die(path);
}

static int is_watched(const char *path) {
  return names >= 0 && path != NULL && strncmp(path, data_path, data_length) == 0 &&
         (path[data_length] == '\0' || path[data_length] == '/');
}

/* One line, one write: a kill leaves it whole or leaves none. Inside the lock. */
static void note(const char *format, ...) {
  char line[2 * PATH_MAX];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (real_write(names, line, length) != length) die("names");
}

/* The directory's inode and the last part of a path. */
static ino_t parent_of(const char *path, const char **name) {
  char directory[PATH_MAX];
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  *name = path + (slash - directory) + 1;
  *slash = '\0';
  struct stat found;
  return stat(directory, &found) == 0 ? found.st_ino : 0;
}

static ino_t inode_at(const char *path) {
  struct stat found;
  return lstat(path, &found) == 0 ? found.st_ino : 0;
}

/* Keeps the content of a file that is about to lose its name. */
static void bury(const char *path, ino_t inode) {
  char grave[PATH_MAX + 64];
  snprintf(grave, sizeof grave, "%s/graves/%llu", shadow_path, (unsigned long long)inode);
  if (link(path, grave) != 0 && errno != EEXIST) die(grave);
}

static struct changed *changed_at(ino_t inode) {
  size_t at = (inode * 2654435761u) & (INODES_MAX - 1);
  while (changed[at].inode != 0 && changed[at].inode != inode) at = (at + 1) & (INODES_MAX - 1);
  return &changed[at];
}

static void shadow_file(ino_t inode, char *path, size_t size) {
  snprintf(path, size, "%s/files/%llu", shadow_path, (unsigned long long)inode);
}

/* Copies a range of an open file into its shadow and gives the shadow the file's size. */
static void copy_range(int descriptor, ino_t inode, off_t from, off_t to) {
  static char buffer[1 << 18];
  char path[PATH_MAX + 64], source[64];
  shadow_file(inode, path, sizeof path);
  int target = real_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (target < 0) die(path);
  /* The process may have opened it for writing only. */
  snprintf(source, sizeof source, "/proc/self/fd/%d", descriptor);
  int reading = real_open(source, O_RDONLY | O_CLOEXEC);
  if (reading < 0) die(source);
  struct stat now;
  if (fstat(reading, &now) != 0) die("fstat");
  if (to > now.st_size) to = now.st_size;
  while (from < to) {
    size_t wanted = to - from < (off_t)sizeof buffer ? (size_t)(to - from) : sizeof buffer;
    ssize_t bytes = pread64(reading, buffer, wanted, from);
    if (bytes <= 0 || real_pwrite(target, buffer, bytes, from) != bytes) {
      char what[PATH_MAX];
      ssize_t length = readlink(source, what, sizeof what - 1);
      what[length < 0 ? 0 : length] = '\0';
      fprintf(stderr, "powerloss: range %lld to %lld of %lld bytes\n", (long long)from, (long long)to,
              (long long)now.st_size);
      die(what);
    }
    from += bytes;
  }
  if (real_ftruncate(target, now.st_size) != 0) die("ftruncate");
  real_close(reading);
  real_close(target);
}

/* Before the first change of a file in this life: all that it holds is synced. Inside the lock. */
static struct changed *before_change(int descriptor) {
  ino_t inode = open_now[descriptor].inode;
  struct changed *entry = changed_at(inode);
  if (entry->inode == 0) {
    copy_range(descriptor, inode, 0, (off_t)1 << 60);
    entry->inode = inode;
    entry->from = entry->to = 0;
  }
  return entry;
}

/* The inode of what is open, if it is watched and of this kind. libuv closes by a bare system call, so
   the number may be a socket's by now. */
static ino_t watched(int descriptor, int is_directory) {
  if (names < 0 || descriptor < 0 || descriptor >= DESCRIPTORS_MAX) return 0;
  ino_t inode = open_now[descriptor].inode;
  if (inode == 0 || open_now[descriptor].is_directory != is_directory) return 0;
  struct stat now;
  if (fstat(descriptor, &now) != 0 || now.st_ino != inode) return 0;
  return (is_directory ? S_ISDIR(now.st_mode) : S_ISREG(now.st_mode)) ? inode : 0;
}

static int watched_file(int descriptor) { return watched(descriptor, 0) != 0; }

static void widen(struct changed *entry, off_t from, off_t to) {
  if (entry->from == entry->to) {
    entry->from = from;
    entry->to = to;
    return;
  }
  if (from < entry->from) entry->from = from;
  if (to > entry->to) entry->to = to;
}

/* Changes that are made while the lock is held, so that no sync comes between a change and its note. */
#define CHANGING(call, start)                                                                     \
  pthread_mutex_lock(&lock);                                                                      \
  struct changed *entry = before_change(descriptor);                                              \
  off_t at = (start);                                                                             \
  ssize_t bytes = (call);                                                                         \
  int failure = errno;                                                                            \
  if (bytes > 0) widen(entry, at, at + bytes);                                                    \
  pthread_mutex_unlock(&lock);                                                                    \
  errno = failure;                                                                                \
  return bytes

static off_t position_of(int descriptor) {
  if (fcntl(descriptor, F_GETFL) & O_APPEND) {
    struct stat now;
    return fstat(descriptor, &now) == 0 ? now.st_size : 0;
  }
  return lseek(descriptor, 0, SEEK_CUR);
}

ssize_t write(int descriptor, const void *from, size_t length) {
  begin();
  if (!watched_file(descriptor)) return real_write(descriptor, from, length);
  CHANGING(real_write(descriptor, from, length), position_of(descriptor));
}

ssize_t pwrite64(int descriptor, const void *from, size_t length, off_t start) {
  begin();
  if (!watched_file(descriptor)) return real_pwrite(descriptor, from, length, start);
  CHANGING(real_pwrite(descriptor, from, length, start), start);
}

ssize_t pwrite(int descriptor, const void *from, size_t length, off_t start) {
  return pwrite64(descriptor, from, length, start);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  begin();
  if (!watched_file(descriptor)) return real_writev(descriptor, parts, count);
  CHANGING(real_writev(descriptor, parts, count), position_of(descriptor));
}

ssize_t pwritev64(int descriptor, const struct iovec *parts, int count, off_t start) {
  begin();
  if (!watched_file(descriptor)) return real_pwritev(descriptor, parts, count, start);
  CHANGING(real_pwritev(descriptor, parts, count, start), start);
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t start) {
  return pwritev64(descriptor, parts, count, start);
}

int ftruncate64(int descriptor, off_t length) {
  begin();
  if (!watched_file(descriptor)) return real_ftruncate(descriptor, length);
  pthread_mutex_lock(&lock);
  struct changed *entry = before_change(descriptor);
  struct stat now;
  off_t before = fstat(descriptor, &now) == 0 ? now.st_size : 0;
  int result = real_ftruncate(descriptor, length);
  int failure = errno;
  if (result == 0) widen(entry, before < length ? before : length, before < length ? length : before);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

/* A sync: the file's changes go to its shadow, or a directory's changes are noted as kept. */
static int synced(int descriptor, int (*real)(int)) {
  begin();
  pthread_mutex_lock(&lock);
  ino_t file = watched(descriptor, 0), directory = watched(descriptor, 1);
  if (directory != 0) note("sync %llu\n", (unsigned long long)directory);
  struct changed *entry = file == 0 ? NULL : changed_at(file);
  if (entry != NULL && entry->inode != 0) {
    copy_range(descriptor, file, entry->from, entry->to);
    entry->from = entry->to = 0;
  }
  pthread_mutex_unlock(&lock);
  return file == 0 && directory == 0 ? real(descriptor) : 0;
}

int fsync(int descriptor) { return synced(descriptor, real_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, real_fdatasync); }

static int opened(const char *path, int flags, mode_t mode) {
  begin();
  if (!is_watched(path)) return real_open(path, flags, mode);
  pthread_mutex_lock(&lock);
  ino_t before = flags & O_CREAT ? inode_at(path) : 0;
  /* Emptied after its content was kept, not by the kernel before. */
  int descriptor = real_open(path, flags & ~O_TRUNC, mode);
  int failure = errno;
  struct stat now;
  if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX && fstat(descriptor, &now) == 0) {
    open_now[descriptor].inode = now.st_ino;
    open_now[descriptor].is_directory = S_ISDIR(now.st_mode);
    if ((flags & O_CREAT) && before == 0) {
      const char *name;
      ino_t parent = parent_of(path, &name);
      before_change(descriptor);
      note("link %llu %llu file %s\n", (unsigned long long)parent, (unsigned long long)now.st_ino, name);
    }
  }
  pthread_mutex_unlock(&lock);
  if (descriptor >= 0 && (flags & O_TRUNC)) ftruncate64(descriptor, 0);
  errno = failure;
  return descriptor;
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return opened(path, flags, mode);
}

int close(int descriptor) {
  begin();
  if (names >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS_MAX && getpid() == owner) {
    pthread_mutex_lock(&lock);
    open_now[descriptor].inode = 0;
    int result = real_close(descriptor);
    int failure = errno;
    pthread_mutex_unlock(&lock);
    errno = failure;
    return result;
  }
  return real_close(descriptor);
}

int rename(const char *from, const char *to) {
  begin();
  if (!is_watched(from) && !is_watched(to)) return real_rename(from, to);
  pthread_mutex_lock(&lock);
  ino_t inode = inode_at(from), replaced = inode_at(to);
  struct stat kind;
  int is_directory = lstat(from, &kind) == 0 && S_ISDIR(kind.st_mode);
  if (replaced != 0 && !is_directory) bury(to, replaced);
  const char *old_name, *new_name;
  ino_t old_parent = parent_of(from, &old_name), new_parent = parent_of(to, &new_name);
  int result = real_rename(from, to);
  int failure = errno;
  if (result == 0) {
    note("move %llu %llu %s %s %llu %s\n", (unsigned long long)old_parent, (unsigned long long)inode,
         is_directory ? "directory" : "file", old_name, (unsigned long long)new_parent, new_name);
  }
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}

int unlink(const char *path) {
  begin();
  if (!is_watched(path)) return real_unlink(path);
  pthread_mutex_lock(&lock);
  ino_t inode = inode_at(path);
  if (inode != 0) bury(path, inode);
  const char *name;
  ino_t parent = parent_of(path, &name);
  int result = real_unlink(path);
  int failure = errno;
  if (result == 0) note("drop %llu %llu %s\n", (unsigned long long)parent, (unsigned long long)inode, name);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}

int mkdir(const char *path, mode_t mode) {
  begin();
  if (!is_watched(path)) return real_mkdir(path, mode);
  pthread_mutex_lock(&lock);
  const char *name;
  ino_t parent = parent_of(path, &name);
  int result = real_mkdir(path, mode);
  int failure = errno;
  if (result == 0) {
    note("link %llu %llu directory %s\n", (unsigned long long)parent, (unsigned long long)inode_at(path), name);
  }
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}

int rmdir(const char *path) {
  begin();
  if (!is_watched(path)) return real_rmdir(path);
  pthread_mutex_lock(&lock);
  ino_t inode = inode_at(path);
  const char *name;
  ino_t parent = parent_of(path, &name);
  int result = real_rmdir(path);
  int failure = errno;
  if (result == 0) note("drop %llu %llu %s\n", (unsigned long long)parent, (unsigned long long)inode, name);
  pthread_mutex_unlock(&lock);
  errno = failure;
  return result;
}
