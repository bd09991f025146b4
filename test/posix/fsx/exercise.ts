/**
 * Runs the exerciser (`fsx.c`) on a file of a mount, and looks at the file again after the volume was
 * unmounted and mounted: what was answered must be what is kept.
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compile } from '../actor.ts';
import type { Sides } from '../sides.ts';

const LIMIT_MS = 6 * 3600 * 1000;

export interface Exercise {
  readonly seed: number;
  readonly operations: number;
  /** Changes a byte before this operation: the exerciser must see it. */
  readonly corruptAt?: number;
}

export interface ExerciseResult {
  readonly made: Readonly<Record<string, number>>;
  /** Operations that the filesystem does not have. */
  readonly notSupported: Readonly<Record<string, number>>;
  /** The last operations and the difference, where there was one. */
  readonly finding: string | undefined;
}

function start(program: string, args: readonly string[]): Promise<ExerciseResult> {
  return new Promise((resolve, reject) => {
    const options = { timeout: LIMIT_MS, killSignal: 'SIGKILL' } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve({ ...JSON.parse(stdout), finding: undefined } as ExerciseResult);
      else if (child.exitCode === 1) resolve({ made: {}, notSupported: {}, finding: stderr });
      else reject(new Error(`fsx: ${error.message}: ${stderr}`));
    });
  });
}

/** Exercises a file in `folder`; `image` gets what the file must be. */
async function exerciseIn(
  sides: Sides,
  folder: string,
  image: string,
  { seed, operations, corruptAt }: Exercise,
): Promise<ExerciseResult> {
  const program = await compile('fsx/fsx', sides.volume.scratch);
  const args = [join(folder, 'fsx-file'), image, String(operations), String(seed)];
  return start(program, corruptAt === undefined ? args : [...args, String(corruptAt)]);
}

export const exerciseReference = (sides: Sides, exercise: Exercise): Promise<ExerciseResult> =>
  exerciseIn(sides, sides.reference, join(sides.volume.scratch, 'image'), exercise);

/** On the mount; a file that is another after a remount is a finding too. Stays mounted. */
export async function exerciseMount(sides: Sides, exercise: Exercise): Promise<ExerciseResult> {
  const image = join(sides.volume.scratch, 'image');
  const result = await exerciseIn(sides, sides.mount, image, exercise);
  if (result.finding !== undefined) return result;
  await sides.volume.unmount();
  await sides.volume.mount();
  const [expected, actual] = await Promise.all([
    readFile(image),
    readFile(join(sides.mount, 'fsx-file')),
  ]);
  if (actual.equals(expected)) return result;
  return { ...result, finding: 'the file is another after the volume was mounted again' };
}
