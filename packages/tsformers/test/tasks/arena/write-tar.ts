/** A tar archive of some files, as POSIX describes it. */
export function writeTar(
  files: Readonly<Record<string, Uint8Array>>,
  { longNames = false }: { readonly longNames?: boolean } = {},
): Buffer {
  const blocks = Object.entries(files).flatMap(([name, bytes]) => [
    ...(longNames ? [header("././@LongLink", Buffer.byteLength(name) + 1, "L"), padded(Buffer.from(`${name}\0`))] : []),
    header(longNames ? name.slice(0, 20) : name, bytes.length, "0"),
    padded(Buffer.from(bytes)),
  ]);
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

function header(name: string, size: number, kind: string): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write("0000644\0", 100);
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  block.write("        ", 148);
  block.write(kind, 156);
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}
