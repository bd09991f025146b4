import { array, assert as check, property, uint8Array } from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import {
  assertReadable,
  chunkFrom,
  decodeRuns,
  decodeTransactions,
  encodedBytes,
  encodeTransaction,
  firstTransaction,
  lastTransaction,
  UndecodableRecord,
} from '../../src/log/codec.ts';
import { TRANSACTION_SCHEMA, TRANSACTION_SCHEMA_JSON } from '../../src/log/schema.ts';
import type { EventType } from '../../src/model/event.ts';
import { ino, seq } from '../../src/model/ids.ts';
import type { Transaction } from '../../src/model/transaction.ts';
import {
  anyTransaction,
  CAUSES,
  EVENT_ARBITRARIES,
  MAX,
  ONE_OF_EACH,
  sample,
  unsealed,
} from './samples.ts';

const test = suite('log/codec');

const space = Buffer.alloc(1024 * 1024);

/** `transactions` encoded back to back, as a chunk of its own memory. */
function chunkOf(transactions: readonly Transaction[]): { count: number; bytes: Buffer } {
  let end = 0;
  for (const tx of transactions) {
    end = encodeTransaction(tx, space, end);
    assert.ok(end > 0);
  }
  return { count: transactions.length, bytes: Buffer.from(space.subarray(0, end)) };
}

for (const [type, arbitrary] of Object.entries(EVENT_ARBITRARIES)) {
  test(`${type}: every field comes back as it was`, () => {
    check(
      property(arbitrary, (event) => {
        const tx = { ...sample(1), events: [event] };
        assert.equal(decodeTransactions(chunkOf([tx])), [tx]);
      }),
      { numRuns: 60 },
    );
  });
}

test('any transactions, back to back, come back as they were', () => {
  check(
    property(array(anyTransaction, { minLength: 1, maxLength: 5 }), (transactions) => {
      const chunk = chunkOf(transactions);
      assert.equal(decodeTransactions(chunk), transactions);
      assert.equal(firstTransaction(chunk), transactions[0]);
      assert.equal(lastTransaction(chunk), transactions.at(-1));
    }),
    { numRuns: 200 },
  );
});

test('one event of each type, with its extremes, comes back as it was', () => {
  const tx = { ...sample(MAX), events: Object.values(ONE_OF_EACH) };
  assert.equal(decodeTransactions(chunkOf([tx])), [tx]);
});

test('decoded values are plain: no prototype of a codec leaks', () => {
  const [tx] = decodeTransactions(chunkOf([{ ...sample(1), events: [ONE_OF_EACH.InodeCreated] }]));
  const event = tx?.events[0] as typeof ONE_OF_EACH.InodeCreated;
  for (const value of [tx, tx?.actor, tx?.paths[0], event, event.time]) {
    assert.is(Object.getPrototypeOf(value), Object.prototype);
  }
});

test('every cause and every event type of the model stands in the schema', () => {
  for (const cause of CAUSES) {
    const tx = { ...sample(1), cause };
    assert.is(decodeTransactions(chunkOf([tx]))[0]?.cause, cause);
  }
});

test('encodedBytes is exact', () => {
  check(
    property(anyTransaction, (tx) => {
      assert.is(encodedBytes(tx), encodeTransaction(tx, space, 0));
    }),
    { numRuns: 100 },
  );
});

test('what does not fit is told by a negative number, for any space', () => {
  const tx = { ...sample(9), events: Object.values(ONE_OF_EACH) };
  const bytes = encodedBytes(tx);
  for (let length = 0; length < bytes; length++) {
    assert.is(encodeTransaction(tx, space.subarray(0, length), 0), length - bytes);
  }
  assert.is(encodeTransaction(tx, space.subarray(0, bytes), 0), bytes);
});

test('numbers beyond their range are bugs, never written', () => {
  const { InodeDeleted, ContentsChanged } = ONE_OF_EACH;
  const wrong = [
    { ...InodeDeleted, ino: (2 ** 53) as typeof InodeDeleted.ino },
    { ...InodeDeleted, ino: 1.5 as typeof InodeDeleted.ino },
    { ...ContentsChanged, dataVersion: 2n ** 64n },
    { ...ContentsChanged, dataVersion: -1n },
  ];
  for (const event of wrong) {
    assert.throws(() => encodeTransaction({ ...sample(1), events: [event] }, space, 0));
  }
});

test('decodeRuns gives all records of a chunk in runs, and knows a chunk that is not whole', () => {
  const transactions = [3, 4, 7, 9, 10].map((n) => sample(n));
  const chunk = chunkOf(transactions);
  const runs = [...decodeRuns(chunk, 2)];
  assert.equal(
    runs.map(({ length }) => length),
    [2, 2, 1],
  );
  assert.equal(runs.flat(), transactions);
  const undecodable = (e: unknown) => e instanceof UndecodableRecord;
  const cut = { ...chunk, bytes: chunk.bytes.subarray(0, -1) };
  assert.throws(() => [...decodeRuns(cut, 2)], undecodable);
  assert.throws(() => [...decodeRuns({ ...chunk, count: 4 }, 2)], /bytes after 4 records/);
});

test('chunkFrom keeps the records from a seq on', () => {
  const transactions = [3, 4, 7, 9].map((n) => sample(n));
  const chunk = chunkOf(transactions);
  for (let from = 0; from <= 9; from++) {
    const rest = chunkFrom(chunk, seq(from));
    assert.ok(rest !== undefined);
    assert.equal(
      decodeTransactions(rest),
      transactions.filter((tx) => tx.seq >= from),
    );
  }
  assert.is(chunkFrom(chunk, seq(10)), undefined);
});

