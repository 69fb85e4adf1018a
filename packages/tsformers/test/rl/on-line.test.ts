import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Concrete, evaluate, foldIn, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { gtrxl } from "../../src/models/decoders/gtrxl.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import type { Environment } from "../../src/rl/environment.ts";
import { recall } from "../../src/rl/environments/recall.ts";
import { tMaze } from "../../src/rl/environments/t-maze.ts";
import { actor } from "../../src/rl/on-line/act.ts";
import { type ActorCritic, actorCritic } from "../../src/rl/on-line/actor-critic.ts";
import { environmentRows } from "../../src/rl/on-line/environment-rows.ts";
import { playEpisodes } from "../../src/rl/on-line/play.ts";
import { rollOut } from "../../src/rl/on-line/roll-out.ts";
import { rollOutLine } from "../../src/rl/on-line/roll-out-line.ts";
import { type OnLineOptions, trainOnLine } from "../../src/rl/on-line/train-on-line.ts";
import { readMetrics } from "../../src/train/metrics.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { expectSameTrees, numbersOf } from "../numbers.ts";

const device = await openCpu();
const folder = mkdtempSync(join(tmpdir(), "on-line-"));
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await device.close();
});

const sizes = { vocabularySize: 1, layers: 2, modelWidth: 8, heads: 2 };
// Episodes of up to four steps, and roll-outs of seven: borders lie anywhere.
const maze = () => tMaze({ length: 2, longest: 4 });
const remembering = (layers = 2) => actorCritic(gtrxl({ ...sizes, layers, memoryLength: 5 }).body, maze());

test.each([
  ["GTrXL", () => remembering()],
  ["Transformer-XL", () => actorCritic(transformerXl({ ...sizes, memoryLength: 6, sameLength: true }).body, maze())],
])("%s: learning computes from a whole roll-out what acting computed step by step", async (_, make) => {
  const model = make() as ActorCritic<never>;
  const params = model.init(randomKey(1));
  const [count, length, discount] = [6, 7, 0.9];
  const rows = environmentRows(maze, count, randomKey(2));
  const acting = actor(model, device);
  let memories = model.startMemories(count) as never;
  let borders = 0;
  for (let number = 0; number < 3; number++) {
    const key = foldIn(randomKey(3), number);
    const rolled = await rollOut({ model, actor: acting, params, rows, memories, length, discount, key });
    const { observations, fresh, actions, logProbabilities, values } = rolled.batch;
    const whole = (params: never, observations: Tensor, fresh: Tensor, memories: readonly unknown[]) =>
      model.apply(params, { observations, fresh, memories }, evaluation);
    const out = (await evaluate(
      whole as never,
      device,
      params as never,
      observations as never,
      fresh as never,
      memories as never,
    )) as unknown as { logits: NDArray; values: NDArray };
    expectSameTrees(out.values, values);
    const logits = out.logits.toNumbers();
    actions.toNumbers().forEach((action, i) => {
      const row = logits.slice(4 * i, 4 * i + 4);
      const log = row[action]! - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
      expect(log).toBeCloseTo(logProbabilities.toNumbers()[i]!, 4);
    });
    borders += fresh.toNumbers().filter((begins, i) => begins === 1 && i % length > 0).length;
    memories = rolled.memories as never;
  }
  expect(borders).toBeGreaterThan(10);
  await acting.release();
});

test("a roll-out says what happened: rewards, ends, and what cut episodes would have been worth", async () => {
  const model = remembering() as ActorCritic<never>;
  const params = model.init(randomKey(1));
  const [count, length] = [5, 9];
  const rows = environmentRows(maze, count, randomKey(2));
  const acting = actor(model, device);
  const start = model.startMemories(count) as never;
  const given = { model, actor: acting, params, memories: start, length, key: randomKey(3) };
  const { batch, returns } = await rollOut({ ...given, rows, discount: 0.5 });
  const { batch: plain } = await rollOut({ ...given, rows: environmentRows(maze, count, randomKey(2)), discount: 0 });
  const table = (x: NDArray) =>
    Array.from({ length: count }, (_, row) => x.toNumbers().slice(row * length, (row + 1) * length));
  const actions = table(batch.actions);
  expect(table(plain.actions)).toEqual(actions);
  let [cuts, ended] = [0, 0];
  for (let row = 0; row < count; row++) {
    // One of the environments, played again with the same actions.
    const again = environmentRows(maze, count, randomKey(2));
    for (let at = 0; at < length; at++) {
      const made = again.step(actions.map((own) => own[at]!));
      const isCut = made.cut.has(row);
      expect(table(batch.ends)[row]![at]).toBe(Number(made.ended[row]));
      expect(table(plain.rewards)[row]![at]).toBeCloseTo(made.rewards[row]!, 6);
      const more = table(batch.rewards)[row]![at]! - made.rewards[row]!;
      if (isCut) expect(Math.abs(more)).toBeGreaterThan(1e-4);
      else expect(more).toBeCloseTo(0, 6);
      cuts += Number(isCut);
      ended += Number(made.ended[row]);
    }
  }
  expect(returns).toHaveLength(ended);
  expect(cuts).toBeGreaterThan(0);
  expect(cuts).toBeLessThan(ended);
  await acting.release();
});

test("environments that were saved go on where they stood", () => {
  const rows = environmentRows(maze, 3, randomKey(4));
  const choices = (at: number) => [at, at + 1, 2 * at].map((x) => (x * x + x) % 4);
  for (let at = 0; at < 10; at++) rows.step(choices(at));
  const other = environmentRows(maze, 3, randomKey(4));
  other.restore(rows.save());
  for (let at = 10; at < 30; at++) {
    expect([other.observations(), other.fresh()]).toEqual([rows.observations(), rows.fresh()]);
    expect(other.step(choices(at))).toEqual(rows.step(choices(at)));
  }
});

