/**
 * Between Avro's values and the model's: the types that avsc is given in place of its own.
 *
 * avsc's records are instances of generated classes, its unions are wrapped in an object, its longs
 * end one short of 2^53. The model wants plain records, events tagged by `type`, `undefined` for
 * what is absent, byte strings and bigints. Each class here reads and writes one kind of schema
 * node directly from and to avsc's cursor (the "tap"), so that nothing is allocated in between: this
 * is the hottest code of the log. Resolving an older writer's schema goes the slower, general way.
 *
 * A tap never throws on overflow: its position runs past the end, and whoever started checks that
 * once. So readers here must bear missing bytes, and lists must not believe a count.
 */

import avro from 'avsc';
import { assert, AssertionError } from '../model/assert.ts';
import type { Event } from '../model/event.ts';
import { EVENT_FIELDS, NAMESPACE, type Schema } from './schema.ts';

/** avsc's cursor over a buffer, as far as it is used here. */
interface Tap {
  readonly buf: Buffer & { latin1Slice(start: number, end: number): string };
  pos: number;
  isValid(): boolean;
  readLong(): number;
  writeLong(n: number): void;
  writeBinary(latin1: string, length: number): void;
  writeFixed(bytes: Uint8Array, length: number): void;
  readFixed(length: number): Buffer | undefined;
}

/** An avsc type with the methods that every type of avsc 5 has and its declarations leave out. */
interface TapType {
  _read(tap: Tap): unknown;
  _write(tap: Tap, value: unknown): void;
  createResolver(writer: avro.Type, options: unknown): TapType;
}

const tapTypeOf = (type: avro.Type): TapType => type as unknown as TapType;

/** Longest list that is read: above any bound of a transaction (MAX_ITEMS, paths, events). */
const MAX_LIST = 1_000_000;

/** What the classes below share: how a value of an older schema is resolved and then turned. */
abstract class ModelType extends avro.types.LogicalType {
  protected readonly inner: TapType;

  constructor(schema: Schema, options: unknown) {
    super(schema as never, options);
    this.inner = tapTypeOf(this.underlyingType);
  }

  /** avsc calls this to fill in how `writer`'s bytes are read as this type. */
  _update(resolver: { _read: (tap: Tap) => unknown }, writer: avro.Type, options: unknown): void {
    const inner = this.inner.createResolver(writer, options);
    resolver._read = (tap) => this._fromValue(inner._read(tap));
  }

  protected override _toValue(value: unknown): unknown {
    return value;
  }
}

/** long: every safe integer from -2^52 on (avsc's own ends at 2^53 - 2). */
class NumberType extends ModelType {
  _read(tap: Tap): number {
    const n = tap.readLong();
    if (!Number.isSafeInteger(n)) throw new Error('a number beyond 2^53 - 1');
    return n;
  }

  /** An older int or long: the same bytes. */
  override _update(
    resolver: { _read: (tap: Tap) => unknown },
    writer: avro.Type,
    options: unknown,
  ): void {
    this.inner.createResolver(writer, options);
    resolver._read = (tap) => this._read(tap);
  }

  _write(tap: Tap, n: number): void {
    if (!Number.isSafeInteger(n) || n < -(2 ** 52)) {
      throw new AssertionError(`not a number for the log: ${n}`);
    }
    tap.writeLong(n);
  }

  protected override _fromValue(n: unknown): unknown {
    return n;
  }
}

/** bytes <-> ByteString, one char a byte. */
class NameType extends ModelType {
  _read(tap: Tap): string {
    const length = tap.readLong();
    const start = tap.pos;
    if (length < 0 || start + length > tap.buf.length) {
      tap.pos = tap.buf.length + 1;
      return '';
    }
    tap.pos = start + length;
    return tap.buf.latin1Slice(start, tap.pos);
  }

  _write(tap: Tap, name: string): void {
    tap.writeLong(name.length);
    tap.writeBinary(name, name.length);
  }

  protected override _fromValue(bytes: Buffer): string {
    return bytes.toString('latin1');
  }
}

