/**
 * A daemon that breaks one rule of the design: `mutant.ts NAME -o OPTIONS VOLUME MOUNTPOINT`, in the
 * foreground. The kill test must find each of them (`docs/testing.md`). The classes of the engine are
 * spoiled here, in this process; the engine itself knows nothing of it.
 */

import { SegmentStore } from '../../src/data/segment-store.ts';
import { Committer } from '../../src/engine/commit.ts';
import { DirtyFiles } from '../../src/engine/dirty-files.ts';
import { Filesystem } from '../../src/engine/filesystem.ts';
import { Index } from '../../src/index/index.ts';
import { LogWriter } from '../../src/log/writer.ts';
import { must } from '../../src/model/assert.ts';
import { seq } from '../../src/model/ids.ts';
import { parseMountOptions } from '../../tools/daemon/options.ts';
import { serve } from '../../tools/daemon/serve.ts';
import type { MutantName } from './mutants.ts';

const MUTATIONS: Readonly<Record<MutantName, () => void>> = {
  'fsync is answered before the commit': () => {
    const { commit } = LogWriter.prototype;
    LogWriter.prototype.commit = function early(upTo) {
      commit.call(this, upTo).catch(() => undefined);
      return Promise.resolve();
    };
  },
  'rename leaves pending writes behind': () => {
    const { rename } = Filesystem.prototype;
    const { place } = DirtyFiles.prototype;
    let isRenaming = false;
    DirtyFiles.prototype.place = function unlessRenaming(ino) {
      return isRenaming ? undefined : place.call(this, ino);
    };
    Filesystem.prototype.rename = function forgetful(...args) {
      isRenaming = true;
      try {
        return rename.apply(this, args);
      } finally {
        isRenaming = false;
      }
    };
  },
  'close leaves pending writes behind': () => {
    Filesystem.prototype.flush = () => undefined;
  },
  'the log is written before the data': () => {
    SegmentStore.prototype.sync = () => Promise.resolve();
  },
  'the index leads the log': () => {
    const { persist } = Index.prototype;
    Index.prototype.persist = function ahead() {
      return persist.call(this, seq(Number.MAX_SAFE_INTEGER));
    };
    const { commit } = LogWriter.prototype;
    const { persist: persistAll } = Committer.prototype;
    let isPersisting = false;
    LogWriter.prototype.commit = function unlessPersisting(upTo) {
      return isPersisting ? Promise.resolve() : commit.call(this, upTo);
    };
    Committer.prototype.persist = function early() {
      isPersisting = true;
      try {
        return persistAll.call(this);
      } finally {
        isPersisting = false;
      }
    };
  },
};

const [name, , options, volume, mountPoint] = process.argv.slice(2);
must(MUTATIONS[name as MutantName], `no mutant is called ${name}`)();
const serving = await serve(
  {
    volume: must(volume, 'VOLUME'),
    mountPoint: must(mountPoint, 'MOUNTPOINT'),
    mountOptions: parseMountOptions([must(options, 'OPTIONS')]),
    verbose: false,
  },
  () => undefined,
  () => undefined,
);
await serving.ended;
