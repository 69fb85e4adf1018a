// Language models that differ in their position scheme alone, trained at 64 characters and measured up to 16 times as far.
import { systems } from "tsformers/catalogue";
import { prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const schemes = ["sinusoidal", "learned", "rotary", "t5", "alibi", "shaw", "distance-aware"] as const;
const lengths = [64, 128, 256, 512, 1024];

await prove("positions", async ({ run, scores, say }) => {
  const bitsOf = async (trained: Trained): Promise<number[]> => {
    const scored = await scores(trained, { lengths, limit: 16_384 });
    return scored.map((score) => ("loss" in score ? score.loss / Math.LN2 : Number.NaN));
  };
  const bits = new Map<string, number[]>();
  for (const scheme of schemes) {
    bits.set(scheme, await bitsOf(await run(scheme, systems[scheme].presets.small.run)));
    say(`${scheme}: ${text(bits.get(scheme)!)}`);
  }
  const at16 = (scheme: string) => bits.get(scheme)!.at(-1)!;
  return resultOf({
    measure: "bits per character at 16 times the training length, ALiBi, grammar text",
    better: "less",
    ours: at16("alibi"),
    plain: at16("sinusoidal"),
    plainIs: "the same model with sinusoidal positions",
    // What it has at the training length itself: longer rows must not cost anything.
    target: bits.get("alibi")![0]!,
    size: "2 layers of 64, 0.1M parameters, 400 steps of 16 × 64 characters",
    paper: "perplexity at 10,512, trained at 512 on WikiText-103: ALiBi 18.3, T5 53, rotary 61, sinusoidal 342",
    figures: Object.fromEntries(
      schemes.map((scheme) => [`${scheme}, 1 to 16 times the training length`, text(bits.get(scheme)!)]),
    ),
  });
});

function text(bits: readonly number[]): string {
  return bits.map((value) => value.toFixed(2)).join(" → ");
}
