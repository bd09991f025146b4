/*
 * sample DIR COUNT FILES PER_DIR: reads COUNT files of FILES at random, each opened, read whole and
 * closed, and compares them with what `programs/fill-files.ts` wrote: DIR/dN/fI holds the line
 * "I", 15 digits wide, again and again for 1 KiB. In one stage (stage.h).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "stage.h"

enum { FILE_BYTES = 1024, LINE_BYTES = 16 };

static void compare(const char *path, const char *contents, long i) {
  char line[32];
  snprintf(line, sizeof line, "%015ld\n", i);
  for (int at = 0; at < FILE_BYTES; at += LINE_BYTES)
    if (memcmp(contents + at, line, LINE_BYTES) != 0) unlike(path);
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "sample: usage: sample DIR COUNT FILES PER_DIR\n");
    return 2;
  }
  long count = atol(argv[2]), files = atol(argv[3]), per_dir = atol(argv[4]);
  char path[PATH_BYTES + 64], contents[BLOCK];
  struct stage s = begin_stage("read", count);
  for (long n = 0; n < count; n++, step(&s)) {
    long i = lrand48() % files;
    snprintf(path, sizeof path, "%s/d%ld/f%ld", argv[1], i / per_dir, i);
    int fd = open(path, O_RDONLY);
    if (fd < 0) die(path);
    if (read(fd, contents, sizeof contents) != FILE_BYTES) unlike(path);
    if (close(fd) != 0) die(path);
    compare(path, contents, i);
  }
  end_stage(&s);
  return 0;
}
