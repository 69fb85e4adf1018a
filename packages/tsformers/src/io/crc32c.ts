const castagnoliReversed = 0x82f63b78;

let table: Uint32Array | undefined;

/**
 * CRC-32C of some bytes, as an unsigned 32-bit integer.
 *
 * Pass the result of an earlier call as `previous` to continue it: `crc32c(b, crc32c(a))` is the sum of a followed by b.
 *
 * @source RFC 3720, appendix B.4 (polynomial 0x1EDC6F41, reflected, inverted at both ends)
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const byteTable = (table ??= buildTable());
  let sum = ~previous >>> 0;
  for (const byte of bytes) sum = byteTable[(sum ^ byte) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
}

function buildTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ castagnoliReversed : sum >>> 1;
    return sum;
  });
}