const training = (more: Partial<OnLineOptions<never>> = {}): OnLineOptions<never> => ({
  model: remembering(1) as ActorCritic<never>,
  environment: maze,
  rows: 4,
  length: 7,
  rollOuts: 6,
  epochs: 2,
  optimiser: adamw({ weightDecay: 0 }),
  schedule: constantRate(1e-2),
  device,
  seed: 5,
  ...more,
});

test("a run that was killed and stopped ends with the same bytes", async () => {
  const [whole, dying, killed] = ["whole", "dying", "killed"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const finished = await trainOnLine(training({ directory: whole }));
  expect(finished).toMatchObject({ ended: "finished", rollOut: 6 });

  // As kill -9 leaves it: what was made after the last checkpoint is lost.
  const dies = trainOnLine(
    training({
      directory: dying,
      checkpointEvery: 2,
      onEvent: (event) => {
        if (event.kind !== "roll-out" || event.rollOut !== 3) return;
        cpSync(dying, killed, { recursive: true });
        throw new Error("gone");
      },
    }),
  );
  await expect(dies).rejects.toThrow("gone");
  const events: string[] = [];
  const stopping = new AbortController();
  const stopped = await trainOnLine(
    training({
      directory: killed,
      signal: stopping.signal,
      onEvent: (event) => {
        events.push(event.kind);
        if (event.kind === "roll-out" && event.rollOut === 5) stopping.abort();
      },
    }),
  );
  expect(stopped).toMatchObject({ ended: "interrupted", rollOut: 5 });
  expect(events).toEqual(["resumed", "roll-out", "roll-out", "roll-out", "checkpoint"]);
  const last = await trainOnLine(training({ directory: killed }));
  expect(numbersOf(last.params)).toEqual(numbersOf(finished.params));
  const steps = readMetrics(join(killed, "metrics.jsonl")).map(({ step }) => step);
  expect(steps).toEqual([1, 2, 3, 4, 5, 6]);

  await expect(trainOnLine(training({ directory: whole, epochs: 3 }))).rejects.toThrow(/holds a run with epochs 2/);
  await expect(trainOnLine(training({ directory: whole, rollOuts: 2 }))).rejects.toThrow(
    "trainOnLine: 6 roll-outs are made already, more than the 2 asked for",
  );
});

test("an agent learns what it has to remember", async () => {
  const environment = () => recall({ symbols: 2, distance: 2, length: 10 });
  const model = actorCritic(gtrxl({ ...sizes, layers: 1, modelWidth: 16, memoryLength: 4 }).body, environment());
  const { params } = await trainOnLine({
    ...training(),
    model: model as ActorCritic<never>,
    environment,
    rows: 32,
    length: 8,
    rollOuts: 60,
    epochs: 4,
    schedule: constantRate(3e-3),
  });
  const returns = await playEpisodes({ model, params: params as Concrete<never>, environment, episodes: 50, device });
  // Without memory, half of the answers are right at best, which gives 0.
  expect(returns.reduce((a, b) => a + b, 0) / returns.length).toBeGreaterThan(0.8);
});

test("observations enter a body as large as they are", () => {
  const model = actorCritic(gtrxl({ ...sizes, modelWidth: 512, memoryLength: 4 }).body, { ...maze(), features: 16 });
  const { front } = model.init(randomKey(1)) as unknown as { front: { weight: NDArray } };
  const squares = front.weight.toNumbers().map((w) => w * w);
  expect((16 * squares.reduce((a, b) => a + b, 0)) / squares.length).toBeCloseTo(1, 1);
});

test("progress is a line", () => {
  const event = {
    kind: "roll-out",
    rollOut: 3,
    rollOuts: 60,
    steps: 1536,
    episodes: 31,
    meanReturn: 1.4,
    loss: 0.25,
  } as const;
  const more = { losses: {}, gradientNorm: 1, stepsPerSecond: 1200, secondsLeft: 65 };
  expect(rollOutLine({ ...event, ...more })).toBe(
    "roll-out 3/60 · 1.5k steps · return 1.400 of 31 episodes · loss 0.2500 · 1.2k steps/s · 1m05s left",
  );
  expect(rollOutLine({ ...event, ...more, episodes: 0, meanReturn: Number.NaN })).toContain("no episode ended");
});

test("what does not fit is refused", async () => {
  const continuous: Pick<Environment, "features" | "actions"> = {
    features: 3,
    actions: { kind: "continuous", width: 1, low: -1, high: 1 },
  };
  const { body } = gtrxl({ ...sizes, memoryLength: 4 });
  expect(() => actorCritic(body, continuous)).toThrow(
    "actorCritic: expected an environment with discrete actions, got continuous ones",
  );
  expect(() => actorCritic(gpt({ ...sizes, length: 8 }).body, maze())).toThrow(
    "actorCritic: expected a body whose layers all remember",
  );
  const other = training({ environment: () => recall({ distance: 1, length: 4 }) });
  await expect(trainOnLine(other)).rejects.toThrow(
    "trainOnLine: recall 4 1 4 has 4 features and 4 actions, the model was made for 3 and 4",
  );
  await expect(trainOnLine(training({ rows: 0 }))).rejects.toThrow("rows must be a whole number of at least 1");
  const broken = () => ({ ...maze(), reset: () => ({ observation: [Number.NaN, 0, 0] }) });
  await expect(trainOnLine(training({ environment: broken }))).rejects.toThrow(
    "t-maze 2 4: expected finite observations, got NaN as feature 0",
  );
  await expect(trainOnLine(training({ schedule: constantRate(1e30) }))).rejects.toThrow(/not finite|NaN|infinite/i);
});