test('a cut chunk, a wrong count and garbage are undecodable, in bounded time', () => {
  const chunk = chunkOf([sample(1), { ...sample(2), events: Object.values(ONE_OF_EACH) }]);
  for (let length = 0; length < chunk.bytes.length; length++) {
    const cut = { count: 2, bytes: chunk.bytes.subarray(0, length) };
    assert.throws(
      () => decodeTransactions(cut),
      (e: unknown) => e instanceof UndecodableRecord,
    );
  }
  assert.throws(() => decodeTransactions({ ...chunk, count: 1 }), /bytes after 1 records/);
  assert.throws(() => decodeTransactions({ ...chunk, count: 3 }), /cut off|byte/);
  check(
    property(uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decodeTransactions({ count: 1, bytes: Buffer.from(bytes) });
      } catch (error) {
        assert.instance(error, UndecodableRecord);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a list with an absurd count costs neither time nor memory', () => {
  const tx = { ...sample(1), paths: [] };
  const { bytes } = chunkOf([tx]);
  const huge = Buffer.from('feffffffffffff0f', 'hex');
  // The empty list of paths is one zero byte: the last one before the events' count.
  const at = bytes.indexOf(Buffer.from([0x00, 0x02]));
  assert.ok(at > 0);
  const forged = Buffer.concat([bytes.subarray(0, at), huge, bytes.subarray(at)]);
  assert.throws(
    () => decodeTransactions({ count: 1, bytes: forged }),
    (e: unknown) => e instanceof UndecodableRecord,
  );
});

interface JsonField {
  name: string;
  type: unknown;
}

/** The current schema, changed by `change` on its top-level fields. */
function schemaWith(change: (fields: JsonField[]) => JsonField[]): string {
  const schema = JSON.parse(TRANSACTION_SCHEMA_JSON) as { fields: JsonField[] };
  return JSON.stringify({ ...schema, fields: change(schema.fields) });
}

const eventsOf = (field: JsonField): { name: string }[] =>
  (field.type as { items: { name: string }[] }).items;

test('records of an older schema, which knew fewer events, are read', () => {
  // The first events of the union only: what a first release might have written.
  const older = schemaWith((fields) =>
    fields.map((field) =>
      field.name === 'events'
        ? { ...field, type: { type: 'array', items: eventsOf(field).slice(0, 12) } }
        : field,
    ),
  );
  const known = Object.values(ONE_OF_EACH).slice(0, 12);
  const tx = { ...sample(MAX - 1), time: MAX, events: known };
  assert.equal(decodeTransactions({ ...chunkOf([tx]), schema: older }), [tx]);
});

test('an older schema may order its events and fields differently', () => {
  const older = schemaWith((fields) => {
    const events = fields.find((field) => field.name === 'events') as JsonField;
    const all = eventsOf(events);
    // Time, U64 and NAME are defined by events further ahead: only those without them move.
    const moved = [...all.slice(1), all[0]];
    return fields.map((field) =>
      field === events ? { ...field, type: { type: 'array', items: moved } } : field,
    );
  });
  const tx = { ...sample(3), events: [ONE_OF_EACH.FormatRaised] };
  const chunk = chunkOf([tx]);
  // FormatRaised is branch 1 (0x02) in ours and branch 0 there.
  const at = chunk.bytes.lastIndexOf(Buffer.from([0x02, 0x02]));
  const bytes = Buffer.from(chunk.bytes);
  bytes[at + 1] = 0;
  assert.equal(decodeTransactions({ count: 1, bytes, schema: older }), [tx]);
});

test('a schema with an event that this program does not know is refused', () => {
  const newer = schemaWith((fields) =>
    fields.map((field) =>
      field.name === 'events'
        ? {
            ...field,
            type: {
              type: 'array',
              items: [
                ...eventsOf(field),
                { type: 'record', name: 'Teleported', fields: [{ name: 'ino', type: 'long' }] },
              ],
            },
          }
        : field,
    ),
  );
  assert.throws(() => assertReadable(newer), /newer ledgerfs wrote it/);
  const chunk = { ...chunkOf([sample(1)]), schema: newer };
  assert.throws(() => decodeTransactions(chunk), /newer ledgerfs wrote it/);
});

test('what is no schema is refused', () => {
  for (const schema of ['', '{', 'null', '"long"', '{"type":"record","name":"x","fields":[]}']) {
    assert.throws(() => assertReadable(schema), /does not know/);
  }
  assertReadable(TRANSACTION_SCHEMA_JSON);
});

test('the schema is valid Avro with each named type defined once', () => {
  const defined = TRANSACTION_SCHEMA_JSON.match(/"name":"(U64|Time|Size|Extent|Digest)"/g) ?? [];
  assert.equal([...defined].sort(), [...new Set(defined)].sort());
  assert.is(JSON.stringify(TRANSACTION_SCHEMA), TRANSACTION_SCHEMA_JSON);
});

test('sealed transactions differ from unsealed ones by the seal only', () => {
  const seal = { count: 3, hash: Buffer.alloc(32, 7) };
  const tx = { ...sample(1), seal };
  const [decoded] = decodeTransactions(chunkOf([tx]));
  assert.equal(decoded, tx);
  assert.equal(unsealed(decoded as Transaction), sample(1));
  assert.is(encodedBytes(tx) - encodedBytes(sample(1)), 1 + 32);
});

test('event types of samples are all of the model', () => {
  const types: EventType[] = Object.values(ONE_OF_EACH).map((event) => event.type);
  assert.equal(types, Object.keys(EVENT_ARBITRARIES));
  assert.ok(types.length >= 19 && ino(1) === 1);
});

test.run();
