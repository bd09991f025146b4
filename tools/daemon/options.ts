/**
 * Mount options (`-o a,b=c`): which there are, which are ours, which the kernel is given, and which
 * only mean something in /etc/fstab.
 */

import { UsageFailure } from '../console/failure.ts';

export interface MountOptions {
  /** Longest time that an answered change stays undurable, in ms; undefined is the engine's own. */
  readonly commitMs: number | undefined;
  /** For the kernel: 'ro' if read-only, then the others in the order given, 'noatime' too. */
  readonly kernel: readonly string[];
}

const MAX_COMMIT_SECONDS = 3600;

function commitMs(value: string): number {
  const seconds = Number(value);
  if (!/^[\d.]+$/.test(value) || !(seconds > 0 && seconds <= MAX_COMMIT_SECONDS)) {
    throw new UsageFailure(`-o commit=${value}: seconds above 0, up to ${MAX_COMMIT_SECONDS}`);
  }
  return Math.max(1, Math.round(seconds * 1000));
}

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Options of mount(8) that concern any filesystem, and those of FUSE that people may set. */
const FOR_KERNEL = words(`
  suid nosuid dev nodev exec noexec sync async dirsync symfollow nosymfollow silent loud
  atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime
  lazytime nolazytime context fscontext defcontext rootcontext allow_other default_permissions
`);

/** Meant for mount(8) and systemd, in a line of /etc/fstab; and what is told not by its name. */
const FOR_OTHERS = words(`
  defaults auto noauto user nouser users nousers owner noowner group nogroup
  _netdev nofail fail comment rw ro commit
`);

const nameOf = (option: string): string => option.split('=', 1)[0] ?? '';
const isForOthers = (option: string): boolean =>
  FOR_OTHERS.has(nameOf(option)) || /^x-/i.test(option);

/** A comma within quotes belongs to the value: context="a,b" (mount(8)). */
const split = (text: string): string[] => text.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];

/**
 * Parses the values of all `-o`. A later option wins over an earlier one. An option that nobody
 * knows is refused, or left out where `sloppy`. Throws `UsageFailure`.
 */
export function parseMountOptions(values: readonly string[], sloppy = false): MountOptions {
  const options = values.flatMap(split);
  const unknown = options.find((o) => !isForOthers(o) && !FOR_KERNEL.has(nameOf(o)));
  if (unknown !== undefined && !sloppy) throw unknownOption(unknown);
  const last = options.findLast((option) => option.startsWith('commit='));
  const readOnly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro';
  const others = options.filter((o) => !isForOthers(o) && FOR_KERNEL.has(nameOf(o)));
  return {
    commitMs: last === undefined ? undefined : commitMs(last.slice('commit='.length)),
    kernel: readOnly ? ['ro', ...others] : others,
  };
}

function unknownOption(option: string): UsageFailure {
  return nameOf(option) === 'remount'
    ? new UsageFailure('-o remount: not offered; unmount, and mount again')
    : new UsageFailure(`-o ${option}: no such mount option`);
}
