/*
 * Random operations on one file, each checked against an image of it in memory:
 * `fsx FILE IMAGE OPERATIONS SEED [CORRUPT_AT]`. Reads, writes, mappings, O_DIRECT, truncation,
 * punching, zeroing, copying, syncing, dropping of pages and reopening share one page cache and one
 * extent map, and must never show a byte that the image does not have.
 *
 * Prints one line of JSON: how often each operation was made, and how often it was not supported
 * (EOPNOTSUPP, ENOSYS). The first difference ends it with status 1, and the last operations on stderr.
 * At the end IMAGE is what the file must be. With CORRUPT_AT, one byte is changed behind the image's
 * back before that operation: then it must fail.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, FILE_BYTES = 512 << 10, LARGEST = 96 << 10, HISTORY = 40, WHOLE_EVERY = 500 };

static unsigned char image[FILE_BYTES];
static unsigned char buffer[FILE_BYTES] __attribute__((aligned(PAGE)));
static size_t size;
static const char *path;
static int fd, direct, appending;
static long operation;

static uint64_t state;
static uint64_t draw(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}
static size_t below(size_t limit) { return limit == 0 ? 0 : draw() % limit; }

/* ---- what was done, for a finding ---- */

static char history[HISTORY][160];

static void note(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(history[operation % HISTORY], sizeof *history, format, args);
  va_end(args);
}

static void finding(const char *format, ...) {
  char what[300];
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  for (long i = operation < HISTORY ? 0 : operation - HISTORY + 1; i <= operation; i++) {
    fprintf(stderr, "%ld: %s\n", i, history[i % HISTORY]);
  }
  fprintf(stderr, "operation %ld: %s\n", operation, what);
  exit(1);
}

static void failed(const char *call) { finding("%s: %s", call, strerrorname_np(errno)); }

/* ---- checks ---- */

static void check_bytes(const unsigned char *bytes, size_t at, size_t length, const char *how) {
  if (memcmp(bytes, image + at, length) == 0) return;
  size_t i = 0, wrong = 0;
  for (size_t j = 0; j < length; j++) wrong += bytes[j] != image[at + j];
  while (bytes[i] == image[at + i]) i++;
  finding("%s of %zu at %zu: %zu bytes are wrong, the first at %zu: %02x, not %02x", how, length, at,
          wrong, at + i, bytes[i], image[at + i]);
}

static void check_size(void) {
  struct stat s;
  if (fstat(fd, &s) != 0) failed("fstat");
  if ((size_t)s.st_size != size) finding("size %lld, not %zu", (long long)s.st_size, size);
}

static void read_at(int from, size_t at, size_t length, const char *how) {
  ssize_t n = pread(from, buffer, length, (off_t)at);
  size_t expected = at >= size ? 0 : at + length > size ? size - at : length;
  if (n < 0) failed(how);
  if ((size_t)n != expected) finding("%s of %zu at %zu: %zd bytes, not %zu", how, length, at, n, expected);
  check_bytes(buffer, at, expected, how);
}

static void check_whole(void) { read_at(fd, 0, FILE_BYTES, "whole read"); }

/* ---- the operations; each 0, or -1 with errno where it is not supported ---- */

static size_t some_place(void) {
  size_t at = below(FILE_BYTES);
  return below(3) == 0 ? at & ~(size_t)(PAGE - 1) : at;
}

static size_t some_length(size_t at) {
  size_t length = 1 + below(below(4) == 0 ? LARGEST : 3 * PAGE);
  return at + length > FILE_BYTES ? FILE_BYTES - at : length;
}

static void fill(size_t length) {
  for (size_t i = 0; i < length; i++) buffer[i] = (unsigned char)(draw() >> 24);
}

static void grow(size_t to) {
  if (to > size) size = to;
}

/* What went into the file at `at`. */
static void wrote(size_t at, size_t length) {
  memcpy(image + at, buffer, length);
  grow(at + length);
}

static void write_at(int to, size_t at, size_t length, const char *how) {
  fill(length);
  note("%s %zu at %zu, size %zu", how, length, at, size);
  ssize_t n = pwrite(to, buffer, length, (off_t)at);
  if (n < 0) failed(how);
  if ((size_t)n != length) finding("%s of %zu at %zu: only %zd", how, length, at, n);
  wrote(at, length);
}

static int op_read(void) {
  size_t at = some_place(), length = some_length(at);
  note("read %zu at %zu, size %zu", length, at, size);
  read_at(fd, at, length, "read");
  return 0;
}

static int op_write(void) {
  size_t at = some_place();
  write_at(fd, at, some_length(at), "write");
  return 0;
}

