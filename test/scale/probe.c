/*
 * probe DIR: how long the operations of somebody else take. One after another, without a pause: a
 * file is created, written (4 KiB) and closed; one is asked for its attributes; one is opened and
 * read; the new one is unlinked. Each is timed, and the daemon is asked each time: attributes and
 * pages that the kernel remembers are not taken.
 *
 * Two threads stand beside it. One fsyncs a file of its own now and then, reported apart. The other
 * sleeps a millisecond at a time: what it oversleeps is what the machine does to everybody.
 *
 * Prints "ready" after the first round, and one line of JSON when its input ends, or when the
 * filesystem is gone (`ended` then names the error).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../bench/measure.h"

enum { BLOCK = 4096, PATH_BYTES = 4096, SLOWEST = 10 };
enum { FSYNC_PAUSE_US = 200000, NOISE_SLEEP_US = 1000 };

enum operation { CREATE, STAT, READ, UNLINK, OPERATIONS };
static const char *const NAMES[OPERATIONS] = {"create", "stat", "read", "unlink"};

struct slow {
  enum operation operation;
  uint64_t ns, at;
};

static char standing[PATH_BYTES + 32], fresh[PATH_BYTES + 32], synced[PATH_BYTES + 32];
static char block[BLOCK];
static struct samples samples[OPERATIONS], fsyncs, noise;
static struct slow slowest[SLOWEST];
static uint64_t begun;
static atomic_int is_over;
static int failure;

static int write_file(const char *path, int flags) {
  int fd = open(path, O_CREAT | O_WRONLY | flags, 0644);
  if (fd < 0) return -1;
  int failed = write(fd, block, BLOCK) != BLOCK;
  return close(fd) != 0 || failed ? -1 : 0;
}

static int read_file(const char *path) {
  char contents[BLOCK];
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  int failed = read(fd, contents, BLOCK) != BLOCK;
  return close(fd) != 0 || failed ? -1 : 0;
}

static int run(enum operation operation) {
  struct statx attributes;
  switch (operation) {
  case CREATE: return write_file(fresh, O_EXCL);
  case STAT: return statx(AT_FDCWD, standing, AT_STATX_FORCE_SYNC, STATX_ALL, &attributes);
  case READ: return read_file(standing);
  default: return unlink(fresh);
  }
}

/* Keeps the slowest, the slowest of them first. */
static void note_slow(enum operation operation, uint64_t ns, uint64_t at) {
  int i = SLOWEST;
  while (i > 0 && slowest[i - 1].ns < ns) i--;
  if (i == SLOWEST) return;
  memmove(&slowest[i + 1], &slowest[i], (SLOWEST - 1 - i) * sizeof slowest[0]);
  slowest[i] = (struct slow){operation, ns, at};
}

/* All four operations; the error that ended it, or 0. */
static int round_of_operations(void) {
  for (enum operation o = CREATE; o < OPERATIONS; o++) {
    uint64_t before = now_ns();
    if (run(o) != 0) return errno == 0 ? EIO : errno;
    uint64_t ns = now_ns() - before;
    add(&samples[o], ns);
    note_slow(o, ns, before - begun);
  }
  return 0;
}

static void *syncing(void *unused) {
  (void)unused;
  int fd = open(synced, O_CREAT | O_WRONLY, 0644);
  while (fd >= 0 && !atomic_load(&is_over)) {
    if (pwrite(fd, block, BLOCK, 0) != BLOCK) break;
    uint64_t before = now_ns();
    if (fsync(fd) != 0) break;
    add(&fsyncs, now_ns() - before);
    usleep(FSYNC_PAUSE_US);
  }
  if (fd >= 0) close(fd);
  return NULL;
}

static void *sleeping(void *unused) {
  (void)unused;
  while (!atomic_load(&is_over)) {
    uint64_t before = now_ns();
    usleep(NOISE_SLEEP_US);
    add(&noise, now_ns() - before - NOISE_SLEEP_US * 1000u);
  }
  return NULL;
}

static void *listening(void *unused) {
  char byte;
  (void)unused;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  atomic_store(&is_over, 1);
  return NULL;
}

static void print_samples(const char *name, struct samples *s) {
  sort(s);
  printf("\"%s\":{\"operations\":%ld,\"p50ms\":%.3f,\"p99ms\":%.3f,\"p999ms\":%.3f,"
         "\"maxms\":%.3f}",
         name, s->count, microseconds(s, 0.5) / 1000, microseconds(s, 0.99) / 1000,
         microseconds(s, 0.999) / 1000, microseconds(s, 1) / 1000);
}

static void print_slowest(void) {
  printf("\"slowest\":[");
  for (int i = 0; i < SLOWEST && slowest[i].ns > 0; i++)
    printf("%s{\"operation\":\"%s\",\"ms\":%.3f,\"atSeconds\":%.3f}", i == 0 ? "" : ",",
           NAMES[slowest[i].operation], slowest[i].ns / 1e6, slowest[i].at / 1e9);
  printf("]");
}

static void report(void) {
  struct samples all = samples_of(1 << 16);
  double seconds = (now_ns() - begun) / 1e9;
  printf("{\"seconds\":%.3f,\"ended\":\"%s\",", seconds, failure == 0 ? "" : strerror(failure));
  for (enum operation o = CREATE; o < OPERATIONS; o++) {
    for (long i = 0; i < samples[o].count; i++) add(&all, samples[o].ns[i]);
    print_samples(NAMES[o], &samples[o]);
    printf(",");
  }
  print_samples("all", &all);
  printf(",");
  print_samples("fsync", &fsyncs);
  printf(",");
  print_samples("noise", &noise);
  printf(",");
  print_slowest();
  printf("}\n");
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "probe: usage: probe DIR\n");
    return 2;
  }
  snprintf(standing, sizeof standing, "%s/standing", argv[1]);
  snprintf(fresh, sizeof fresh, "%s/fresh", argv[1]);
  snprintf(synced, sizeof synced, "%s/synced", argv[1]);
  memset(block, 7, BLOCK);
  for (enum operation o = CREATE; o < OPERATIONS; o++) samples[o] = samples_of(1 << 16);
  fsyncs = samples_of(1 << 10);
  noise = samples_of(1 << 16);
  /* What an earlier probe left when its filesystem went away. */
  unlink(fresh);
  if (write_file(standing, O_TRUNC) != 0) die(standing);
  begun = now_ns();
  pthread_t syncer, sleeper, listener;
  if (pthread_create(&syncer, NULL, syncing, NULL) != 0) die("pthread_create");
  if (pthread_create(&sleeper, NULL, sleeping, NULL) != 0) die("pthread_create");
  if (pthread_create(&listener, NULL, listening, NULL) != 0) die("pthread_create");
  failure = round_of_operations();
  printf("ready\n");
  fflush(stdout);
  while (failure == 0 && !atomic_load(&is_over)) failure = round_of_operations();
  atomic_store(&is_over, 1);
  pthread_join(syncer, NULL);
  pthread_join(sleeper, NULL);
  report();
  return 0;
}
