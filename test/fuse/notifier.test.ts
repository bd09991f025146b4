import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Lookups } from '../../src/fuse/lookups.ts';
import { QueuedNotifier } from '../../src/fuse/notifier.ts';
import { PageCache } from '../../src/fuse/page-cache.ts';
import { asByteString, ino } from '../../src/model/ids.ts';
import { RecordingTransport } from './messages.ts';

const notifier = suite('fuse notifier');

function make() {
  const transport = new RecordingTransport();
  const lookups = new Lookups();
  lookups.add(ino(2000));
  lookups.add(ino(2001));
  const logged: string[] = [];
  const log = (_level: unknown, text: string): void => void logged.push(text);
  const queued = new QueuedNotifier(transport, lookups, new PageCache(), log);
  return { transport, lookups, queued, logged };
}

notifier('in order, a bounded number on their way, each thing once while it waits', async () => {
  const { transport, lookups, queued } = make();
  let release: () => void = () => undefined;
  transport.notifying = new Promise((resolve) => (release = resolve));
  const many = Array.from({ length: 16 }, (_, i) => ino(3000 + i));
  for (const one of many) lookups.add(one);
  const name = asByteString('n');
  const all = [
    ...many.map((one) => queued.contents(one)),
    queued.contents(ino(2001)),
    queued.contents(ino(2001)),
    queued.entry(ino(2001), name),
    queued.entry(ino(2001), name),
    queued.contents(many[0]!),
  ];
  assert.is(transport.notifications.length, 16, 'more were sent before the first was done');
  assert.ok(queued.mayWaitFor(ino(2001)) && queued.mayWaitFor(many[0]!));
  assert.not(queued.mayWaitFor(ino(2000)));
  assert.is(queued.underWay(many[0]!), all.at(-1), 'the last one about it');
  assert.is(queued.underWay(many[1]!), all[1]);
  release();
  await Promise.all(all);
  const about = transport.notifications.map((m) => [m.readUInt32LE(4), m.readUInt32LE(16)]);
  assert.equal(about, [...many.map((one) => [2, one]), [2, 2001], [3, 2001], [2, many[0]]]);
  assert.not(queued.mayWaitFor(ino(2001)) || queued.mayWaitFor(many[0]!));
  assert.is(queued.underWay(many[0]!), undefined);
  assert.not(queued.isStuck);
});

notifier('what the kernel never looked up is not spoken of', async () => {
  const { transport, queued } = make();
  await queued.contents(ino(5000));
  await queued.entry(ino(5000), asByteString('n'));
  assert.is(transport.notifications.length, 0);
  await queued.entry(ino(1), asByteString('n'));
  assert.is(transport.notifications.length, 1, 'the root is always known');
});

notifier('a refused one is logged, and the next goes on', async () => {
  const { transport, queued, logged } = make();
  transport.notifying = Promise.reject(new Error('no'));
  await queued.contents(ino(2000));
  assert.is(logged.length, 1);
  transport.notifying = Promise.resolve();
  await queued.attributes(ino(2000));
  assert.is(transport.notifications.length, 2);
});

notifier.run();
