import type { RandomKey } from "@tsformers/engine";
import * as z from "zod";
import { present } from "../../schema/present.ts";
import { randomNumbers } from "../draws.ts";
import { type LabelledTask, labelledTask } from "../labelled.ts";
import { generatedRows } from "../rows.ts";
import { seedOption, type TaskEntry, taskEntry } from "../task-entry.ts";
import { imageLengthOption, imageRow, pixelSymbols } from "./image-rows.ts";
import { renderScene } from "./pathfinder-image.ts";
import { drawScene, type PathfinderLayout, type PathfinderScene } from "./pathfinder-scene.ts";

export type PathfinderSize = 32 | 64 | 128 | 256;
export type PathfinderDifficulty = "easy" | "intermediate" | "hard";

/** The published pictures: dashes, distances and brightness for each size. */
const layouts: Readonly<Record<PathfinderSize, Omit<PathfinderLayout, "size" | "contourLength">>> = {
  32: {
    margins: [1],
    padding: 1,
    paddleLength: 2,
    thickness: 0.5,
    markerRadius: 1.5,
    seedDistance: 7,
    continuity: 1,
    contrast: 0.75,
    distractorPaddles: 20,
  },
  64: {
    margins: [1],
    padding: 1,
    paddleLength: 5,
    thickness: 1,
    markerRadius: 2.5,
    seedDistance: 12,
    continuity: 1.8,
    contrast: 0.8,
    distractorPaddles: 22,
  },
  128: {
    margins: [2, 3],
    padding: 1,
    paddleLength: 5,
    thickness: 1.5,
    markerRadius: 3,
    seedDistance: 20,
    continuity: 1.8,
    contrast: 0.9,
    distractorPaddles: 35,
  },
  256: {
    margins: [3],
    padding: 22,
    paddleLength: 5,
    thickness: 2,
    markerRadius: 5,
    seedDistance: 27,
    continuity: 1.8,
    contrast: 1,
    distractorPaddles: 30,
  },
};

/** Dashes of the two long paths. */
const contourLengths: Readonly<Record<PathfinderDifficulty, number>> = { easy: 6, intermediate: 9, hard: 14 };

export type PathfinderOptions = {
  /** Rows and columns of a picture. Default: 32. Path-X is 128. */
  readonly size?: PathfinderSize;
  /** Long paths have 6, 9 or 14 dashes. Default: hard. */
  readonly difficulty?: PathfinderDifficulty;
  /** T, at least size²; what is longer is padding. Default: size². */
  readonly length?: number;
  /** Default: 0. */
  readonly seed?: number;
};

const defaults = { size: 32, difficulty: "hard" } as const;

/**
 * Pathfinder: whether two marked points are the ends of the same dashed path, in a picture read pixel by pixel.
 *
 * Two long paths of dashes begin near the middle of the picture and wind through it, between shorter paths that distract. A disc marks the
 * beginning of one long path, another one the end of the same path (class "connected") or of the other ("apart"); both classes are equally
 * frequent. Path-X of Long Range Arena is size 128: 16,384 tokens. Tokens: 0 padding, then 256 levels of grey, from black to white.
 *
 * @source Linsley et al. 2018, "Learning long-range spatial dependencies with horizontal gated recurrent units", §3, arXiv:1805.08315; Kim et al.
 *   2020, arXiv:1906.01558; sizes of Tay et al. 2020, "Long Range Arena", §2.2.5, arXiv:2011.04006
 * @differs a generator of our own with the published parameters: positions are real numbers and distances exact, where the original works
 *   with masks of pixels; markers never touch; distractors are as bright as the two paths; pictures are drawn anew at each step
 */
export function pathfinderTask(options: PathfinderOptions = {}): LabelledTask {
  const { size, difficulty, length = size ** 2, seed = 0 } = { ...defaults, ...options };
  return labelledTask({
    name: "pathfinder",
    ...pixelSymbols(256),
    columns: size,
    classes: 2,
    classNames: ["apart", "connected"],
    length,
    seed,
    fingerprint: `pathfinder size=${size} difficulty=${difficulty} seed=${seed}`,
    source: generatedRows(
      (key, rowLength) => {
        const { image, label } = drawPathfinder(key, { size, difficulty });
        return imageRow("pathfinder", image, label, rowLength);
      },
      { seed },
    ),
  });
}

/** A picture of {@link pathfinderTask}, and what it shows. */
export function drawPathfinder(
  key: RandomKey,
  { size, difficulty }: Required<Pick<PathfinderOptions, "size" | "difficulty">>,
): PathfinderScene & { readonly layout: PathfinderLayout; readonly image: Uint8Array } {
  const layout = { size, contourLength: contourLengths[difficulty], ...layouts[size] };
  const scene = drawScene(randomNumbers(key), layout);
  return { ...scene, layout, image: renderScene(scene, layout) };
}

export type PathfinderSettings = PathfinderOptions;

export const pathfinderEntry: TaskEntry<"pathfinder", PathfinderSettings> = /* @__PURE__ */ taskEntry({
  name: "pathfinder",
  title: "Pathfinder",
  category: "generated",
  summary: "tell whether one dashed path joins two marked points (Long Range Arena; Path-X at size 128)",
  options: () =>
    z.strictObject({
      size: z
        .literal([32, 64, 128, 256])
        .default(defaults.size)
        .describe("rows and columns of a picture: 128 is Path-X, 16,384 tokens"),
      difficulty: z
        .enum(["easy", "intermediate", "hard"])
        .default(defaults.difficulty)
        .describe("long paths of 6, 9 or 14 dashes"),
      length: imageLengthOption("size"),
      seed: seedOption(),
    }),
  make: (settings) => pathfinderTask(present(settings)),
});
