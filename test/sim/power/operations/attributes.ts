/** Random operations on attributes and extended attributes. */

import { byteStringOf, ino } from '../../../../src/model/ids.ts';
import { CALLER, type Operation, type Scene } from '../scene.ts';
import { walk, type Node } from '../tree.ts';

const PERMISSIONS = 0o7777;
const XATTRS = ['user.one', 'user.two'];

function attributed(scene: Scene): Node {
  const nodes = [...walk(scene.root)].filter(([, node]) => node.kind !== 'symlink');
  return scene.random.pick(nodes)[1];
}

export function setAttributes(scene: Scene): Operation {
  const node = attributed(scene);
  // Set-group-ID on a directory would change what is created in it.
  const mode = scene.random.integer(PERMISSIONS + 1) & (node.kind === 'directory' ? ~0o2000 : -1);
  const [uid, gid] = [scene.random.integer(3), scene.random.integer(3)];
  const changesOwner = scene.random.chance(0.5);
  return {
    what: `chmod ${mode.toString(8)}${changesOwner ? `, chown ${uid}:${gid}` : ''} of ${node.ino}`,
    changes: [node],
    places: node,
    call: () =>
      scene.fs.setattr(ino(node.ino), changesOwner ? { mode, uid, gid } : { mode }, CALLER),
    apply: () => {
      node.mode = mode;
      if (changesOwner) [node.uid, node.gid] = [uid, gid];
    },
  };
}

export function setXattr(scene: Scene): Operation {
  const node = attributed(scene);
  const name = scene.random.pick(XATTRS);
  const value = scene.random.bytes(scene.random.integer(300));
  return {
    what: `setxattr ${name} of ${node.ino}`,
    changes: [node],
    places: node,
    call: () => scene.fs.setXattr(ino(node.ino), byteStringOf(name), value, 0, CALLER),
    apply: () => node.xattrs.set(name, value.toString('hex')),
  };
}

export function removeXattr(scene: Scene): Operation | undefined {
  const node = attributed(scene);
  const name = [...node.xattrs.keys()][0];
  if (name === undefined) return undefined;
  return {
    what: `removexattr ${name} of ${node.ino}`,
    changes: [node],
    places: node,
    call: () => scene.fs.removeXattr(ino(node.ino), byteStringOf(name), CALLER),
    apply: () => node.xattrs.delete(name),
  };
}
