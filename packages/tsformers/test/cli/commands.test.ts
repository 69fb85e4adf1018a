import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { processTerminal } from "../../src/cli/terminal.ts";
import { runCli } from "./run-cli.ts";

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tsformers-cli-"));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

const names = ["list", "describe", "train", "eval", "generate", "compare", "runs", "advise", "export", "verify"];

describe("help", () => {
  it("names every command and shows examples", async () => {
    const { code, out } = await runCli(["--help"]);
    expect(code).toBe(0);
    for (const name of names) expect(out).toMatch(new RegExp(`^  ${name}\\b`, "m"));
    expect(out).toContain("Examples:");
  });

  it("is made from a table that tells of each command what its code says", async () => {
    for (const [name, { takes, about, load }] of Object.entries(commands)) {
      const command = await load(processTerminal(), []);
      const term = command.createHelp().subcommandTerm(command);
      expect(term).toBe([name, "[options]", takes].filter(Boolean).join(" "));
      expect(command.description(), `${name}: its description stands in the table alone`).toBe("");
      expect(about).not.toBe("");
    }
  });

  it.each([[["help", "train"]], [["train", "--help"]]])("%j tells of the command", async (args) => {
    const { code, out } = await runCli(args);
    expect(code).toBe(0);
    expect(out).toContain(commands.train!.about);
    expect(out).toContain("--steps <n>");
  });

  it.each(names)("of %s has examples and --json, within 60 columns", async (name) => {
    const { code, out } = await runCli([name, "--help"], { environment: { COLUMNS: "60" } });
    expect(code).toBe(0);
    expect(out).toContain("Examples:");
    expect(out).toContain("--json");
    const options = out
      .slice(0, out.indexOf("Examples:"))
      .split("\n")
      .filter((line) => /^\s+-/.test(line));
    expect(options.length).toBeGreaterThan(1);
  });

  it("of train has every setting with its default", async () => {
    const { out } = await runCli(["train", "--help"], { environment: { COLUMNS: "120" } });
    expect(out).toMatch(/--steps <n> +updates to make \(default: 1000\)/);
    expect(out).toMatch(/--position <name>/);
  });
});

describe("wrong calls end with 2 and name what was meant", () => {
  it.each([
    [["trian"], "Did you mean train?"],
    [["train", "--stepz", "3"], "did you mean --steps?"],
    [["train", "--mixer.feature", "3"], "did you mean --mixer.features?"],
    [["train", "--radius", "3"], "did you mean --mixer.radius or --pattern.radius?"],
    [["train", "--weightDecay", "3"], "did you mean --optimiser.weight-decay?"],
    [
      ["train", "--mixer", "linear*2,lsh"],
      "--mixer names mixers for 3 layers (linear, linear, lsh), and the model has 4",
    ],
    [
      ["train", "--model", "llama", "--mixer", "lsh"],
      "--mixer: llama has its own mixers; gpt, decision-transformer and bert take any",
    ],
    [["train", "--position", "alibbi"], 'did you mean "alibi"?'],
    [
      ["train", "--steps", "many"],
      '--steps: expected a whole number from 1 to 2,147,483,647 (steps are counted in 32 bits), got "many"',
    ],
    [["train", "--steps", "-4"], "got -4"],
    [["train", "--symbols", "4"], "--symbols does not go with task text"],
    [["train", "--config", "absent.json"], "absent.json: no such file"],
    [["compare", "--models", "gpt,gtp"], 'did you mean "gpt"?'],
    [["compare", "--positions", "alibi,rotry"], 'did you mean "rotary"?'],
    [["compare", "--vary", "mixr=lsh"], '--vary: unknown setting "mixr"; did you mean "mixer"?'],
    [["compare", "--vary", "mixer"], "--vary mixer: expected values, such as mixer=a,b"],
    [["compare", "--vary", "seed=1,2"], "--seeds N makes N runs of each"],
    [["compare", "--positions", "alibi", "--vary", "position=t5"], "--position is varied twice"],
    [["compare", "--positions", "alibi,t5", "--position", "t5"], "--position is what is varied; leave it away"],
    [["compare", "--models", "llama", "--positions", "alibi"], "llama has its own positions; gpt and bert take any"],
    [["compare", "--vary", "mixer=softmax,lsh", "--position", "alibi"], "lsh: lsh attention: cannot take scores"],
    [["compare", "--vary", "mixer=linear,lsh", "--pattern", "window"], "a pattern does nothing with"],
    [["compare", "--heads", "3"], "must be a multiple of heads, got modelWidth 64 and heads 3"],
    [["describe", "lama"], "did you mean llama?"],
    [["list", "model"], 'did you mean "models"?'],
    [["eval", "no-such-run"], "no-such-run: no such folder"],
    [
      ["train", "--layers", "100000"],
      "from 1 to 128 (deeper graphs take ONNX Runtime too long to prepare), got 100000",
    ],
    [
      ["compare", "--seeds", "1e9"],
      "--seeds: expected a whole number from 1 to 1,000 (each seed is a run of every variant), got 1000000000",
    ],
    [["export"], "missing required argument"],
  ])("%j", async (args, expected) => {
    const { code, out, log } = await runCli(args, { cwd: home });
    expect(log).toContain(expected);
    expect(code).toBe(2);
    expect(out).toBe("");
  });

  it("says that there is no such kind, whatever else is asked of it", async () => {
    for (const args of [
      ["--model", "gtp", "--layers", "2"],
      ["--position", "rotry", "--position.buckets", "2"],
      ["--task", "majorty", "--symbols", "3"],
      ["--depth", "shred", "--depth.groups", "2"],
    ]) {
      const { code, log } = await runCli(["train", join(home, "nowhere"), ...args]);
      expect([code, log]).toEqual([
        2,
        expect.stringMatching(/unknown (model|position|task|depth) "\w+"; did you mean "\w+"\?/),
      ]);
    }
  });

  it("explains a setting of a file that is not known", async () => {
    writeFileSync(join(home, "wrong.json"), JSON.stringify({ learningrat: 1 }));
    const { code, log } = await runCli(["train", "--config", "wrong.json"], { cwd: home });
    expect(code).toBe(2);
    expect(log).toContain('wrong.json: unknown setting "learningrat"; did you mean "learningRate"?');
  });
});

