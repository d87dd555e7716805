package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// schemaOf reads results.schema.json.
func schemaOf(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("results.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// validator checks a value against the part of JSON Schema that
// results.schema.json uses. A keyword that it does not know is a mistake.
type validator struct {
	root     map[string]any
	problems []string
}

func (v *validator) problem(at, format string, args ...any) {
	v.problems = append(v.problems, at+": "+fmt.Sprintf(format, args...))
}

func (v *validator) check(at string, schema map[string]any, value any) {
	for key, arg := range schema {
		switch key {
		case "$schema", "$defs", "title", "description", "additionalProperties":
		case "$ref":
			name := strings.TrimPrefix(arg.(string), "#/$defs/")
			v.check(at, v.root["$defs"].(map[string]any)[name].(map[string]any), value)
		case "type":
			if !hasType(arg.(string), value) {
				v.problem(at, "%v is not of type %v", value, arg)
			}
		case "const":
			if value != arg {
				v.problem(at, "%v is not %v", value, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), value) {
				v.problem(at, "%v is none of %v", value, arg)
			}
		case "minimum":
			if n, ok := value.(float64); ok && n < arg.(float64) {
				v.problem(at, "%v is less than %v", value, arg)
			}
		case "items":
			list, _ := value.([]any)
			for i, item := range list {
				v.check(fmt.Sprintf("%s[%d]", at, i), arg.(map[string]any), item)
			}
		case "required":
			object, _ := value.(map[string]any)
			for _, name := range arg.([]any) {
				if _, ok := object[name.(string)]; !ok {
					v.problem(at, "%v is missing", name)
				}
			}
		case "properties":
			v.properties(at, schema, value)
		default:
			v.problem(at, "keyword %s is not known to this test", key)
		}
	}
	if _, ok := schema["properties"]; !ok && schema["additionalProperties"] != nil {
		v.properties(at, schema, value)
	}
}

func (v *validator) properties(at string, schema map[string]any, value any) {
	object, _ := value.(map[string]any)
	known, _ := schema["properties"].(map[string]any)
	for name, member := range object {
		if s, ok := known[name].(map[string]any); ok {
			v.check(at+"."+name, s, member)
			continue
		}
		switch more := schema["additionalProperties"].(type) {
		case map[string]any:
			v.check(at+"."+name, more, member)
		case bool:
			v.problem(at, "%s is not in the schema", name)
		}
	}
}

func hasType(want string, value any) bool {
	switch x := value.(type) {
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case float64:
		return want == "number" || want == "integer" && x == math.Trunc(x)
	case []any:
		return want == "array"
	case map[string]any:
		return want == "object"
	}
	return false
}

// validate checks results against the schema.
func validate(t *testing.T, r *Results) []string {
	t.Helper()
	var text strings.Builder
	if err := r.Encode(&text); err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal([]byte(text.String()), &value); err != nil {
		t.Fatal(err)
	}
	v := &validator{root: schemaOf(t)}
	v.check("results", v.root, value)
	return v.problems
}

// Results with everything in them that there can be are what the schema says.
func TestSchema(t *testing.T) {
	r := fullResults(t)
	if got := validate(t, r); len(got) > 0 {
		t.Errorf("not as the schema says:\n%s", strings.Join(got, "\n"))
	}
}

// The test would notice.
func TestSchemaNotices(t *testing.T) {
	for name, harm := range map[string]func(*Results){
		"const":    func(r *Results) { r.Schema = "mpsocks-bench/0" },
		"enum":     func(r *Results) { r.Mode = "dream" },
		"minimum":  func(r *Results) { r.Runs[0].Rep = 0 },
		"type":     func(r *Results) { r.Runs = nil },
		"property": func(r *Results) { r.Summary[0].N = 0 },
	} {
		r := fullResults(t)
		harm(r)
		if len(validate(t, r)) == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// fullResults are results in which no field is empty.
func fullResults(t *testing.T) *Results {
	t.Helper()
	s := Scenario{
		Name: "s", Title: "t", Why: "w", Specs: []string{"20M/30ms,name=a,loss=1%", "10M/30ms"}, Cut: 0,
		Events: []Event{{At: seconds(1), Every: seconds(2), Do: "down a"}},
	}
	if err := s.parsePaths(); err != nil {
		t.Fatal(err)
	}
	r := &Results{
		Schema: Schema, Mode: "lab", Complete: true, Command: []string{"mpsocks"}, Settings: Settings{Runs: 2, TimeScale: 1},
		Host: ReadHost("v1-2-gabcdef0-dirty"), Scenes: []Scene{s.scene()}, Notes: []string{"a note"},
		Ways: []Way{{Name: "mptcp", Title: "ours", Notes: []string{"fine"}}, {Name: "tcp on a", Title: "TLS", Only: "a"}, {Name: "tcp on path1", Title: "TLS", Only: "path1"}},
	}
	for _, name := range []string{"download", "failover"} {
		w := workloadNamed(t, name)
		r.Works = append(r.Works, Work{w.Name, w.Title, append(w.Metrics, usageMetrics...)})
	}
	for rep := 1; rep <= 2; rep++ {
		for i, way := range []string{"mptcp", "tcp on a", "tcp on path1"} {
			r.Runs = append(r.Runs, Run{
				Scenario: "s", Transport: way, Workload: "download", Rep: rep, Attempt: 1, Took: 6,
				Metrics: map[string]float64{"goodput": 28 - 9*float64(i), "client_cpu": 2}, Bytes: 1e7,
				Client: ProcessUse{1.5, 1e7}, Egress: ProcessUse{1, 1e7}, Paths: []PathBytes{{"a", 10, 20}}, OtherCPU: 0.1,
				Series: []Series{{"goodput", "Mbit/s", 0.1, []float64{1, 2}}},
			})
		}
		r.Runs = append(r.Runs, Run{
			Scenario: "s", Transport: "mptcp", Workload: "failover", Rep: rep, Attempt: 2, Disturbed: "busy", OtherCPU: 1,
			Metrics: map[string]float64{"echo_stall": 100, "back_heal": 6000}, Censored: []string{"back_heal"},
			Samples: map[string][]float64{"x": {1, 2}}, Marks: []Mark{{1, "cut"}}, Notes: []string{"note"},
		}, Run{Scenario: "s", Transport: "tcp on a", Workload: "failover", Rep: rep, Attempt: 1, Error: "broke"})
	}
	r.Summarize()
	return r
}
