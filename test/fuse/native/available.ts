/** Whether this machine can mount through fuse-native: /dev/fuse, root and libfuse 2. */

import { loadNativeMounter } from '../../../src/fuse/native/package.ts';
import { canMount } from '../mounted.ts';

/** Why not; undefined where it can. */
export const whyNot = (): Promise<string | undefined> =>
  canMount
    ? loadNativeMounter().then(
        () => undefined,
        (error: Error) => error.message,
      )
    : Promise.resolve('no /dev/fuse, or not root');
