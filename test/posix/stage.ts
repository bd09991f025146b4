/**
 * A mount namespace of its own, in which a test may be several users and change what belongs to the
 * machine: /dev/fuse open to all, two users in /etc/passwd, mount helpers in /sbin, an /etc/fstab.
 * Outside nothing changes, and all of it, with every mount, is gone with the last process inside.
 *
 * A process that only waits holds the namespace; it ends with the test, however that ends.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as assert from 'uvu/assert';
import type { Ran } from '../tools/run.ts';

/** Where these are missing, tests say so and are counted as skipped. */
export const hasFuse = existsSync('/dev/fuse') && process.getuid?.() === 0;
export const hasFusermount = existsSync('/usr/bin/fusermount3') && existsSync('/etc/fuse.conf');

/** Their numbers exist nowhere but in the namespace's /etc/passwd. */
export const USER = 61_234;
export const STRANGER = 61_235;
export type Uid = 0 | typeof USER | typeof STRANGER;

const PROGRAM_MS = 120_000;
const WAIT_MS = 60_000;
const ENDING_MS = 10_000;
const POLL_MS = 50;

/** `$1` the scratch folder, `$2` the checkout, `$3` its node_modules, `$4` the folder of helpers. */
const SCENERY = `
mount -t tmpfs -o size=1m,mode=755 tmpfs /mnt
mkdir /mnt/home /mnt/package /mnt/root /mnt/other
mount --bind "$1/home" /mnt/home
mount --bind "$2" /mnt/package
[ "$3" = "$2/node_modules" ] || mount --bind "$3" "$3"
mknod -m 666 "$1/fuse" c 10 229
mount --bind "$1/fuse" /dev/fuse
mount --bind "$1/passwd" /etc/passwd
cp -a "$4" "$1/sbin"
mount --bind "$1/sbin" "$4"
for file in fstab fuse.conf; do
  if [ -e "/etc/$file" ]; then
    cp "/etc/$file" "$1/$file"
    mount --bind "$1/$file" "/etc/$file"
  fi
done
echo ready
exec cat
`;

export class Stage implements AsyncDisposable {
  /** On the disk below; inside, its `home` is /mnt/home, which belongs to USER. */
  readonly #scratch: string;
  readonly #holder: ChildProcess;

  private constructor(scratch: string, holder: ChildProcess) {
    this.#scratch = scratch;
    this.#holder = holder;
  }

