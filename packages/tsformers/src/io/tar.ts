import { FileError } from "./file-error.ts";

/** A file inside an archive. */
export type ArchiveEntry = { readonly name: string; readonly bytes: Uint8Array };

const blockBytes = 512;

/** Whether bytes begin like a tar archive: its first block says `ustar`. */
export function isTar(bytes: Uint8Array): boolean {
  return bytes.length >= blockBytes && fieldText(bytes, 257, 5) === "ustar";
}

/**
 * The files of a tar archive (POSIX ustar and GNU), without its folders and links. The bytes are views of the archive.
 *
 * Names longer than 100 characters are read from the prefix field; those that are written as an entry of their own are cut.
 *
 * @param source where the archive lies: messages begin with it
 * @throws FileError when a header is damaged, or an entry goes on beyond the end of the archive
 */
export function tarEntries(bytes: Uint8Array, source: string): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  for (let at = 0; at + blockBytes <= bytes.length; ) {
    const header = bytes.subarray(at, at + blockBytes);
    if (header.every((byte) => byte === 0)) break;
    if (fieldNumber(header, 148, 8) !== checksum(header))
      throw new FileError(source, `the tar archive is damaged: the header at byte ${at} does not match its checksum`);
    const size = fieldNumber(header, 124, 12);
    const start = at + blockBytes;
    if (size === undefined || size > bytes.length - start)
      throw new FileError(source, `the tar archive is damaged: the entry at byte ${at} goes on beyond its end`);
    const [name, prefix, type] = [fieldText(header, 0, 100), fieldText(header, 345, 155), header[156]!];
    const isFile = type === 0 || type === "0".charCodeAt(0);
    if (isFile)
      entries.push({ name: prefix === "" ? name : `${prefix}/${name}`, bytes: bytes.subarray(start, start + size) });
    at = start + Math.ceil(size / blockBytes) * blockBytes;
  }
  return entries;
}

/** The sum of a header's bytes, its own field read as spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
}

/** A text that ends at the first zero byte. */
function fieldText(block: Uint8Array, start: number, length: number): string {
  const field = block.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
}

/** An octal number; undefined where there is none. */
function fieldNumber(block: Uint8Array, start: number, length: number): number | undefined {
  const text = fieldText(block, start, length).trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
}
