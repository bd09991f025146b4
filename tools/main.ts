/**
 * The `ledgerfs` command. Only the command that was called is loaded: the table here has what the
 * overview needs, `commands/NAME.ts` has the rest. Exit codes: 0, 1 failure, 64 wrong use.
 */

import { basename } from 'node:path';
import { Command, CommanderError } from 'commander';
import {
  describeFailure,
  EXIT_FAILURE,
  EXIT_USAGE,
  stackOf,
  UsageFailure,
} from './console/failure.ts';
import { isHelperCall, mountArguments } from './mount-helper.ts';
import { VERSION } from './version.ts';

/** A command's module: adds options, help and action to the command of its name. */
interface CommandModule {
  define(command: Command): void;
}

interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

const ENTRIES: readonly Entry[] = [
  { name: 'mkfs', summary: 'create an empty volume', load: () => import('./commands/mkfs.ts') },
  { name: 'mount', summary: 'mount a volume', load: () => import('./commands/mount.ts') },
  { name: 'umount', summary: 'commit and unmount', load: () => import('./commands/umount.ts') },
  { name: 'sync', summary: 'make all changes durable', load: () => import('./commands/sync.ts') },
  {
    name: 'status',
    summary: 'show the daemon and volume',
    load: () => import('./commands/status.ts'),
  },
  {
    name: 'log',
    summary: 'list, show, follow or verify the log',
    load: () => import('./commands/log.ts'),
  },
  {
    name: 'replay',
    summary: 'rebuild the indexes elsewhere',
    load: () => import('./commands/replay.ts'),
  },
  {
    name: 'fsck',
    summary: 'compare the indexes with the log',
    load: () => import('./commands/fsck.ts'),
  },
  {
    name: 'scrub',
    summary: 'verify the checksums of all data',
    load: () => import('./commands/scrub.ts'),
  },
  { name: 'digest', summary: 'hash the whole state', load: () => import('./commands/digest.ts') },
  {
    name: 'checkpoint',
    summary: 'write a checkpoint',
    load: () => import('./commands/checkpoint.ts'),
  },
  {
    name: 'trim',
    summary: 'drop the log before a position',
    load: () => import('./commands/trim.ts'),
  },
  {
    name: 'upgrade',
    summary: 'raise the format version',
    load: () => import('./commands/upgrade.ts'),
  },
];

/** The first word that is no option, behind an optional `help`. */
function commandNamed(args: readonly string[]): string | undefined {
  const words = args.filter((arg) => !arg.startsWith('-'));
  return words[0] === 'help' ? words[1] : words[0];
}

/** One line instead of commander's several, and exceptions instead of an exit. */
function quieten(command: Command): void {
  command.exitOverride().showSuggestionAfterError(false).helpOption('-h, --help', 'show this help');
  command.configureOutput({ outputError: () => undefined, writeErr: () => undefined });
  for (const sub of command.commands) quieten(sub);
}

async function programFor(args: readonly string[]): Promise<Command> {
  const program = new Command('ledgerfs')
    .description('An event-sourced archival filesystem: the log is the filesystem.')
    .version(VERSION, '-v, --version', 'show the version')
    .option('--debug', 'show the stack of a failure')
    .enablePositionalOptions()
    .addHelpText(
      'after',
      '\nExample:\n  ledgerfs mkfs /srv/volume && ledgerfs mount /srv/volume /mnt\n',
    );
  const wanted = commandNamed(args);
  for (const { name, summary, load } of ENTRIES) {
    const command = program
      .command(name)
      .description(summary)
      .option('--debug', 'show the stack of a failure');
    if (name === wanted) (await load()).define(command);
  }
  quieten(program);
  return program;
}

/** What commander says about a wrong command line, as one line without its "error: ". */
function usageText(error: Error): string {
  // Called without the subcommand that it needs, commander wants to show the help.
  if (error instanceof CommanderError && error.code === 'commander.help') {
    return 'a subcommand is missing, see --help';
  }
  return error.message.replace(/^error: /, '').split('\n')[0] ?? '';
}

/** mount(8): incorrect invocation, and mount failure; its 64 is "some mounts succeeded". */
const HELPER_USAGE = 1;
const HELPER_FAILURE = 32;

/** Runs the command line `argv` (as in process.argv) and sets the exit code. Never rejects. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = basename(argv[1] ?? 'ledgerfs') === 'scoutfs' ? 'scoutfs' : 'ledgerfs';
  const words = argv.slice(2);
  const isHelper = isHelperCall(argv[1] ?? '', words);
  const wanted = isHelper ? 'mount' : commandNamed(words);
  const name = ENTRIES.find((entry) => entry.name === wanted)?.name;
  // A reader that goes away (`ledgerfs log show | head`) is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`${describeFailure(program, name ?? 'start', error)}\n`);
    process.exit(EXIT_FAILURE);
  });
  try {
    const args = isHelper ? mountArguments(words) : words;
    await (
      await programFor(args)
    ).parseAsync(args.length === 0 ? ['--help'] : args, { from: 'user' });
  } catch (cause) {
    if (cause instanceof CommanderError && cause.exitCode === 0) return;
    const isUsage = cause instanceof CommanderError || cause instanceof UsageFailure;
    const prefix = name === undefined ? program : `${program}: ${name}`;
    const line = isUsage
      ? `${prefix}: ${usageText(cause)}`
      : describeFailure(program, name ?? 'start', cause);
    process.stderr.write(`${line}\n`);
    if (words.includes('--debug')) process.stderr.write(`${stackOf(cause)}\n`);
    // Scripts written for scoutfs expect its exit code for a command that there is not.
    const isUnknown = name === undefined && program === 'scoutfs';
    if (isHelper) process.exitCode = isUsage ? HELPER_USAGE : HELPER_FAILURE;
    else process.exitCode = isUsage && !isUnknown ? EXIT_USAGE : EXIT_FAILURE;
  }
}
