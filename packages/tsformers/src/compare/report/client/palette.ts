/** Of variants, by their place in the comparison: eight colours, then the same with other markers and dashes. */
const colours = 8;

/** Markers within −1 … 1, by area about alike. */
const shapes = [
  "M0-.9A.9.9 0 1 1 0 .9A.9.9 0 1 1 0-.9Z",
  "M-.8-.8H.8V.8H-.8Z",
  "M0-1L1 .8H-1Z",
  "M0-1.1L1.1 0L0 1.1L-1.1 0Z",
  "M0 1L1-.8H-1Z",
  "M-.35-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
  "M0-1.15L.32-.4L1.1-.35L.5.15L.7.95L0 .5L-.7.95L-.5.15L-1.1-.35L-.32-.4Z",
];

const dashes = ["solid", "dashed", "dotted", [10, 3, 2, 3]] as const;

/** How a variant looks in every chart. */
export type Look = {
  readonly colour: string;
  readonly shape: string;
  readonly dash: (typeof dashes)[number];
};

/** Two variants of one colour have different markers: 56 looks. */
export function lookOf(slot: number): Look {
  const round = Math.floor(slot / colours);
  return {
    colour: `var(--series-${slot % colours})`,
    shape: shapes[(slot + round) % shapes.length]!,
    dash: dashes[round % dashes.length]!,
  };
}
