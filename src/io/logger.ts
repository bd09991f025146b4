/**
 * The logging port. The daemon's adapter (pino, `control/journal.ts`) writes VOLUME/daemon.log;
 * tests pass `silent`. Messages name the inode and seq first; fields hold what a machine may look
 * for.
 */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Takes one line. Never throws and never waits: a log line must not fail what it describes. */
export type LogFunction = (level: LogLevel, message: string, fields?: object) => void;

/** Drops everything. */
export const silent: LogFunction = () => {};
