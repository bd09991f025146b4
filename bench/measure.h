/*
 * Timing for the C programs of bench/ and test/scale/: a monotonic clock, latencies, and what stands
 * between two quantiles. Each program is one file, so everything here is static.
 */
#ifndef LEDGERFS_MEASURE_H
#define LEDGERFS_MEASURE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void die(const char *what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct samples {
  uint32_t *ns;
  long count, capacity;
};

static struct samples samples_of(long capacity) {
  struct samples s = {calloc(capacity > 0 ? capacity : 1, sizeof(uint32_t)), 0, capacity};
  if (s.ns == NULL) die("memory");
  return s;
}

static void add(struct samples *s, uint64_t ns) {
  if (s->count == s->capacity) {
    s->capacity = s->capacity * 2 + 1;
    s->ns = realloc(s->ns, s->capacity * sizeof(uint32_t));
    if (s->ns == NULL) die("memory");
  }
  s->ns[s->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void sort(struct samples *s) { qsort(s->ns, s->count, sizeof(uint32_t), by_value); }

/* Of sorted samples, the one that this share of them is not above. */
static double microseconds(const struct samples *s, double share) {
  if (s->count == 0) return 0;
  long at = (long)(share * s->count);
  return s->ns[at < s->count ? at : s->count - 1] / 1000.0;
}

#endif