  static async open(): Promise<Stage> {
    const scratch = await mkdtemp(join(tmpdir(), 'stage-'));
    await mkdir(join(scratch, 'home'), { mode: 0o755 });
    await chown(join(scratch, 'home'), USER, USER);
    const users = [USER, STRANGER].map(
      (uid) => `ledgerfs-${uid}:x:${uid}:${uid}::/mnt/home:/bin/sh`,
    );
    const passwd = await readFile('/etc/passwd', 'utf8');
    await writeFile(join(scratch, 'passwd'), `${passwd.trimEnd()}\n${users.join('\n')}\n`);
    const args = [scratch, resolve('.'), await realpath('node_modules'), await realpath('/sbin')];
    const holder = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-euc', SCENERY, 'sh', ...args],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const ready = await new Promise<boolean>((settle) => {
      holder.stdout?.once('data', () => settle(true));
      holder.once('exit', () => settle(false));
    });
    assert.ok(ready, 'the namespace cannot be made');
    return new Stage(scratch, holder);
  }

  /** Runs a program inside, as a user, in /mnt/home; resolves whatever its exit status is. */
  run(uid: Uid, ...command: readonly string[]): Promise<Ran> {
    const user = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const inside = [
      `--mount=/proc/${this.#holder.pid ?? 0}/ns/mnt`,
      '--',
      'env',
      '-C',
      '/mnt/home',
    ];
    const args = [...inside, ...(uid === 0 ? [] : user), ...command];
    return new Promise((done) => {
      const options = { timeout: PROGRAM_MS, killSignal: 'SIGKILL' as const };
      const child = execFile('nsenter', args, options, (_, stdout, stderr) =>
        done({ status: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  }

  /** Runs it and fails where it fails; its output. */
  async succeed(uid: Uid, ...command: readonly string[]): Promise<string> {
    const ran = await this.run(uid, ...command);
    assert.is(ran.status, 0, `uid ${uid}: ${command.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return ran.stdout;
  }

  shell = (uid: Uid, script: string): Promise<string> => this.succeed(uid, 'sh', '-euc', script);

  ledgerfs = (uid: Uid, ...args: readonly string[]): Promise<Ran> =>
    this.run(uid, '/mnt/package/bin/ledgerfs', ...args);

  /** `ledgerfs ARGS`, which must succeed; its output. */
  did = (uid: Uid, ...args: readonly string[]): Promise<string> =>
    this.succeed(uid, '/mnt/package/bin/ledgerfs', ...args);

  /** Options of the mount at `path`; undefined if ledgerfs is not mounted there. */
  async mountOptions(path: string): Promise<string[] | undefined> {
    const table = await this.succeed(0, 'cat', '/proc/self/mounts');
    const lines = table.split('\n').map((line) => line.split(' '));
    return lines.find(([, at, type]) => at === path && type === 'fuse.ledgerfs')?.[3]?.split(',');
  }

  /**
   * Waits until nobody serves the volume in /mnt/home/NAME. Asserts that it was closed cleanly, and
   * that the socket is gone.
   */
  async untilClosed(name: string): Promise<void> {
    const folder = join(this.#scratch, 'home', name);
    const deadline = performance.now() + WAIT_MS;
    while (existsSync(join(folder, 'control.sock'))) {
      assert.ok(performance.now() < deadline, 'the daemon did not end');
      await sleep(POLL_MS);
    }
    const state = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as object;
    assert.type((state as { cleanSeq?: number }).cleanSeq, 'number', 'no clean mark');
  }

  /** Kills a daemon, and waits until the kernel has let go of what it served at `path`. */
  async crash(uid: Uid, pid: number, path: string): Promise<void> {
    const isOver = `until stat -f '${path}' 2>&1 | grep -q 'not connected'; do sleep 0.1; done`;
    await this.shell(uid, `kill -9 ${pid} || true; ${isOver}`);
  }

  /** Writes a file in the namespace's /etc. */
  async configure(name: 'fstab' | 'fuse.conf', text: string): Promise<void> {
    await writeFile(join(this.#scratch, name), text);
  }

  /** Processes inside, other than the one that holds the namespace. */
  async #inhabitants(): Promise<number[]> {
    const ours = await readlink(`/proc/${this.#holder.pid ?? 0}/ns/mnt`);
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const spaces = pids.map((pid) => readlink(`/proc/${pid}/ns/mnt`).catch(() => ''));
    const found = await Promise.all(spaces);
    return pids.map(Number).filter((pid, i) => found[i] === ours && pid !== this.#holder.pid);
  }

  /** The daemons end with their mounts; what does not is ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    const unmountAll = `awk '$3 == "fuse.ledgerfs" && $2 ~ "^/mnt/" { print $2 }' /proc/self/mounts |
      while read -r at; do umount -l "$at"; done`;
    await this.run(0, 'sh', '-c', unmountAll);
    const deadline = performance.now() + ENDING_MS;
    let left = await this.#inhabitants();
    while (left.length > 0 && performance.now() < deadline) {
      await sleep(POLL_MS);
      left = await this.#inhabitants();
    }
    for (const pid of left) process.kill(pid, 'SIGKILL');
    const ended = new Promise((settle) => this.#holder.once('exit', settle));
    this.#holder.stdin?.end();
    await ended;
    await rm(this.#scratch, { recursive: true, force: true });
  }
}
