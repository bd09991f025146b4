/**
 * The end of a part's volume: unmounted in good time, its journal without errors, its log and index
 * sound, and its state equal to that of a replay from the beginning; the last two where they do not
 * take too long.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MountedVolume } from '../../bench/lab/subjects.ts';
import { round, type Site } from './site.ts';

export interface Contents {
  /** Items that the volume held: a replay of more than DIGEST_ITEMS is left out. */
  readonly items: number;
  /** In its log, about: of more than `sizes.fsckLimit`, fsck is left out. */
  readonly transactions: number;
}

const DIGEST_ITEMS = 1_000_000;
/** Pino's level of errors. */
const ERROR_LEVEL = 50;

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; seconds: number }> {
  const begun = performance.now();
  const value = await work();
  return { value, seconds: round((performance.now() - begun) / 1000) };
}

export async function unmount(site: Site, mounted: MountedVolume): Promise<void> {
  const { seconds } = await timed(() => mounted.unmount());
  site.figure('umount', { seconds });
}

/** Errors that the volume's daemon wrote into its journal are findings. */
export async function checkJournal(site: Site, volume: string): Promise<void> {
  const journal = await readFile(site.journalOf(volume), 'utf8').catch(() => '');
  for (const line of journal.split('\n')) {
    if (line === '') continue;
    const { level = ERROR_LEVEL, msg = line } = parsed(line);
    if (level >= ERROR_LEVEL) site.finding(`the daemon's journal: ${msg}`);
  }
}

/** The last line of a daemon that was killed may be cut. */
function parsed(line: string): { readonly level?: number; readonly msg?: string } {
  try {
    return JSON.parse(line) as { level: number; msg: string };
  } catch {
    return { level: 0 };
  }
}

/** The journal; fsck, or the log alone; and the digest against a replay. */
export async function checkVolume(site: Site, volume: string, contents: Contents): Promise<void> {
  const { items, transactions } = contents;
  await checkJournal(site, volume);
  if (transactions <= site.sizes.fsckLimit) {
    await check(site, 'fsck', () => site.lab.ledgerfs('fsck', volume));
  } else {
    site.cut(`${site.part}: no fsck of more than ${site.sizes.fsckLimit} transactions; log verify`);
    await check(site, 'log verify', () => site.lab.ledgerfs('log', 'verify', volume));
  }
  if (items <= DIGEST_ITEMS) await compareWithReplay(site, volume);
  else site.cut(`${site.part}: no digest of a replay, of more than ${DIGEST_ITEMS} items`);
}

/** A part that is work through one mount of a new volume, and the end of that. */
export async function throughOneMount(
  site: Site,
  work: (site: Site, mounted: MountedVolume) => Promise<void>,
  contents: Contents,
): Promise<void> {
  const volume = await site.volume();
  const mounted = await site.mount(volume);
  await work(site, mounted);
  await unmount(site, mounted);
  await checkVolume(site, volume, contents);
}

async function check(site: Site, name: string, work: () => Promise<string>): Promise<void> {
  site.say(name);
  await timed(work).then(
    ({ value, seconds }) => site.figure(name, { seconds, says: value.trimEnd().split('\n') }),
    (error: Error) => site.finding(`${name}: ${error.message}`),
  );
}

async function compareWithReplay(site: Site, volume: string): Promise<void> {
  const into = join(await site.lab.directory('replayed'), 'index');
  const digest = lastLine(await site.lab.ledgerfs('digest', volume));
  const replay = await timed(() => site.lab.ledgerfs('replay', volume, '--into', into));
  await site.lab.remove(into);
  const equal = lastLine(replay.value) === digest;
  site.figure('replay', { seconds: replay.seconds, digest, equal });
  if (!equal) site.finding(`digest ${digest}, but a replay gives ${lastLine(replay.value)}`);
}
