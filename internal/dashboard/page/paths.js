// The cards of paths, and at an egress those of clients.

import { change } from './changes.js';
import { dashes, draw, key } from './chart.js';
import { el, keyed, say } from './dom.js';
import { age, bits, bytes, millis, moodOf, or, percent, stateOf } from './format.js';

const roles = ['primary', 'secondary', 'backup', 'never'];

const rows = [
  ['Down', (p) => bits(p.rates?.[0])],
  ['Up', (p) => bits(p.rates?.[1])],
  ['Share'],
  ['Round trip', (p) => millis(p.rtt_ms)],
  ['Lowest', (p) => millis(p.min_rtt_ms)],
  ['Loss', (p) => percent(p.loss, 1)],
  ['Received', (p) => bytes(p.rx_bytes)],
  ['Sent', (p) => bytes(p.tx_bytes)],
  ['Cap used'],
  ['Role', (p) => or(p.role)],
  ['Interface', (p) => or(p.interface)],
  ['Since', (p, now) => age(p.since, now)],
];

function fact(name, wide) {
  const dd = el('dd', { 'data-of': name }, '-');
  return el('div', { class: wide && 'wide' }, el('dt', {}, name), dd);
}

const part = (card, name) => card.querySelector(`[data-of="${name}"]`);

function meter(name) {
  const d = fact(name);
  d.append(el('progress', { 'data-of': `${name} bar`, max: 1, value: 0, 'aria-hidden': 'true' }));
  return d;
}

function setMeter(card, name, part01, text) {
  say(part(card, name), text);
  const bar = part(card, `${name} bar`);
  bar.hidden = part01 == null;
  bar.value = part01 ?? 0;
}

// make builds a card; mayChange says whether the program lets its paths be changed at all.
function make(p, tone, mayChange) {
  const card = el('article', { class: 'card', 'aria-label': `Path ${p.name}` },
    el('header', {}, key(tone), el('h3', {}, p.name), el('span', { class: 'state', 'data-of': 'state' })),
    el('p', { class: 'why', 'data-of': 'why' }));
  const chart = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  chart.setAttribute('class', 'chart');
  chart.setAttribute('role', 'img');
  chart.dataset.of = 'chart';
  card.append(chart, el('dl', { class: 'facts' },
    ...rows.map(([name, of]) => (of ? fact(name) : meter(name))), fact('Local → remote', true)));
  if (mayChange) card.append(acts(p.name));
  return card;
}

function acts(name) {
  const select = el('select', { 'data-of': 'select' }, ...roles.map((r) => el('option', { value: r }, r)));
  const set = el('button', { type: 'button', 'data-of': 'set', 'aria-label': `Set the role of ${name}` }, 'Set role');
  const off = el('button', { type: 'button', 'data-of': 'off' }, 'Switch off');
  select.addEventListener('change', () => { select.dataset.dirty = '1'; });
  const path = `/paths/${encodeURIComponent(name)}`;
  set.addEventListener('click', () => {
    delete select.dataset.dirty;
    change('POST', path, { role: select.value }, `${name} is ${select.value} until the program ends.`);
  });
  off.addEventListener('click', () => {
    const on = off.dataset.on === '1';
    change('POST', path, { enabled: !on }, on ? `${name} is switched off until the program ends.` : `${name} is switched on again.`);
  });
  return el('div', { class: 'acts' }, el('label', {}, `Role of ${name}`, select), set, off);
}

