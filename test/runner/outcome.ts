/** What a check or a test file came to. */

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  /** What it printed; shown when something failed. */
  readonly output: string;
}

export const NOTHING: Outcome = { passed: 0, failed: 0, skipped: 0, seconds: 0, output: '' };

export const add = (a: Outcome, b: Outcome): Outcome => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
  seconds: a.seconds + b.seconds,
  output: '',
});
