package dashboard

import (
	"log/slog"
	"strings"
)

// facts are what a line of the log says beside its message, in its order.
type facts struct {
	keys   []string
	values map[string]string
}

func (f *facts) add(a slog.Attr) {
	if a.Key == "" {
		return
	}
	if f.values == nil {
		f.values = make(map[string]string)
	}
	if _, twice := f.values[a.Key]; !twice {
		f.keys = append(f.keys, a.Key)
	}
	f.values[a.Key] = a.Value.Resolve().String()
}

// sentences says what lines of the log mean. {key} is what the line has under key; of two sentences the first is taken
// whose keys are all there.
var sentences = map[string][]string{
	"ready":    {"Started: programs can connect to {socks}", "Started: clients can connect to {listen}"},
	"draining": {"Stopping: connections may finish ({reason})"},
	"stopping": {"Stopping: {err}"},

	"session established": {"{client} has connected from {remote}", "Connected to egress {egress} by path {path}", "Connected to the egress by path {path}"},
	"session closed":      {"The session of {client} has ended: {reason}", "The session with egress {egress} has ended: {reason}", "The session has ended: {reason}"},
	"session lost":        {"The session with egress {egress} is lost: {reason}. A new one is being made", "The session is lost: {reason}. A new one is being made"},
	"session left":        {"The session with egress {egress} is given up: {reason}", "The session is given up: {reason}. A new one is being made"},
	"no session":          {"Egress {egress} cannot be reached: {reason}", "The egress cannot be reached: {reason}"},
	"egress chosen":       {"New connections go to egress {egress}: {reason}"},
	"another egress":      {"New connections go to egress {egress} now, and no more to {from}: {reason}"},

	"path found":      {"Path {path} can be used, as {role}"},
	"path gone":       {"Path {path} has gone: {reason}"},
	"path role":       {"Path {path} is {role} now, it was {from}: {reason}"},
	"path suspect":    {"{client} does not answer on {path} from {remote}; the other paths carry its data", "Path {path} to egress {egress} does not answer; the other paths carry its data", "Path {path} does not answer; the other paths carry its data"},
	"path up":         {"{client} answers again on {path} from {remote}", "Path {path} to egress {egress} answers again", "Path {path} answers again"},
	"path down":       {"Path {path} to egress {egress} does not work: {reason}", "Path {path} does not work: {reason}"},
	"subflow joined":  {"{client} has connected another path, from {remote}", "Path {path} is connected to {remote}"},
	"subflow closed":  {"{client}: the connection from {remote} has ended: {reason}", "Path {path}: its connection has ended: {reason}"},
	"subflow refused": {"{client}: a connection from {remote} was refused: {reason}", "Path {path}: its connection was refused: {reason}"},

	"connected":             {"Connected to the egress by path {path}"},
	"not connected":         {"The egress cannot be reached by path {path}: {reason}"},
	"connection lost":       {"The connection to {remote} is lost: {reason}"},
	"connection given up":   {"The connection to {remote} is given up: {reason}"},
	"path silent":           {"Path {path} does not answer"},
	"moved to another path": {"Moved from path {from} to {to}: {reason}"},

	"target refused":               {"{client} was refused {to}: {reason}"},
	"target refused by the egress": {"The egress does not allow {to}: {reason}"},
	"client refused":               {"A program at {from} was refused: {reason}"},
	"limit of a client reached":    {"{client} has reached its limit of {most} {limit}"},
	"log lines dropped":            {"{len} lines of the log are missing: {reason}"},

	"path changed through the admin port":        {"Path {path} was changed by hand: {change}", "Path {path} was changed by hand"},
	"connection ended through the admin port":    {"Connection {conn} was closed by hand"},
	"configuration not taken, the old one stays": {"The configuration was not taken, the old one stays: {err}"},
	"configuration read again":                   {"The configuration was read again. Changed: {changed}. Needs a restart: {needs_restart}", "The configuration was read again. Changed: {changed}", "The configuration was read again. Needs a restart: {needs_restart}", "The configuration was read again: {reason}"},
	"system proxy set":                           {"The system's proxy setting names this program: {to}"},
	"system proxy restored":                      {"The system's proxy setting is as it was before"},
}

// sentence says in plain words what a line of the log means. A line that is not known is told as it is.
func sentence(message string, f facts) string {
	for _, s := range sentences[message] {
		if text, whole := f.fill(s); whole {
			return text + f.more()
		}
	}
	var b strings.Builder
	b.WriteString(message)
	for i, k := range f.keys {
		b.WriteString([]string{": ", ", "}[min(i, 1)] + k + " " + f.values[k])
	}
	return b.String()
}

// more says how often the same was not told.
func (f *facts) more() string {
	if n := f.values["repeated"]; n != "" && n != "0" {
		return " (and " + n + " times more)"
	}
	return ""
}

// fill puts facts into a sentence, and reports whether there were all that it needs.
func (f *facts) fill(s string) (text string, whole bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		key, after, _ := strings.Cut(rest, "}")
		v, ok := f.values[key]
		if !ok {
			return "", false
		}
		b.WriteString(v)
		s = after
	}
}
