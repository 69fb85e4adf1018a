import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeSafetensors, encodeSafetensors, type NDArray, ndarray } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { verifyDirectory } from "../../src/verify/verify.ts";
import { mechanismFixtures } from "../../src/verify/verify-mechanism.ts";

type Meta = {
  kind?: string;
  fixture: string;
  cases: Record<string, { inputs: object; options: object; outputs: string[] }>;
};

const golden = fileURLToPath(new URL("../fixtures/golden", import.meta.url));
const metaOf = (directory: string): Meta => JSON.parse(readFileSync(join(directory, "meta.json"), "utf8"));
const fixtures = readdirSync(golden).filter(
  (name) => existsSync(join(golden, name, "meta.json")) && metaOf(join(golden, name)).kind === "mechanism",
);

const device = await openCpu();
const scratch = mkdtempSync(join(tmpdir(), "mechanisms-"));
afterAll(async () => {
  rmSync(scratch, { recursive: true });
  await device.close();
});

test.each(fixtures.filter((name) => mechanismFixtures.includes(name)))(
  "%s agrees with its golden fixture",
  async (name) => {
    const rows = await verifyDirectory(join(golden, name), { device });
    expect(rows.filter(({ ok }) => !ok)).toEqual([]);
    expect(new Set(rows.map((row) => row.case)).size).toBe(Object.keys(metaOf(join(golden, name)).cases).length);
  },
);

test("every mechanism fixture can be verified", () => {
  expect(fixtures.filter((name) => !mechanismFixtures.includes(name))).toEqual([]);
});

describe("a damaged fixture is reported", () => {
  let copies = 0;
  const damaged = (
    name: string,
    harm: { meta?: (meta: Meta) => void; tensors?: (tensors: Map<string, NDArray>) => void },
  ) => {
    const copy = join(scratch, `${name}-${copies++}`);
    cpSync(join(golden, name), copy, { recursive: true });
    const meta = metaOf(copy);
    harm.meta?.(meta);
    writeFileSync(join(copy, "meta.json"), JSON.stringify(meta));
    const file = join(copy, "cases.safetensors");
    const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(file)));
    harm.tensors?.(tensors as Map<string, NDArray>);
    writeFileSync(file, encodeSafetensors(tensors));
    return verifyDirectory(copy, { device });
  };
  const beyond = async (rows: ReturnType<typeof damaged>) =>
    (await rows).filter(({ ok }) => !ok).map((row) => `${row.case}.${row.tensor}`);
  const nudge = (tensors: Map<string, NDArray>, name: string, by: number) => {
    const array = tensors.get(name)!;
    tensors.set(
      name,
      ndarray(
        Float32Array.from(array.toNumbers(), (x, i) => (i === 1 ? x + by : x)),
        array.shape,
      ),
    );
  };

  test.each(["out", "probs", "grad.k"])("an element of %s is off", async (tensor) => {
    const rows = damaged("alibi", { tensors: (tensors) => nudge(tensors, `case20.${tensor}`, 1e-3) });
    expect(await beyond(rows)).toEqual([`case20.${tensor}`]);
  });

  test("an integer is off by one", async () => {
    const tensors = (tensors: Map<string, NDArray>) => nudge(tensors, "case0.out", 1);
    expect(await beyond(damaged("t5_buckets", { tensors }))).toEqual(["case0.out"]);
  });

  test("an option is another, so that results differ", async () => {
    const meta = ({ cases }: Meta) => Object.assign(cases.case20!.options, { causal: false });
    expect(await beyond(damaged("alibi", { meta }))).toContain("case20.grad.q");
  });

  test.each<[string, string, Parameters<typeof damaged>[1], string]>([
    [
      "the mechanism is unknown",
      "alibi",
      { meta: (meta) => Object.assign(meta, { fixture: "alibbi" }) },
      'did you mean "alibi"',
    ],
    ["nothing is like it", "alibi", { meta: (meta) => Object.assign(meta, { fixture: "zzz" }) }, "known are "],
    [
      "an option is unknown",
      "alibi",
      { meta: ({ cases }) => Object.assign(cases.case20!.options, { slope: 2 }) },
      "slope",
    ],
    [
      "an option is wrong",
      "alibi",
      { meta: ({ cases }) => Object.assign(cases.case20!.options, { causal: 1 }) },
      "causal: ",
    ],
    ["an input is missing", "alibi", { tensors: (tensors) => tensors.delete("case21.v") }, "case21: meta.json lists v"],
    ["a result is missing", "alibi", { tensors: (tensors) => tensors.delete("case21.probs") }, "lists probs"],
    [
      "a case is missing",
      "alibi",
      { meta: ({ cases }) => Object.assign(cases, { case99: cases.case0 }) },
      "lists case99",
    ],
    ["a case has no options", "alibi", { meta: ({ cases }) => delete cases.case3 }, "holds case3"],
    [
      "a shape is another",
      "alibi",
      { meta: ({ cases }) => Object.assign(cases.case20!.inputs, { q: [1, 2] }) },
      "q: expected shape",
    ],
    [
      "a result is not computed",
      "alibi",
      { tensors: (tensors) => tensors.set("case20.entropy", tensors.get("case20.out")!) },
      "entropy",
    ],
    [
      "a gradient is of no input",
      "alibi",
      { tensors: (tensors) => tensors.set("case20.grad.w", tensors.get("case20.out")!) },
      "stored for w",
    ],
    [
      "what is weighed is missing",
      "alibi",
      {
        meta: ({ cases }) => Object.assign(cases.case20!, { outputs: [] }),
        tensors: (tensors) => tensors.delete("case20.R"),
      },
      "R",
    ],
  ])("%s", async (_, name, harm, words) => {
    await expect(damaged(name, harm)).rejects.toThrow(words);
  });
});
