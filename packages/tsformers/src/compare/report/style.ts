/** Colours of variants have a contrast of at least 3 : 1 against the page in both themes, and are told apart by the colour-blind. */
const light = `
  color-scheme: light;
  --page: #ffffff; --ink: #1a1d21; --soft: #5b646e; --rule: #e3e7eb; --rule-strong: #c5ccd4; --axis: #8a939d;
  --panel: #f5f7f9; --accent: #0b57b0; --good: #0b6b3a; --warn: #8f4a00; --warn-panel: #fff4e3; --best-row: #f1f7f3;
  --series-0: #216ba9; --series-1: #ea6c11; --series-2: #02a586; --series-3: #75184f;
  --series-4: #a163f8; --series-5: #6c5c0b; --series-6: #001e99; --series-7: #211d0e;`;

const dark = `
  color-scheme: dark;
  --page: #14171a; --ink: #e7eaed; --soft: #a2abb5; --rule: #2a3036; --rule-strong: #434b54; --axis: #707a85;
  --panel: #1c2024; --accent: #7db4ff; --good: #6fdca0; --warn: #f5b868; --warn-panel: #2e2415; --best-row: #18231d;
  --series-0: #71bafe; --series-1: #e19351; --series-2: #81f2a8; --series-3: #df4a73;
  --series-4: #a35afe; --series-5: #fece09; --series-6: #4588b2; --series-7: #e5f4fe;`;

const page = `
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { scroll-padding-top: 110px; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1200px; margin: 0 auto; padding: 36px 24px 80px; }
h1 { font-size: 1.85rem; line-height: 1.2; letter-spacing: -0.015em; margin: 0 0 14px; overflow-wrap: anywhere; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.3; letter-spacing: -0.01em; margin: 0 0 4px; }
h3 { font-size: 1rem; margin: 20px 0 6px; }
section { margin-top: 52px; }
p, li { max-width: 50rem; overflow-wrap: anywhere; }
.lead { color: var(--soft); margin: 0 0 14px; }
a, .link { color: var(--accent); }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.87em; }
pre { background: var(--panel); border-radius: 6px; padding: 12px 14px; margin: 6px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
pre.tall { max-height: 420px; overflow: auto; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--soft); }
summary:hover { color: var(--ink); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.sentences { list-style: none; margin: 0 0 16px; padding: 0; }
.sentences li { margin: 0 0 6px; }
.sentences li:first-child { font-size: 1.13rem; line-height: 1.45; }
.status { margin: 0 0 18px; color: var(--soft); }
.status.warn { color: var(--warn); background: var(--warn-panel); padding: 8px 12px; border-radius: 6px; max-width: none; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 14px 28px; margin: 0 0 18px; padding: 16px 0; border: solid var(--rule); border-width: 1px 0; }
.facts dt { color: var(--soft); font-size: 0.82rem; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.example { max-height: 160px; overflow: auto; }

button, select, input { font: inherit; color: inherit; }
.toolbar { position: sticky; top: 0; z-index: 20; background: var(--page); border-bottom: 1px solid var(--rule); margin: 20px -24px 0; padding: 10px 24px; }
.tools { display: flex; align-items: center; gap: 8px 12px; flex-wrap: wrap; }
.gap { flex: 1; }
.picker { display: flex; align-items: center; gap: 8px; min-width: 0; color: var(--soft); }
.picker select { min-width: 0; }
.toolbar select, .sorter select, input[type=search] { height: 34px; padding: 0 10px; border: 1px solid var(--rule-strong); border-radius: 6px; background: var(--page); color: var(--ink); max-width: 100%; }
input[type=search] { width: 210px; }
.jump { width: 110px; }
.count { color: var(--soft); font-size: 0.87rem; white-space: nowrap; }
.toggle { height: 30px; padding: 0 11px; border: 1px solid var(--rule-strong); border-radius: 6px; background: var(--page); cursor: pointer; font-size: 0.87rem; white-space: nowrap; }
.toggle:hover { border-color: var(--axis); }
.toggle[aria-pressed=true] { background: var(--ink); border-color: var(--ink); color: var(--page); }
.theme { height: 34px; }
.chips { display: flex; gap: 6px; margin-top: 8px; overflow-x: auto; scrollbar-width: none; padding: 2px; }
.chips .toggle { height: 26px; border-radius: 13px; padding: 0 11px; font-size: 0.82rem; flex: none; }
.link { background: none; border: 0; padding: 2px 4px; cursor: pointer; font-size: 0.87rem; }
.link:hover { text-decoration: underline; }
`;

