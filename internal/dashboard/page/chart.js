// Charts of rates over the last five minutes, or what is known of them, as SVG.

import { bits } from './format.js';

const ns = 'http://www.w3.org/2000/svg';
// Before there are five minutes to be shown, those there are need not stand in a corner.
const spans = [
  { ms: 60_000, words: 'minute', ticks: [0, 15, 30, 45, 60].map((s) => [s * 1000, `${s} s`]) },
  { ms: 120_000, words: 'two minutes', ticks: [0, 30, 60, 90, 120].map((s) => [s * 1000, `${s} s`]) },
  { ms: 300_000, words: 'five minutes', ticks: [0, 1, 2, 3, 4, 5].map((m) => [m * 60_000, `${m} min`]) },
];
const gap = 2600; // samples that are further apart are not joined
export const dashes = ['', '5 2', '2 2', '8 2 2 2', '3 3', '1.5 2'];

export function svg(name, attrs = {}, ...children) {
  const e = document.createElementNS(ns, name);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

// key is the sample of a colour and a dash in a legend.
export function key(tone) {
  return svg('svg', { class: `key c${tone}`, viewBox: '0 0 28 10', 'aria-hidden': 'true' },
    svg('rect', { class: 'area', width: 28, height: 10 }), svg('path', { class: 'edge', d: 'M0 1H28', 'stroke-dasharray': dashes[tone] }));
}

// ceiling is a round number of bits per second that is not below v.
export function ceiling(bytesPerSecond) {
  const b = Math.max(bytesPerSecond * 8, 1000);
  const unit = 10 ** Math.floor(Math.log10(b));
  for (const m of [1, 2, 2.5, 5, 10]) if (b <= m * unit * 1.0001) return (m * unit) / 8;
  return (10 * unit) / 8;
}

// peak is the highest sum of the series.
export function peak(history, way, names) {
  let most = 0;
  for (let i = 0; i < history.times.length; i++) {
    let sum = 0;
    for (const n of names) sum += history[way].get(n)?.[i] ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

// spanOf is how far back charts go.
export function spanOf(times, end) {
  const known = times.length ? end - times[0] : 0;
  return spans.find((s) => known <= s.ms) ?? spans[spans.length - 1];
}

// draw paints the series into element, one on the other; lines are drawn over them and not stacked.
export function draw(element, history, { way, names, tones, top, span, line = null, end }) {
  const w = Math.max(element.clientWidth, 120);
  const h = Math.max(element.clientHeight, 60);
  const left = 2;
  const right = w - 2;
  const bottom = h - 16;
  const x = (t) => right - ((end - t) / span.ms) * (right - left);
  const y = (v) => bottom - (Math.min(v, top) / top) * (bottom - 14);
  const out = [];
  for (let i = 0; i <= 2; i++) {
    const v = (top * i) / 2;
    out.push(svg('line', { class: 'grid', x1: left, x2: right, y1: y(v), y2: y(v) }));
    if (i) out.push(text(left, y(v) - 3, bits(v)));
  }
  for (const [i, [ago, words]] of span.ticks.entries()) {
    const label = text(x(end - ago), h - 3, ago ? words : 'now');
    const last = i === span.ticks.length - 1;
    label.setAttribute('text-anchor', ago === 0 ? 'end' : last ? 'start' : 'middle');
    if (w >= 300 || ago === 0 || last || i === 2) out.push(label);
  }
  const runs = joined(history.times, end - span.ms);
  for (const [from, to] of silences(history.times, runs)) {
    out.push(svg('rect', { class: 'gone', x: x(from), width: Math.max(x(to) - x(from), 0), y: 14, height: bottom - 14 }));
  }
  const base = new Array(history.times.length).fill(0);
  for (const name of names) {
    const list = history[way].get(name);
    if (!list) continue;
    const group = svg('g', { class: `c${tones.get(name)}` });
    for (const [a, b] of runs) {
      let upper = '';
      let lower = '';
      for (let i = a; i < b; i++) {
        const px = x(history.times[i]).toFixed(1);
        lower = `L${px} ${y(base[i]).toFixed(1)}${lower}`;
        base[i] += list[i] ?? 0;
        upper += `${upper ? 'L' : 'M'}${px} ${y(base[i]).toFixed(1)}`;
      }
      group.append(svg('path', { class: 'area', d: `${upper}${lower}Z` }), svg('path', { class: 'edge', d: upper, 'stroke-dasharray': dashes[tones.get(name)] }));
    }
    out.push(group);
  }
  if (line) {
    for (const [a, b] of runs) {
      let d = '';
      for (let i = a; i < b; i++) d += `${d ? 'L' : 'M'}${x(history.times[i]).toFixed(1)} ${y(line[i] ?? 0).toFixed(1)}`;
      out.push(svg('path', { class: 'upline', d }));
    }
  }
  element.setAttribute('viewBox', `0 0 ${w} ${h}`);
  element.replaceChildren(...out);
}

function text(x, y, words) {
  return svg('text', { x, y }, document.createTextNode(words));
}

// joined are the stretches of samples that follow each other and are to be seen, as indices.
function joined(times, first) {
  const runs = [];
  let from = times.findIndex((t) => t >= first);
  if (from < 0) return runs;
  for (let i = from + 1; i <= times.length; i++) {
    if (i === times.length || times[i] - times[i - 1] > gap) {
      if (i - from > 1) runs.push([from, i]);
      from = i;
    }
  }
  return runs;
}

// silences are the times between stretches, in which nobody answered.
function silences(times, runs) {
  const out = [];
  for (let i = 1; i < runs.length; i++) out.push([times[runs[i - 1][1] - 1], times[runs[i][0]]]);
  return out;
}
