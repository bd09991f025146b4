/**
 * What commands print: aligned and coloured on a terminal, plain and stable when piped. `NO_COLOR`
 * (no-color.org) is honoured.
 */

import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

const isColoured = (): boolean =>
  process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb';

export const styled = (style: Style, text: string): string =>
  isColoured() ? styleText(style, text) : text;

/** Writes a line; resolves when the reader has room again, so that floods never fill the memory. */
export function printLine(line: string): Promise<void> | undefined {
  if (process.stdout.write(`${line}\n`)) return undefined;
  return new Promise((resolve) => process.stdout.once('drain', resolve));
}

/** One JSON value on a line of its own. Positions and counts are numbers, 64-bit values strings. */
export const printJson = (value: unknown): Promise<void> | undefined =>
  printLine(JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)));

/** Escapes control characters of names on a terminal; a pipe gets the bytes as they are. */
export function printable(name: string): string {
  if (!process.stdout.isTTY) return name;
  return Array.from(name)
    .map((char) => {
      const code = char.codePointAt(0) ?? 0;
      return code < 32 || code === 127 ? `\\${code.toString(8).padStart(3, '0')}` : char;
    })
    .join('');
}

/** `name  value` lines, the values below each other. */
export function printFields(fields: readonly (readonly [string, string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) {
    void printLine(`${styled('dim', name.padEnd(width))}  ${value}`);
  }
}

/** Columns below a heading; numbers (cells that begin with a digit) to the right. */
export function printTable(heading: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = heading.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const isNumeric = heading.map((_, i) => rows.every((row) => /^[\d.]/.test(row[i] ?? '')));
  const pad = (cell: string, i: number): string =>
    isNumeric[i] === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0);
  void printLine(styled('bold', heading.map(pad).join('  ').trimEnd()));
  for (const row of rows) void printLine(row.map(pad).join('  ').trimEnd());
}
