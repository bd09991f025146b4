/**
 * One task, run for many callers: each gets a run that began after its call, and callers that wait
 * for the same run share it. At most one run is under way and one is wanted, whatever the load; so
 * a hundred callers of a sync cost two syncs.
 */

export class SharedRun {
  readonly #task: () => Promise<void>;
  #current: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  /** The run under way, or undefined. */
  get current(): Promise<void> | undefined {
    return this.#current;
  }

  /** Resolves or rejects as a run that begins now or later does. */
  request(): Promise<void> {
    if (this.#current === undefined) return this.#begin();
    this.#next ??= this.#current.then(
      () => this.#beginNext(),
      () => this.#beginNext(),
    );
    return this.#next;
  }

  #beginNext(): Promise<void> {
    this.#next = undefined;
    return this.#begin();
  }

  #begin(): Promise<void> {
    const run = this.#task().finally(() => {
      this.#current = undefined;
    });
    this.#current = run;
    return run;
  }
}
