/*
 * A process that does what it is told and answers what came of it: `actor ROOT`. Each line on stdin
 * is one operation (the table at the end), each answered by one line: "ok VALUE", or the errno's
 * name, then what was asked for. Words are separated by blanks; bytes that are no plain characters
 * stand as %XX, and "%" alone is the empty string. Paths start at ROOT, files are open in slots.
 *
 * After `watch 1`, each answer also tells the attributes of every object that the operation named and
 * of its directories, after " | ", in words that are equal on two filesystems that behave equally:
 * inodes are numbered in the order in which they were first seen, and a time of this run is told by
 * what became of it: n seen for the first time, = as before, + later, < earlier.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, WORDS = 16, WATCHED = 8, PAGE = 4096, HEX_BYTES = 64 };
enum { BUFFER_BYTES = 16 << 20, SEEN = 1 << 16, HASHED_BYTES = 8 << 20 };

static char buffer[BUFFER_BYTES] __attribute__((aligned(PAGE)));
static int slots[SLOTS];
/* The root directory that we began in, and our descriptors in /proc: a jail has neither. */
static int first_root, own_files, jailed;
static uid_t user;
static time_t begun;

/* ---- the answer ---- */

static char *answer;
static size_t answer_length, answer_room;

static void say(const char *format, ...) {
  for (;;) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(answer + answer_length, answer_room - answer_length, format, args);
    va_end(args);
    if (answer_length + (size_t)n < answer_room) {
      answer_length += (size_t)n;
      return;
    }
    answer_room = (answer_room + (size_t)n) * 2;
    answer = realloc(answer, answer_room);
  }
}

static void say_bytes(const char *bytes, size_t length) {
  if (length == 0) say("%%");
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)bytes[i];
    int plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (plain || c == '.' || c == '_' || c == '-' || c == '/') say("%c", c);
    else say("%%%02X", c);
  }
}

static int fail(void) {
  say("%s", strerrorname_np(errno));
  return -1;
}

/* The usual answer of a system call. */
static int result(long long value) {
  if (value < 0) return fail();
  say("ok %lld", value);
  return 0;
}

static uint64_t hash(uint64_t h, const void *bytes, size_t length) {
  const unsigned char *b = bytes;
  for (size_t i = 0; i < length; i++) h = (h ^ b[i]) * 1099511628211u;
  return h;
}

static const uint64_t HASH_START = 0xcbf29ce484222325u;

static void say_contents(const char *bytes, size_t length) {
  say(" hash=%016llx", (unsigned long long)hash(HASH_START, bytes, length));
  if (length > HEX_BYTES) return;
  say(" bytes=");
  say_bytes(bytes, length);
}

/* ---- words ---- */

static char *words[WORDS];
static size_t lengths[WORDS];
static int word_count;

static int hex(char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; }

/* Splits a line into words, in place, and decodes them. */
static void split(char *line) {
  word_count = 0;
  for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) {
    if (word_count == WORDS) break;
    char *to = word;
    for (char *from = word; *from != 0; from++) {
      if (*from != '%') *to++ = *from;
      else if (from[1] != 0 && from[2] != 0) {
        *to++ = (char)(hex(from[1]) << 4 | hex(from[2]));
        from += 2;
      }
    }
    *to = 0;
    lengths[word_count] = (size_t)(to - word);
    words[word_count++] = word;
  }
  for (int i = word_count; i < WORDS; i++) words[i] = "", lengths[i] = 0;
}

static long long number(int i) { return strtoll(words[i], NULL, 0); }

/* A slot that is not open, or beyond the table, is no descriptor. */
static int descriptor(int i) {
  long long slot = number(i);
  return slot < 0 || slot >= SLOTS ? -1 : slots[slot];
}

/* ---- users ---- */

static void become(uid_t uid) {
  if (syscall(SYS_setresuid, -1, 0, -1) != 0) _exit(3);
  if (uid != 0 && syscall(SYS_setresuid, -1, uid, -1) != 0) _exit(3);
  prctl(PR_SET_DUMPABLE, 1);
}

