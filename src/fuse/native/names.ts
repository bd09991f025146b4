/**
 * Names between the volume, where they are bytes, and fuse-native, where they are strings. Pure.
 *
 * The package turns bytes that are not UTF-8 into U+FFFD before we see them, so two names could
 * become one. Therefore a string with U+FFFD is never taken for a name. What the volume holds is
 * still shown, each name as a string of its own: bytes that are no UTF-8, and those of the
 * characters that mean something here (U+FFFD and the escapes themselves), stand as one escape
 * each, U+EF80 to U+EFFF for the bytes 80 to FF (a private range; MirBSD's mapping). Such a file can
 * be read, changed, renamed and removed by the name that is shown, and no new name may hold an
 * escape: a name is never stored as other bytes than its user gave.
 */

import { byteString, byteStringOf, bytesOf, type ByteString } from '../../model/ids.ts';

const ESCAPES = 0xef00;
const SPECIAL = /[\uEF80-\uEFFF\uFFFD]/;
const ESCAPE = /[\uEF80-\uEFFF]/;
const REPLACEMENT = '\uFFFD';

const isAscii = (name: string): boolean => !/[^\0-\x7f]/.test(name);

/** Bytes of the UTF-8 sequence that `first` begins, as its high bits say. */
function sequenceBytes(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** The string that stands for `name`, its own for each name. */
export function showName(name: ByteString): string {
  if (isAscii(name)) return name;
  const bytes = bytesOf(name);
  const whole = bytes.toString('utf8');
  if (!SPECIAL.test(whole)) return whole;
  let shown = '';
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + sequenceBytes(bytes[at] ?? 0));
    const character = bytes.toString('utf8', at, end);
    if (!SPECIAL.test(character)) {
      shown += character;
      at = end;
    } else shown += String.fromCharCode(ESCAPES + (bytes[at++] ?? 0));
  }
  return shown;
}

function bytesShownAs(text: string): ByteString {
  const parts = Array.from(text, (character) =>
    ESCAPE.test(character)
      ? Buffer.from([character.charCodeAt(0) - ESCAPES])
      : Buffer.from(character, 'utf8'),
  );
  return byteString(Buffer.concat(parts));
}

/** The name that is shown as `text`; undefined if none is. */
export function nameShownAs(text: string): ByteString | undefined {
  if (!SPECIAL.test(text)) return byteStringOf(text);
  if (text.includes(REPLACEMENT)) return undefined;
  const name = bytesShownAs(text);
  return showName(name) === text ? name : undefined;
}

/** The bytes of a text that is to be stored; undefined where they might not be its user's. */
export const plainBytes = (text: string): ByteString | undefined =>
  SPECIAL.test(text) ? undefined : byteStringOf(text);

/** The text of stored bytes; undefined where only an escaped form could be given. */
export function plainText(bytes: ByteString): string | undefined {
  const text = showName(bytes);
  return SPECIAL.test(text) ? undefined : text;
}
