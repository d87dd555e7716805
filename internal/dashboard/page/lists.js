// The tables of egresses and of connections, and the list of events.

import { change } from './changes.js';
import { el, keyed, say } from './dom.js';
import { age, bits, bytes, clock, millis, moodOf, or, stateOf } from './format.js';

const columns = [
  ['target', (c) => (c.kind === 'connect' || !c.kind ? or(c.target) : `${or(c.target)} (${c.kind})`)],
  ['n', (c) => bits(c.rx_rate)], ['n', (c) => bits(c.tx_rate)], ['n', (c) => bytes(c.rx_bytes)], ['n', (c) => bytes(c.tx_bytes)],
  ['', (c) => or(c.paths?.join(', '))], ['n', (c, now) => age(c.since, now)], ['', (c) => or(c.rule)], ['', (c) => or(c.client)],
];

function makeRow(c) {
  const close = el('button', { type: 'button', 'aria-label': `Close the connection to ${or(c.target)}` }, 'Close');
  close.addEventListener('click', () => change('DELETE', `/connections/${c.id}`, null, `The connection to ${or(c.target)} is closed.`));
  return el('tr', {}, ...columns.map(([cls]) => el('td', { class: cls })), el('td', {}, close));
}

export function showConns(list, open, now) {
  const body = document.getElementById('conns');
  const table = body.closest('.scroll');
  let order = list;
  if (table.matches(':hover') || table.contains(document.activeElement) && document.activeElement !== table) {
    // Rows must not move away under a pointer or a finger.
    const place = new Map([...body.children].map((tr, i) => [tr.dataset.key, i]));
    const of = (c) => place.get(String(c.id)) ?? Infinity;
    order = [...list].sort((a, b) => of(a) - of(b) || 0);
  }
  keyed(body, order, (c) => c.id, makeRow, (tr, c) => {
    columns.forEach(([, text], i) => say(tr.children[i], text(c, now)));
    tr.children[0].title = or(c.target);
  });
  say(document.getElementById('conns-count'), open == null ? '-' : open > list.length ? `${open}, the busiest ${list.length} of them` : String(open));
  table.hidden = !list.length;
  document.getElementById('conns-none').hidden = open == null || list.length > 0;
}

// showEgresses shows the egresses of a client that has several.
export function showEgresses(list, now) {
  document.getElementById('egresses-part').hidden = !list?.length;
  keyed(document.getElementById('egresses'), list ?? [], (e) => e.name, () => el('tr', {}, el('th', { scope: 'row' }), el('td'), el('td'), el('td', { class: 'long' }), el('td', { class: 'n' }), el('td', { class: 'n' }), el('td', { class: 'n' })),
    (tr, e) => {
      const why = e.state !== 'up' ? e.reason : e.in_use ? e.chosen : 'stands by';
      [e.name, stateOf(e.state), e.in_use ? '→ yes' : '-', or(why), millis(e.rtt_ms), String(e.streams ?? '-'), age(e.since, now)].forEach((t, i) => say(tr.children[i], t));
      tr.children[1].className = moodOf(e.state);
      tr.classList.toggle('used', Boolean(e.in_use));
    });
}

const most = 200;
let events = [];
let told = 0;

// addEvents takes in events, old ones and new ones; fresh says that they are to be read out.
export function addEvents(list, fresh) {
  const news = list.filter((e) => e.seq > told);
  if (!news.length) return;
  told = Math.max(...news.map((e) => e.seq));
  events = events.concat(news).slice(-most);
  const box = document.getElementById('events');
  keyed(box, [...events].reverse(), (e) => `${e.at} ${e.seq}`, (e) => el('li', {},
    el('time', { datetime: new Date(e.at).toISOString() }, clock(e.at)),
    el('span', { class: { warn: 'warn', error: 'bad' }[e.level] ?? '' }, e.text)), () => {});
  document.getElementById('events-none').hidden = true;
  if (fresh) say(document.getElementById('news'), news.slice(-3).map((e) => e.text).join('. '));
}

// restarted makes ready for events that are counted anew.
export function restarted() { told = 0; }
