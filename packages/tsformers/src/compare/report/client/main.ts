import type { ReportData } from "../report-data.ts";
import { costLength } from "./cost-length.ts";
import { h } from "./dom.ts";
import { extrapolation } from "./extrapolation.ts";
import { header } from "./header.ts";
import { leaderboard } from "./leaderboard.ts";
import { learningCurves } from "./learning-curves.ts";
import { notes } from "./notes.ts";
import { overview } from "./overview.ts";
import { patterns } from "./patterns.ts";
import { pretraining } from "./pretraining.ts";
import { qualityCost } from "./quality-cost.ts";
import { repeat } from "./repeat.ts";
import { runs, settings } from "./settings.ts";
import { stateSize } from "./state-size.ts";
import { makeStore } from "./store.ts";
import { toolbar } from "./toolbar.ts";
import { trials } from "./trials.ts";

const data = JSON.parse(document.getElementById("data")!.textContent!) as ReportData;
const root = document.getElementById("report")!;

if (data.tasks.length === 0) {
  root.append(h("main", {}, header(data), h("p", {}, "This comparison has no tasks.")));
} else {
  const store = makeStore(data);
  const sections = [
    overview,
    leaderboard,
    learningCurves,
    qualityCost,
    costLength,
    stateSize,
    extrapolation,
    patterns,
    trials,
    pretraining,
    notes,
    settings,
    runs,
    repeat,
  ].map((make) => make(store));
  root.append(h("main", {}, header(data), toolbar(store, sections), ...sections.map(({ element }) => element)));
}