/* as UID GID [GROUP ...] */
static void do_as(void) {
  gid_t groups[WORDS];
  int count = 0;
  for (int i = 3; i < word_count; i++) groups[count++] = (gid_t)number(i);
  become(0);
  if (setgroups((size_t)count, groups) != 0) _exit(3);
  if (syscall(SYS_setresgid, -1, (gid_t)number(2), -1) != 0) _exit(3);
  user = (uid_t)number(1);
  become(user);
  say("ok 0");
}

/* ---- what was seen ---- */

struct seen {
  uint64_t ino;
  struct statx_timestamp birth;
  struct statx_timestamp times[3];
  int number;
  unsigned links;
};

static struct seen seen[SEEN];
static int seen_count;

/* What the operation does to a file without a name: it makes one, or gives it a name. */
static int made_nameless, named_nameless;

/*
 * An inode number that is used again within one tick of the clock has the same time of birth: it is
 * a new file all the same, if the last one had no name.
 */
static int is_reused(const struct seen *it, const struct statx *s) {
  if (it->links > 0) return 0;
  return s->stx_nlink == 0 ? made_nameless : !named_nameless;
}

static struct seen *recognise(const struct statx *s, int *is_new) {
  for (size_t i = (s->stx_ino * 2654435761u) % SEEN;; i = (i + 1) % SEEN) {
    struct seen *it = &seen[i];
    *is_new = it->number == 0;
    if (*is_new) {
      if (seen_count == SEEN / 2) _exit(4);
      it->ino = s->stx_ino;
      it->birth = s->stx_btime;
      it->number = ++seen_count;
      return it;
    }
    if (it->ino != s->stx_ino || it->birth.tv_sec != s->stx_btime.tv_sec) continue;
    if (it->birth.tv_nsec != s->stx_btime.tv_nsec) continue;
    if ((*is_new = is_reused(it, s))) it->number = ++seen_count;
    return it;
  }
}

static void say_time(char name, struct statx_timestamp now, struct statx_timestamp *was, int new) {
  int64_t d = now.tv_sec - was->tv_sec;
  if (d == 0) d = (int64_t)now.tv_nsec - (int64_t)was->tv_nsec;
  if (now.tv_sec < begun || now.tv_sec > begun + (1 << 24)) {
    say(" %c=%lld.%09u", name, (long long)now.tv_sec, now.tv_nsec);
  } else say(" %c=%c", name, new ? 'n' : d == 0 ? '=' : d > 0 ? '+' : '<');
  *was = now;
}

static char type_of(unsigned mode) {
  switch (mode & S_IFMT) {
  case S_IFREG: return 'f';
  case S_IFDIR: return 'd';
  case S_IFLNK: return 'l';
  case S_IFIFO: return 'p';
  case S_IFSOCK: return 's';
  case S_IFCHR: return 'c';
  case S_IFBLK: return 'b';
  default: return '?';
  }
}

static void say_attributes(const struct statx *s) {
  int new;
  struct seen *it = recognise(s, &new);
  it->links = s->stx_nlink;
  say("t=%c p=%04o n=%u u=%u g=%u s=%llu b=%llu i=%d", type_of(s->stx_mode), s->stx_mode & 07777,
      s->stx_nlink, s->stx_uid, s->stx_gid, (unsigned long long)s->stx_size,
      (unsigned long long)s->stx_blocks, it->number);
  if (s->stx_rdev_major || s->stx_rdev_minor) say(" r=%u:%u", s->stx_rdev_major, s->stx_rdev_minor);
  say_time('m', s->stx_mtime, &it->times[0], new);
  say_time('c', s->stx_ctime, &it->times[1], new);
  say_time('a', s->stx_atime, &it->times[2], new);
}

static int look(int dir, const char *path, int flags, struct statx *s) {
  return statx(dir, path, flags, STATX_BASIC_STATS | STATX_BTIME, s);
}

static int watching;
static struct { int fd; const char *path; } watched[WATCHED];
static int watched_count;

static void watch_path(const char *path) {
  if (watched_count == WATCHED) return;
  watched[watched_count].fd = -1;
  watched[watched_count++].path = path;
}

static void watch_fd(int fd) {
  if (fd >= 0 && watched_count < WATCHED) watched[watched_count++].fd = fd;
}

