/**
 * The Avro schema of a transaction: the format of the log, as data.
 *
 * Every released version of it travels in the headers of the segments written with it, and is read
 * for ever. So: events are only added, at the end of EVENT_FIELDS; a field, once released, keeps
 * its name, type and meaning; a new field of an old event has a default. The type checker holds
 * this table and `model/event.ts` together, field by field.
 *
 * Spelling of the model's types (see docs/log-format.md):
 *   numbers below 2^53        long                       ino, seq, block numbers, uid, mode ...
 *   user-chosen 64-bit values fixed(8) U64, big-endian   projectId, dataVersion
 *   names, paths, targets     bytes (NAME)               one byte a char of the ByteString
 *   values                    bytes (VALUE)              a Buffer as it is
 *   T | undefined             union of null and T
 */

import type { Event, EventType } from '../model/event.ts';
import type { Cause } from '../model/transaction.ts';

/** Version of the log's format, in every segment's header; raised by `ledgerfs upgrade` only. */
export const FORMAT_VERSION = 2;

export const NAMESPACE = 'ledgerfs';

/** Any Avro schema, as JSON. */
export type Schema = string | readonly Schema[] | SchemaObject;

export interface SchemaObject {
  readonly type: Schema;
  readonly name?: string;
  readonly namespace?: string;
  readonly doc?: string;
  readonly logicalType?: string;
  readonly ledgerfs?: 'name';
  readonly size?: number;
  readonly items?: Schema;
  readonly symbols?: readonly string[];
  readonly fields?: readonly SchemaField[];
}

export interface SchemaField {
  readonly name: string;
  readonly type: Schema;
  readonly doc?: string;
}

/**
 * Bytes that the model holds as a ByteString, marked by an attribute of our own. (A logical type of
 * our own would mean the same, but makes other readers warn.)
 */
const NAME: Schema = { type: 'bytes', ledgerfs: 'name' };
const VALUE: Schema = 'bytes';
const MICROS: Schema = { type: 'long', logicalType: 'timestamp-micros' };
const U64: Schema = {
  type: 'fixed',
  name: 'U64',
  size: 8,
  doc: 'Unsigned 64-bit number, big-endian.',
};
const FSID: Schema = { type: 'fixed', name: 'Fsid', size: 16 };
const DIGEST: Schema = { type: 'fixed', name: 'Digest', size: 32 };

const list = (items: Schema): Schema => ({ type: 'array', items });
const optional = (type: Schema): Schema => ['null', type];

function record(name: string, fields: Readonly<Record<string, Schema>>, doc?: string): Schema {
  return {
    type: 'record',
    name,
    ...(doc === undefined ? {} : { doc }),
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
  };
}

const TIME = record('Time', { sec: 'long', nsec: 'int' }, 'Seconds since 1970, nanoseconds.');
const SIZE = record('Size', { blocks: 'long', tail: 'int' }, 'blocks * 4096 + tail bytes.');
const EXTENT = record('Extent', {
  block: 'long',
  count: 'long',
  segment: 'long',
  segmentBlock: 'long',
  flags: 'int',
});

type FieldsOf<T extends EventType> = {
  readonly [F in Exclude<keyof Extract<Event, { type: T }>, 'type'>]: Schema;
};

