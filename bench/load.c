/*
 * The load generator: system calls in a loop, timed one by one. In C, since a client in JavaScript
 * would measure itself. Each command prints one line of JSON: operations, seconds, operations a
 * second, and the latencies in microseconds.
 *
 *   load stat FILE COUNT                               stat(2) of one path, again and again
 *   load create DIR COUNT THREADS BYTES SYNC SECONDS   open(O_CREAT|O_EXCL), write, fsync, close
 *   load rename DIR COUNT                              what `create` made with one thread
 *   load unlink DIR COUNT                              what `rename` left
 *   load tree DIR COUNT PER_DIR                        mknod(2) in directories of PER_DIR; syncfs
 *   load list DIR                                      readdir(3), and fstatat(2) of every entry
 *   load names DIR                                     getdents64(2) alone, a call at a time
 *   load random DIR COUNT FILES                        stat(2) of COUNT of e0 ... e(FILES - 1)
 *   load write FILE MIB SYNC                           write(2) of 1 MiB each
 *   load read FILE                                     read(2) of 1 MiB each
 *   load tail DIR SECONDS                              4 KiB and fsync, beside a full-speed writer
 *
 * With several threads each has a directory of its own, made before the clock starts, since the
 * kernel lets only one create at a time into a directory. SECONDS above 0 ends the loop earlier.
 *
 *   cc -O2 -pthread -o load bench/load.c
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

enum { MIB = 1024 * 1024, BLOCK = 4096, PATH_BYTES = 4096, MAX_THREADS = 256 };
/* The full-speed writer begins again at the start of its file here. */
enum { TAIL_WRAP_MIB = 512 };

static char payload[MIB];

static void report(struct samples *s, uint64_t elapsed, double bytes) {
  double seconds = elapsed / 1e9;
  sort(s);
  printf("{\"operations\":%ld,\"seconds\":%.6f,\"perSecond\":%.1f,\"mibPerSecond\":%.1f,"
         "\"p50us\":%.1f,\"p99us\":%.1f,\"maxus\":%.1f}\n",
         s->count, seconds, s->count / seconds, bytes / MIB / seconds, microseconds(s, 0.5),
         microseconds(s, 0.99), microseconds(s, 1));
}

/* ---- commands ---- */

