package report

import (
	"html/template"

	"github.com/mpsocks/mpsocks/bench/decisions"
)

// holdTones are the colours of reasons to give a path nothing, by Hold.
var holdTones = [decisions.Holds]tone{
	decisions.Idle:    {"#868e9b", "#7d8694", ""},
	decisions.Window:  {"#2b7a9e", "#6cc3e0", ""},
	decisions.Socket:  {"#00785a", "#43cba0", ""},
	decisions.Later:   {"#6b4fb3", "#b8a4f2", ""},
	decisions.Role:    {"#765900", "#dcc455", ""},
	decisions.Trial:   {"#b85500", "#f7a24a", ""},
	decisions.Credit:  {"#9b3a86", "#e694d2", ""},
	decisions.Suspect: {"#b92f2a", "#ff9384", ""},
	decisions.Down:    {"#1b1f26", "#e8eaee", ""},
	decisions.Other:   {"#4d7a1f", "#a5d36a", ""},
	decisions.Sending: {"#545c69", "#a8b0bd", ""}, // never drawn
}

// holdWhys explain the reasons that need it.
var holdWhys = map[decisions.Hold]string{
	decisions.Idle:    "All that there was to send has been given to some path.",
	decisions.Window:  "As much is on its way as keeps the path busy; more would only queue.",
	decisions.Socket:  "The kernel takes no more for now: its window is closed, or the line is gone and nobody knows yet.",
	decisions.Later:   "All that waits would be there over the other paths before this one has delivered one record more.",
	decisions.Role:    "It is a secondary or backup path, and the ones before it can carry what there is.",
	decisions.Trial:   "Nobody has measured it yet; it carries copies only, and those are on their way.",
	decisions.Credit:  "The peer's windows are used up: its reader does not keep up, or they have not grown yet.",
	decisions.Suspect: "It owes an answer for too long; what it had goes over the others.",
	decisions.Down:    "There is no connection.",
	decisions.Other:   "One that this program does not know.",
}

func holdLegend() []holdKey {
	var all []holdKey
	for _, h := range heldOrder {
		all = append(all, holdKey{legendKey{swatch(holdClass(h), "band", "", true), h.String()}, holdWhys[h]})
	}
	return all
}

func kindLegend() []legendKey {
	var all []legendKey
	for k := range decisions.Kinds {
		all = append(all, legendKey{swatch(kindClass(k), "fill", "", true), map[decisions.Kind]string{
			decisions.New: "new octets", decisions.Again: "sent again: the path that had them is gone or silent", decisions.Copy: "copies: late elsewhere, or to measure the path",
		}[k]})
	}
	return all
}

func lineLegend() []legendKey {
	return []legendKey{
		{swatch("", "est", "", false), "estimated rate; what may be in flight; smoothed round trip"},
		{swatch("", "base", "", false), "lowest round trip"},
		{swatch("", "inflight", "", true), "in flight"},
	}
}

func phaseLegend() []legendKey {
	words := map[decisions.Phase]string{
		decisions.Start: "start: not measured yet", decisions.Ramp: "ramp: the rate is being found", decisions.Settle: "settle: a queue has shown",
		decisions.Steady: "steady", decisions.Drain: "drain: the queue runs empty, to see the round trip",
	}
	var all []legendKey
	for p := decisions.Start; p <= decisions.Drain; p++ {
		all = append(all, legendKey{phaseSwatch(p), words[p]})
	}
	return all
}

func phaseSwatch(p decisions.Phase) template.HTML { return swatch("", phaseClass(p), "", true) }
