import { existsSync } from "node:fs";
import { type Bench, compareRow, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide, pytorchSide } from "./sides.ts";
import { gptStepGflop, recipeGpt, type Workload } from "./workload.ts";

/** What a child of this bench is asked for: a whole training of the GPT of a workload, `steps` updates, on a text. */
export type RecipeJob = Workload & {
  /** A text file; the last tenth of its characters is for validation. */
  readonly file: string;
  readonly rate: { readonly peak: number; readonly last: number; readonly warmupSteps: number };
  readonly betas: readonly [number, number];
  readonly weightDecay: number;
  readonly clipNorm: number;
};

/** What it prints. */
export type RecipeResult = {
  /** From before the first step is prepared to after the last one. */
  readonly seconds: number;
  /** Nats per character of all whole rows of the validation text. */
  readonly validationLoss: number;
};

/** `config/train_shakespeare_char.py` with the changes that nanoGPT's README gives for a CPU; here with biases, on both sides. */
const recipeOf = (file: string): RecipeJob => ({
  ...recipeGpt,
  file,
  rate: { peak: 1e-3, last: 1e-4, warmupSteps: 100 },
  betas: [0.9, 0.99],
  weightDecay: 0.1,
  clipNorm: 1,
});

/** The validation loss that nanoGPT's README promises for this recipe. */
const promised = 1.88;

/**
 * nanoGPT's recipe for a CPU: 2,000 steps on the characters of Shakespeare.
 *
 * @source github.com/karpathy/nanoGPT, README.md, "quick start"
 */
export const recipe: Bench = {
  name: "recipe",
  about: "nanoGPT's training for a CPU, start to end, on the text that TSFORMERS_SHAKESPEARE names (only when named)",
  onlyWhenNamed: true,
  run: async ({ rounds }) => {
    const file = process.env.TSFORMERS_SHAKESPEARE;
    if (file === undefined || !existsSync(file)) {
      const found = file === undefined ? "it is not set" : `there is no ${file}`;
      console.error(
        `skipped recipe: TSFORMERS_SHAKESPEARE must name the file of tinyshakespeare (input.txt); ${found}`,
      );
      return [];
    }
    const job = recipeOf(file);
    const sides = [ourSide("recipe", job), pytorchSide("recipe.py", job)];
    const [ours, peer] = await measureInTurn(sides, rounds, check);
    const row = (metric: string, unit: string, read: (result: RecipeResult) => number): Row => {
      const [mine, its] = [ours!, peer!].map((results) => (results.length === 0 ? null : median(results.map(read))));
      return compareRow("nanoGPT's CPU recipe", metric, unit, "lower", mine!, its!, sides[1]!.name);
    };
    return [
      { ...row("2,000 steps", "s", ({ seconds }) => seconds), gflop: job.steps * gptStepGflop(job) },
      row(`validation loss (target ${promised})`, "nats", ({ validationLoss }) => validationLoss),
    ];
  },
};

function check(result: unknown, side: Side): RecipeResult {
  const found = result as RecipeResult;
  // A time is reported whether or not the target is reached, but not of a training that learned nothing.
  if (!(found.validationLoss < 2.5))
    throw new Error(`${side.name}: expected a validation loss below 2.5, got ${found.validationLoss}`);
  return found;
}
