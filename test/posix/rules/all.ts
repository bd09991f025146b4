/** All rules, by topic. */

import { CONTENTS } from './contents.ts';
import { NAMES } from './names.ts';
import { PERMISSIONS } from './permissions.ts';
import { RENAMES } from './renames.ts';
import type { Rule } from './rule.ts';
import { SPECIALS } from './specials.ts';
import { TIMES } from './times.ts';

export const TOPICS: Readonly<Record<string, readonly Rule[]>> = {
  permissions: PERMISSIONS,
  names: NAMES,
  renames: RENAMES,
  times: TIMES,
  contents: CONTENTS,
  specials: SPECIALS,
};
