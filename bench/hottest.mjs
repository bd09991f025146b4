/**
 * The functions in which a CPU profile (node --cpu-prof) spent its time, by self time, and the same
 * by file: `node bench/hottest.mjs PROFILE [COUNT]`. Plain JavaScript, to run as it stands.
 */

import { readFileSync } from 'node:fs';

const [file, count = '30'] = process.argv.slice(2);
if (file === undefined) {
  process.stderr.write('usage: hottest.mjs PROFILE [COUNT]\n');
  process.exit(2);
}
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
const byId = new Map(nodes.map((node) => [node.id, node.callFrame]));
const functions = new Map();
const files = new Map();
let busy = 0;
let total = 0;

const add = (map, key, time) => map.set(key, (map.get(key) ?? 0) + time);

samples.forEach((id, i) => {
  const { functionName, url, lineNumber } = byId.get(id);
  const time = timeDeltas[i];
  const place = url.replace(/^file:\/\//, '').replace(/^.*\/(?=(?:dist|node_modules)\/)/, '');
  total += time;
  if (functionName !== '(idle)') busy += time;
  add(functions, `${functionName || '(anonymous)'}  ${place}:${lineNumber + 1}`, time);
  if (functionName !== '(idle)') add(files, place || functionName, time);
});

const show = (map, limit) => {
  const ranked = [...map].toSorted(([, a], [, b]) => b - a).slice(0, limit);
  for (const [key, time] of ranked) {
    const share = ((100 * time) / busy).toFixed(1).padStart(6);
    process.stdout.write(`${share} %  ${(time / 1000).toFixed(0).padStart(7)} ms  ${key}\n`);
  }
};

process.stdout.write(`busy ${(busy / 1e6).toFixed(2)} s of ${(total / 1e6).toFixed(2)} s\n\n`);
show(functions, Number(count));
process.stdout.write('\n');
show(files, Number(count) / 2);
