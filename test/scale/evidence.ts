/**
 * What a run leaves in the repository: docs/evidence/scale.json. Written anew after each part, so
 * that a run that is interrupted leaves what it had; parts that a run leaves out keep what an
 * earlier one found, each part naming its commit and sizes.
 */

import { readFileSync, statfsSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { writeEvidence } from '../runner/evidence.ts';
import type { Figures } from './site.ts';

const FILE = fileURLToPath(new URL('../../docs/evidence/scale.json', import.meta.url));

export interface PartRecord {
  readonly name: string;
  readonly commit: string;
  readonly date: string;
  /** Sizes in force, and those below the issue's. */
  readonly parameters: Figures;
  readonly cut: readonly string[];
  readonly durationSeconds: number;
  readonly figures: Figures;
  readonly findings: readonly string[];
}

export function machineOf(dir: string): Figures {
  const { bavail, bsize } = statfsSync(dir);
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model ?? 'unknown',
    memoryGB: Math.round(totalmem() / 1e9),
    diskFreeGB: Math.round((bavail * bsize) / 1e9),
    kernel: release(),
    node: process.version,
  };
}

function recorded(): readonly PartRecord[] {
  try {
    return (JSON.parse(readFileSync(FILE, 'utf8')) as { parts: PartRecord[] }).parts;
  } catch {
    return [];
  }
}

export class Evidence {
  readonly #command: string;
  readonly #machine: Figures;
  readonly #order: readonly string[];
  #parts: readonly PartRecord[];

  /** `order` are the names of all parts. */
  constructor(command: string, machine: Figures, order: readonly string[]) {
    this.#command = command;
    this.#machine = machine;
    this.#order = order;
    this.#parts = recorded();
  }

  add(part: PartRecord): void {
    this.#parts = [...this.#parts.filter(({ name }) => name !== part.name), part].sort(
      (a, b) => this.#order.indexOf(a.name) - this.#order.indexOf(b.name),
    );
    this.#write(part);
  }

  #write({ commit }: PartRecord): void {
    const parts = this.#parts;
    writeEvidence(FILE, {
      commit,
      command: this.#command,
      machine: this.#machine,
      seeds: [],
      counts: { parts: parts.length, of: this.#order.length },
      durationSeconds: Math.round(parts.reduce((sum, part) => sum + part.durationSeconds, 0)),
      findings: parts.flatMap(({ name, findings }) => findings.map((what) => `${name}: ${what}`)),
      cut: [...new Set(parts.flatMap(({ cut }) => cut))],
      parts,
    });
  }
}
