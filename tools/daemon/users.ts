/** Who keeps a mount busy, from /proc: processes with a file, a folder or a map open below it. */

import { readdir, readFile, readlink } from 'node:fs/promises';

export interface MountUser {
  readonly pid: number;
  readonly command: string;
}

/**
 * Where the links of a process lead. They are read, never followed: our own mount may not answer.
 */
async function linksOf(pid: string): Promise<string[]> {
  const base = `/proc/${pid}`;
  const fds = await readdir(`${base}/fd`).catch(() => []);
  const links = [
    `${base}/cwd`,
    `${base}/root`,
    `${base}/exe`,
    ...fds.map((fd) => `${base}/fd/${fd}`),
  ];
  return await Promise.all(links.map((link) => readlink(link).catch(() => '')));
}

/** Processes that use something at or below `mountPoint`, other than this one; those we may see. */
export async function usersOf(mountPoint: string): Promise<MountUser[]> {
  const users: MountUser[] = [];
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    if (Number(pid) === process.pid) continue;
    const isUser = (await linksOf(pid)).some(
      (target) => target === mountPoint || target.startsWith(`${mountPoint}/`),
    );
    if (!isUser) continue;
    const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?');
    users.push({ pid: Number(pid), command: command.trim() });
  }
  return users;
}
