/** Random operations on open files and their contents. */

import type { OpenFile } from '../../../../src/engine/api.ts';
import {
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
} from '../../../../src/decide/ranges.ts';
import { ino } from '../../../../src/model/ids.ts';
import { sizeOf } from '../../../../src/model/size.ts';
import { CUT } from '../drive.ts';
import { CALLER, Finding, O_RDWR, type Open, type Operation, type Scene } from '../scene.ts';
import { overwritten, resized, setBytes } from '../tree.ts';

/** Files reach this size, in bytes: several runs of blocks, several pages of the disk. */
const LARGEST = 200_000;

export function write(scene: Scene): Operation | undefined {
  const open = scene.anyOpen();
  if (open === undefined) return undefined;
  const { node, file } = open;
  const length = scene.random.integer(2 ** scene.random.between(4, 16)) + 1;
  const farthest = Math.min(LARGEST - length, node.bytes.length + 10_000);
  const offset = scene.random.chance(0.4)
    ? Math.min(node.bytes.length, farthest)
    : scene.random.integer(farthest + 1);
  const bytes = scene.random.bytes(length);
  const payload = { bytes: Buffer.from(bytes), take: () => () => undefined };
  return {
    what: `write ${length} bytes at ${offset} of ${node.ino}${file.synchronous ? ' (O_DSYNC)' : ''}`,
    call: () => scene.fs.write(file, sizeOf(offset), payload, false, CALLER),
    apply: (answer) => {
      setBytes(node, overwritten(node.bytes, offset, bytes), scene.step);
      if (answer !== CUT && file.synchronous) {
        scene.history.keep(scene.history.promise(node));
      }
    },
  };
}

export function truncate(scene: Scene): Operation | undefined {
  const file = scene.pick(({ node }) => node.kind === 'file');
  if (file === undefined) return undefined;
  const { node } = file;
  const length = scene.random.integer(scene.random.chance(0.6) ? node.bytes.length + 1 : LARGEST);
  return {
    what: `truncate ${node.ino} from ${node.bytes.length} to ${length}`,
    places: node,
    call: () => scene.fs.setattr(ino(node.ino), { size: sizeOf(length) }, CALLER),
    apply: () => setBytes(node, resized(node.bytes, length), scene.step),
  };
}

/** fallocate(2): allocates, punches or zeros a range; one transaction, as small as files are. */
export function allocate(scene: Scene): Operation | undefined {
  const open = scene.anyOpen();
  if (open === undefined) return undefined;
  const { node, file } = open;
  const [what, mode] = scene.random.weighted([
    [4, ['allocate', 0]],
    [2, ['allocate beyond the end', FALLOC_KEEP_SIZE]],
    [3, ['punch', FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE]],
    [2, ['zero', FALLOC_ZERO_RANGE]],
  ] as const);
  const length = scene.random.integer(2 ** scene.random.between(8, 17)) + 1;
  const farthest = Math.min(LARGEST - length, node.bytes.length + 10_000);
  const offset = scene.random.integer(Math.max(0, farthest) + 1);
  const request = { mode, offset: sizeOf(offset), length: sizeOf(length), killPrivileges: false };
  return {
    what: `${what} ${length} bytes at ${offset} of ${node.ino}`,
    places: node,
    call: () => scene.fs.fallocate(file, request, CALLER),
    apply: () => {
      const grown = (mode & FALLOC_KEEP_SIZE) === 0 ? offset + length : 0;
      const after = resized(node.bytes, Math.max(node.bytes.length, grown));
      if (what === 'punch' || what === 'zero') after.subarray(offset, offset + length).fill(0);
      setBytes(node, after, scene.step);
    },
  };
}

export function read(scene: Scene): Operation | undefined {
  const open = scene.anyOpen();
  if (open === undefined) return undefined;
  const { node, file } = open;
  const offset = scene.random.integer(node.bytes.length + 1);
  const length = scene.random.integer(50_000) + 1;
  return {
    what: `read ${length} bytes at ${offset} of ${node.ino}`,
    call: () => scene.fs.read(file, sizeOf(offset), length),
    apply: (answer) => {
      if (answer === CUT) return;
      const found = Buffer.concat(answer as readonly Uint8Array[]);
      if (!found.equals(node.bytes.subarray(offset, offset + length))) {
        throw new Finding(`step ${scene.step}: a read of ${node.ino} at ${offset} is wrong`);
      }
    },
  };
}

export function openExisting(scene: Scene): Operation | undefined {
  const file = scene.pick(({ node }) => node.kind === 'file');
  if (file === undefined || !scene.mayOpen) return undefined;
  return {
    what: `open ${file.node.ino}`,
    call: () => scene.fs.open(ino(file.node.ino), O_RDWR, CALLER),
    apply: (answer) => {
      if (answer !== CUT) scene.open.push({ node: file.node, file: answer as OpenFile });
    },
  };
}

export function close(scene: Scene): Operation | undefined {
  if (scene.open.length === 0) return undefined;
  const [closed] = scene.open.splice(scene.random.integer(scene.open.length), 1);
  const { node, file } = closed as Open;
  return {
    what: `close ${node.ino}`,
    places: scene.closePlaces ? node : undefined,
    call: async () => {
      const refused = await scene.fs.flush(file);
      scene.fs.close(file);
      return refused;
    },
  };
}

export function flush(scene: Scene): Operation | undefined {
  const open = scene.anyOpen();
  if (open === undefined) return undefined;
  return {
    what: `flush ${open.node.ino}`,
    places: scene.closePlaces ? open.node : undefined,
    call: () => scene.fs.flush(open.file),
  };
}
