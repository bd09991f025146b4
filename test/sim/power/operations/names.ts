/** Random operations on names: what may be created, linked, removed and renamed at the moment. */

import type { Answer, OpenFile } from '../../../../src/engine/api.ts';
import { RENAME_EXCHANGE } from '../../../../src/engine/api.ts';
import { byteStringOf, ino } from '../../../../src/model/ids.ts';
import { S_IFDIR, S_IFREG } from '../../../../src/model/inode.ts';
import { CUT } from '../drive.ts';
import { CALLER, NAMES, O_DSYNC, O_RDWR, type Operation, type Scene } from '../scene.ts';
import { newNode, walk, type Node } from '../tree.ts';

function add(
  scene: Scene,
  kind: Node['kind'],
  call: (dir: Node, name: string, node: Node) => Answer<unknown>,
) {
  const place = scene.free();
  if (place === undefined) return undefined;
  const { dir, name } = place;
  const mode = kind === 'symlink' ? 0o777 : scene.random.pick([0o600, 0o644, 0o755]);
  const node = newNode(kind, mode, scene.step, kind === 'symlink' ? `to/${name}` : '');
  return {
    what: `${kind} ${name} in ${dir.ino}`,
    changes: [dir, node],
    call: () => call(dir, name, node),
    apply: (answer: unknown) => {
      dir.entries.set(name, node);
      if (answer !== CUT) node.ino = (answer as { ino: number }).ino;
    },
  };
}

export function create(scene: Scene): Operation | undefined {
  if (!scene.mayOpen) return undefined;
  let created: Node | undefined;
  const operation = add(scene, 'file', (dir, name, node) => {
    created = node;
    const flags = O_RDWR | (scene.random.chance(0.05) ? O_DSYNC : 0);
    return scene.fs.create(ino(dir.ino), byteStringOf(name), S_IFREG | node.mode, flags, CALLER);
  });
  return (
    operation && {
      ...operation,
      apply: (answer) => {
        if (answer === CUT) return operation.apply(CUT);
        const opened = answer as { readonly inode: unknown; readonly file: OpenFile };
        operation.apply(opened.inode);
        scene.open.push({ node: created as Node, file: opened.file });
      },
    }
  );
}

export function mkdir(scene: Scene): Operation | undefined {
  return add(scene, 'directory', (dir, name, node) =>
    scene.fs.mkdir(ino(dir.ino), byteStringOf(name), S_IFDIR | node.mode, CALLER),
  );
}

export function symlink(scene: Scene): Operation | undefined {
  return add(scene, 'symlink', (dir, name, node) =>
    scene.fs.symlink(ino(dir.ino), byteStringOf(name), byteStringOf(node.target), CALLER),
  );
}

export function link(scene: Scene): Operation | undefined {
  const source = scene.pick(({ node }) => node.kind === 'file');
  const place = scene.free();
  if (source === undefined || place === undefined) return undefined;
  return {
    what: `link ${source.node.ino} as ${place.name} in ${place.dir.ino}`,
    changes: [place.dir, source.node],
    places: source.node,
    call: () =>
      scene.fs.link(ino(source.node.ino), ino(place.dir.ino), byteStringOf(place.name), CALLER),
    apply: () => place.dir.entries.set(place.name, source.node),
  };
}

export function unlink(scene: Scene): Operation | undefined {
  const victim = scene.pick(({ node }) => node.kind !== 'directory');
  if (victim === undefined) return undefined;
  return {
    what: `unlink ${victim.name} in ${victim.dir.ino}`,
    changes: [victim.dir, victim.node],
    places: victim.node,
    call: () => scene.fs.unlink(ino(victim.dir.ino), byteStringOf(victim.name), CALLER),
    apply: () => victim.dir.entries.delete(victim.name),
  };
}

export function rmdir(scene: Scene): Operation | undefined {
  const victim = scene.pick(({ node }) => node.kind === 'directory' && node.entries.size === 0);
  if (victim === undefined) return undefined;
  return {
    what: `rmdir ${victim.name} in ${victim.dir.ino}`,
    changes: [victim.dir],
    call: () => scene.fs.rmdir(ino(victim.dir.ino), byteStringOf(victim.name), CALLER),
    apply: () => victim.dir.entries.delete(victim.name),
  };
}

export function rename(scene: Scene): Operation | undefined {
  const from = scene.pick(() => true);
  if (from === undefined) return undefined;
  const dir = scene.anyDirectory();
  const name = scene.random.pick(NAMES);
  const target = dir.entries.get(name);
  if ([...walk(from.node)].some(([, below]) => below === dir)) return undefined;
  if (target === from.node) return undefined;
  if (target !== undefined && [...walk(target)].some(([, below]) => below === from.dir)) {
    return undefined;
  }
  const exchanges = target !== undefined && scene.random.chance(0.3);
  if (target !== undefined && !exchanges && !canReplace(from.node, target)) return undefined;
  return {
    what: `rename ${from.name} in ${from.dir.ino} to ${name} in ${dir.ino}${exchanges ? ' (exchange)' : ''}`,
    changes: [from.dir, dir],
    places: from.node.kind === 'file' ? from.node : undefined,
    call: () =>
      scene.fs.rename(
        ino(from.dir.ino),
        byteStringOf(from.name),
        ino(dir.ino),
        byteStringOf(name),
        exchanges ? RENAME_EXCHANGE : 0,
        CALLER,
      ),
    apply: () => {
      if (exchanges) from.dir.entries.set(from.name, target);
      else from.dir.entries.delete(from.name);
      dir.entries.set(name, from.node);
    },
  };
}

/** Whether rename(2) may put `node` in the place of `target`. */
function canReplace(node: Node, target: Node): boolean {
  if (node.kind !== 'directory') return target.kind !== 'directory';
  return target.kind === 'directory' && target.entries.size === 0;
}
