// The status page: what the program sends once a second is put in its places.

import { start } from './changes.js';
import { ceiling, draw, key, peak, spanOf } from './chart.js';
import { el, keyed, say } from './dom.js';
import { bits, bytes, clock, or } from './format.js';
import { History } from './history.js';
import { addEvents, restarted, showConns, showEgresses } from './lists.js';
import { showClients, showPaths, tonesOf } from './paths.js';

const $ = (id) => document.getElementById(id);
const patience = 4000; // without a picture what is shown is not known any more
const again = 5000; // after a refusal

const history = new History();
let boot = '';
let version = '';
let last = null; // the picture that is shown
let heard = 0; // when the last one came, by this browser's clock
let skew = 0; // of the program's clock
let since = 0; // when the program fell silent
let seen = []; // names that have had a chart, in their order: colours stay

function headline(s) {
  if (s.session.state === 'unknown') return 'The program does not answer';
  const n = s.paths.length;
  if (s.role === 'egress') return `Egress: ${or(s.session.state)}`;
  const up = s.paths.filter((p) => p.state === 'up').length;
  const words = { up: 'Up', suspect: 'No path answers', lingering: 'No path works', connecting: 'Connecting', down: 'Down', closed: 'Closed' };
  const head = words[s.session.state] ?? s.session.state;
  return n ? `${head}: ${up} of ${n} ${n === 1 ? 'path carries' : 'paths carry'} data` : head;
}

function totals(s, rates) {
  const sum = (i) => Object.values(rates).reduce((a, r) => (r ? (a ?? 0) + r[i] : a), null);
  const c = s.connections ?? {};
  const out = [
    ['Down now', bits(sum(0))], ['Up now', bits(sum(1))],
    ['Received', bytes(c.rx_bytes)], ['Sent', bytes(c.tx_bytes)],
    ['Connections', c.open == null ? '-' : `${c.open} open of ${c.opened}`],
    ['Streams', String(s.session.streams ?? '-')],
  ];
  if (s.role !== 'egress') out.push(['Session', or(s.session.id)], ['Transport', or(s.session.transport)]);
  if (s.udp?.associations || s.udp?.up || s.udp?.down) out.push(['UDP datagrams', `${s.udp.up} up, ${s.udp.down} down`]);
  return out;
}

function showTotals(list) {
  keyed($('totals'), list, (t) => t[0], (t) => el('div', {}, el('dt', {}, t[0]), el('dd')), (d, t) => say(d.lastChild, t[1]));
}

// clientsOf are an egress's clients, with their paths.
function clientsOf(s, rates) {
  const of = new Map(Object.keys(rates).map((name) => [name, { name, paths: [] }]));
  for (const p of s.paths) {
    if (!of.has(p.client)) of.set(p.client, { name: p.client, paths: [] });
    of.get(p.client).paths.push(p);
  }
  return [...of.values()].map((c) => ({ ...c, rates: rates[c.name] }))
    .sort((a, b) => (b.paths.length > 0) - (a.paths.length > 0) || a.name.localeCompare(b.name));
}

function show() {
  const { status: s, rates } = last;
  const now = Date.now() - skew;
  const things = s.role === 'egress' ? clientsOf(s, rates) : s.paths.map((p) => ({ ...p, rates: rates[p.name] }));
  const names = things.map((t) => t.name);
  seen = seen.concat([...names, ...history.down.keys()].filter((n, i, all) => !seen.includes(n) && all.indexOf(n) === i));
  const tones = tonesOf(seen);
  const drawn = seen.filter((n) => history.down.has(n) || names.includes(n));
  const end = history.times[history.times.length - 1] ?? now;
  const span = spanOf(history.times, end);
  let top = 0;
  for (const n of drawn) top = Math.max(top, peak(history, 'down', [n]), peak(history, 'up', [n]));
  const ctx = { history, tones, span, end, now, top: ceiling(top), idle: !s.paths.some((p) => p.share > 0), known: s.session.state !== 'unknown' };

  say($('role'), s.role);
  say($('version'), version);
  say($('headline'), headline(s));
  document.title = `${headline(s)} – mpsocks`;
  say($('reason'), s.session.reason ?? '');
  showTotals(totals(s, rates));
  say($('h-now'), `Last ${span.words}`);
  showEgresses(s.egresses, now);
  say($('h-paths'), s.role === 'egress' ? 'Clients' : 'Paths');
  say($('who'), s.role === 'egress' ? 'Client' : 'Program');
  keyed($('legend'), drawn, (n) => n, (n) => el('li', {}, key(tones.get(n)), el('span', {}, n)), () => {});
  for (const [i, way] of ['down', 'up'].entries()) {
    const all = Object.values(rates).reduce((a, r) => (r ? (a ?? 0) + r[i] : a), null);
    const most = peak(history, way, drawn);
    say($(`${way}-now`), bits(all));
    $(way).setAttribute('aria-label', `${way === 'down' ? 'Down' : 'Up'}, last ${span.words}: now ${bits(all)}, at most ${bits(most)}; ${drawn.map((n) => `${n} ${bits(rates[n]?.[i])}`).join(', ')}`);
    draw($(way), history, { way, names: drawn, tones, top: ceiling(most), span, end });
  }
  $('paths').classList.toggle('clients', s.role === 'egress');
  (s.role === 'egress' ? showClients : showPaths)($('paths'), things, ctx);
  showConns(last.conns, ctx.known ? last.open : null, now);
}

// unknown shows that nothing is known any more.
function unknown() {
  const s = last.status;
  const blank = { state: '', reason: '', interface: '', local: '', remote: '', role: '', role_reason: '', rtt_ms: 0, min_rtt_ms: 0, loss: null, rx_bytes: null, tx_bytes: null, since: '', share: null };
  last = {
    ...last, rates: Object.fromEntries(Object.keys(last.rates).map((n) => [n, null])), conns: [],
    status: { ...s, session: { state: 'unknown' }, connections: {}, udp: {}, egresses: s.egresses?.map((e) => ({ name: e.name })), paths: s.role === 'egress' ? [] : s.paths.map((p) => ({ ...p, ...blank, cap: null })) },
  };
  show();
}

function link(text) {
  $('link').hidden = !text;
  say($('link'), text);
}

function lost(why) {
  since ||= Date.now();
  link(`${why} since ${clock(since)}; this page tries again by itself.`);
  if (last && last.status.session.state !== 'unknown') unknown();
  else if (!last) say($('headline'), 'The program does not answer');
}

function connect() {
  const source = new EventSource('/page/events');
  source.addEventListener('hello', (e) => {
    const g = JSON.parse(e.data);
    if (boot && boot !== g.boot) restarted();
    boot = g.boot;
    version = g.version;
    skew = Date.now() - Date.parse(g.now);
    history.merge(g.history);
    addEvents(g.events, false);
  });
  source.addEventListener('picture', (e) => {
    last = JSON.parse(e.data);
    heard = Date.now();
    since = 0;
    link('');
    history.add(last.at, last.rates);
    addEvents(last.events, true);
    show();
  });
  source.addEventListener('error', () => {
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    source.close();
    lost('No pictures');
    setTimeout(connect, again);
  });
}

start();
connect();
heard = Date.now();
setInterval(() => { if (Date.now() - heard > patience) lost('No answer'); }, 1000);
addEventListener('resize', () => { if (last) show(); });