/** fixed(8), big-endian <-> bigint. */
class U64Type extends ModelType {
  _write(tap: Tap, n: bigint): void {
    assert(n >= 0n && n < 1n << 64n, () => `not an unsigned 64-bit number: ${n}`);
    scratch.writeBigUInt64BE(n);
    tap.writeFixed(scratch, 8);
  }

  protected override _fromValue(bytes: Buffer | undefined): bigint {
    return bytes === undefined ? 0n : bytes.readBigUInt64BE();
  }
}

const scratch = Buffer.alloc(8);

/** fixed(16) <-> 32 hexadecimal digits. */
class FsidType extends ModelType {
  protected override _toValue(fsid: string): Buffer {
    assert(/^[0-9a-f]{32}$/.test(fsid), () => `not an fsid: ${fsid}`);
    return Buffer.from(fsid, 'hex');
  }

  protected override _fromValue(bytes: Buffer | undefined): string {
    return bytes === undefined ? '' : bytes.toString('hex');
  }
}

/** A record <-> a plain object. */
class RecordType extends ModelType {
  readonly #read: (tap: Tap) => object;

  constructor(schema: Schema, options: unknown) {
    super(schema, options);
    this.#read = plainReader(this.underlyingType, undefined);
  }

  _read(tap: Tap): object {
    return this.#read(tap);
  }

  protected override _fromValue(value: object): object {
    return { ...value };
  }
}

/** The record of an event <-> a plain object with the event's `type`. */
class EventType extends ModelType {
  readonly #type: string;
  readonly #read: (tap: Tap) => object;

  constructor(schema: Schema, options: unknown) {
    super(schema, options);
    this.#type = nameOf(schema);
    this.#read = plainReader(this.underlyingType, this.#type);
  }

  _read(tap: Tap): object {
    return this.#read(tap);
  }

  protected override _fromValue(value: object): object {
    return { type: this.#type, ...value };
  }
}

/**
 * Reads the fields of `record` into an object literal, behind `tag` as its `type`. Compiled from the
 * schema, which is this program's own, as avsc compiles its classes: so all objects of a kind have
 * one shape, and nothing is copied. (Copying what avsc made was a tenth of a replay's time.)
 */
function plainReader(record: avro.Type, tag: string | undefined): (tap: Tap) => object {
  const { fields } = record as avro.types.RecordType;
  const names = fields.map((_, i) => `type${i}`);
  const members = fields.map(({ name }, i) => `${JSON.stringify(name)}: type${i}._read(tap)`);
  if (tag !== undefined) members.unshift(`type: ${JSON.stringify(tag)}`);
  // oxlint-disable-next-line typescript/no-implied-eval
  const make = new Function(...names, `return (tap) => ({ ${members.join(', ')} });`);
  return make(...fields.map(({ type }) => tapTypeOf(type))) as (tap: Tap) => object;
}

/** The union of events: avsc wraps each in an object named after its branch, the model does not. */
class EventUnionType extends ModelType {
  readonly #branches: readonly TapType[];
  readonly #positions: ReadonlyMap<string, number>;

  constructor(schema: readonly Schema[], options: unknown) {
    super(schema, options);
    this.#branches = branchesOf(this.underlyingType);
    this.#positions = new Map(schema.map((branch, i) => [nameOf(branch), i]));
  }

  _read(tap: Tap): unknown {
    const branch = this.#branches[tap.readLong()];
    if (branch === undefined) throw new Error('an event of unknown type');
    return branch._read(tap);
  }

  _write(tap: Tap, event: Event): void {
    const i = this.#positions.get(event.type);
    assert(i !== undefined, () => `not an event: ${event.type}`);
    tap.writeLong(i);
    this.#branches[i]?._write(tap, event);
  }

  protected override _toValue(event: Event): unknown {
    return { [`${NAMESPACE}.${event.type}`]: event };
  }

  protected override _fromValue(wrapped: object): unknown {
    return Object.values(wrapped)[0];
  }
}

/** A union of null and one type <-> undefined or a value. */
class OptionalType extends ModelType {
  readonly #some: TapType;
  readonly #branchName: string;