const tables = `
.task-title { margin-top: 0; }
.table { position: relative; margin: 6px 0; }
.scroll { overflow: auto; max-height: min(82vh, 900px); border: solid var(--rule); border-width: 1px 0; }
.scroll.cut { mask-image: linear-gradient(to right, #000 calc(100% - 44px), transparent); }
.more { position: absolute; right: 0; top: -30px; background: none; border: 0; color: var(--accent); cursor: pointer; font-size: 0.87rem; padding: 2px 4px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 8px 12px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; font-weight: 400; background: var(--page); }
tbody tr:last-child > * { border-bottom: 0; }
.text { text-align: left; }
thead th { position: sticky; top: 0; z-index: 2; color: var(--soft); font-size: 0.82rem; line-height: 1.3; vertical-align: bottom; white-space: normal; min-width: 74px; border-bottom-color: var(--rule-strong); }
th:first-child { position: sticky; left: 0; z-index: 1; text-align: left; padding-left: 2px; }
thead th:first-child { z-index: 3; }
tbody th:first-child { border-right: 1px solid var(--rule); max-width: 320px; white-space: normal; min-width: 236px; }
.sort { background: none; border: 0; padding: 0; color: inherit; cursor: pointer; text-align: inherit; font-size: inherit; line-height: inherit; }
.sort:hover { color: var(--ink); }
.sort span { position: relative; }
.sort span::after { content: "↕"; position: absolute; left: calc(100% + 2px); opacity: 0.35; font-weight: 400; }
[aria-sort] .sort { color: var(--ink); font-weight: 600; }
[aria-sort=ascending] .sort span::after { content: "↑"; opacity: 1; }
[aria-sort=descending] .sort span::after { content: "↓"; opacity: 1; }
tbody tr:hover > * { background: var(--panel); }
.best > * { background: var(--best-row); }
.best .score, .best .rank { font-weight: 650; color: var(--good); }
.baseline > * { color: var(--soft); font-style: italic; }
.tag { font-style: normal; font-size: 0.75rem; border: 1px solid var(--rule-strong); border-radius: 4px; padding: 0 5px; color: var(--soft); }
.variant { display: inline-flex; align-items: center; gap: 8px; overflow-wrap: anywhere; }
thead th { overflow-wrap: break-word; max-width: 190px; }
.marker { flex: none; }
.parity { white-space: normal; min-width: 220px; }
.equal { color: var(--good); white-space: nowrap; }
.unequal, .failed { color: var(--warn); }
.two { display: inline-flex; flex-direction: column; line-height: 1.35; }
small { color: var(--soft); font-size: 0.82rem; }
.whisker { display: inline-block; vertical-align: middle; }
.whisker svg { display: block; }
.sorter { display: none; color: var(--soft); }
dl.settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: 0 28px; margin: 8px 0; font-size: 0.9rem; }
dl.settings div { display: flex; justify-content: space-between; gap: 12px; border-bottom: 1px solid var(--rule); padding: 5px 0; }
dl.settings dt { color: var(--soft); overflow-wrap: anywhere; }
dl.settings dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.failures { list-style: none; padding: 0; }
.copyable { position: relative; }
.copyable pre { padding-right: 96px; }
.copy { position: absolute; right: 8px; top: 8px; }
`;

const figures = `
figure { margin: 0; min-width: 0; }
.chart + .chart { margin-top: 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 32px 36px; align-items: start; }
figcaption p { color: var(--soft); margin: 0; }
section > div > .chart:only-child > .chart-head h3 { display: none; }
.chart-head { display: flex; flex-wrap: wrap; justify-content: space-between; align-items: flex-end; gap: 10px 20px; margin-bottom: 14px; }
.chart-head figcaption { flex: 1 1 380px; }
.chart-head h3 { margin: 0; }
.controls { display: flex; flex-wrap: wrap; gap: 6px; }
.controls .toggle:last-child:not(:first-child) { margin-left: 10px; }
.canvas { width: 100%; overflow: hidden; }
.canvas svg { display: block; max-width: 100%; height: auto; }
.y-label, .x-label { color: var(--soft); font-size: 0.82rem; }
.y-label { margin-bottom: 2px; }
.x-label { text-align: center; }
.legend { margin-top: 8px; font-size: 0.87rem; }
.legend ul { display: flex; flex-wrap: wrap; gap: 2px 4px; list-style: none; margin: 0; padding: 0; max-height: 118px; overflow-y: auto; }
.legend li button { display: inline-flex; align-items: center; gap: 6px; background: none; border: 0; border-radius: 4px; padding: 3px 8px 3px 4px; cursor: pointer; text-align: left; }
.legend li button:hover { background: var(--panel); }
.legend li button[aria-pressed=false] { color: var(--soft); }
.legend li button[aria-pressed=false] span { opacity: 0.75; }
.legend li button[aria-pressed=false] .marker { opacity: 0.25; }
.legend-commands { display: flex; align-items: baseline; gap: 4px; margin-bottom: 2px; }
.absent { color: var(--soft); font-size: 0.87rem; margin: 8px 0 0; }
.absent:empty { display: none; }
.crossovers { list-style: none; margin: 10px 0 0; padding: 0; font-size: 0.9rem; }
.crossovers li { display: flex; gap: 8px; margin: 4px 0; }
.place { flex: none; width: 18px; height: 18px; margin-top: 2px; border-radius: 50%; background: var(--ink); color: var(--page); font-size: 0.7rem; font-weight: 700; display: grid; place-items: center; }
.place.none { background: none; }
.patterns { display: flex; flex-wrap: wrap; gap: 24px 28px; align-items: flex-start; }
.pattern figcaption { font-size: 0.9rem; margin-top: 6px; max-width: 30ch; }
.pictures { display: flex; flex-wrap: wrap; gap: 12px; }
.picture { width: 168px; }
.picture small { display: block; line-height: 1.35; margin-top: 4px; }
.cells { display: block; width: 168px; height: 168px; border: 1px solid var(--rule-strong); }
.tip { max-width: min(420px, 80vw); white-space: normal; line-height: 1.5; }
.tip-head { color: var(--soft); }
.tip-row { display: grid; grid-template-columns: auto 1fr auto; align-items: center; gap: 8px; font-variant-numeric: tabular-nums; }
`;

