/** A progress bar on stderr: only on a terminal, and only for work longer than a second. */

import type { SingleBar } from 'cli-progress';
import type { OnProgress } from '../../src/control/protocol.ts';

const PATIENCE_MS = 1000;

export interface ProgressBar {
  readonly update: OnProgress;
  /** Takes the bar away. */
  stop(): void;
}

export function progressBar(): ProgressBar {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} };
  let bar: SingleBar | undefined;
  let isWanted = true;
  const appear = async (): Promise<void> => {
    const { default: cliProgress } = await import('cli-progress');
    if (!isWanted) return;
    bar = new cliProgress.SingleBar({
      format: '{phase} {bar} {percentage} % | {value} of {total} | {eta_formatted} left',
      clearOnComplete: true,
      hideCursor: true,
      stream: process.stderr,
    });
    bar.start(0, 0, { phase: '' });
  };
  const timer = setTimeout(() => void appear(), PATIENCE_MS);
  timer.unref();
  return {
    update({ phase, done, total }) {
      bar?.setTotal(Math.max(total, done));
      bar?.update(done, { phase });
    },
    stop() {
      isWanted = false;
      clearTimeout(timer);
      bar?.stop();
    },
  };
}

/** Runs `work` with a progress bar, and takes the bar away however it ends. */
export async function withProgress<T>(work: (onProgress: OnProgress) => Promise<T>): Promise<T> {
  const bar = progressBar();
  try {
    return await work(bar.update);
  } finally {
    bar.stop();
  }
}