static void say_watched_at(int fd, const char *path, int flags) {
  struct statx s;
  say(" | ");
  if (look(fd, path, flags, &s) != 0) fail();
  else say_attributes(&s);
}

/* The object itself and the directory that its name stands in, as root sees them. */
static void say_watched(void) {
  if (watched_count == 0) return;
  become(0);
  for (int i = 0; i < watched_count; i++) {
    if (watched[i].fd >= 0) {
      say_watched_at(watched[i].fd, "", AT_EMPTY_PATH);
      continue;
    }
    char dir[8192];
    snprintf(dir, sizeof dir, "%s", watched[i].path);
    say_watched_at(AT_FDCWD, watched[i].path, AT_SYMLINK_NOFOLLOW);
    size_t end = strlen(dir);
    while (end > 0 && dir[end - 1] == '/') end--;
    while (end > 0 && dir[end - 1] != '/') end--;
    dir[end] = 0;
    say_watched_at(AT_FDCWD, end == 0 ? "." : dir, 0);
  }
  become(user);
}

/* A path among the words, to be watched. */
static const char *path(int i) {
  watch_path(words[i]);
  return words[i];
}

static int file(int i) {
  int fd = descriptor(i);
  watch_fd(fd);
  return fd;
}

/* ---- bytes ---- */

/* The bytes of a write: each seed has its own, and no two stretches of them are alike. */
static void fill(unsigned seed, size_t length) {
  uint64_t x = seed * 2654435761u + 88172645463325252u;
  for (size_t i = 0; i < length; i++) {
    if (i % 8 == 0) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    buffer[i] = (char)(x >> (i % 8 * 8));
  }
}

static size_t length_at(int i) {
  long long n = number(i);
  return n < 0 ? 0 : n > BUFFER_BYTES ? BUFFER_BYTES : (size_t)n;
}

/* Where it succeeds, what the slot held before is closed. */
static void do_open(void) {
  long long slot = number(1);
  if (slot < 0 || slot >= SLOTS) _exit(3);
  int fd = open(path(2), (int)number(3) | O_CLOEXEC, (mode_t)number(4));
  if (result(fd < 0 ? -1 : 0) < 0) return;
  if (slots[slot] >= 0) close(slots[slot]);
  watch_fd(slots[slot] = fd);
  made_nameless = (number(3) & O_TMPFILE) == O_TMPFILE;
}

static void do_close(void) {
  int fd = descriptor(1);
  result(close(fd));
  if (fd >= 0) slots[number(1)] = -1;
}

static void read_answer(ssize_t n) {
  if (result(n) == 0) say_contents(buffer, (size_t)n);
}

static void do_read(void) { read_answer(read(file(1), buffer, length_at(2))); }
static void do_pread(void) { read_answer(pread(file(1), buffer, length_at(3), number(2))); }

static void do_write(void) {
  fill((unsigned)number(2), length_at(3));
  result(write(file(1), buffer, length_at(3)));
}

static void do_pwrite(void) {
  fill((unsigned)number(3), length_at(4));
  result(pwrite(file(1), buffer, length_at(4), number(2)));
}

/* put SLOT OFFSET BYTES: what is written, word for word. */
static void do_put(void) {
  result(pwrite(file(1), words[3], lengths[3], number(2)));
}

static void do_lseek(void) { result(lseek(file(1), number(2), (int)number(3))); }
static void do_truncate(void) { result(truncate(path(1), number(2))); }
static void do_ftruncate(void) { result(ftruncate(file(1), number(2))); }
static void do_fsync(void) { result(fsync(file(1))); }
static void do_fdatasync(void) { result(fdatasync(file(1))); }

static void do_fallocate(void) {
  result(fallocate(file(1), (int)number(2), number(3), number(4)));
}

/* copy FROM OFFSET TO OFFSET LENGTH; an offset below nought is the descriptor's own. */
static void do_copy(void) {
  off_t from = number(2), to = number(4);
  int in = file(1), out = file(3);
  result(copy_file_range(in, from < 0 ? NULL : &from, out, to < 0 ? NULL : &to, length_at(5), 0));
}

