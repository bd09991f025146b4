/** Overlay, LevelDB and scans together show a plain sorted map, as it was when a scan began. */

import { assert as check, asyncProperty, integer } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Mutation } from '../../src/index/items.ts';
import { FAMILY, inodeKey, dataSeqKey, metaSeqKey, positionKey } from '../../src/index/keys.ts';
import { xattrKey, type Family } from '../../src/index/keys.ts';
import { afterPrefix } from '../../src/index/layer.ts';
import { Overlay } from '../../src/index/overlay.ts';
import { writeLayers } from '../../src/index/persist.ts';
import { takeSnapshot, type IndexSnapshot } from '../../src/index/snapshot.ts';
import { Store } from '../../src/index/store.ts';
import { asByteString, ino, NO_SEQ, position, seq } from '../../src/model/ids.ts';
import { inode } from '../decide/given.ts';
import { inFolder } from './fixture.ts';
import { seeded } from './generate.ts';

const test = suite('index overlay');

interface View {
  readonly snapshot: IndexSnapshot;
  readonly expected: ReadonlyMap<string, unknown>;
}

const PREFIXES = [
  'x',
  'p',
  xattrKey(ino(1), asByteString('')),
  positionKey(ino(2), position(0)).slice(0, 9),
];
const familyOf = (prefix: string): Family => (prefix.startsWith('x') ? 'xattr' : 'position');

function mutation(below: (n: number) => number, step: number): Mutation {
  const group = ino(1 + below(3));
  const deletes = below(3) === 0;
  if (below(2) === 0) {
    const key = xattrKey(group, asByteString(String.fromCharCode(97 + below(6))));
    const value = { began: seq(step), value: Buffer.from(`${step}`) };
    return { family: 'xattr', key, value: deletes ? undefined : value };
  }
  const key = positionKey(group, position(below(12)));
  const value = { began: seq(step), name: asByteString('n'), ino: ino(9), kind: 8 };
  return { family: 'position', key, value: deletes ? undefined : value };
}

async function assertView({ snapshot, expected }: View, below: (n: number) => number) {
  for (const prefix of PREFIXES) {
    const reverse = below(2) === 0;
    const limit = 1 + below(30);
    const keys = [...expected.keys()].filter((key) => key.startsWith(prefix)).sort();
    if (reverse) keys.reverse();
    const rows = keys.slice(0, limit).map((key) => ({ key, value: expected.get(key) }));
    const family = familyOf(prefix);
    const options = { reverse, limit };
    assert.equal(await snapshot.scanBatch(family, prefix, afterPrefix(prefix), options), rows);
    const scanned = [];
    for await (const row of snapshot.scan(family, prefix, afterPrefix(prefix), options)) {
      scanned.push(row);
    }
    assert.equal(scanned, rows);
    for (const { key, value } of rows) assert.equal(snapshot.get(family, key), value);
    assert.is(snapshot.get(family, `${prefix.slice(0, 1)}${'\x7f'.repeat(16)}`), undefined);
  }
}

test('any interleaving of changes, freezes, writes and scans', async () => {
  const property = asyncProperty(integer(), async (seed) => {
    await inFolder(async (dir) => {
      const random = seeded(seed);
      const below = (n: number): number => Math.floor(random() * n);
      const store = await Store.open(`${dir}/index`, () => Promise.resolve(Infinity));
      const overlay = new Overlay(NO_SEQ);
      const current = new Map<string, unknown>();
      const views: View[] = [];
      let writing: Promise<void> | undefined;
      for (let step = 1; step <= 250; step++) {
        const dice = below(20);
        if (dice === 0) overlay.freeze(seq(step));
        else if (dice === 1 && writing === undefined && overlay.layers.length > 0) {
          const layers = overlay.layers.slice(0, 1 + below(overlay.layers.length));
          writing = writeLayers(store, layers, (entry) => overlay.release(entry)).then(() => {
            overlay.drop(layers.length);
            writing = undefined;
          });
        } else if (dice === 2) await writing;
        else if (dice === 3) {
          overlay.freeze(seq(step));
          const snapshot = takeSnapshot(store, overlay.layers, seq(step));
          views.push({ snapshot, expected: new Map(current) });
        } else {
          const change = mutation(below, step);
          overlay.apply(change);
          if (change.value === undefined) current.delete(change.key);
          else current.set(change.key, change.value);
        }
      }
      await writing;
      for (const view of views) await assertView(view, below);
      for (const view of views) view.snapshot.close();
      await store.close();
    });
  });
  await check(property, { numRuns: 15 });
});

