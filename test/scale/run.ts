/**
 * `npm run test:scale`: does it hold at the size that it is made for? Volumes without history, of
 * ten million names, five million files, files of a million extents, twenty thousand open files,
 * attributes of 64 KiB: memory, time, bytes on disk, and what others wait meanwhile.
 *
 *   npm run test:scale -- [--scale S] [--only PART]... [--dir DIRECTORY] [--no-record]
 *                         [--entries N] [--files N] [--extents N] [--open-files N] [--xattrs N]
 *                         [--sampled N] [--baseline-seconds N] [--fsck-limit N]
 *
 * --scale 0.01 does a hundredth of everything; the other numbers are of single parts. DIRECTORY
 * (default: that for temporary files) says which disk; all of it needs about 60 GB there. Needs
 * root, /dev/fuse and cc. A part that fails is a finding, and the next one is run; exit status 1
 * where anything was found. Everything is taken away, also after Ctrl-C, but
 * docs/evidence/scale.json, which has what is finished after each part.
 */

import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { Lab } from '../../bench/lab/lab.ts';
import { QUICK } from '../../bench/lab/scale.ts';
import { clearLeftovers } from '../runner/leftovers.ts';
import { commitNow } from '../runner/evidence.ts';
import { Evidence, machineOf, type PartRecord } from './evidence.ts';
import { directory } from './parts/directory.ts';
import { extents } from './parts/extents.ts';
import { openFiles } from './parts/open-files.ts';
import { smallFiles } from './parts/small-files.ts';
import { xattrs } from './parts/xattrs.ts';
import { Site, type Figures, type Part, type Programs } from './site.ts';
import { cutSizes, sizesAt, type Sizes } from './sizes.ts';

/** Short ones first: what they find needs no hour. */
const PARTS: readonly Part[] = [openFiles, xattrs, extents, directory, smallFiles];
/** A single program that takes longer hangs. */
const PROGRAM_MS = 60 * 60_000;

/** What no option brings back. */
const CUT = [
  'the large directory and the small files are filled and removed through the engine, in process: ' +
    'through the mount it takes some times as long, and the kernel adds nothing to what is shown',
];

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: [] },
    dir: { type: 'string', default: tmpdir() },
    'no-record': { type: 'boolean', default: false },
    entries: { type: 'string' },
    files: { type: 'string' },
    extents: { type: 'string' },
    'open-files': { type: 'string' },
    xattrs: { type: 'string' },
    sampled: { type: 'string' },
    'baseline-seconds': { type: 'string' },
    'fsck-limit': { type: 'string' },
  },
});

const begun = performance.now();

function say(line: string): void {
  const seconds = Math.floor((performance.now() - begun) / 1000);
  const minutes = Math.floor(seconds / 60);
  process.stdout.write(`${minutes}:${String(seconds % 60).padStart(2, '0')} ${line}\n`);
}

function positive(name: string, text: string): number {
  const n = Number(text);
  if (!(n > 0)) throw new Error(`--${name} ${text}: not a number above 0`);
  return n;
}

function sizesAsked(): Sizes {
  const asked = {
    entries: values.entries,
    files: values.files,
    extents: values.extents,
    openFiles: values['open-files'],
    xattrs: values.xattrs,
    sampled: values.sampled,
    baselineSeconds: values['baseline-seconds'],
    fsckLimit: values['fsck-limit'],
  };
  const given = Object.entries(asked).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, positive(name, text)] as const],
  );
  return sizesAt(positive('scale', values.scale), Object.fromEntries(given));
}

function partsAsked(): readonly Part[] {
  const known = PARTS.map(({ name }) => name);
  const unknown = values.only.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new Error(`no part is called ${unknown}; there are ${known.join(', ')}`);
  }
  return PARTS.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
}

async function compilePrograms(lab: Lab): Promise<Programs> {
  const compile = (name: string): Promise<string> => lab.compile(`test/scale/${name}.c`);
  return {
    probe: await compile('probe'),
    handles: await compile('handles'),
    xattrs: await compile('xattrs'),
    sample: await compile('sample'),
  };
}

/** Runs one part and takes its volumes away; never rejects. */
async function runPart(
  lab: Lab,
  programs: Programs,
  sizes: Sizes,
  part: Part,
): Promise<PartRecord> {
  const site = new Site({ lab, sizes, programs, part: part.name, say });
  const [date, started, commit] = [new Date(), performance.now(), commitNow()];
  const hasFailed = await part.run(site).then(
    () => false,
    (error: unknown) => {
      site.finding(`failed: ${String(error)}`);
      return true;
    },
  );
  const durationSeconds = Math.round((performance.now() - started) / 1000);
  for (const what of await clearLeftovers(lab.dir)) {
    if (hasFailed) say(`${part.name}: taken away: ${what}`);
    else site.finding(`left behind: ${what}`);
  }
  for (const volume of site.volumes) await lab.remove(volume);
  say(`${part.name}: ${durationSeconds} s, ${site.findings.length} findings`);
  return {
    name: part.name,
    commit,
    date: date.toISOString(),
    parameters: { ...sizes } as Figures,
    cut: [...CUT, ...cutSizes(sizes), ...site.cuts],
    durationSeconds,
    figures: site.figures,
    findings: site.findings,
  };
}

/** An interrupted run takes away what it made, too. */
function closeOnSignal(lab: Lab): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      say(`${signal}: cleaning up`);
      void lab.close().then(() => process.exit(1));
    });
  }
}

async function main(): Promise<void> {
  const [sizes, parts] = [sizesAsked(), partsAsked()];
  const command = ['npm run test:scale', ...process.argv.slice(2)].join(' ');
  const names = PARTS.map(({ name }) => name);
  const evidence = new Evidence(command, machineOf(values.dir), names);
  say(`building in ${values.dir}; ${parts.map(({ name }) => name).join(', ')}`);
  const lab = await Lab.open(values.dir, QUICK, { folders: ['test/scale'], programMs: PROGRAM_MS });
  // Daemons inherit this mark, by which those that are left are found.
  process.env['LEDGERFS_TEST_SCRATCH'] = lab.dir;
  lab.defer(() => clearLeftovers(lab.dir));
  closeOnSignal(lab);
  try {
    const programs = await compilePrograms(lab);
    for (const part of parts) {
      const record = await runPart(lab, programs, sizes, part);
      if (record.findings.length > 0) process.exitCode = 1;
      if (!values['no-record']) evidence.add(record);
    }
  } finally {
    await lab.close();
  }
  say('done');
}

await main();