static sigjmp_buf bus;
static void on_bus(int signal) {
  (void)signal;
  siglongjmp(bus, 1);
}

/* mwrite SLOT OFFSET SEED LENGTH shared|private: written through a mapping; then read through it. */
static void do_mwrite(void) {
  off_t offset = number(2), start = offset & ~(off_t)(PAGE - 1);
  size_t length = length_at(4), lead = (size_t)(offset - start);
  int shared = strcmp(words[5], "shared") == 0;
  fill((unsigned)number(3), length);
  char *at = mmap(NULL, lead + length, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE,
                  file(1), start);
  if (at == MAP_FAILED) {
    fail();
    return;
  }
  if (sigsetjmp(bus, 1) == 0) {
    memcpy(at + lead, buffer, length);
    if (result(shared ? msync(at, lead + length, MS_SYNC) : 0) == 0) {
      say_contents(at + lead, length);
    }
  } else say("SIGBUS");
  munmap(at, lead + length);
}

/* mread SLOT OFFSET LENGTH */
static void do_mread(void) {
  off_t offset = number(2), start = offset & ~(off_t)(PAGE - 1);
  size_t length = length_at(3), lead = (size_t)(offset - start);
  char *at = mmap(NULL, lead + length, PROT_READ, MAP_SHARED, file(1), start);
  if (at == MAP_FAILED) {
    fail();
    return;
  }
  if (sigsetjmp(bus, 1) == 0) {
    memcpy(buffer, at + lead, length);
    read_answer((ssize_t)length);
  } else say("SIGBUS");
  munmap(at, lead + length);
}

/* Tells of bytes in what is said to be a hole. What cannot be read is not looked at. */
static void check_hole(int fd, off_t from, off_t to) {
  if (to > HASHED_BYTES) to = HASHED_BYTES;
  for (ssize_t n; from < to; from += n) {
    size_t length = to - from < PAGE ? (size_t)(to - from) : PAGE;
    n = pread(fd, buffer, length, from);
    if (n <= 0) return;
    for (ssize_t i = 0; i < n; i++) {
      if (buffer[i] == 0) continue;
      say(" NO-HOLE-AT=%lld", (long long)(from + i));
      return;
    }
  }
}

/* Where data stands in a file, as far as the filesystem tells. */
static void say_map(int fd, off_t size) {
  off_t ranges[64][2];
  int count = 0;
  for (off_t at = 0; at < size && count < 64; count++) {
    off_t from = lseek(fd, at, SEEK_DATA);
    if (from < 0) break;
    off_t to = lseek(fd, from, SEEK_HOLE);
    if (to < 0) to = size;
    ranges[count][0] = from;
    ranges[count][1] = to;
    at = to > from ? to : size;
  }
  say(" map=");
  for (int i = 0; i < count; i++) {
    say("%lld-%lld,", (long long)ranges[i][0], (long long)ranges[i][1]);
  }
  if (count == 64) return;
  off_t at = 0;
  for (int i = 0; i < count; at = ranges[i++][1]) check_hole(fd, at, ranges[i][0]);
  check_hole(fd, at, size);
}

/* seek SLOT OFFSET WHENCE: where data or a hole is; the descriptor stays where it was. */
static void do_seek(void) {
  int fd = file(1);
  off_t before = lseek(fd, 0, SEEK_CUR);
  result(lseek(fd, number(2), (int)number(3)));
  if (before >= 0) lseek(fd, before, SEEK_SET);
}

/* ---- names ---- */

static void do_link(void) {
  const char *from = path(1), *to = path(2);
  result(linkat(AT_FDCWD, from, AT_FDCWD, to, (int)number(3)));
}

/* linkfd SLOT PATH */
static void do_linkfd(void) {
  char self[16];
  snprintf(self, sizeof self, "%d", file(1));
  named_nameless = 1;
  result(linkat(own_files, self, AT_FDCWD, path(2), AT_SYMLINK_FOLLOW));
}

static void do_symlink(void) { result(symlink(words[1], path(2))); }

static void do_readlink(void) {
  ssize_t n = readlink(path(1), buffer, BUFFER_BYTES);
  if (result(n) == 0) say_contents(buffer, (size_t)n);
}

