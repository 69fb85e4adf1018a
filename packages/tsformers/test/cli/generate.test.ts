import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeSafetensors, encodeSafetensors } from "@tsformers/engine";
import { afterAll, beforeAll, expect, test } from "vitest";
import { program, runCli } from "./run-cli.ts";

const golden = fileURLToPath(new URL("../fixtures/golden/", import.meta.url));
const sizes = ["--length", "16", "--layers", "1", "--model-width", "16", "--heads", "2", "--batch-size", "4"];
let home: string;
const cli = (...args: string[]) => runCli(args, { cwd: home });
const json = async (...args: string[]) => JSON.parse((await cli("generate", ...args, "--json")).out) as Made;

type Made = {
  prompt: string | number[];
  text?: string;
  tokens?: number[];
  ended: string;
  error?: string;
  seconds: number;
  tokensPerSecond?: number;
};

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "tsformers-generate-"));
  writeFileSync(join(home, "words.txt"), "alpha beta gamma ".repeat(60));
  const text = ["--task", "text", "--data", "words.txt", "--steps", "4"];
  const trained = await Promise.all([
    cli("train", "learned", ...text, "--position", "learned", ...sizes),
    cli("train", "rotary", ...text, "--position", "rotary", ...sizes),
    cli("train", "pairs", "--task", "copy", "--model", "t5", "--steps", "4", ...sizes),
  ]);
  expect(trained.map(({ code }) => code)).toEqual([0, 0, 0]);
  cpSync(join(golden, "gpt2"), join(home, "broken"), { recursive: true });
  const path = join(home, "broken", "model.safetensors");
  const { tensors } = decodeSafetensors(new Uint8Array(readFileSync(path)));
  const name = [...tensors.keys()].find((one) => one.endsWith("h.1.mlp.c_fc.weight"))!;
  (tensors.get(name)!.data as Float32Array)[5] = Number.POSITIVE_INFINITY;
  writeFileSync(path, encodeSafetensors(tensors));
}, 60_000);
afterAll(() => rmSync(home, { recursive: true, force: true }));

test("help has examples for text, tokens and answers", async () => {
  const { out } = await cli("generate", "--help");
  for (const part of [
    "--prompt-tokens 464",
    "--beams 4",
    "--stop-tokens",
    "--ignore-end",
    "A flag that would do nothing",
  ])
    expect(out).toContain(part);
});

test("a checkpoint with an infinite weight is an error, however it is asked", async () => {
  const args = ["broken", "--prompt-tokens", "1,2,3", "--max-tokens", "8"];
  const [drawn, greedy] = await Promise.all([
    cli("generate", ...args),
    cli("generate", ...args, "--temperature", "0", "--json"),
  ]);
  const { error, ...result } = JSON.parse(greedy.out) as { error: { message: string } };
  for (const message of [drawn.log, error.message]) {
    expect(message).toContain("after 0 tokens: the model's logits are not finite");
    expect(message).toContain("parameter blocks.1.ffn.in.weight holds such values");
  }
  expect([drawn.code, greedy.code]).toEqual([1, 1]);
  expect(drawn.out).toBe("");
  expect(result).toMatchObject({ prompt: [1, 2, 3], tokens: [], ended: "error" });
});

test("positions that the model has not learned are not written, and prompts beyond them not read", async () => {
  const { code, out, log } = await cli("generate", "learned", "--prompt", "alpha", "--max-tokens", "40");
  expect(code).toBe(0);
  expect(out.trimEnd().length).toBeLessThanOrEqual(12);
  expect(log).toBe("stopped after 12 tokens: this model has learned 16 positions\n");
  expect(await json("learned", "--prompt", "alpha", "--max-tokens", "40")).toMatchObject({ ended: "positions" });
  const long = await cli("generate", "learned", "--prompt", "alpha beta gamma alpha");
  expect(long.code).toBe(2);
  expect(long.log).toContain("the prompt has 22 tokens, more than the 16 positions that this model has learned");
  const endless = await json("rotary", "--prompt", "alpha beta gamma alpha", "--max-tokens", "40");
  expect(endless).toMatchObject({ ended: "count" });
  expect(endless.text).toHaveLength(40);
  const evaluated = await cli("eval", "learned", "--lengths", "16,32", "--limit", "64", "--json");
  const { results } = JSON.parse(evaluated.out) as { results: { note?: string }[] };
  expect(results.map(({ note }) => note)).toEqual([undefined, "beyond the 16 positions that this model has learned"]);
});

test("a prompt is read as text, from a file or standard input, whatever its encoding", async () => {
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("alpha ", "utf16le")]);
  writeFileSync(join(home, "plain.txt"), "alpha ");
  writeFileSync(join(home, "mark.txt"), "\ufeffalpha ");
  writeFileSync(join(home, "wide.txt"), utf16);
  writeFileSync(join(home, "latin.txt"), Buffer.from([0x61, 0xe4, 0x62]));
  const args = ["rotary", "--max-tokens", "6", "--temperature", "0"];
  const [plain, ...others] = await Promise.all(
    ["plain", "mark", "wide"].map((name) => json(...args, "--prompt-file", `${name}.txt`)),
  );
  for (const other of others) expect(other).toMatchObject({ prompt: "alpha ", text: plain!.text });
  const piped = spawnSync(process.execPath, [program, "generate", ...args, "--prompt-file", "-", "--json"], {
    cwd: home,
    input: utf16,
  });
  expect(JSON.parse(String(piped.stdout))).toMatchObject({ prompt: "alpha ", text: plain!.text });
  const wrong = await cli("generate", ...args, "--prompt-file", "latin.txt");
  expect(wrong.code).not.toBe(0);
  expect(wrong.log).toContain("latin.txt: expected UTF-8 text");
  const absent = await cli("generate", ...args, "--prompt-file", "absent.txt");
  expect(absent.code).toBe(2);
});