const narrow = `
@media (max-width: 640px) {
  html { scroll-padding-top: 142px; }
  main { padding: 22px 16px 60px; }
  h1 { font-size: 1.45rem; }
  section { margin-top: 42px; }
  .facts { grid-template-columns: 1fr; gap: 10px; }
  .toolbar { margin: 16px -16px 0; padding: 8px 16px; }
  .tools { gap: 8px; }
  .picker { flex: 1 1 100%; }
  .picker select { flex: 1; }
  input[type=search] { flex: 1; width: 80px; font-size: 16px; }
  .tools .count, .tools .gap { display: none; }
  .tools input { flex: 1 1 100%; }
  .jump { flex: 1; }
  .sorter { display: flex; align-items: center; gap: 8px; margin-bottom: 10px; }
  .sorter label { flex: 1; display: flex; align-items: center; gap: 8px; min-width: 0; white-space: nowrap; }
  .sorter select { flex: 1; min-width: 0; }
  .sorter .toggle { height: 34px; }
  .sorter ~ .scroll { overflow: visible; max-height: none; border: 0; mask-image: none; }
  .sorter ~ .more { display: none; }
  .cards thead { display: none; }
  .cards, .cards tbody { display: block; }
  .cards tr { display: grid; grid-template-columns: 1fr 1fr; gap: 6px 14px; padding: 12px 14px; margin-bottom: 10px; border: 1px solid var(--rule); border-radius: 8px; }
  .cards th, .cards td { display: block; padding: 0; border: 0 !important; text-align: left; white-space: normal; background: none !important; min-width: 0; position: static; }
  .cards tr.best { background: var(--best-row); }
  .cards tbody th:first-child { grid-column: 1 / -1; max-width: none; font-weight: 600; margin-bottom: 2px; }
  .cards td::before { content: attr(data-label); display: block; color: var(--soft); font-size: 0.75rem; line-height: 1.3; font-weight: 400; font-style: normal; }
  .cards td:empty { display: none; }
  .cards .parity { grid-column: 1 / -1; }
  .cards .baseline { padding: 8px 14px; }
  tbody th:first-child { min-width: 110px; max-width: 150px; }
  .chart-head { gap: 10px; }
  .chart-head figcaption { flex-basis: auto; }
  .controls .toggle:last-child:not(:first-child) { margin-left: 0; }
  .legend ul { max-height: 170px; }
  .cards:not(.whole) .minor { display: none; }
  .picture, .cells { width: 140px; }
  .cells { height: 140px; }
}
@media (hover: none) { .legend li button { padding: 6px 10px 6px 4px; } }
`;

const paper = `
@media print {
  @page { margin: 14mm; }
  main { max-width: none; padding: 0; }
  body { font-size: 10.5pt; }
  .toolbar, .controls, .copy, .more, .sorter, .legend-commands { display: none !important; }
  .scroll, pre.tall, .example, .legend ul { max-height: none; overflow: visible; mask-image: none !important; }
  section { margin-top: 26px; }
  h2, h3, .lead, .y-label { break-after: avoid; }
  .chart, .pattern, tr, .copyable { break-inside: avoid; }
  .charts { display: block; }
  .chart + .chart { margin-top: 24px; }
  .legend li button[aria-pressed=false] { display: none; }
  table { font-size: 7.5pt; }
  th, td { padding: 3px 4px; white-space: normal; position: static !important; min-width: 0 !important; overflow-wrap: break-word; }
  tbody th:first-child { min-width: 104px !important; }
  thead th, small, .tag { font-size: 6.5pt; }
  #settings thead th { overflow-wrap: anywhere; }
  .rank { white-space: nowrap; }
  .parity { width: 90px; }
  .variant { overflow-wrap: break-word; gap: 4px; }
  thead { display: table-header-group; }
  .sort span::after { content: "" !important; }
  .interval { display: none; }
  .cells, .place, .best > *, .marker { print-color-adjust: exact; }
}
`;

/** Style sheet of a report. Paper is always light. */
export const reportStyle: string = `
:root {${light}}
@media screen and (prefers-color-scheme: dark) { :root:not([data-theme=light]) {${dark}} }
@media screen { :root[data-theme=dark] {${dark}} }
${page}${tables}${figures}${narrow}${paper}`;
