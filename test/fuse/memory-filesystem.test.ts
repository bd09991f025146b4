/** The filesystem in memory that the transport is tested with behaves as the real one does. */

import { suite } from 'uvu';
import { filesystemSuite } from '../suites/filesystem-suite.ts';
import { MemoryFilesystem } from './memory-filesystem.ts';

const test = suite('memory filesystem');

filesystemSuite(test, async () => ({
  filesystem: new MemoryFilesystem(),
  discard: () => Promise.resolve(),
}));

test.run();
