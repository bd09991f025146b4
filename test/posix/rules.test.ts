/**
 * The rules of `rules/` on a real mount and on ext4: each must come to what it says on both, and to
 * the same in every answer and attribute, but for what `differences.ts` allows.
 *
 * @limit 600 s
 */

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Actor, word } from './actor.ts';
import { Judge } from './differences.ts';
import { ALL_FEATURES } from './features.ts';
import { TOPICS } from './rules/all.ts';
import { missing, stepsOf, USERS, type Rule } from './rules/rule.ts';
import { canMount, freshFolders, openSides, type Sides } from './sides.ts';

interface Context {
  sides: Sides;
}

const tests = suite<Context>('rules', {} as Context);
const test = canMount ? tests : tests.skip;

tests.before(async (context) => {
  if (canMount) context.sides = await openSides();
});

tests.after(async ({ sides }) => {
  if (!canMount) return;
  try {
    assert.equal(await sides.volume.complaints(), []);
    await sides.volume.unmount();
    await sides.volume.assertWhole();
  } finally {
    await sides.close();
  }
});

/** The answers to a rule's steps, by processes that stand in `folder`. */
async function play(program: string, rule: Rule, folder: string, other: string): Promise<string[]> {
  const steps = stepsOf(rule);
  const actors = new Map<string, Actor>();
  try {
    for (const who of new Set(steps.map((step) => step.who))) {
      const actor = new Actor(program, folder);
      actors.set(who, actor);
      await actor.askAll([`as ${USERS[who]}`, `in ${word(folder)}`, 'watch 1']);
    }
    const answers: string[] = [];
    for (const { who, operation } of steps) {
      const actor = actors.get(who) as Actor;
      answers.push(await actor.ask(operation.replaceAll('@other', word(other))));
    }
    return answers;
  } finally {
    await Promise.all([...actors.values()].map((actor) => actor.end()));
  }
}

/** Asserts that each answer is what its step says. */
function assertExpected(rule: Rule, where: string, answers: readonly string[]): void {
  for (const [i, { who, operation, expected }] of stepsOf(rule).entries()) {
    const answer = answers[i] ?? '';
    const lacks = missing(expected, answer);
    const step = `${who}: ${operation}`.slice(0, 200);
    assert.is(lacks, undefined, `${where}, ${step}: no ${lacks}: ${answer.slice(0, 500)}`);
  }
}

async function tryRule(sides: Sides, rule: Rule): Promise<void> {
  const [reference, mine] = await freshFolders(sides);
  const actual = await play(sides.actor, rule, mine, reference);
  if (rule.own !== undefined) return assertExpected(rule, 'ledgerfs', actual);
  const expected = await play(sides.actor, rule, reference, mine);
  assertExpected(rule, 'ext4', expected);
  assertExpected(rule, 'ledgerfs', actual);
  const judge = new Judge(new Set(ALL_FEATURES));
  for (const [i, { operation }] of stepsOf(rule).entries()) {
    const answers = { reference: expected[i] ?? '', mine: actual[i] ?? '' };
    const judged = judge.judged({ operation, ...answers });
    assert.is(judged.mine, judged.reference, operation);
  }
}

for (const [topic, rules] of Object.entries(TOPICS)) {
  for (const rule of rules) test(`${topic}: ${rule.name}`, ({ sides }) => tryRule(sides, rule));
}

test('two processes append 500 records each, and none is torn or lost', async ({ sides }) => {
  const [, folder] = await freshFolders(sides);
  const actors = [new Actor(sides.actor, folder), new Actor(sides.actor, folder)];
  try {
    const record = (who: number): string => `${'ab'[who]}`.repeat(99) + 'E';
    await Promise.all(actors.map((actor) => actor.ask('open 0 f 1090 420')));
    const written = await Promise.all(
      actors.map((actor, who) =>
        actor.askAll(Array.from({ length: 500 }, () => `put 0 0 ${record(who)}`)),
      ),
    );
    assert.ok(written.flat().every((answer) => answer === 'ok 100'));
    const counts = { [record(0)]: 0, [record(1)]: 0 };
    for (let i = 0; i < 1000; i++) {
      // Hashes and bytes are told of short reads only, so in two halves.
      const halves = await actors[0]?.askAll([
        `pread 0 ${i * 100} 50`,
        `pread 0 ${i * 100 + 50} 50`,
      ]);
      const found = (halves ?? []).map((half) => / bytes=(\w+)/.exec(half)?.[1]).join('');
      counts[found] = (counts[found] ?? 0) + 1;
    }
    assert.equal(counts, { [record(0)]: 500, [record(1)]: 500 });
  } finally {
    await Promise.all(actors.map((actor) => actor.end()));
  }
});

test('statfs tells the truth about blocks, inodes and names', async ({ sides }) => {
  const [, folder] = await freshFolders(sides);
  const actor = new Actor(sides.actor, folder);
  const figures = async (): Promise<Record<string, number>> => {
    const answer = await actor.ask('statfs .');
    const pairs = [...answer.matchAll(/(\w+)=(\d+)/g)].map(([, name = '', n]) => [name, Number(n)]);
    return Object.fromEntries(pairs) as Record<string, number>;
  };
  try {
    const before = await figures();
    assert.equal([before['bsize'], before['frsize'], before['namemax']], [4096, 4096, 255]);
    const { blocks = 0, bfree = 0, bavail = 0, files = 0, ffree = 0 } = before;
    assert.ok(blocks >= bfree && bfree >= bavail && bavail > 0, JSON.stringify(before));
    assert.ok(files > ffree && ffree > 0, JSON.stringify(before));
    const made = Array.from({ length: 50 }, (_, i) => `mknod f${i} 33188 0 0`);
    await actor.askAll(['open 0 f 66 420', ...made]);
    for (let i = 0; i < 4; i++) await actor.ask(`pwrite 0 ${i * 2 ** 24} ${i} ${2 ** 24}`);
    await actor.ask('fsync 0');
    const after = await figures();
    const used = (of: Record<string, number>): number => (of['files'] ?? 0) - (of['ffree'] ?? 0);
    assert.is(used(after) - used(before), 51);
    // Others write to the disk below meanwhile: a part of the 64 MiB is enough.
    const full = (of: Record<string, number>): number => (of['blocks'] ?? 0) - (of['bfree'] ?? 0);
    assert.ok(full(after) - full(before) > 4096, JSON.stringify([before, after]));
  } finally {
    await actor.end();
  }
});

tests.run();
