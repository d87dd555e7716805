// Changes: they need the token, which is kept for this window only.

import { say } from './dom.js';

const store = 'mpsocks-token';
const $ = (id) => document.getElementById(id);
let hush;

// tell shows a sentence for a while.
export function tell(text) {
  say($('said'), text);
  clearTimeout(hush);
  hush = setTimeout(() => say($('said'), ''), 6000);
}

export function start() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem(store, given);
    history.replaceState(null, '', location.pathname);
  }
  $('token-form').addEventListener('submit', (e) => {
    e.preventDefault();
    const token = $('token').value.trim();
    if (!token) return;
    sessionStorage.setItem(store, token);
    $('token').value = '';
    show();
  });
  $('forget').addEventListener('click', () => {
    sessionStorage.removeItem(store);
    show();
    $('token').focus();
  });
  show();
}

function show() {
  const have = Boolean(sessionStorage.getItem(store));
  $('forget').hidden = !have;
  say($('token-state'), have ? 'This window sends a token with its changes; the first one shows whether it is right.' : 'Without it this page only shows.');
}

// change asks for a change and says what came of it.
export async function change(method, path, body, done) {
  const token = sessionStorage.getItem(store);
  if (!token) {
    tell('A change needs the token: enter it below "Changes".');
    $('token').focus();
    return;
  }
  const headers = { Authorization: `Bearer ${token}` };
  if (body) headers['Content-Type'] = 'application/json';
  try {
    const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    if (answer.ok) {
      tell(done);
      return;
    }
    const why = (await answer.text()).trim();
    if (answer.status === 401) {
      sessionStorage.removeItem(store);
      show();
      $('token').focus();
      tell('This is not the token of the program that runs here.');
      return;
    }
    tell(`Not done: ${why || answer.statusText}`);
  } catch {
    tell('Not done: the program does not answer.');
  }
}