static void do_mkdir(void) { result(mkdir(path(1), (mode_t)number(2))); }
static void do_rmdir(void) { result(rmdir(path(1))); }
static void do_unlink(void) { result(unlink(path(1))); }

static void do_rename(void) {
  const char *from = path(1), *to = path(2);
  result(renameat2(AT_FDCWD, from, AT_FDCWD, to, (unsigned)number(3)));
}

static void do_mknod(void) {
  dev_t device = makedev((unsigned)number(3), (unsigned)number(4));
  result(mknod(path(1), (mode_t)number(2), device));
}

/* Binds a socket to a name, and answers what is sent through it. */
static void do_socket(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path(1));
  int served = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
  int failed = bind(served, (void *)&address, sizeof address) != 0 || listen(served, 1) != 0 ||
               connect(client, (void *)&address, sizeof address) != 0;
  if (failed) fail();
  else {
    int end = accept(served, NULL, NULL);
    result(write(client, "word", 4) == 4 && read(end, buffer, 4) == 4 ? 4 : -1);
    close(end);
  }
  close(served);
  close(client);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char **)a, *(char **)b); }

/* The names in a directory, sorted; NULL with errno set. "." and ".." are left out where `bare`. */
static char **names_in(const char *dir, size_t *count, int bare) {
  DIR *d = opendir(dir);
  if (d == NULL) return NULL;
  size_t room = 64;
  char **names = malloc(room * sizeof *names);
  *count = 0;
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    if (bare && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)) continue;
    if (*count == room) names = realloc(names, (room *= 2) * sizeof *names);
    names[(*count)++] = strdup(e->d_name);
  }
  closedir(d);
  qsort(names, *count, sizeof *names, by_bytes);
  return names;
}

static void free_names(char **names, size_t count) {
  for (size_t i = 0; i < count; i++) free(names[i]);
  free(names);
}

static void do_readdir(void) {
  size_t count;
  char **names = names_in(path(1), &count, 0);
  if (names == NULL) {
    fail();
    return;
  }
  say("ok %zu", count);
  for (size_t i = 0; i < count; i++) {
    say(" ");
    say_bytes(names[i], strlen(names[i]));
  }
  free_names(names, count);
}

/* ---- attributes ---- */

static void do_chmod(void) { result(chmod(path(1), (mode_t)number(2))); }
static void do_fchmod(void) { result(fchmod(file(1), (mode_t)number(2))); }
static void do_chown(void) { result(chown(path(1), (uid_t)number(2), (gid_t)number(3))); }
static void do_lchown(void) { result(lchown(path(1), (uid_t)number(2), (gid_t)number(3))); }
static void do_fchown(void) { result(fchown(file(1), (uid_t)number(2), (gid_t)number(3))); }

static struct timespec time_at(int i) {
  struct timespec t = {number(i), number(i + 1)};
  if (strcmp(words[i], "now") == 0) t.tv_nsec = UTIME_NOW;
  if (strcmp(words[i], "omit") == 0) t.tv_nsec = UTIME_OMIT;
  return t;
}

/* utimens PATH ASEC ANSEC MSEC MNSEC FLAGS; "now" and "omit" stand for seconds. */
static void do_utimens(void) {
  struct timespec times[2] = {time_at(2), time_at(4)};
  result(utimensat(AT_FDCWD, path(1), times, (int)number(6)));
}

static void do_futimens(void) {
  struct timespec times[2] = {time_at(2), time_at(4)};
  result(futimens(file(1), times));
}

static void do_access(void) { result(faccessat(AT_FDCWD, path(1), (int)number(2), AT_EACCESS)); }

static void stat_answer(int fd, const char *name, int flags) {
  struct statx s;
  if (result(look(fd, name, flags, &s)) != 0) return;
  say(" ");
  say_attributes(&s);
}

static void do_stat(void) { stat_answer(AT_FDCWD, words[1], 0); }
static void do_lstat(void) { stat_answer(AT_FDCWD, words[1], AT_SYMLINK_NOFOLLOW); }
static void do_fstat(void) { stat_answer(descriptor(1), "", AT_EMPTY_PATH); }

