/**
 * Ways to spoil the order of writes and syncs, each of which must make the power-loss test fail:
 * the proof that the test would notice, were the code changed that way.
 */

import { forgetting, swapping, type DiskCall } from '../faults.ts';
import type { Mutation } from './simulation.ts';

const on =
  (pattern: RegExp, ...kinds: readonly DiskCall['kind'][]) =>
  (call: DiskCall): boolean =>
    kinds.includes(call.kind) && pattern.test(call.path);

const LOG_SEGMENT = /^\/volume\/log\/\d+\.avro$/;
const DATA_SEGMENT = /^\/volume\/data\/[^/]+\/\d+\.seg$/;

const commits = on(LOG_SEGMENT, 'datasync');
const dataSyncs = on(DATA_SEGMENT, 'datasync', 'sync');

/**
 * One for each sync that the design relies on, named after what it makes durable. Not among them:
 * that of state.json's bytes, since a torn one is no worse than none (its name counts: the
 * directory's).
 */
export const MUTATIONS: readonly Mutation[] = [
  { name: 'log segment: commits', faults: forgetting(commits) },
  {
    name: 'log segment: its header, before it gets its name',
    faults: forgetting(on(/next\.avro\.new$/, 'sync', 'datasync')),
  },
  { name: 'log directory', faults: forgetting(on(/^\/volume\/log$/, 'syncDir')) },
  {
    name: 'log segment: what recovery writes again',
    faults: forgetting(on(LOG_SEGMENT, 'sync')),
  },
  { name: 'data segment', faults: forgetting(dataSyncs) },
  {
    name: 'data folder of a run: the names of its segments',
    faults: forgetting(on(/^\/volume\/data\/[^/]+$/, 'syncDir')),
  },
  {
    name: 'data directory: the folders of runs',
    faults: forgetting(on(/^\/volume\/data$/, 'syncDir')),
  },
  { name: 'data and log swapped', faults: swapping(dataSyncs, commits) },
  { name: 'volume.json', faults: forgetting(on(/volume\.json\.new$/, 'sync')) },
  { name: 'volume directory', faults: forgetting(on(/^\/volume$/, 'syncDir')) },
  { name: 'an index that is trusted after a power loss', trustsIndex: true },
];
