/** Our side of the peak bench: prints one JSON line, a PeakResult (../peak.ts). */
import { compile, matmul, normal, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import type { PeakJob, PeakResult } from "../peak.ts";

const { sizes, repeats, threads } = JSON.parse(process.argv[2]!) as PeakJob;
const device = await openCpu({ threads });
const product = compile(matmul, { device });
let gflopsPerSecond = 0;
for (const size of sizes) {
  const a = await device.put(normal(randomKey(0), [size, size]));
  const b = await device.put(normal(randomKey(1), [size, size]));
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await product(a as never, b as never);
    gflopsPerSecond = Math.max(gflopsPerSecond, (2 * size ** 3) / (performance.now() - start) / 1e6);
    globalThis.gc?.();
  }
}
const result: PeakResult = { gflopsPerSecond };
console.log(JSON.stringify(result));
await product.release();
