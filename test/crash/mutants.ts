/** The rules that `mutant.ts` can break. */

export const MUTANTS = [
  'fsync is answered before the commit',
  'rename leaves pending writes behind',
  'close leaves pending writes behind',
  'the log is written before the data',
  'the index leads the log',
] as const;

export type MutantName = (typeof MUTANTS)[number];
