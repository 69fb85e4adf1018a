/** What a chart shows, without a word of how it is drawn. */
export type ChartSpec = {
  /** What it shows, for readers who do not see it. */
  readonly summary: string;
  readonly x: AxisSpec;
  readonly y: AxisSpec;
  readonly lines: boolean;
  readonly series: readonly SeriesSpec[];
  /** The best that can be had at each cost: points from left to right, and where the step between two of them is. */
  readonly front?: { readonly points: readonly PointSpec[]; readonly step: "start" | "end" };
  /** Named vertical lines. */
  readonly verticals?: readonly { readonly x: number; readonly text: string }[];
  /** Named horizontal lines; one that is far from everything else is left out. */
  readonly levels?: readonly { readonly y: number; readonly text: string }[];
  /** Numbered places. */
  readonly places?: readonly { readonly x: number; readonly y: number; readonly text: string }[];
  /** What is not drawn, and why. */
  readonly absent?: readonly { readonly variant: string; readonly reason: string }[];
};

export type AxisSpec = {
  readonly label: string;
  readonly scale: "linear" | "log";
  /** A value with so many significant digits, for ticks. */
  readonly tick: (value: number, digits: number) => string;
  /** A value in tables and tooltips. */
  readonly text: (value: number) => string;
  /** Where ticks are. Default: at round numbers. */
  readonly ticks?: readonly number[];
  /** The least ratio of the ends of a logarithmic axis: what differs by little is not drawn far apart. */
  readonly leastRatio?: number;
  /** Whether the range stops at the data. Default: a little beyond. */
  readonly tight?: boolean;
};

export type SeriesSpec = {
  readonly variant: string;
  /** Told from other series of the same variant: "training". */
  readonly part?: string;
  /** Drawn without markers, and thinner. */
  readonly faint?: boolean;
  readonly markers?: boolean;
  readonly points: readonly PointSpec[];
};

export type PointSpec = {
  readonly x: number;
  readonly y: number;
  /** The range of seeds, or an interval. */
  readonly low?: number;
  readonly high?: number;
  /** Written beside it. */
  readonly name?: string;
  readonly note?: string;
};