function update(card, p, ctx) {
  const state = part(card, 'state');
  say(state, stateOf(p.state));
  state.className = `state ${moodOf(p.state)}`;
  say(part(card, 'why'), [p.reason, p.role_reason].filter(Boolean).join('; ') || '-');
  say(part(card, 'Local → remote'), p.local || p.remote ? `${or(p.local)} → ${or(p.remote)}` : '-');
  for (const [name, of] of rows) if (of) say(part(card, name), of(p, ctx.now));
  setMeter(card, 'Share', ctx.idle ? null : p.share, ctx.idle ? '-' : percent(p.share));
  const cap = p.cap;
  setMeter(card, 'Cap used', cap?.limit ? Math.min(cap.used / cap.limit, 1) : null, cap?.limit ? `${bytes(cap.used)} of ${bytes(cap.limit)}` : ctx.known ? 'no cap' : '-');
  const chart = part(card, 'chart');
  chart.setAttribute('aria-label', `${p.name}: down ${bits(p.rates?.[0])}, up ${bits(p.rates?.[1])} now`);
  draw(chart, ctx.history, { way: 'down', names: [p.name], tones: ctx.tones, top: ctx.top, span: ctx.span, line: ctx.history.up.get(p.name), end: ctx.end });
  const select = part(card, 'select');
  if (!select) return;
  if (!select.dataset.dirty && document.activeElement !== select) select.value = p.role;
  const off = part(card, 'off');
  for (const e of [select, part(card, 'set'), off]) e.disabled = !ctx.known;
  const on = p.role_reason !== 'switched off by hand';
  off.dataset.on = on ? '1' : '0';
  say(off, on ? 'Switch off' : 'Switch on');
  off.setAttribute('aria-label', `Switch ${p.name} ${on ? 'off' : 'on'}`);
}

export function showPaths(parent, paths, ctx) {
  keyed(parent, paths, (p) => p.name, (p) => make(p, ctx.tones.get(p.name), true), (card, p) => update(card, p, ctx));
  if (!paths.length) parent.replaceChildren(el('p', { class: 'soft' }, 'There is no path yet.'));
}

// Clients of an egress: one card each, with the connections of its paths.

const clientColumns = [['From'], ['State'], ['Role'], ['Round trip', 'n'], ['Received', 'n'], ['Sent', 'n']];

function makeClient(c, tone) {
  const chart = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  chart.setAttribute('class', 'chart');
  chart.setAttribute('role', 'img');
  chart.dataset.of = 'chart';
  return el('article', { class: 'card', 'aria-label': `Client ${c.name}` },
    el('header', {}, key(tone), el('h3', {}, c.name), el('span', { class: 'state', 'data-of': 'state' })),
    chart, el('dl', { class: 'facts' }, fact('Down'), fact('Up')),
    el('div', { class: 'scroll', role: 'region', tabindex: 0, 'aria-label': `Paths of ${c.name}` }, el('table', {},
      el('thead', {}, el('tr', {}, ...clientColumns.map(([t, cls]) => el('th', { scope: 'col', class: cls }, t)))),
      el('tbody', { 'data-of': 'rows' }))));
}

function updateClient(card, c, ctx) {
  const state = part(card, 'state');
  const bad = c.paths.some((p) => p.state !== 'up' && p.state !== 'standby');
  say(state, c.paths.length === 0 ? '○ not connected' : `${bad ? '▲' : '●'} ${c.paths.length} ${c.paths.length === 1 ? 'connection' : 'connections'}`);
  state.className = `state ${c.paths.length === 0 ? '' : bad ? 'warn' : 'good'}`;
  say(part(card, 'Down'), bits(c.rates?.[0]));
  say(part(card, 'Up'), bits(c.rates?.[1]));
  const chart = part(card, 'chart');
  chart.setAttribute('aria-label', `${c.name}: down ${bits(c.rates?.[0])}, up ${bits(c.rates?.[1])} now`);
  draw(chart, ctx.history, { way: 'down', names: [c.name], tones: ctx.tones, top: ctx.top, span: ctx.span, line: ctx.history.up.get(c.name), end: ctx.end });
  keyed(part(card, 'rows'), c.paths, (p) => `${p.name} ${p.remote}`, () => el('tr', {}, ...clientColumns.map(([, cls]) => el('td', { class: cls }))), (tr, p) => {
    const texts = [or(p.remote), stateOf(p.state), or(p.role), millis(p.rtt_ms), bytes(p.rx_bytes), bytes(p.tx_bytes)];
    texts.forEach((t, i) => say(tr.children[i], t));
    tr.children[1].className = moodOf(p.state);
    tr.children[1].title = or(p.reason);
  });
}

export function showClients(parent, clients, ctx) {
  keyed(parent, clients, (c) => c.name, (c) => makeClient(c, ctx.tones.get(c.name)), (card, c) => updateClient(card, c, ctx));
  if (!clients.length) parent.replaceChildren(el('p', { class: 'soft' }, 'No client is connected.'));
}

export const tonesOf = (names) => new Map(names.map((n, i) => [n, i % dashes.length]));