test('an inode that changes often in a layer has one key in the seq index, and loses one', () => {
  const overlay = new Overlay(seq(10));
  const at = (n: number) => inode({ ino: ino(7), metaSeq: seq(n), dataSeq: seq(n) });
  const change = (from: number, to: number): void => {
    overlay.apply({ family: 'inode', key: inodeKey(ino(7)), value: at(to), before: at(from) });
  };
  change(4, 11);
  change(11, 12);
  change(12, 13);
  overlay.freeze(seq(13));
  change(13, 14);
  overlay.freeze(seq(14));
  const rows = overlay.layers.map((layer) =>
    layer.range('metaSeq', FAMILY.metaSeq, afterPrefix(FAMILY.metaSeq)),
  );
  const row = (at: number, value: true | undefined) => ({
    key: metaSeqKey(seq(at), ino(7)),
    value,
  });
  const plain = rows.map((layer) => layer.map(({ key, value }) => ({ key, value })));
  assert.equal(plain[0], [row(4, undefined), row(13, true)]);
  assert.equal(plain[1], [row(13, undefined), row(14, true)]);
});

test('an inode whose access time alone changed keeps its keys, in this layer and in the next', () => {
  const overlay = new Overlay(seq(10));
  const at = (n: number) => inode({ ino: ino(7), metaSeq: seq(n), dataSeq: seq(n) });
  const key = inodeKey(ino(7));
  const apply = (from: number, to: number): void =>
    overlay.apply({ family: 'inode', key, value: at(to), before: at(from) });
  apply(4, 4);
  overlay.freeze(seq(11));
  apply(4, 12);
  apply(12, 12);
  overlay.freeze(seq(13));
  apply(12, 12);
  overlay.freeze(seq(14));
  const rows = overlay.layers.map((layer) =>
    layer
      .range('metaSeq', FAMILY.metaSeq, afterPrefix(FAMILY.metaSeq))
      .map((row) => [row.key, row.value]),
  );
  assert.equal(rows[0], []);
  assert.equal(rows[1], [
    [metaSeqKey(seq(4), ino(7)), undefined],
    [metaSeqKey(seq(12), ino(7)), true],
  ]);
  assert.equal(rows[2], []);
});

test('the data_seq index loses a key only when the inode leaves it', () => {
  const overlay = new Overlay(seq(10));
  const at = (n: number, data: number, mode = 0o100644) =>
    inode({ ino: ino(7), metaSeq: seq(n), dataSeq: seq(data), mode });
  const key = inodeKey(ino(7));
  overlay.apply({ family: 'inode', key, value: at(11, 4), before: at(4, 4) });
  overlay.freeze(seq(11));
  overlay.apply({ family: 'inode', key, value: undefined, before: at(11, 4) });
  const directory = at(5, 5, 0o40755);
  overlay.apply({ family: 'inode', key: inodeKey(ino(8)), value: undefined, before: directory });
  overlay.freeze(seq(13));
  const [kept, left] = overlay.layers.map((layer) => [
    layer.rows('metaSeq').map((row) => row.key),
    layer.rows('dataSeq').map((row) => row.key),
  ]);
  assert.equal(kept, [[metaSeqKey(seq(4), ino(7))], []]);
  assert.equal(left, [
    [metaSeqKey(seq(11), ino(7)), metaSeqKey(seq(5), ino(7))],
    [dataSeqKey(seq(4), ino(7))],
  ]);
});

test('a key changed often in a layer is one entry, and costs its memory once', () => {
  const overlay = new Overlay(NO_SEQ);
  const key = inodeKey(ino(1));
  overlay.apply({ family: 'inode', key, value: undefined });
  const { bytes } = overlay;
  assert.ok(bytes > 0);
  for (let i = 0; i < 10; i++) overlay.apply({ family: 'inode', key, value: undefined });
  assert.is(overlay.bytes, bytes);
  overlay.freeze(seq(1));
  for (const row of overlay.layers[0]?.rows('inode') ?? []) overlay.release(row as never);
  overlay.drop(1);
  assert.is(overlay.bytes, 0);
  assert.is(overlay.get('inode', key), undefined);
});

test.run();
