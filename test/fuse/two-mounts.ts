/**
 * A process that makes a volume in the folder given and mounts it twice, at `a` and `b` in it, for
 * tests: `ready` on stdout once both are usable. A line on stdin asks for the requests served so far.
 */

import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createVolume } from '../../src/engine/create-volume.ts';
import { systemPorts } from '../../src/engine/ports.ts';
import { openVolume } from '../../src/engine/volume.ts';
import { startSession, type Session } from '../../src/fuse/session.ts';

const [folder = '', settings = '{}'] = process.argv.slice(2);
const timeouts = JSON.parse(settings) as { entryTimeoutMs?: number; attrTimeoutMs?: number };
const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const log = (level: string, message: string, fields?: object): void =>
  say({ log: level, message, ...fields });

const dir = `${folder}/volume`;
const owner = { uid: 0, gid: 0, pid: process.pid };
const fixed = { historyMicros: 0, sizeLimitBlocks: 0, force: false };
await createVolume({ dir, owner, ports: systemPorts, ...fixed });
const onFailure = (error: Error): void => say({ error: error.message });
const volume = await openVolume({ dir, log, onFailure });
const sessions: Session[] = [];
for (const name of ['a', 'b']) {
  mkdirSync(`${folder}/${name}`);
  sessions.push(
    await startSession({
      filesystem: volume.filesystem,
      mountPoint: `${folder}/${name}`,
      source: dir,
      ...timeouts,
      log,
      onUnmounted: (reason) => log('info', `unmounted: ${reason}`),
    }),
  );
}

let isEnding = false;

async function end(): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  for (const session of sessions) await session.unmount({ lazy: true });
  await volume.close();
  process.exit(0);
}

// A test process that died must not leave its mounts behind.
process.stdin.once('end', () => void end());
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'end') void end();
  else say({ result: sessions.map((session) => session.stats()) });
});
say('ready');