/** Fields of each event, in the order of their encoding; the order of events is the union's. */
export const EVENT_FIELDS = {
  VolumeFormatted: { fsid: FSID, format: 'int', historyMicros: 'long', sizeLimitBlocks: 'long' },
  FormatRaised: { format: 'int' },
  InodeCreated: {
    ino: 'long',
    generation: 'long',
    mode: 'int',
    nlink: 'int',
    uid: 'long',
    gid: 'long',
    rdev: 'long',
    time: TIME,
    projectId: U64,
    parent: 'long',
    target: optional(NAME),
  },
  AttributesChanged: {
    ino: 'long',
    mode: optional('int'),
    uid: optional('long'),
    gid: optional('long'),
    atime: optional(TIME),
    mtime: optional(TIME),
    ctime: optional(TIME),
    crtime: optional(TIME),
    projectId: optional(U64),
    flags: optional('long'),
  },
  LinksChanged: { ino: 'long', nlink: 'int', ctime: TIME, parent: optional('long') },
  DirectoryChanged: {
    ino: 'long',
    nlink: 'int',
    entries: 'long',
    nameBytes: 'long',
    nextPosition: 'long',
    mtime: TIME,
  },
  DirentAdded: { dir: 'long', name: NAME, ino: 'long', kind: 'int', position: 'long' },
  DirentRemoved: { dir: 'long', name: NAME, ino: 'long', kind: 'int', position: 'long' },
  OrphanAdded: { ino: 'long' },
  OrphanRemoved: { ino: 'long' },
  InodeDeleted: { ino: 'long' },
  ContentsChanged: {
    ino: 'long',
    size: SIZE,
    mtime: TIME,
    ctime: TIME,
    dataVersion: U64,
    mode: optional('int'),
    truncateMark: optional('long'),
  },
  TruncateFinished: { ino: 'long' },
  ExtentsMapped: { ino: 'long', extents: list(EXTENT) },
  ExtentsRemoved: { ino: 'long', block: 'long', count: 'long' },
  SegmentCreated: { segment: 'long', rid: 'long' },
  SegmentRemoved: { segment: 'long', blocks: 'long' },
  BlocksChecksummed: { segment: 'long', segmentBlock: 'long', checksums: VALUE },
  XattrSet: { ino: 'long', name: NAME, value: VALUE, ctime: TIME, mode: optional('int') },
  XattrRemoved: { ino: 'long', name: NAME, ctime: TIME },
  AccessTimeChanged: { ino: 'long', atime: TIME },
} as const satisfies { readonly [T in EventType]: FieldsOf<T> };

/** Causes in the order of their encoding; new ones at the end. */
const CAUSES = {
  mkfs: 0,
  upgrade: 1,
  create: 2,
  mknod: 3,
  mkdir: 4,
  symlink: 5,
  tmpfile: 6,
  link: 7,
  unlink: 8,
  rmdir: 9,
  rename: 10,
  setattr: 11,
  truncate: 12,
  write: 13,
  fallocate: 14,
  setxattr: 15,
  removexattr: 16,
  atime: 17,
  reap: 18,
  reclaim: 19,
  repair: 20,
  copy: 21,
  release: 22,
  stage: 23,
} as const satisfies Readonly<Record<Cause, number>>;

const EVENTS: readonly Schema[] = Object.entries(EVENT_FIELDS).map(([name, fields]) =>
  record(name, fields),
);

/** The schema of `Transaction` as a tree that repeats its named types. */
const TRANSACTION: Schema = record('Transaction', {
  seq: 'long',
  time: MICROS,
  node: 'long',
  cause: { type: 'enum', name: 'Cause', symbols: Object.keys(CAUSES) },
  actor: record('Actor', { uid: 'long', gid: 'long', pid: 'long' }),
  paths: list(record('TouchedPath', { ino: 'long', path: NAME })),
  events: list(EVENTS),
  // Last, so that its absence is the record's last byte (0x00); `seal.ts` relies on it.
  seal: optional(record('Seal', { count: 'long', hash: DIGEST })),
});

/**
 * `schema` with each named type defined where it first stands and named after that, as Avro asks.
 */
function defineOnce(schema: Schema, defined: Set<string>): Schema {
  if (typeof schema === 'string') return schema;
  if ('type' in schema) {
    const { name, items, fields } = schema;
    if (name !== undefined && defined.has(name)) return `${NAMESPACE}.${name}`;
    if (name !== undefined) defined.add(name);
    return {
      ...schema,
      ...(items === undefined ? {} : { items: defineOnce(items, defined) }),
      ...(fields === undefined
        ? {}
        : { fields: fields.map((f) => ({ ...f, type: defineOnce(f.type, defined) })) }),
    };
  }
  return schema.map((branch) => defineOnce(branch, defined));
}

/** The schema that this program writes. */
export const TRANSACTION_SCHEMA: Schema = {
  ...(defineOnce(TRANSACTION, new Set()) as SchemaObject),
  namespace: NAMESPACE,
};

/** TRANSACTION_SCHEMA as it stands in the headers of log segments. */
export const TRANSACTION_SCHEMA_JSON: string = JSON.stringify(TRANSACTION_SCHEMA);
