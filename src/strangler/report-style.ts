/** The style of a report: readable in both themes, on paper and on a phone. */
export const reportStyle = `
:root { color-scheme: light dark; --bg: light-dark(#fff, #0f1319); --text: light-dark(#1a2230, #e6ebf2); --soft: light-dark(#56637a, #a3b0c1);
  --line: light-dark(#dde3ea, #2a3543); --raised: light-dark(#f5f7f9, #161d26); --link: light-dark(#0a6b5c, #4fd6bd);
  --bad: light-dark(#b3261e, #ff8279); --bad-bg: light-dark(#fdecea, #33171a); --warn: light-dark(#8a5300, #f0b45f); --good: light-dark(#1c7038, #79d494);
  --good-bg: light-dark(#e8f5ec, #12291b); --warn-bg: light-dark(#fdf3e1, #2f2413); }
* { box-sizing: border-box }
body { margin: 0; background: var(--bg); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px }
h1 { font-size: 24px; margin: 0 }
h2 { font-size: 17px; margin: 36px 0 10px }
.period, .note { color: var(--soft); margin: 4px 0 16px }
.note { font-size: 13px; margin-top: 10px; max-width: 90ch }
.verdict { margin: 8px 0; padding: 12px 16px; border-radius: 8px; border-left: 5px solid }
.verdict strong { margin-right: 8px }
.verdict.parity { border-color: var(--good); background: var(--good-bg) }
.verdict.regression { border-color: var(--bad); background: var(--bad-bg) }
.verdict.too-few { border-color: var(--warn); background: var(--warn-bg) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: 8px 12px; border-bottom: 1px solid var(--line) }
tr:last-child > td { border-bottom: 0 }
th { font-size: 13px; color: var(--soft); background: var(--raised); font-weight: 600; white-space: nowrap }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
small { display: block; color: var(--soft) }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere }
td.path { min-width: 120px }
td.path code { overflow-wrap: break-word }
ul { margin: 0; padding: 0; list-style: none; min-width: 220px }
li + li { margin-top: 4px }
a { color: var(--link) }
.links { font-size: 13px; white-space: nowrap }
.mark { font-weight: 600; color: var(--soft) }
.regression .mark, .difference .mark, tr.regression > td:first-child { color: var(--bad) }
.suspect .mark { color: var(--warn) }
.tolerated .mark { color: var(--good) }
svg { display: block; margin-top: 4px; stroke: var(--soft); fill: var(--soft) }
svg rect, svg circle { stroke: none }
.regression svg, .difference svg { fill: var(--bad) }
.hidden { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden }
`