static int op_append(void) {
  size_t length = 1 + below(PAGE);
  if (size + length > FILE_BYTES) return 0;
  fill(length);
  note("append %zu, size %zu", length, size);
  if (write(appending, buffer, length) != (ssize_t)length) failed("append");
  wrote(size, length);
  return 0;
}

static int op_direct_read(void) {
  size_t at = below(FILE_BYTES / PAGE) * PAGE, pages = 1 + below(8);
  note("direct read %zu at %zu, size %zu", pages * PAGE, at, size);
  read_at(direct, at, pages * PAGE, "direct read");
  return 0;
}

static int op_direct_write(void) {
  size_t at = below(FILE_BYTES / PAGE - 8) * PAGE;
  write_at(direct, at, (1 + below(8)) * PAGE, "direct write");
  return 0;
}

/* A mapping of [at, at + length), all of it in the file. */
static unsigned char *map(size_t at, size_t length, int protection) {
  size_t lead = at % PAGE;
  unsigned char *m =
      mmap(NULL, lead + length, protection, MAP_SHARED, fd, (off_t)(at - lead));
  if (m == MAP_FAILED) failed("mmap");
  return m + lead;
}

static void unmap(unsigned char *m, size_t at, size_t length) {
  size_t lead = at % PAGE;
  if (munmap(m - lead, lead + length) != 0) failed("munmap");
}

static int op_map_read(void) {
  size_t at = below(size), length = some_length(at);
  if (size == 0) return 0;
  if (at + length > size) length = size - at;
  note("map read %zu at %zu, size %zu", length, at, size);
  unsigned char *m = map(at, length, PROT_READ);
  check_bytes(m, at, length, "map read");
  unmap(m, at, length);
  return 0;
}

/* Some are synced, and of the others the kernel writes the pages when it likes. */
static int op_map_write(void) {
  size_t at = below(size), length = some_length(at);
  if (size == 0) return 0;
  if (at + length > size) length = size - at;
  fill(length);
  int synced = below(2) == 0;
  note("map write %zu at %zu, size %zu%s", length, at, size, synced ? ", synced" : "");
  unsigned char *m = map(at, length, PROT_READ | PROT_WRITE);
  memcpy(m, buffer, length);
  if (synced && msync(m - at % PAGE, length + at % PAGE, MS_SYNC) != 0) failed("msync");
  unmap(m, at, length);
  wrote(at, length);
  return 0;
}

static int op_truncate(void) {
  size_t to = below(4) == 0 ? below(FILE_BYTES) : below(2) == 0 ? below(size + 1) : some_place();
  note("truncate to %zu, size %zu", to, size);
  if ((below(2) == 0 ? ftruncate(fd, (off_t)to) : truncate(path, (off_t)to)) != 0) {
    failed("truncate");
  }
  if (to < size) memset(image + to, 0, size - to);
  size = to;
  return 0;
}

static int range(int mode, size_t at, size_t length, const char *how) {
  note("%s %zu at %zu, size %zu", how, length, at, size);
  if (fallocate(fd, mode, (off_t)at, (off_t)length) == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS) failed(how);
  return -1;
}

static void zero(size_t at, size_t length) {
  size_t end = at + length < size ? at + length : size;
  if (end > at) memset(image + at, 0, end - at);
}

static int op_punch(void) {
  size_t at = some_place(), length = some_length(at);
  if (range(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length, "punch") != 0) return -1;
  zero(at, length);
  return 0;
}

static int op_zero(void) {
  size_t at = some_place(), length = some_length(at);
  int keep = below(2) == 0;
  int mode = FALLOC_FL_ZERO_RANGE | (keep ? FALLOC_FL_KEEP_SIZE : 0);
  if (range(mode, at, length, keep ? "zero, size kept" : "zero") != 0) return -1;
  if (!keep) grow(at + length);
  zero(at, length);
  return 0;
}

static int op_allocate(void) {
  size_t at = some_place(), length = some_length(at);
  int keep = below(2) == 0;
  if (range(keep ? FALLOC_FL_KEEP_SIZE : 0, at, length, "allocate") != 0) return -1;
  if (!keep) grow(at + length);
  return 0;
}

/* Within the file, to a range that does not meet the first. */
static int op_copy(void) {
  size_t from = below(size), to = some_place(), length = some_length(to);
  if (size == 0) return 0;
  if (from + length > size) length = size - from;
  if (from < to + length && to < from + length) return 0;
  note("copy %zu from %zu to %zu, size %zu", length, from, to, size);
  for (size_t copied = 0; copied < length;) {
    off_t in = (off_t)(from + copied), out = (off_t)(to + copied);
    ssize_t n = copy_file_range(fd, &in, fd, &out, length - copied, 0);
    if (n < 0 && copied == 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return -1;
    if (n <= 0) failed("copy_file_range");
    copied += (size_t)n;
  }
  memcpy(buffer, image + from, length);
  wrote(to, length);
  return 0;
}

static int op_sync(void) {
  int whole = below(2) == 0;
  note(whole ? "fsync" : "fdatasync");
  if ((whole ? fsync(fd) : fdatasync(fd)) != 0) failed("sync");
  return 0;
}

/* Clean pages go, and what is read next comes from the filesystem. */
static int op_drop(void) {
  note("drop pages");
  if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) failed("posix_fadvise");
  return 0;
}

