/**
 * LevelDB within a simulation. Its threads are the one thing that runs on real time: a run is the
 * same under one seed only if simulated time stands still while a call on it is under way. And a
 * database whose volume lost its power is never closed by it, so that is done here.
 */

import { AbstractChainedBatch, AbstractIterator, AbstractLevel } from 'abstract-level';
import { Level } from 'level';
import { Store } from '../../../src/index/store.ts';

let underWay = 0;
/** Whether the last write to an index was synced, and with it all before. */
let isSynced = false;
const open = new Set<{ close(): Promise<void> }>();

type AsyncMethod = (this: unknown, ...args: unknown[]) => Promise<unknown>;

function wrap(
  prototype: object,
  name: string,
  around: (original: AsyncMethod) => AsyncMethod,
): void {
  const methods = prototype as Record<string, AsyncMethod>;
  methods[name] = around(methods[name] as AsyncMethod);
}

const counted = (original: AsyncMethod): AsyncMethod =>
  function call(...args) {
    underWay++;
    return original.apply(this, args).finally(() => underWay--);
  };

wrap(AbstractChainedBatch.prototype, 'write', (original) =>
  counted(function write(...args) {
    const [options] = args as [{ readonly sync?: boolean } | undefined];
    isSynced = options?.sync === true;
    return original.apply(this, args);
  }),
);
for (const name of ['next', 'nextv', 'all']) wrap(AbstractIterator.prototype, name, counted);
for (const name of ['open', 'close', 'put']) wrap(AbstractLevel.prototype, name, counted);
wrap(Level, 'destroy', counted);
wrap(Store, 'sync', (original) =>
  counted(function sync(...args) {
    return original.apply(this, args).then(() => {
      isSynced = true;
    });
  }),
);
wrap(
  AbstractLevel.prototype,
  'open',
  (original) =>
    function register(...args) {
      open.add(this as { close(): Promise<void> });
      return original.apply(this, args);
    },
);

/** Whether everything that was written to the index is durable. */
export const isIndexSynced = (): boolean => isSynced;

/** Calls on the real filesystem, where the index lives, that are under way. */
const realCalls = (): number =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith('FSReq')).length;

/** Resolves once no call on the index is under way, and what waited for one has gone on. */
export async function indexSettled(): Promise<void> {
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  do await turn();
  while (underWay > 0 || realCalls() > 0);
  await turn();
}

/**
 * Closes every database that is still open. Again until none is: an engine without power goes on as
 * long as it needs nothing but LevelDB, and may be about to open the index that it has rebuilt.
 */
export async function closeDatabases(): Promise<void> {
  await indexSettled();
  while (open.size > 0) {
    const databases = Array.from(open);
    open.clear();
    await Promise.all(databases.map((database) => database.close().catch(() => undefined)));
    await indexSettled();
  }
}
