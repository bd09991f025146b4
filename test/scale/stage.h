/*
 * Programs that work in stages: after each one they print its figures as a line of JSON, and go on
 * when a line (or the end) comes in, so that whoever started them can look at the daemon meanwhile.
 */
#ifndef LEDGERFS_STAGE_H
#define LEDGERFS_STAGE_H

#include "../../bench/measure.h"

enum { BLOCK = 4096, PATH_BYTES = 4096 };

struct stage {
  const char *name;
  struct samples samples;
  uint64_t begun, before;
};

static struct stage begin_stage(const char *name, long count) {
  struct stage s = {name, samples_of(count), now_ns(), 0};
  s.before = s.begun;
  return s;
}

/* One operation ended, and the next begins. */
static void step(struct stage *s) {
  uint64_t after = now_ns();
  add(&s->samples, after - s->before);
  s->before = after;
}

static void end_stage(struct stage *s) {
  double seconds = (s->before - s->begun) / 1e9;
  struct samples *all = &s->samples;
  sort(all);
  printf("{\"stage\":\"%s\",\"operations\":%ld,\"seconds\":%.6f,\"perSecond\":%.1f,"
         "\"p50us\":%.1f,\"p99us\":%.1f,\"maxus\":%.1f}\n",
         s->name, all->count, seconds, all->count / seconds, microseconds(all, 0.5),
         microseconds(all, 0.99), microseconds(all, 1));
  fflush(stdout);
  free(all->ns);
  char line[16];
  if (fgets(line, sizeof line, stdin) == NULL && ferror(stdin)) die("stdin");
}

static void unlike(const char *path) {
  fprintf(stderr, "%s: %s does not hold what was written\n", program_invocation_short_name, path);
  exit(1);
}

#endif
