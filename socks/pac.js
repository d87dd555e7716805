// Made by mpsocks: what goes to its local port, and what goes to the target directly.
// Only names and addresses as they are written count; no name is looked up.

// plainHost is a host in one way of writing: small letters, no brackets, no dot at
// the end, and IPv4 addresses that are written as IPv6 ones as what they are.
function plainHost(host) {
  host = host.toLowerCase().replace(/^\[/, "").replace(/\]$/, "").replace(/%.*$/, "").replace(/\.$/, "");
  var g = groupsOf(host);
  if (g && g[0] == 0 && g[1] == 0 && g[2] == 0 && g[3] == 0 && g[4] == 0 && g[5] == 65535) {
    return (g[6] >> 8) + "." + (g[6] & 255) + "." + (g[7] >> 8) + "." + (g[7] & 255);
  }
  return host;
}

function isAddress4(host) {
  return /^\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

// groupsOf is an IPv6 address as its eight numbers, or null.
function groupsOf(host) {
  if (host.indexOf(":") < 0) return null;
  var tail = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(host);
  if (tail) {
    host = tail[1] + (tail[2] * 256 + tail[3] * 1).toString(16) + ":" + (tail[4] * 256 + tail[5] * 1).toString(16);
  }
  var halves = host.split("::");
  if (halves.length > 2) return null;
  var head = halves[0] ? halves[0].split(":") : [], rest = halves.length == 2 && halves[1] ? halves[1].split(":") : [];
  var missing = 8 - head.length - rest.length;
  if (halves.length == 2 ? missing < 1 : missing != 0) return null;
  while (missing-- > 0) head.push("0");
  head = head.concat(rest);
  var groups = [];
  for (var i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/.test(head[i])) return null;
    groups.push(parseInt(head[i], 16));
  }
  return groups;
}

// within tells whether the first bits of an IPv6 address are those of a network.
function within(groups, network, bits) {
  if (!groups) return false;
  for (var i = 0; i < 8 && bits > 0; i++, bits -= 16) {
    var mask = bits >= 16 ? 65535 : (65535 << (16 - bits)) & 65535;
    if ((groups[i] & mask) != (network[i] & mask)) return false;
  }
  return true;
}

// heldBy are the IPv4 addresses that an IPv6 address leads to: by NAT64, SIIT, 6to4 or Teredo.
function heldBy(g) {
  function quad(a, b) { return (a >> 8) + "." + (a & 255) + "." + (b >> 8) + "." + (b & 255); }
  if (!g) return [];
  if (g[0] == 0x2002) return [quad(g[1], g[2])];
  if (g[0] == 0x2001 && g[1] == 0) return [quad(g[2], g[3]), quad(g[6] ^ 65535, g[7] ^ 65535)];
  if (g[0] == 0x64 && g[1] == 0xff9b && g[2] == 0 && g[3] == 0 && g[4] == 0 && g[5] == 0) return [quad(g[6], g[7])];
  if (g[0] != 0 || g[1] != 0 || g[2] != 0 || g[3] != 0 || g[5] != 0 || g[4] != 0 && g[4] != 65535) return [];
  return g[4] == 0 && g[6] == 0 && g[7] < 2 ? [] : [quad(g[6], g[7])];
}

// holdsOne tells whether one of some IPv4 addresses is in a network.
function holdsOne(addresses, network, mask) {
  for (var i = 0; i < addresses.length; i++) {
    if (isInNet(addresses[i], network, mask)) return true;
  }
  return false;
}

// portOf is the port of a URL.
function portOf(url) {
  var m = /^([a-z][a-z0-9+.\-]*):\/\/(?:[^\/?#]*@)?(?:\[[^\]]*\]|[^\/:?#]*)(?::(\d+))?/i.exec(url);
  if (!m) return 0;
  if (m[2]) return m[2] * 1;
  var usual = { http: 80, ws: 80, https: 443, wss: 443, ftp: 21 };
  return usual[m[1].toLowerCase()] || 0;
}
