const castagnoliReversed = 0x82f63b78;

let tables: Int32Array | undefined;

/**
 * CRC-32C of some bytes, as an unsigned 32-bit integer.
 *
 * Pass the result of an earlier call as `previous` to continue it: `crc32c(b, crc32c(a))` is the checksum of a followed by b.
 *
 * @source RFC 3720, appendix B.4 (polynomial 0x1EDC6F41, reflected, inverted at both ends); Kounavis & Berry 2005, "A Systematic
 *   Approach to Building High Performance, Software-based, CRC Generators": four bytes at a time, with one table for each
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  const table = (tables ??= buildTables());
  let sum = ~previous;
  const fours = bytes.length & ~3;
  for (let i = 0; i < fours; i += 4) {
    sum ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    sum =
      table[768 + (sum & 0xff)]! ^
      table[512 + ((sum >>> 8) & 0xff)]! ^
      table[256 + ((sum >>> 16) & 0xff)]! ^
      table[sum >>> 24]!;
  }
  for (let i = fours; i < bytes.length; i++) sum = table[(sum ^ bytes[i]!) & 0xff]! ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** Entry `256 k + byte` is the checksum of that byte followed by k zeros. Signed, since only int32 numbers are fast here. */
function buildTables(): Int32Array {
  const table = new Int32Array(4 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ castagnoliReversed : sum >>> 1;
    table[byte] = sum;
  }
  for (let i = 256; i < table.length; i++) table[i] = table[table[i - 256]! & 0xff]! ^ (table[i - 256]! >>> 8);
  return table;
}
