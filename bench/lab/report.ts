/**
 * How figures are shown: the table on the terminal, the one of docs/benchmarks.md, the evidence.
 */

import { advantage, type Figure, type Peer, type Unit } from './figure.ts';

const COLUMNS = ['figure', 'ledgerfs', 'floor or peer', 'ratio', 'to reach', ''] as const;

/** A row of cells for each peer of a figure; only the first names the figure. */
function rowsOf(figure: Figure): string[][] {
  const { name, unit, ours, peers, target } = figure;
  const verdict = target === undefined ? '' : target.isMet ? 'met' : 'missed';
  const [first, ...others] = peers;
  return [
    [name, amount(unit, ours), ...peerCells(figure, first), target?.text ?? '', verdict],
    ...others.map((peer) => ['', '', ...peerCells(figure, peer), '', '']),
  ];
}

function peerCells({ unit, ours }: Figure, peer: Peer | undefined): [string, string] {
  if (peer === undefined) return ['', ''];
  const ratio = advantage(unit, ours, peer.value);
  return [`${peer.name} ${amount(unit, peer.value)}`, Number.isFinite(ratio) ? times(ratio) : ''];
}

const times = (ratio: number): string => `${ratio.toFixed(ratio < 10 ? 2 : 0)}x`;

function amount(unit: Unit, value: number): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(?:\d{3})+$)/g, ',');
  const number = fraction === undefined ? grouped : `${grouped}.${fraction}`;
  return unit === '/s' ? `${number}/s` : `${number} ${unit}`;
}

/** Aligned for a terminal. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = [[...COLUMNS], ...figures.flatMap(rowsOf)];
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) =>
        i === 1 || i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  const [head = [], ...body] = rows;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** The same as Markdown, with the notes. */
export function formatMarkdown(figures: readonly Figure[]): string {
  const head = ['figure', 'ledgerfs', 'floor or peer', 'ratio', 'to reach', 'reached'];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = line(['---', '---:', '---', '---:', '---', '---']);
  const notes = figures.flatMap(({ name, note }) =>
    note === undefined ? [] : [`- ${name.trim()}: ${note}.`],
  );
  return [line(head), rule, ...figures.flatMap(rowsOf).map(line), '', ...notes].join('\n');
}
