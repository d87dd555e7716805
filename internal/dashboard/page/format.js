// Figures as people read them; "-" is what is not known.

const dash = '-';

export function bits(bytesPerSecond) {
  if (bytesPerSecond == null) return dash;
  const b = bytesPerSecond * 8;
  if (b < 1e3) return `${Math.round(b)} bit/s`;
  if (b < 1e6) return `${Math.round(b / 1e3)} kbit/s`;
  if (b < 1e9) return `${(b / 1e6).toFixed(1)} Mbit/s`;
  return `${(b / 1e9).toFixed(2)} Gbit/s`;
}

export function bytes(n) {
  if (n == null) return dash;
  if (n < 1000) return `${n} B`;
  let v = n / 1000;
  let i = 0;
  for (; v >= 1000 && i < 4; i++) v /= 1000;
  return `${v.toFixed(1)} ${'kMGTP'[i]}B`;
}

export function millis(ms) {
  if (!ms) return dash;
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

export function percent(share, digits = 0) {
  return share == null ? dash : `${(share * 100).toFixed(digits)} %`;
}

export function age(since, now) {
  const at = Date.parse(since);
  if (!since || Number.isNaN(at)) return dash;
  const s = Math.max(0, Math.floor((now - at) / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString(undefined, { hour12: false });
}

export const or = (text) => text || dash;

const signs = { up: '●', standby: '○', probing: '◐', new: '◐', cooldown: '◐', quarantine: '◐', suspect: '▲', down: '■' };
const moods = { up: 'good', probing: 'warn', new: 'warn', cooldown: 'warn', quarantine: 'warn', suspect: 'warn', down: 'bad' };

// stateOf is a state with its sign, so that it is not told by its colour alone.
export const stateOf = (state) => (state ? `${signs[state] ?? '·'} ${state}` : dash);
export const moodOf = (state) => moods[state] ?? '';
