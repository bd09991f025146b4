/*
 * xattrs DIR COUNT BYTES: an extended attribute of BYTES on each of COUNT files: created, set, read
 * and compared, listed, replaced; then removed from one half of the files, while the other half is
 * removed with theirs. In stages (stage.h).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stage.h"

enum { MAX_BYTES = 65536 };
static const char NAME[] = "user.large";

static const char *dir;
static long bytes;
static char value[MAX_BYTES], wanted[MAX_BYTES];

static const char *path_of(long i) {
  static char path[PATH_BYTES + 32];
  snprintf(path, sizeof path, "%s/x%ld", dir, i);
  return path;
}

/* Each file's own bytes, which no compression makes small. */
static void fill(char *to, long i, int round) {
  uint64_t state = (uint64_t)i * 2 + round + 1;
  for (long at = 0; at < bytes; at++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    to[at] = (char)(state >> 56);
  }
}

static void create_all(long count) {
  struct stage s = begin_stage("create", count);
  for (long i = 0; i < count; i++, step(&s)) {
    int fd = open(path_of(i), O_CREAT | O_EXCL | O_WRONLY, 0644);
    if (fd < 0 || close(fd) != 0) die(path_of(i));
  }
  end_stage(&s);
}

static void set_all(const char *name, int flags, int round, long count) {
  struct stage s = begin_stage(name, count);
  for (long i = 0; i < count; i++) {
    fill(value, i, round);
    s.before = now_ns();
    if (setxattr(path_of(i), NAME, value, bytes, flags) != 0) die(path_of(i));
    step(&s);
  }
  end_stage(&s);
}

static void get_all(int round, long count) {
  struct stage s = begin_stage("get", count);
  for (long i = 0; i < count; i++) {
    fill(wanted, i, round);
    s.before = now_ns();
    if (getxattr(path_of(i), NAME, value, sizeof value) != bytes) die(path_of(i));
    step(&s);
    if (memcmp(value, wanted, bytes) != 0) unlike(path_of(i));
  }
  end_stage(&s);
}

static void list_all(long count) {
  struct stage s = begin_stage("list", count);
  char names[256];
  for (long i = 0; i < count; i++, step(&s)) {
    ssize_t length = listxattr(path_of(i), names, sizeof names);
    if (length != sizeof NAME || memcmp(names, NAME, sizeof NAME) != 0) unlike(path_of(i));
  }
  end_stage(&s);
}

static void remove_half(long count) {
  struct stage s = begin_stage("remove", count / 2);
  for (long i = 0; i < count; i += 2, step(&s))
    if (removexattr(path_of(i), NAME) != 0) die(path_of(i));
  end_stage(&s);
}

static void unlink_all(long count) {
  struct stage s = begin_stage("unlink", count);
  for (long i = 0; i < count; i++, step(&s))
    if (unlink(path_of(i)) != 0) die(path_of(i));
  end_stage(&s);
}

int main(int argc, char **argv) {
  long count = argc == 4 ? atol(argv[2]) : 0;
  bytes = argc == 4 ? atol(argv[3]) : 0;
  if (count <= 0 || bytes <= 0 || bytes > MAX_BYTES) {
    fprintf(stderr, "xattrs: usage: xattrs DIR COUNT BYTES\n");
    return 2;
  }
  dir = argv[1];
  create_all(count);
  set_all("set", XATTR_CREATE, 0, count);
  get_all(0, count);
  list_all(count);
  set_all("replace", XATTR_REPLACE, 1, count);
  get_all(1, count);
  remove_half(count);
  unlink_all(count);
  return 0;
}