describe("list and describe", () => {
  it("list --json holds every catalogue", async () => {
    const { code, out } = await runCli(["list", "--json"]);
    expect(code).toBe(0);
    const listed = JSON.parse(out) as Record<string, { name: string; summary: string }[]>;
    expect(Object.keys(listed)).toEqual([
      "systems",
      "models",
      "patterns",
      "mechanisms",
      "positions",
      "depths",
      "tasks",
      "objectives",
      "optimisers",
      "schedules",
    ]);
    expect(listed.positions!.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["sinusoidal", "rotary", "t5", "alibi"]),
    );
    for (const { summary } of Object.values(listed).flat()) expect(summary).not.toBe("");
  });

  it("tells a system's presets, with the parameters that were published", async () => {
    const { out } = await runCli(["describe", "systems/transformer-xl"], { environment: { NO_COLOR: "1" } });
    expect(out).toContain("transformer-xl (system)");
    expect(out).toMatch(/12 layers on enwik8[\s\S]*published as 41M/);
    const [{ presets }] = JSON.parse((await runCli(["describe", "systems/learned", "--json"])).out).descriptions;
    expect(presets.paper).toMatchObject({ parameters: 124_439_808, published: "124M" });
    const refused = await runCli(["describe", "systems/learned", "--length", "9"]);
    expect(refused.log).toContain("--length does nothing with systems/learned");
  });

  it("tells of every system what is proved", async () => {
    const { systems } = JSON.parse((await runCli(["list", "systems", "--json"])).out);
    for (const { name, proved } of systems) {
      expect(proved, name).toMatchObject({ laws: expect.any(Number), measure: expect.any(String) });
      expect(proved.better === "less" ? proved.ours < proved.plain : proved.ours > proved.plain, name).toBe(true);
    }
    const { out } = await runCli(["list", "systems"], { environment: { NO_COLOR: "1" } });
    expect(out.match(/proved: \d+ laws/g)).toHaveLength(systems.length);
  });

  it("trains a preset, on which flags win", async () => {
    const directory = join(home, "preset");
    const small = ["--layers", "1", "--model-width", "16", "--steps", "2", "--eval-tokens", "64"];
    const { code } = await runCli(["train", directory, "--preset", "alibi", ...small]);
    expect(code).toBe(0);
    const { model, length } = JSON.parse(readFileSync(join(directory, "config.json"), "utf8"));
    expect(model).toMatchObject({ kind: "gpt", layers: 1, modelWidth: 16, heads: 4, position: { kind: "alibi" } });
    expect(length).toBe(64);
    for (const [args, says] of [
      [["--preset", "alibbi"], '--preset: unknown "alibbi"; did you mean "alibi"?'],
      [["--preset", "alibi", "--from", directory], "give only one of the two"],
    ] as const) {
      const { code, log } = await runCli(["train", join(home, "none"), ...args]);
      expect(code).toBe(2);
      expect(log).toContain(says);
    }
  });

  it("counts GPT-2's parameters", async () => {
    // 124,439,808 of the published model, of which 1024 × 768 are positions.
    const args = ["--layers", "2", "--model-width", "64", "--heads", "4", "--vocabulary-size", "100", "--length", "32"];
    const { out } = await runCli(["describe", "gpt", "--json", ...args]);
    const [{ parameters }] = JSON.parse(out).descriptions as [{ parameters: { total: number } }];
    const [layers, width, vocabulary, length] = [2, 64, 100, 32];
    expect(parameters.total).toBe(layers * (12 * width ** 2 + 13 * width) + (vocabulary + length) * width + 2 * width);
  });

  it("tells both things that are called t5", async () => {
    const { out } = await runCli(["describe", "t5"]);
    expect(out).toContain("t5 (model)");
    expect(out).toContain("t5 (position)");
  });

  it("prints no colours where NO_COLOR is set or nobody looks", async () => {
    const { out, log } = await runCli(["list"], { environment: { NO_COLOR: "1" } });
    expect(out + log).not.toContain("\u001b[");
  });
});
