/*
 * handles DIR COUNT: so many files open at once in one process. Each is created, written and read
 * through its handle; half of them lose their name and are written and read on; then all are
 * closed, and the other half is removed. What is read is compared, each file having contents of its
 * own. In stages (stage.h). Where the system lets one process have fewer, as many as it lets.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stage.h"

/* Descriptors for everything else. */
enum { SPARE_DESCRIPTORS = 16 };

static const char *dir;

static const char *path_of(long i) {
  static char path[PATH_BYTES + 32];
  snprintf(path, sizeof path, "%s/h%ld", dir, i);
  return path;
}

/* What file i holds in its block b. */
static void fill(char *block, long i, int b) {
  snprintf(block, BLOCK, "file %ld, block %d", i, b);
  size_t used = strlen(block);
  memset(block + used, 'a' + (i + b) % 26, BLOCK - used);
}

/* Raises the limit for `count` descriptors; how many there may be. */
static long raise_limit(long count) {
  struct rlimit limit = {count + SPARE_DESCRIPTORS, count + SPARE_DESCRIPTORS};
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return count;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) die("setrlimit");
  long most = (long)limit.rlim_max - SPARE_DESCRIPTORS;
  return most < count ? most : count;
}

static void put(int fd, long i, int b) {
  char block[BLOCK];
  fill(block, i, b);
  if (pwrite(fd, block, BLOCK, (off_t)b * BLOCK) != BLOCK) die(path_of(i));
}

/* The kernel's own copy is dropped first, where it is clean: the daemon is to be asked. */
static void compare(int fd, long i, int b) {
  char block[BLOCK], wanted[BLOCK];
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (pread(fd, block, BLOCK, (off_t)b * BLOCK) != BLOCK) die(path_of(i));
  fill(wanted, i, b);
  if (memcmp(block, wanted, BLOCK) != 0) unlike(path_of(i));
}

static void open_all(int *fds, long count) {
  struct stage s = begin_stage("open", count);
  for (long i = 0; i < count; i++, step(&s)) {
    fds[i] = open(path_of(i), O_CREAT | O_EXCL | O_RDWR, 0644);
    if (fds[i] < 0) die(path_of(i));
  }
  end_stage(&s);
}

static void write_all(const int *fds, long count) {
  struct stage s = begin_stage("write", count);
  for (long i = 0; i < count; i++, step(&s)) put(fds[i], i, 0);
  end_stage(&s);
}

static void read_all(const int *fds, long count) {
  struct stage s = begin_stage("read", count);
  for (long i = 0; i < count; i++, step(&s)) compare(fds[i], i, 0);
  end_stage(&s);
}

static void unlink_half(const char *name, long first, long count) {
  struct stage s = begin_stage(name, count / 2);
  for (long i = first; i < count; i += 2, step(&s))
    if (unlink(path_of(i)) != 0) die(path_of(i));
  end_stage(&s);
}

static void use_orphans(const int *fds, long count) {
  struct stage s = begin_stage("use orphans", count / 2);
  struct stat st;
  for (long i = 0; i < count; i += 2, step(&s)) {
    if (fstat(fds[i], &st) != 0) die(path_of(i));
    if (st.st_nlink != 0 || st.st_size != BLOCK) unlike(path_of(i));
    put(fds[i], i, 1);
    compare(fds[i], i, 1);
    compare(fds[i], i, 0);
  }
  end_stage(&s);
}

static void close_all(const int *fds, long count) {
  struct stage s = begin_stage("close", count);
  for (long i = 0; i < count; i++, step(&s))
    if (close(fds[i]) != 0) die(path_of(i));
  end_stage(&s);
}

int main(int argc, char **argv) {
  long count = argc == 3 ? atol(argv[2]) : 0;
  if (count <= 0) {
    fprintf(stderr, "handles: usage: handles DIR COUNT\n");
    return 2;
  }
  dir = argv[1];
  count = raise_limit(count);
  int *fds = calloc(count, sizeof *fds);
  if (fds == NULL) die("memory");
  open_all(fds, count);
  write_all(fds, count);
  read_all(fds, count);
  unlink_half("unlink half", 0, count);
  use_orphans(fds, count);
  close_all(fds, count);
  unlink_half("unlink the rest", 1, count);
  return 0;
}
