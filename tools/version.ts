/** The package's version, from its package.json: two folders up from dist/tools, one from tools. */

import { existsSync, readFileSync } from 'node:fs';

function packageFile(): URL {
  const built = new URL('../../package.json', import.meta.url);
  return existsSync(built) ? built : new URL('../package.json', import.meta.url);
}

const { version } = JSON.parse(readFileSync(packageFile(), 'utf8')) as { version: string };

export const VERSION = version;
