import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nameShownAs, plainBytes, plainText, showName } from '../../../src/fuse/native/names.ts';
import { byteString, byteStringOf, type ByteString } from '../../../src/model/ids.ts';

const nameOf = (hex: string): ByteString => byteString(Buffer.from(hex, 'hex'));

/** Any bytes, and bytes that are nearly UTF-8: those of the escapes and of U+FFFD among them. */
const names = fc.oneof(
  fc.uint8Array({ maxLength: 12 }).map(byteString),
  fc
    .array(
      fc.constantFrom(
        '61',
        'c3a4',
        'e282ac',
        'f09f9880',
        'efbfbd',
        'eebe80',
        'eebfbf',
        'ff',
        'c3',
        'eda080',
      ),
      { maxLength: 8 },
    )
    .map((parts) => nameOf(parts.join(''))),
);

test('every name has a string of its own, of UTF-8, that leads back to it', () => {
  fc.assert(
    fc.property(names, (name) => {
      const shown = showName(name);
      assert.is(nameShownAs(shown), name);
      assert.is(Buffer.from(shown, 'utf8').toString('utf8'), shown, 'whole in UTF-8');
      assert.not.ok(shown.includes('\uFFFD'));
    }),
    { numRuns: 2000 },
  );
});

test('a string stands for one name at most, and none but the shown one for it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), (a, b) => {
      for (const text of [a, b, `${a}\uEFC3\uEFA4${b}`]) {
        if (/\p{Surrogate}/u.test(text)) continue;
        const name = nameShownAs(text);
        if (name !== undefined) assert.is(showName(name), text);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a text of UTF-8 is itself; what may not be stored is refused', () => {
  assert.is(showName(byteStringOf('grün €😀')), 'grün €😀');
  assert.is(nameShownAs('grün €😀'), byteStringOf('grün €😀'));
  assert.is(plainBytes('grün €😀'), byteStringOf('grün €😀'));
  assert.is(showName(nameOf('626164ff')), 'bad\uEFFF');
  assert.is(showName(nameOf('efbfbd')), '\uEFEF\uEFBF\uEFBD');
  assert.is(nameShownAs('bad\uFFFD'), undefined, 'it stands for any bytes that are no UTF-8');
  assert.is(nameShownAs('\uEFC3\uEFA4'), undefined, 'these bytes are shown as a letter');
  assert.is(plainBytes('bad\uFFFD'), undefined);
  assert.is(plainBytes('bad\uEFFF'), undefined, 'a new name holds no escape');
  assert.is(plainText(nameOf('ff')), undefined);
  assert.is(plainText(byteStringOf('../ä')), '../ä');
});

test.run();
