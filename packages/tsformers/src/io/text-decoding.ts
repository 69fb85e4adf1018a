import { isAscii, isUtf8 } from "node:buffer";
import { FileError } from "./file-error.ts";

/** Bytes that are not text, or text in an encoding that is not supported. The message says what they look like. */
export class NotText extends FileError {}

/** Some characters of a text, and their UTF-8. The bytes are valid until the next piece is requested. */
export type TextPiece = { readonly text: string; readonly utf8: Uint8Array };

/**
 * Decodes the bytes of one text, passed in order, into pieces of whole characters.
 *
 * A call returns how many of its bytes it `used`. The rest, at most three, must be passed again in front of the following ones;
 * with `last` there is no rest.
 */
export type TextDecoding = (bytes: Uint8Array, last: boolean) => { piece: TextPiece; used: number };

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

/** Throws an error; takes the position in the current bytes, and a function from the position in the whole text to the message. */
type Refuse = (at: number, problem: (byte: number) => string) => never;

/**
 * Begins to decode a text: UTF-8, or UTF-16 of either byte order with a byte order mark, which is dropped.
 *
 * @param source where the bytes come from, such as a path: messages begin with it
 * @throws NotText at the first invalid bytes, naming their position: invalid UTF-8 or UTF-16, zero bytes, and UTF-16
 *   without a byte order mark
 */
export function textDecoding(source: string): TextDecoding {
  let encoding: Encoding | undefined;
  let before = 0;
  return (bytes, last) => {
    let start = 0;
    if (encoding === undefined) {
      if (bytes.length < 4 && !last) return { piece: { text: "", utf8: bytes.subarray(0, 0) }, used: 0 };
      refuseOtherForms(bytes, source);
      ({ encoding, start } = markOf(bytes));
    }
    const used = last ? bytes.length : wholeCharacters(bytes, encoding);
    const refuse: Refuse = (at, problem) => {
      throw new NotText(source, problem(before + start + at));
    };
    const whole = bytes.subarray(start, used);
    const piece = encoding === "utf-8" ? fromUtf8(whole, refuse) : fromUtf16(whole, encoding, refuse);
    before += used;
    return { piece, used };
  };
}

function fromUtf8(bytes: Uint8Array, refuse: Refuse): TextPiece {
  const zero = bytes.indexOf(0);
  if (zero >= 0) refuse(zero, (at) => `expected text, found a zero byte at ${at}; this looks like a binary file`);
  if (!isUtf8(bytes)) {
    const at = validPrefix(bytes);
    const found = `0x${bytes[at]!.toString(16).padStart(2, "0")}`;
    refuse(
      at,
      (byte) =>
        `expected UTF-8 text, found ${found} at byte ${byte}, which is not; convert it to UTF-8 first (from Latin-1: iconv -f ISO-8859-1 -t UTF-8)`,
    );
  }
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return { text: buffer.toString(isAscii(bytes) ? "latin1" : "utf8"), utf8: bytes };
}

function fromUtf16(bytes: Uint8Array, encoding: "utf-16le" | "utf-16be", refuse: Refuse): TextPiece {
  if (bytes.length % 2 === 1) refuse(bytes.length - 1, (at) => `expected UTF-16 text, found half a unit at byte ${at}`);
  const units = Buffer.from(bytes);
  const text = (encoding === "utf-16be" ? units.swap16() : units).toString("utf16le");
  // With the flag u, a surrogate pair is one character and is not found here.
  const lone = text.search(/\p{Surrogate}/u);
  if (lone >= 0) refuse(2 * lone, (at) => `expected UTF-16 text, found half a surrogate pair at byte ${at}`);
  const zero = text.indexOf("\0");
  if (zero >= 0) refuse(2 * zero, (at) => `expected text, found a zero at byte ${at}; this looks like a binary file`);
  return { text, utf8: Buffer.from(text, "utf8") };
}

/** The encoding given by the byte order mark, and where the text begins. */
function markOf([a, b, c]: Uint8Array): { encoding: Encoding; start: number } {
  if (a === 0xff && b === 0xfe) return { encoding: "utf-16le", start: 2 };
  if (a === 0xfe && b === 0xff) return { encoding: "utf-16be", start: 2 };
  return { encoding: "utf-8", start: a === 0xef && b === 0xbb && c === 0xbf ? 3 : 0 };
}

function refuseOtherForms(bytes: Uint8Array, source: string): void {
  const utf32 = { "255,254,0,0": "UTF-32LE", "0,0,254,255": "UTF-32BE" }[bytes.subarray(0, 4).join()];
  const utf16 = markOf(bytes).start === 0 ? unmarkedUtf16(bytes) : undefined;
  const form = utf32 ?? utf16;
  if (form === undefined) return;
  const lacking = utf32 === undefined ? " without a byte order mark" : "";
  throw new NotText(source, `this looks like ${form}${lacking}; convert it to UTF-8 first (iconv -f ${form} -t UTF-8)`);
}

/** In Latin text as UTF-16 every other byte is zero, and no other bytes are. */
function unmarkedUtf16(bytes: Uint8Array): string | undefined {
  const head = bytes.subarray(0, 4096);
  const zeros = (parity: number): number => head.filter((byte, index) => byte === 0 && index % 2 === parity).length;
  const [even, odd] = [zeros(0), zeros(1)];
  if (Math.max(even, odd) <= head.length / 3 || Math.min(even, odd) > head.length / 100) return undefined;
  return even > odd ? "UTF-16BE" : "UTF-16LE";
}

/** How many of the bytes form whole characters. */
function wholeCharacters(bytes: Uint8Array, encoding: Encoding): number {
  const { length } = bytes;
  if (encoding !== "utf-8") {
    const even = length - (length % 2);
    const high = bytes[even - (encoding === "utf-16le" ? 1 : 2)];
    return high !== undefined && (high & 0xfc) === 0xd8 ? even - 2 : even;
  }
  for (let back = 1; back <= Math.min(3, length); back++) {
    const byte = bytes[length - back]!;
    if (byte < 0x80) return length;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? length - back : length;
  }
  return length;
}

/** Length of the longest prefix that is valid UTF-8, by bisection. */
function validPrefix(bytes: Uint8Array): number {
  const cut = (count: number): number => wholeCharacters(bytes.subarray(0, count), "utf-8");
  let [valid, invalid] = [0, bytes.length + 1];
  while (invalid - valid > 1) {
    const middle = Math.floor((valid + invalid) / 2);
    if (isUtf8(bytes.subarray(0, cut(middle)))) valid = middle;
    else invalid = middle;
  }
  return cut(valid);
}