static void run_stat(const char *path, long count) {
  struct samples s = samples_of(count);
  struct stat st;
  uint64_t begun = now_ns(), before = begun;
  for (long i = 0; i < count; i++) {
    if (stat(path, &st) != 0) die(path);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  report(&s, before - begun, 0);
}

struct creator {
  pthread_t thread;
  pthread_barrier_t *start;
  char dir[PATH_BYTES];
  long count, bytes;
  int sync;
  double seconds;
  struct samples samples;
  uint64_t begun, ended;
};

static void create_one(const struct creator *c, long i) {
  char path[PATH_BYTES + 32];
  snprintf(path, sizeof path, "%s/fc%07ld", c->dir, i);
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (fd < 0) die(path);
  if (c->bytes > 0 && write(fd, payload, c->bytes) != c->bytes) die(path);
  if (c->sync && fsync(fd) != 0) die(path);
  if (close(fd) != 0) die(path);
}

static void *creating(void *argument) {
  struct creator *c = argument;
  pthread_barrier_wait(c->start);
  c->begun = now_ns();
  uint64_t before = c->begun;
  uint64_t limit = c->seconds > 0 ? c->begun + (uint64_t)(c->seconds * 1e9) : UINT64_MAX;
  for (long i = 0; i < c->count && before < limit; i++) {
    create_one(c, i);
    uint64_t after = now_ns();
    add(&c->samples, after - before);
    before = after;
  }
  c->ended = before;
  return NULL;
}

static void make_directory(const char *path) {
  if (mkdir(path, 0755) != 0 && errno != EEXIST) die(path);
}

static void run_create(const char *dir, long count, int threads, long bytes, int sync,
                       double seconds) {
  if (threads < 1 || threads > MAX_THREADS || bytes > MIB) {
    errno = EINVAL;
    die("create");
  }
  struct creator *all = calloc(threads, sizeof *all);
  if (all == NULL) die("memory");
  pthread_barrier_t start;
  pthread_barrier_init(&start, NULL, threads);
  make_directory(dir);
  for (int t = 0; t < threads; t++) {
    struct creator *c = &all[t];
    if (threads == 1) snprintf(c->dir, sizeof c->dir, "%s", dir);
    else snprintf(c->dir, sizeof c->dir, "%s/t%d", dir, t);
    make_directory(c->dir);
    c->start = &start;
    c->count = count / threads;
    c->bytes = bytes;
    c->sync = sync;
    c->seconds = seconds;
    c->samples = samples_of(c->count);
  }
  for (int t = 0; t < threads; t++)
    if (pthread_create(&all[t].thread, NULL, creating, &all[t]) != 0) die("pthread_create");
  struct samples sum = samples_of(count);
  uint64_t begun = UINT64_MAX, ended = 0;
  for (int t = 0; t < threads; t++) {
    struct creator *c = &all[t];
    pthread_join(c->thread, NULL);
    for (long i = 0; i < c->samples.count; i++) add(&sum, c->samples.ns[i]);
    if (c->begun < begun) begun = c->begun;
    if (c->ended > ended) ended = c->ended;
  }
  report(&sum, ended - begun, (double)bytes * sum.count);
}

static void run_rename(const char *dir, long count) {
  struct samples s = samples_of(count);
  char from[PATH_BYTES + 32], to[PATH_BYTES + 32];
  uint64_t begun = now_ns(), before = begun;
  for (long i = 0; i < count; i++) {
    snprintf(from, sizeof from, "%s/fc%07ld", dir, i);
    snprintf(to, sizeof to, "%s/fr%07ld", dir, i);
    if (rename(from, to) != 0) die(from);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  report(&s, before - begun, 0);
}

static void run_unlink(const char *dir, long count) {
  struct samples s = samples_of(count);
  char path[PATH_BYTES + 32];
  uint64_t begun = now_ns(), before = begun;
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/fr%07ld", dir, i);
    if (unlink(path) != 0) die(path);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  report(&s, before - begun, 0);
}

static void run_tree(const char *dir, long count, long per_dir) {
  struct samples s = samples_of(count);
  char path[PATH_BYTES + 64];
  make_directory(dir);
  uint64_t begun = now_ns(), before = begun;
  for (long i = 0; i < count; i++) {
    if (i % per_dir == 0) {
      snprintf(path, sizeof path, "%s/d%07ld", dir, i / per_dir);
      make_directory(path);
    }
    snprintf(path, sizeof path, "%s/d%07ld/e%07ld", dir, i / per_dir, i);
    if (mknod(path, S_IFREG | 0644, 0) != 0) die(path);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  int fd = open(dir, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || syncfs(fd) != 0) die(dir);
  close(fd);
  report(&s, now_ns() - begun, 0);
}

static void run_list(const char *dir) {
  struct samples s = samples_of(1 << 17);
  struct stat st;
  uint64_t begun = now_ns(), before = begun;
  DIR *d = opendir(dir);
  if (d == NULL) die(dir);
  for (;;) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (e == NULL && errno != 0) die(dir);
    if (e == NULL) break;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) die(e->d_name);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  closedir(d);
  report(&s, now_ns() - begun, 0);
}

/* The names alone, as ls -f asks for them; latencies are those of the calls. */
static void run_names(const char *dir) {
  static char entries[MIB];
  struct samples s = samples_of(1 << 17);
  int fd = open(dir, O_RDONLY | O_DIRECTORY);
  if (fd < 0) die(dir);
  long count = 0;
  uint64_t begun = now_ns(), before = begun;
  for (;;) {
    long bytes = syscall(SYS_getdents64, fd, entries, sizeof entries);
    if (bytes < 0) die(dir);
    if (bytes == 0) break;
    for (long at = 0; at < bytes; count++) at += *(unsigned short *)(entries + at + 16);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  close(fd);
  double seconds = (now_ns() - begun) / 1e9;
  sort(&s);
  printf("{\"entries\":%ld,\"calls\":%ld,\"seconds\":%.6f,\"perSecond\":%.1f,"
         "\"p50us\":%.1f,\"p99us\":%.1f,\"maxus\":%.1f}\n",
         count - 2, s.count, seconds, count / seconds, microseconds(&s, 0.5),
         microseconds(&s, 0.99), microseconds(&s, 1));
}

static void run_random(const char *dir, long count, long files) {
  struct samples s = samples_of(count);
  struct stat st;
  char path[PATH_BYTES + 32];
  uint64_t begun = now_ns(), before = begun;
  for (long i = 0; i < count; i++) {
    snprintf(path, sizeof path, "%s/e%ld", dir, lrand48() % files);
    if (stat(path, &st) != 0) die(path);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  report(&s, before - begun, 0);
}

static void run_write(const char *path, long mib, int sync) {
  struct samples s = samples_of(mib);
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (fd < 0) die(path);
  uint64_t begun = now_ns(), before = begun;
  for (long i = 0; i < mib; i++) {
    if (write(fd, payload, MIB) != MIB) die(path);
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  if (sync && fsync(fd) != 0) die(path);
  if (close(fd) != 0) die(path);
  report(&s, now_ns() - begun, (double)mib * MIB);
}

static void run_read(const char *path) {
  struct samples s = samples_of(1024);
  int fd = open(path, O_RDONLY);
  if (fd < 0) die(path);
  double bytes = 0;
  uint64_t begun = now_ns(), before = begun;
  for (;;) {
    ssize_t n = read(fd, payload, MIB);
    if (n < 0) die(path);
    if (n == 0) break;
    bytes += n;
    uint64_t after = now_ns();
    add(&s, after - before);
    before = after;
  }
  close(fd);
  report(&s, now_ns() - begun, bytes);
}

static atomic_int is_over;
static atomic_long written_mib;

static void *streaming(void *path) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (fd < 0) die(path);
  for (long i = 0; !atomic_load(&is_over); i++) {
    if (pwrite(fd, payload, MIB, (i % TAIL_WRAP_MIB) * (off_t)MIB) != MIB) die(path);
    atomic_fetch_add(&written_mib, 1);
  }
  close(fd);
  return NULL;
}

static void run_tail(const char *dir, double seconds) {
  char stream[PATH_BYTES + 16], small[PATH_BYTES + 16];
  snprintf(stream, sizeof stream, "%s/stream", dir);
  snprintf(small, sizeof small, "%s/small", dir);
  struct samples s = samples_of(1 << 14);
  pthread_t writer;
  if (pthread_create(&writer, NULL, streaming, stream) != 0) die("pthread_create");
  int fd = open(small, O_CREAT | O_TRUNC | O_WRONLY, 0644);
  if (fd < 0) die(small);
  uint64_t begun = now_ns(), limit = begun + (uint64_t)(seconds * 1e9);
  while (now_ns() < limit) {
    if (write(fd, payload, BLOCK) != BLOCK) die(small);
    uint64_t before = now_ns();
    if (fsync(fd) != 0) die(small);
    add(&s, now_ns() - before);
  }
  uint64_t elapsed = now_ns() - begun;
  double bytes = (double)atomic_load(&written_mib) * MIB;
  atomic_store(&is_over, 1);
  pthread_join(writer, NULL);
  close(fd);
  report(&s, elapsed, bytes);
}

int main(int argc, char **argv) {
  const char *command = argc > 2 ? argv[1] : "";
  const char *path = argc > 2 ? argv[2] : "";
  double n[6] = {0};
  for (int i = 3; i < argc && i < 9; i++) n[i - 3] = atof(argv[i]);
  /* Not zeros: a filesystem could store those without writing. */
  for (int i = 0; i < MIB; i++) payload[i] = (char)(i * 2654435761u >> 13);

  if (strcmp(command, "stat") == 0) run_stat(path, n[0]);
  else if (strcmp(command, "create") == 0) run_create(path, n[0], n[1], n[2], n[3], n[4]);
  else if (strcmp(command, "rename") == 0) run_rename(path, n[0]);
  else if (strcmp(command, "unlink") == 0) run_unlink(path, n[0]);
  else if (strcmp(command, "tree") == 0) run_tree(path, n[0], n[1]);
  else if (strcmp(command, "list") == 0) run_list(path);
  else if (strcmp(command, "names") == 0) run_names(path);
  else if (strcmp(command, "random") == 0) run_random(path, n[0], n[1]);
  else if (strcmp(command, "write") == 0) run_write(path, n[0], n[1]);
  else if (strcmp(command, "read") == 0) run_read(path);
  else if (strcmp(command, "tail") == 0) run_tail(path, n[0]);
  else {
    fprintf(stderr, "load: usage: load COMMAND PATH [NUMBER...]; see the top of load.c\n");
    return 2;
  }
  return 0;
}