test("unknown characters are named: a line beside known ones, an error without any", async () => {
  const some = await cli("generate", "rotary", "--prompt", "ALPHA €", "--max-tokens", "6");
  expect(some.code).toBe(0);
  expect(some.log).toBe("not in this model's alphabet, and read as unknown: A, L, P, H, €\n");
  expect(some.out).not.toContain("\ufffd");
  const none = await cli("generate", "rotary", "--prompt", "ALPHA€");
  expect(none.code).toBe(2);
  expect(none.log).toContain("not in its alphabet: A, L, P, H, €");
  const usual = await cli("generate", "rotary", "--max-tokens", "6", "--json");
  expect(JSON.parse(usual.out)).toMatchObject({ prompt: " ", ended: "count" });
  expect(usual.log).toContain('it begins behind " "');
});

test("an encoder-decoder draws when it is asked to, and searches with beams", async () => {
  const args = ["pairs", "--prompt-tokens", "1,2,3", "--max-tokens", "6"];
  const draw = ["--temperature", "3", "--seed"];
  const [one, same, other, usual, zero, beams] = await Promise.all([
    json(...args, ...draw, "1"),
    json(...args, ...draw, "1"),
    json(...args, ...draw, "2"),
    json(...args),
    json(...args, "--temperature", "0"),
    json(...args, "--beams", "3", "--length-penalty", "0.5"),
  ]);
  expect(one!.tokens).toEqual(same!.tokens);
  expect(one!.tokens).not.toEqual(other!.tokens);
  expect(usual!.tokens).toEqual(zero!.tokens);
  expect(beams!.tokens).toHaveLength(6);
  expect(beams!.tokensPerSecond).toBeCloseTo(6 / beams!.seconds, 6);
  const stopped = await json(...args, "--stop-tokens", String(usual!.tokens![0]));
  expect(stopped).toMatchObject({ prompt: [1, 2, 3], tokens: [], ended: "stop" });
});

test("a T5 checkpoint answers", async () => {
  const made = await json(join(golden, "t5"), "--prompt-tokens", "5,6,7", "--max-tokens", "5", "--beams", "2");
  expect(["count", "end token"]).toContain(made.ended);
});

test.each([
  [["rotary", "--beams", "2"], "--beams would do nothing"],
  [["rotary", "--prompt", ""], "the prompt is empty"],
  [["rotary", "--prompt-tokens", "1,99"], "the prompt: expected tokens of 0 …"],
  [["pairs", "--prompt", "a"], "stand for no text"],
])("%j is a wrong call", async (args, problem) => {
  const { code, out, log } = await cli("generate", ...args);
  expect(log).toContain(problem);
  expect([code, out]).toEqual([2, ""]);
});

test("the lines of a file are continued side by side, each as it is alone", async () => {
  const prompts = ["alpha b", "g", "beta gamma al"];
  writeFileSync(join(home, "lines.txt"), `${prompts.join("\r\n")}\n`);
  const drawn = ["--max-tokens", "12", "--seed", "5", "--stop", "mm"];
  for (const run of ["learned", "rotary"]) {
    const { out } = await cli("generate", run, "--prompts-file", "lines.txt", ...drawn, "--json");
    const { results, tokensPerSecond } = JSON.parse(out) as { results: Made[]; tokensPerSecond: number };
    const alone = await Promise.all(prompts.map((prompt) => json(run, "--prompt", prompt, ...drawn)));
    expect(results.map(({ prompt, text, ended }) => ({ prompt, text, ended }))).toEqual(
      alone.map(({ prompt, text, ended }) => ({ prompt, text, ended })),
    );
    expect(tokensPerSecond).toBeGreaterThan(0);
  }
  const plain = await cli(
    "generate",
    "rotary",
    "--prompts-file",
    "lines.txt",
    "--temperature",
    "0",
    "--max-tokens",
    "2",
  );
  expect(plain.out.split("\n").filter((line) => line.startsWith("beta gamma al"))).toHaveLength(1);

  const refused = async (text: string, ...args: string[]) => {
    writeFileSync(join(home, "wrong.txt"), text);
    const { code, log } = await cli("generate", ...args, "--prompts-file", "wrong.txt");
    return { code, log };
  };
  expect(await refused("", "rotary")).toMatchObject({ code: 2, log: expect.stringContaining("has no line") });
  const gap = await refused("a\n\nb", "rotary");
  expect(gap).toMatchObject({ code: 2, log: expect.stringContaining("line 2 of wrong.txt is empty") });
  const long = await refused(`a\n${"alpha ".repeat(5)}`, "learned");
  expect(long).toMatchObject({ code: 2, log: expect.stringContaining("prompt 2: the prompt has 30 tokens") });
  expect(await refused("a", "pairs")).toMatchObject({ code: 2, log: expect.stringContaining("--prompts-file") });
  const both = await refused("a", "rotary", "--prompt", "b");
  expect(both).toMatchObject({ code: 2, log: expect.stringContaining("take one of them") });
});
