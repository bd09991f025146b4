/** Names are bytes: how they stand in JSON and on lines. */

import { isUtf8 } from 'node:buffer';
import type { ByteString } from '../../src/model/ids.ts';
import { bytesOf } from '../../src/model/ids.ts';

/** A name in JSON: a string, or, where its bytes are not UTF-8, their base64. */
export type JsonName = string | { readonly base64: string };

export function jsonName(name: ByteString): JsonName {
  const bytes = bytesOf(name);
  return isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') };
}

/**
 * A name within a line of text: quoted, one line, with quotes, backslashes and control characters
 * escaped; if its bytes are not UTF-8, all that are not ASCII stand as `\\xNN`.
 */
export function quotedName(name: ByteString): string {
  const bytes = bytesOf(name);
  const text = isUtf8(bytes) ? bytes.toString('utf8') : name;
  const needsEscape = isUtf8(bytes) ? /["\\\p{Cc}\u2028\u2029]/gu : /["\\]|[^ -~]/g;
  return `"${text.replace(needsEscape, escapedChar)}"`;
}

function escapedChar(char: string): string {
  if (char === '"' || char === '\\') return `\\${char}`;
  const code = char.codePointAt(0) ?? 0;
  return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
}