static void do_map(void) {
  struct stat s;
  int fd = file(1);
  off_t before = lseek(fd, 0, SEEK_CUR);
  if (result(fstat(fd, &s)) != 0) return;
  say_map(fd, s.st_size);
  if (before >= 0) lseek(fd, before, SEEK_SET);
}

/* setxattr PATH NAME SEED LENGTH FLAGS */
static void do_setxattr(void) {
  fill((unsigned)number(3), length_at(4));
  result(setxattr(path(1), words[2], buffer, length_at(4), (int)number(5)));
}

/* putxattr PATH NAME BYTES FLAGS */
static void do_putxattr(void) {
  result(setxattr(path(1), words[2], words[3], lengths[3], (int)number(4)));
}

static void do_getxattr(void) {
  ssize_t n = getxattr(path(1), words[2], buffer, BUFFER_BYTES);
  if (result(n) == 0) say_contents(buffer, (size_t)n);
}

static void do_removexattr(void) { result(removexattr(path(1), words[2])); }

static void say_xattrs(const char *name) {
  static char list[1 << 16];
  ssize_t n = llistxattr(name, list, sizeof list);
  char *names[1024];
  size_t count = 0;
  for (char *at = list; n > 0 && at < list + n && count < 1024; at += strlen(at) + 1) {
    names[count++] = at;
  }
  qsort(names, count, sizeof *names, by_bytes);
  for (size_t i = 0; i < count; i++) {
    ssize_t length = lgetxattr(name, names[i], buffer, BUFFER_BYTES);
    say(" x:");
    say_bytes(names[i], strlen(names[i]));
    if (length < 0) say("=%s", strerrorname_np(errno));
    else say("=%016llx", (unsigned long long)hash(HASH_START, buffer, (size_t)length));
  }
}

static void do_listxattr(void) {
  ssize_t n = listxattr(path(1), NULL, 0);
  if (result(n < 0 ? -1 : 0) == 0) say_xattrs(words[1]);
}

static void do_statfs(void) {
  struct statvfs s;
  if (result(statvfs(words[1], &s)) != 0) return;
  say(" bsize=%lu frsize=%lu namemax=%lu", s.f_bsize, s.f_frsize, s.f_namemax);
  say(" blocks=%llu bfree=%llu bavail=%llu", (unsigned long long)s.f_blocks,
      (unsigned long long)s.f_bfree, (unsigned long long)s.f_bavail);
  say(" files=%llu ffree=%llu", (unsigned long long)s.f_files, (unsigned long long)s.f_ffree);
}

/* ---- all of a tree ---- */

static void say_file(const char *name, off_t size) {
  int fd = open(name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) {
    say(" ");
    fail();
    return;
  }
  say_map(fd, size);
  uint64_t h = HASH_START;
  ssize_t n = 0;
  for (off_t at = 0; size <= HASHED_BYTES && (n = pread(fd, buffer, 1 << 16, at)) > 0; at += n) {
    h = hash(h, buffer, (size_t)n);
  }
  if (n < 0) say(" unreadable=%s", strerrorname_np(errno));
  else say(" hash=%016llx", (unsigned long long)h);
  close(fd);
}

static void say_tree(const char *name) {
  struct statx s;
  say(" | ");
  say_bytes(name, strlen(name));
  say(" ");
  if (look(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, &s) != 0) {
    fail();
    return;
  }
  say_attributes(&s);
  say_xattrs(name);
  switch (s.stx_mode & S_IFMT) {
  case S_IFREG: say_file(name, (off_t)s.stx_size); break;
  case S_IFLNK:
    say(" target=");
    say_bytes(buffer, (size_t)readlink(name, buffer, BUFFER_BYTES));
    break;
  case S_IFDIR: {
    size_t count;
    char **names = names_in(name, &count, 1);
    for (size_t i = 0; names != NULL && i < count; i++) {
      char *below = malloc(strlen(name) + strlen(names[i]) + 2);
      sprintf(below, "%s/%s", name, names[i]);
      say_tree(below);
      free(below);
    }
    if (names != NULL) free_names(names, count);
    break;
  }
  }
}

