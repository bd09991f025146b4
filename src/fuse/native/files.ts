/**
 * Operations on open files, by their handle, and on extended attributes.
 *
 * There is no `create`: the package does not give its flags, so a file created with O_SYNC would
 * lose what was acknowledged. Without it the kernel makes the file (mknod) and opens it, and the
 * open has the flags.
 */

import type { Operations } from 'fuse-native';
import type { Answer, OpenFile } from '../../engine/api.ts';
import { isAclName } from '../../model/acl.ts';
import { refuse } from '../../model/errno.ts';
import type { ByteString, Ino } from '../../model/ids.ts';
import { sizeOf } from '../../model/size.ts';
import { O_NOATIME } from '../access.ts';
import { chain } from '../serving.ts';
import { nameShownAs, plainBytes, showName } from './names.ts';
import { inodeAt } from './paths.ts';
import type { NativeService } from './service.ts';

type FileOperations = Pick<
  Operations,
  'open' | 'read' | 'write' | 'flush' | 'fsync' | 'release' | 'ftruncate'
>;
type XattrOperations = Pick<Operations, 'getxattr' | 'listxattr' | 'setxattr' | 'removexattr'>;

function copyInto(into: Buffer, chunks: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const chunk of chunks) {
    into.set(chunk, bytes);
    bytes += chunk.length;
  }
  return bytes;
}

/** Done with memory of our own: libfuse's is gone when the request is answered. */
const nothingToGiveBack = (): (() => void) => () => undefined;

export function fileOperations(service: NativeService): FileOperations {
  const { filesystem, caller, files, noted } = service;
  const withFile = <T>(fh: number, use: (file: OpenFile) => Answer<T>): Answer<T> => {
    const file = files.get(fh);
    return file === undefined ? refuse('EBADF') : use(file);
  };
  return {
    open: (path, flags, done) =>
      service.answer(
        { operation: 'OPEN', path, done },
        () => {
          const wanted = noted.files ? flags : flags | O_NOATIME;
          return chain(inodeAt(filesystem, path), ({ ino }) =>
            filesystem.open(ino, wanted, caller),
          );
        },
        (file) => service.giveFile(file, done),
      ),
    read: (path, fh, into, length, at, done) =>
      service.answer(
        { operation: 'READ', path, done },
        () =>
          Number.isSafeInteger(at)
            ? withFile(fh, (file) => filesystem.read(file, sizeOf(at), length))
            : refuse('EINVAL'),
        (chunks) => done(copyInto(into, chunks)),
      ),
    write: (path, fh, from, length, at, done) =>
      service.answer(
        { operation: 'WRITE', path, done },
        () => {
          if (!Number.isSafeInteger(at)) return refuse('EFBIG');
          const bytes = Buffer.from(from.subarray(0, length));
          const payload = { bytes, take: nothingToGiveBack };
          // The kernel clears set-id bits itself, with a chmod before the write.
          return withFile(fh, (file) => filesystem.write(file, sizeOf(at), payload, false, caller));
        },
        (written) => done(written),
      ),
    ftruncate: (path, fh, size, done) =>
      service.answer({ operation: 'FTRUNCATE', path, done }, () =>
        Number.isSafeInteger(size)
          ? withFile(fh, ({ ino }) => filesystem.setattr(ino, { size: sizeOf(size) }, caller))
          : refuse('EFBIG'),
      ),
    flush: (path, fh, done) =>
      service.answer({ operation: 'FLUSH', path, done }, () =>
        withFile(fh, (file) => filesystem.flush(file)),
      ),
    fsync: (path, _, fh, done) =>
      service.answer({ operation: 'FSYNC', path, done }, () =>
        withFile(fh, (file) => filesystem.fsync(file)),
      ),
    release: (path, fh, done) =>
      service.answer({ operation: 'RELEASE', path, done }, () => {
        const file = files.remove(fh);
        if (file !== undefined) filesystem.close(file);
      }),
  };
}

export function xattrOperations(service: NativeService): XattrOperations {
  const { filesystem, caller } = service;
  const at = <T>(
    path: string,
    name: ByteString | undefined,
    use: (ino: Ino, name: ByteString) => Answer<T>,
  ): Answer<T> =>
    name === undefined
      ? refuse('EILSEQ')
      : chain(inodeAt(filesystem, path), ({ ino }) => use(ino, name));
  // Nobody enforces access lists here: who is told so sets the mode instead (cp -a, tar).
  const changing: typeof at = (path, name, use) =>
    name !== undefined && isAclName(name) ? refuse('EOPNOTSUPP') : at(path, name, use);
  return {
    getxattr: (path, text, _, done) =>
      service.answer(
        { operation: 'GETXATTR', path, done },
        () => at(path, nameShownAs(text), (ino, name) => filesystem.getXattr(ino, name)),
        (value) => done(0, value),
      ),
    listxattr: (path, done) =>
      service.answer(
        { operation: 'LISTXATTR', path, done },
        () => chain(inodeAt(filesystem, path), ({ ino }) => filesystem.listXattrs(ino)),
        (names) => done(0, names.map(showName)),
      ),
    setxattr: (path, text, bytes, _, flags, done) =>
      service.answer({ operation: 'SETXATTR', path, done }, () => {
        const value = Buffer.from(bytes);
        return changing(path, plainBytes(text), (ino, name) =>
          filesystem.setXattr(ino, name, value, flags, caller),
        );
      }),
    removexattr: (path, text, done) =>
      service.answer({ operation: 'REMOVEXATTR', path, done }, () =>
        changing(path, nameShownAs(text), (ino, name) => filesystem.removeXattr(ino, name, caller)),
      ),
  };
}
