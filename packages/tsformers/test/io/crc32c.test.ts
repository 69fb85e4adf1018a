import { describe, expect, it } from "vitest";

import { crc32c } from "../../src/io/crc32c.ts";

describe("crc32c", () => {
  it.each([
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["0 … 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["31 … 0", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
  ])("agrees with the published value for %s (RFC 3720 B.4)", (_, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum);
  });

  it("continues an earlier sum", () => {
    const bytes = new TextEncoder().encode("123456789");
    expect(crc32c(bytes.subarray(4), crc32c(bytes.subarray(0, 4)))).toBe(0xe3069283);
  });
});