/* tree: everything below ROOT, as root sees it. */
static void do_tree(void) {
  become(0);
  say("ok 0");
  say_tree(".");
  become(user);
}

/* ---- the actor itself ---- */

static void do_umask(void) { result(umask((mode_t)number(1)) & 0); }

static void do_watch(void) {
  watching = (int)number(1);
  say("ok 0");
}

/* Leaves the jail; slots are closed, and what was seen is forgotten. */
static void start_again(void) {
  become(0);
  if (jailed && (fchdir(first_root) != 0 || chroot(".") != 0)) _exit(3);
  jailed = 0;
  for (int i = 0; i < SLOTS; i++) {
    if (slots[i] >= 0) close(slots[i]);
    slots[i] = -1;
  }
  memset(seen, 0, sizeof seen);
  seen_count = 0;
  begun = time(NULL) - 2;
  umask(0);
}

/* in PATH: where paths start from now on. */
static void do_in(void) {
  start_again();
  result(chdir(words[1]));
  become(user);
}

/* jail PATH: the same, and nothing leads out of it, neither ".." nor a symbolic link. */
static void do_jail(void) {
  start_again();
  jailed = chdir(words[1]) == 0 && chroot(".") == 0;
  result(jailed ? 0 : -1);
  become(user);
}

static const struct { const char *name; void (*run)(void); } OPERATIONS[] = {
    {"as", do_as}, {"umask", do_umask}, {"watch", do_watch}, {"in", do_in}, {"jail", do_jail},
    {"open", do_open}, {"close", do_close}, {"read", do_read}, {"pread", do_pread},
    {"write", do_write}, {"pwrite", do_pwrite}, {"put", do_put}, {"lseek", do_lseek}, {"seek", do_seek},
    {"truncate", do_truncate}, {"ftruncate", do_ftruncate}, {"fsync", do_fsync},
    {"fdatasync", do_fdatasync}, {"fallocate", do_fallocate}, {"copy", do_copy},
    {"mwrite", do_mwrite}, {"mread", do_mread}, {"map", do_map},
    {"link", do_link}, {"linkfd", do_linkfd}, {"symlink", do_symlink},
    {"readlink", do_readlink}, {"mkdir", do_mkdir}, {"rmdir", do_rmdir}, {"unlink", do_unlink},
    {"rename", do_rename}, {"mknod", do_mknod}, {"socket", do_socket}, {"readdir", do_readdir},
    {"chmod", do_chmod}, {"fchmod", do_fchmod}, {"chown", do_chown}, {"lchown", do_lchown},
    {"fchown", do_fchown}, {"utimens", do_utimens}, {"futimens", do_futimens},
    {"access", do_access}, {"stat", do_stat}, {"lstat", do_lstat}, {"fstat", do_fstat},
    {"setxattr", do_setxattr}, {"putxattr", do_putxattr}, {"getxattr", do_getxattr}, {"removexattr", do_removexattr},
    {"listxattr", do_listxattr}, {"statfs", do_statfs}, {"tree", do_tree},
};

static void run(char *line) {
  split(line);
  answer_length = 0;
  watched_count = made_nameless = named_nameless = 0;
  size_t i = 0, count = sizeof OPERATIONS / sizeof *OPERATIONS;
  while (i < count && strcmp(OPERATIONS[i].name, words[0]) != 0) i++;
  if (i == count) {
    fprintf(stderr, "no operation %s\n", words[0]);
    _exit(3);
  }
  OPERATIONS[i].run();
  if (watching) say_watched();
  say("\n");
}

int main(int argc, char **argv) {
  if (argc != 2 || chdir(argv[1]) != 0) return 2;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGBUS, on_bus);
  umask(0);
  first_root = open("/", O_PATH | O_DIRECTORY);
  own_files = open("/proc/self/fd", O_PATH | O_DIRECTORY);
  begun = time(NULL) - 2;
  for (int i = 0; i < SLOTS; i++) slots[i] = -1;
  answer = malloc(answer_room = 1 << 16);
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    run(line);
    fwrite(answer, 1, answer_length, stdout);
    fflush(stdout);
  }
  return 0;
}