static int open_file(int flags) {
  int opened = open(path, flags, 0600);
  if (opened < 0) failed("open");
  return opened;
}

static int op_reopen(void) {
  static const int FLAGS[] = {O_RDWR, O_RDWR, O_RDWR | O_DSYNC, O_RDWR | O_SYNC};
  int flags = FLAGS[below(4)];
  note("reopen with %x", flags);
  if (close(fd) != 0) failed("close");
  fd = open_file(flags);
  return 0;
}

/* Where the filesystem says that there is a hole, the image has zeros. */
static int op_seek(void) {
  note("seek holes, size %zu", size);
  for (size_t at = 0; at < size;) {
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) failed("SEEK_DATA");
    size_t end = data < 0 ? size : (size_t)data;
    for (size_t i = at; i < end; i++) {
      if (image[i] != 0) finding("a hole at %zu, up to %zu, has a byte at %zu", at, end, i);
    }
    if (data < 0) break;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole <= data || (size_t)hole > size) finding("SEEK_HOLE from %ld: %ld", data, hole);
    at = (size_t)hole;
  }
  return 0;
}

static struct operation {
  const char *name;
  int weight;
  int (*run)(void);
  long made, unsupported;
} operations[] = {
    {"read", 16, op_read, 0, 0},          {"write", 16, op_write, 0, 0},
    {"append", 3, op_append, 0, 0},       {"directRead", 5, op_direct_read, 0, 0},
    {"directWrite", 5, op_direct_write, 0, 0}, {"mapRead", 10, op_map_read, 0, 0},
    {"mapWrite", 10, op_map_write, 0, 0}, {"truncate", 8, op_truncate, 0, 0},
    {"punch", 6, op_punch, 0, 0},         {"zero", 6, op_zero, 0, 0},
    {"allocate", 4, op_allocate, 0, 0},   {"copyRange", 6, op_copy, 0, 0},
    {"sync", 2, op_sync, 0, 0},           {"dropPages", 3, op_drop, 0, 0},
    {"reopen", 2, op_reopen, 0, 0},       {"seekHoles", 2, op_seek, 0, 0},
};
enum { KINDS = sizeof operations / sizeof *operations };

static void step(void) {
  int total = 0;
  for (int i = 0; i < KINDS; i++) total += operations[i].weight;
  int at = (int)below((size_t)total), i = 0;
  while (at >= operations[i].weight) at -= operations[i++].weight;
  operations[i].made++;
  if (operations[i].run() != 0) operations[i].unsupported++;
  check_size();
}

static void print_counts(void) {
  printf("{\"made\":{");
  for (int i = 0; i < KINDS; i++) {
    printf("%s\"%s\":%ld", i == 0 ? "" : ",", operations[i].name, operations[i].made);
  }
  printf("},\"notSupported\":{");
  const char *comma = "";
  for (int i = 0; i < KINDS; i++) {
    if (operations[i].unsupported == 0) continue;
    printf("%s\"%s\":%ld", comma, operations[i].name, operations[i].unsupported);
    comma = ",";
  }
  printf("}}\n");
}

static void corrupt(void) {
  if (size == 0) op_write();
  note("a byte is changed behind the image's back");
  unsigned char wrong = (unsigned char)~image[size / 2];
  if (pwrite(fd, &wrong, 1, (off_t)(size / 2)) != 1) failed("pwrite");
  check_whole();
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  path = argv[1];
  long count = atol(argv[3]), corrupt_at = argc > 5 ? atol(argv[5]) : -1;
  state = strtoull(argv[4], NULL, 10) * 2654435761u + 88172645463325252u;
  fd = open_file(O_RDWR | O_CREAT | O_TRUNC);
  direct = open_file(O_RDWR | O_DIRECT);
  appending = open_file(O_WRONLY | O_APPEND);
  for (operation = 0; operation < count; operation++) {
    if (operation == corrupt_at) corrupt();
    step();
    if (operation % WHOLE_EVERY == 0) check_whole();
  }
  check_whole();
  if (fsync(fd) != 0) failed("fsync");
  FILE *out = fopen(argv[2], "w");
  if (out == NULL || fwrite(image, 1, size, out) != size || fclose(out) != 0) failed("image");
  print_counts();
  return 0;
}