  constructor(schema: readonly Schema[], options: unknown) {
    super(schema, options);
    const [, some] = branchesOf(this.underlyingType);
    assert(some !== undefined, 'an optional type has two branches');
    this.#some = some;
    this.#branchName = (some as unknown as avro.Type).branchName ?? '';
  }

  _read(tap: Tap): unknown {
    const i = tap.readLong();
    if (i === 0) return undefined;
    if (i !== 1) throw new Error('an optional value of unknown kind');
    return this.#some._read(tap);
  }

  _write(tap: Tap, value: unknown): void {
    if (value === undefined) return tap.writeLong(0);
    tap.writeLong(1);
    this.#some._write(tap, value);
  }

  protected override _toValue(value: unknown): unknown {
    return value === undefined ? null : { [this.#branchName]: value };
  }

  protected override _fromValue(wrapped: object | null): unknown {
    return wrapped === null ? undefined : Object.values(wrapped)[0];
  }
}

/** An array, read without trusting its count. */
class ListType extends ModelType {
  readonly #item: TapType;

  constructor(schema: Schema, options: unknown) {
    super(schema, options);
    this.#item = tapTypeOf((this.underlyingType as avro.types.ArrayType).itemsType);
  }

  _read(tap: Tap): unknown[] {
    const items: unknown[] = [];
    for (let n = tap.readLong(); n !== 0; n = tap.readLong()) {
      // A negative count is followed by the size of the run in bytes, which nobody here needs.
      if (n < 0) tap.readLong();
      for (let left = Math.abs(n); left > 0; left--) {
        items.push(this.#item._read(tap));
        if (!tap.isValid()) return items;
        if (items.length > MAX_LIST) throw new Error(`a list of more than ${MAX_LIST} items`);
      }
    }
    return items;
  }

  protected override _fromValue(items: unknown): unknown {
    return items;
  }
}

const nameOf = (schema: Schema): string =>
  typeof schema === 'object' && 'name' in schema ? (schema.name ?? '') : '';

const branchesOf = (union: avro.Type): TapType[] =>
  (union as unknown as { types: avro.Type[] }).types.map(tapTypeOf);

type Constructor = new (schema: never, options: unknown) => avro.Type;

/** The class for a schema node, or undefined where avsc's own type does. */
function classFor(schema: Schema): Constructor | undefined {
  if (typeof schema === 'string') return schema === 'long' ? NumberType : undefined;
  if (!('type' in schema)) {
    if (schema[0] === 'null' && schema.length === 2) return OptionalType;
    return schema.some((branch) => nameOf(branch) in EVENT_FIELDS) ? EventUnionType : undefined;
  }
  if (schema.ledgerfs === 'name') return NameType;
  if (schema.type === 'long') return NumberType;
  if (schema.type === 'array') return ListType;
  if (schema.name === 'U64') return U64Type;
  if (schema.name === 'Fsid') return FsidType;
  if (schema.type !== 'record') return undefined;
  return schema.name !== undefined && schema.name in EVENT_FIELDS ? EventType : RecordType;
}

/**
 * The type that reads and writes `schema` (one of `schema.ts`) as the model's values. Building one
 * costs milliseconds: once a process.
 */
export function modelType(schema: Schema): avro.Type {
  // avsc asks for each node, and again for the same node from within the class that was given.
  let within: unknown;
  const typeHook = (node: unknown, options: unknown): avro.Type | undefined => {
    if (node === within) {
      within = undefined;
      return undefined;
    }
    const Class = classFor(node as Schema);
    if (Class === undefined) return undefined;
    within = node;
    // A bare 'long' is given as the object that it stands for, or avsc would look it up by name.
    if (node === 'long') within = LONG;
    return new Class((node === 'long' ? LONG : node) as never, options);
  };
  return avro.Type.forSchema(schema as never, { typeHook, wrapUnions: 'always' } as never);
}

const LONG = { type: 'long' };

/** The type of a writer's schema as Avro itself sees it, to be resolved into a `modelType`. */
export const plainType = (schema: unknown): avro.Type =>
  avro.Type.forSchema(schema as never, { wrapUnions: 'always' });
