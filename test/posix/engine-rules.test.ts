/** The rules of `rules/` that are the engine's own, on an engine without a kernel. */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { SimVolume } from '../engine/sim-volume.ts';
import { EngineActor } from './engine-actor.ts';
import { TOPICS } from './rules/all.ts';
import { missing, stepsOf, USERS, type Rule } from './rules/rule.ts';

const test = suite('engine rules');

async function tryRule(rule: Rule): Promise<void> {
  const it = await SimVolume.create();
  const actors = new Map<string, EngineActor>();
  const actorOf = (who: string): EngineActor => {
    const [uid = 0, gid = 0] = (USERS[who] ?? '').split(' ').map(Number);
    const actor = actors.get(who) ?? new EngineActor(it.volume.filesystem, { uid, gid, pid: 1 });
    actors.set(who, actor);
    return actor;
  };
  try {
    for (const { who, operation, expected } of stepsOf(rule)) {
      const answer = await actorOf(who).ask(operation);
      const lacks = missing(expected, answer);
      const step = `${who}: ${operation}`.slice(0, 200);
      assert.is(lacks, undefined, `${step}: no ${lacks}: ${answer.slice(0, 500)}`);
    }
    for (const actor of actors.values()) await actor.end();
  } finally {
    await it.dispose();
  }
}

for (const [topic, rules] of Object.entries(TOPICS)) {
  for (const rule of rules.filter(({ kernel }) => kernel === undefined)) {
    test(`${topic}: ${rule.name}`, () => tryRule(rule));
  }
}

test.run();
