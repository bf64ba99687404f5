"""The page's style sheet, for light and dark, wide and narrow."""

STYLE = """
:root { --back: #f5f6f8; --card: #fff; --ink: #1b1f24; --soft: #5b6470; --line: #dde1e6;
  --fill: #e9ecf0; --bar: #0072b2; --off: #d55e00; --frame: #14171b; }
@media (prefers-color-scheme: dark) {
  :root { --back: #111418; --card: #1b1f25; --ink: #e8ebef; --soft: #9ba5b1; --line: #2d333b;
    --fill: #2a3038; --bar: #56b4e9; --off: #e8893f; --frame: #0a0c0e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1720px; padding: 20px clamp(12px, 2.5vw, 36px) 40px;
  background: var(--back); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1, h2, h3, p, ul, ol { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h1 { font-size: 24px; line-height: 1.25; overflow-wrap: anywhere; }
h3 { font-size: 12px; text-transform: uppercase; letter-spacing: .06em; color: var(--soft);
  margin-bottom: 8px; }
header { margin-bottom: 16px; }
.facts, .also, .none, .more { color: var(--soft); font-size: 12.5px; overflow-wrap: anywhere; }
.none { font-style: italic; }
.more { text-align: center; margin-top: 24px; font-size: 14px; }
.report { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr));
  gap: 16px 36px; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 16px 18px; margin-bottom: 20px; }
.report > div { min-width: 0; }
.funnel li { display: grid; grid-template-columns: 72px minmax(60px, 1fr) minmax(44px, auto);
  align-items: center; column-gap: 10px; margin-bottom: 5px; }
.funnel b { text-align: right; font-variant-numeric: tabular-nums; }
.funnel em { grid-column: 2 / -1; font-style: normal; font-size: 12px; color: var(--soft); }
.funnel em:empty { display: none; }
s { display: block; height: 14px; background: var(--fill); border-radius: 3px; overflow: hidden;
  text-decoration: none; }
s i { display: block; height: 100%; background: var(--bar); }
.funnel .limited i, .funnel .dropped i { background: var(--off); }
.funnel + .facts { margin-top: 10px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { text-align: right; padding: 3px 0 3px 12px; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-weight: 400; font-size: 12px; vertical-align: bottom; }
tbody th { text-align: left; padding-left: 0; font-weight: 600; min-width: 11em;
  overflow-wrap: anywhere; }
tbody tr { border-top: 1px solid var(--line); }
th em { font-weight: 400; color: var(--off); }
h3 ~ h3 { margin-top: 16px; }
.problems { font-size: 13px; border-left: 3px solid var(--off); padding-left: 10px; }
.problems li { overflow-wrap: anywhere; margin-bottom: 3px; }
summary { cursor: pointer; color: var(--soft); }
.cards { display: grid; gap: 16px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; display: flex; flex-direction: column; min-width: 0; }
.picture { display: block; background: var(--frame); line-height: 0; }
.picture:focus-visible { outline: 3px solid var(--bar); outline-offset: -3px; }
svg { display: block; width: 100%; aspect-ratio: 4 / 3; }
svg path { stroke-width: 1.2; fill-opacity: .28; }
svg .case { fill: none; stroke: #000; stroke-opacity: .5; stroke-width: 4; }
svg .box { fill: none; stroke-width: 2; }
svg circle { stroke: #000; stroke-opacity: .7; stroke-width: 1; }
svg text { font: 600 11.5px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre; }
svg .gone { fill: #9ba5b1; text-anchor: middle; }
.text { padding: 10px 12px 12px; display: flex; flex-direction: column; gap: 7px; flex: 1; }
h2 { font-size: 14px; line-height: 1.3; overflow-wrap: anywhere; display: -webkit-box;
  -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.chips, .tags { display: flex; flex-wrap: wrap; gap: 4px 6px; font-size: 12.5px; }
.chips li { background: var(--fill); border-radius: 99px; padding: 1px 9px 1px 7px;
  overflow-wrap: anywhere; }
.chips i { display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 5px;
  box-shadow: 0 0 0 1px rgb(0 0 0 / .25); }
.chips span, .why span { color: var(--soft); font-variant-numeric: tabular-nums; }
.tags li { border: 1px solid var(--line); border-radius: 4px; padding: 0 6px; color: var(--soft);
  overflow-wrap: anywhere; }
.classes li { display: grid; grid-template-columns: minmax(0, 9em) 1fr 2.6em; gap: 8px;
  align-items: center; font-size: 12.5px; color: var(--soft); overflow-wrap: anywhere; }
.classes .chosen { color: var(--ink); font-weight: 600; }
.classes s { height: 9px; }
.classes span:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.why { border-left: 3px solid var(--bar); padding-left: 9px; font-size: 13px;
  overflow-wrap: anywhere; }
"""
