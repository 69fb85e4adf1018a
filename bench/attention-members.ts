/** Settings of a mechanism, as its catalogue takes them. */
export type Settings = Readonly<Record<string, unknown>>;

/** One row of the attention bench. */
export type AttentionMember = {
  readonly name: string;
  /** The pattern of softmax attention, or the mixer, and its name in the catalogue. */
  readonly kind: "pattern" | "mixer";
  readonly entry: string;
  readonly causal: boolean;
  /** Settings at a length. The peer gets the same, under the same names. */
  readonly settings: (length: number) => Settings;
  /** The function of peers/pytorch/attention.py; absent: there is none. */
  readonly peer?: string;
};

/** Columns of an image or grid of `length` pixels: a power of two. */
function columnsOf(length: number): number {
  return 2 ** Math.ceil(Math.log2(length) / 2);
}

/** √n centroids, √n members each. */
function clusters(length: number): Settings {
  const centroids = Math.round(Math.sqrt(length));
  return { centroids, window: Math.ceil(length / centroids) };
}

function of(
  kind: AttentionMember["kind"],
  entry: string,
  direction: "causal" | "bidirectional",
  settings: (length: number) => Settings = () => ({}),
  { name = entry, peer = entry.replaceAll("-", "_") }: { name?: string; peer?: string } = {},
): AttentionMember {
  return { name, kind, entry, causal: direction === "causal", settings, peer };
}

/**
 * Every mechanism in the direction of its paper, those whose causal form is computed otherwise in both. Sizes stay what they are at
 * every length (window 256, 64 features, k = 256, …) unless the paper ties them to it (√n).
 */
export const attentionMembers: readonly AttentionMember[] = [
  of("pattern", "full", "bidirectional"),
  of("pattern", "full", "causal", undefined, { name: "full causal" }),
  of("pattern", "window", "causal", () => ({ before: 255 }), { name: "window 256" }),
  of("pattern", "dilated", "causal", () => ({ before: 255, dilations: [2] }), { name: "dilated" }),
  of("pattern", "strided", "causal", (n) => ({ stride: columnsOf(n) })),
  of("pattern", "fixed", "causal", (n) => ({ stride: columnsOf(n), summary: columnsOf(n) / 8 })),
  of("pattern", "blockwise", "bidirectional", () => ({ blocks: 4, shifted: 1 })),
  of("pattern", "local-1d", "causal", () => ({ block: 256 }), { name: "local 1-D" }),
  of(
    "pattern",
    "local-2d",
    "causal",
    (n) => ({ columns: columnsOf(n), queryBlock: [16, 16], flange: [8, 8], sequence: "generated" }),
    { name: "local 2-D" },
  ),
  of("pattern", "axial", "bidirectional", (n) => ({ columns: columnsOf(n), use: "heads" })),
  of("mixer", "longformer", "bidirectional", () => ({ window: 256, globals: [0] })),
  of("pattern", "bigbird", "bidirectional", () => ({ block: 64, random: 3 })),
  of("mixer", "etc", "bidirectional", () => ({ globals: 128, radius: 84, furthestLabel: 12 })),
  of("mixer", "local", "causal", () => ({ chunk: 128 })),
  of("mixer", "lsh", "bidirectional", () => ({ rounds: 2, chunk: 64 })),
  of("mixer", "lsh", "causal", () => ({ rounds: 2, chunk: 64 }), { name: "lsh causal" }),
  of("mixer", "routing", "bidirectional", clusters),
  of("mixer", "routing", "causal", clusters, { name: "routing causal" }),
  of("mixer", "sinkhorn", "bidirectional", (n) => ({ block: columnsOf(n), iterations: 8 })),
  of("mixer", "sinkhorn", "causal", (n) => ({ block: columnsOf(n), iterations: 8 }), { name: "sinkhorn causal" }),
  of("mixer", "linformer", "bidirectional", () => ({ slots: 256 })),
  of("mixer", "linear", "bidirectional"),
  of("mixer", "linear", "causal", undefined, { name: "linear causal" }),
  of("mixer", "performer", "bidirectional", () => ({ features: 64 })),
  of("mixer", "performer", "causal", () => ({ features: 64 }), { name: "performer causal" }),
  of("mixer", "rfa", "bidirectional", () => ({ features: 64 })),
  of("mixer", "rfa", "causal", () => ({ features: 64, gated: true }), { name: "rfa causal" }),
  of("mixer", "synthesizer", "bidirectional", () => ({ logits: ["dense"] }), { name: "synthesizer dense" }),
  of("mixer", "synthesizer", "bidirectional", () => ({ logits: ["factorised table"], rank: 8 }), {
    name: "synthesizer factorised",
  }),
  of("mixer", "memory-compressed", "causal", () => ({ factor: 3 })),
  of("mixer", "induced-set", "bidirectional", () => ({ points: 32 })),
];

/**
 * The named ones and full attention, which they are compared with; none when none is named, all when `names` is absent.
 *
 * @param others what else may be named, for the message
 * @throws Error for an unknown name
 */
export function chooseMembers(
  names: readonly string[] | undefined,
  others: readonly string[] = [],
): readonly AttentionMember[] {
  if (names === undefined) return attentionMembers;
  const known = attentionMembers.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new Error(
      `--only: no mechanism is named ${unknown.join(", ")}; there are ${[...known, ...others].join(", ")}`,
    );
  }
  const chosen = attentionMembers.filter(({ name }) => names.includes(name));
  const baselines = new Set<string>(chosen.map(({ causal }) => (causal ? "full causal" : "full")));
  return attentionMembers.filter((member) => chosen.includes(member) || baselines.has(member.name));
}
