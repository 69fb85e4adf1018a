/** Style sheet of a report. Colours of series have a contrast of at least 3 : 1 against the page in both themes. */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --soft: #59636e; --rule: #d6dbe1; --panel: #f5f7f9; --best: #0b6b3a;
  --series-0: #c2410c; --series-1: #2563eb; --series-2: #0f766e; --series-3: #9333ea;
  --series-4: #be185d; --series-5: #4d7c0f; --series-6: #0369a1; --series-7: #92660a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --ink: #e8ebee; --soft: #a3adb8; --rule: #343b44; --panel: #1c2127; --best: #6ee7a8;
    --series-0: #fb923c; --series-1: #7aa7ff; --series-2: #2dd4bf; --series-3: #c58bff;
    --series-4: #f472b6; --series-5: #a3e635; --series-6: #38bdf8; --series-7: #eab308;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 8px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 40px 0 4px; }
.summary { font-size: 1.05rem; margin: 0; }
.lead { color: var(--soft); margin: 0 0 12px; }
figure { margin: 12px 0; }
figure svg { display: block; max-width: 100%; height: auto; }
.narrow { display: none; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; list-style: none; margin: 0 0 8px; padding: 0; }
.legend li { display: flex; align-items: center; gap: 6px; }
.grid { stroke: var(--rule); }
.axis { stroke: var(--soft); }
.tick, .label { fill: var(--soft); font-size: 12px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-weight: 500; white-space: normal; vertical-align: bottom; }
thead th:first-child { white-space: nowrap; }
th:first-child { position: sticky; left: 0; background: var(--page); }
td:last-child, th:last-child { padding-right: 2px; }
tbody th { font-weight: 500; }
.best { color: var(--best); font-weight: 650; }
td.note { color: var(--soft); white-space: normal; min-width: 8em; }
pre { background: var(--panel); padding: 12px; border-radius: 6px; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 12px 0 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 640px) {
  main { padding: 16px 16px 48px; }
  .wide { display: none; }
  .narrow { display: block; }
  h1 { font-size: 1.35rem; }
  table { font-size: 0.9rem; }
  th, td { padding: 6px 7px; }
}
@media print { .scroll { overflow: visible; } }
`;
