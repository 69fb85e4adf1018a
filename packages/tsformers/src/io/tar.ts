import { FileError } from "./file-error.ts";

/** A file in an archive, at its bytes `start` … `end` − 1. */
export type TarEntry = { readonly name: string; readonly start: number; readonly end: number };

const blockBytes = 512;

/**
 * The plain files of a tar archive, with long names as GNU's and POSIX's archives write them.
 *
 * @throws FileError at the first header or file that is damaged
 */
export function readTar(path: string, bytes: Uint8Array): TarEntry[] {
  const entries: TarEntry[] = [];
  let longName: string | undefined;
  for (let place = 0; place + blockBytes <= bytes.length; ) {
    const header = bytes.subarray(place, place + blockBytes);
    if (header.every((byte) => byte === 0)) break;
    requireChecksum(path, header, place);
    const sizeBytes = octal(header, 124, 12);
    const start = place + blockBytes;
    const end = start + sizeBytes;
    if (!Number.isSafeInteger(sizeBytes) || end > bytes.length)
      throw new FileError(path, `the archive ends too early: a file at byte ${place} should have ${sizeBytes} bytes`);
    const kind = String.fromCharCode(header[156]!);
    const contents = (): string => text(bytes, start, sizeBytes);
    if (kind === "L") longName = contents();
    else if (kind === "x") longName = paxName(contents()) ?? longName;
    else {
      if (kind === "0" || kind === "\0") entries.push({ name: longName ?? nameOf(header), start, end });
      longName = undefined;
    }
    place = start + Math.ceil(sizeBytes / blockBytes) * blockBytes;
  }
  return entries.map(({ name, ...place }) => ({ name: name.replace(/^(\.\/)+/, ""), ...place }));
}

function nameOf(header: Uint8Array): string {
  const [name, prefix] = [text(header, 0, 100), text(header, 345, 155)];
  const isPosix = text(header, 257, 5) === "ustar" && header[262] === 0;
  return isPosix && prefix !== "" ? `${prefix}/${name}` : name;
}

/** The name among records `LENGTH KEY=VALUE\n`. */
function paxName(records: string): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(records)?.[1];
}

/** Bytes up to a zero as text. */
function text(bytes: Uint8Array, start: number, length: number): string {
  const field = bytes.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

function octal(header: Uint8Array, start: number, length: number): number {
  const digits = text(header, start, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** The sum of a header's bytes, those of the sum itself as spaces. */
function requireChecksum(path: string, header: Uint8Array, place: number): void {
  const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
  if (octal(header, 148, 8) !== sum) throw new FileError(path, `is no tar archive, or damaged at byte ${place}`);
}
