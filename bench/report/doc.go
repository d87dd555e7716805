// Package report turns the results of a bench run into one HTML page for
// people: sentences first, then plots with the figures behind each, then what
// machine and program they are from.
//
// The page is one file. It loads nothing, runs no script and is read offline,
// on paper, on a phone, in light and in dark. Plots are SVG that this package
// draws itself.
//
// results.json may come from a stranger: everything is cut to bounds and
// cleaned first (tidy.go), text gets into the page through html/template or
// through the one escaping function of svg.go, and the page's policy allows
// nothing but its own style sheet.
//
// Files by concern: tidy what comes in, data to look it up, svg to write
// elements, scale for axes, bars, cdf, timeline and strip for the four kinds of
// plots, words for sentences' parts, story for the sentences, sections for which
// plots there are, plots for those as files of their own, meta for the small print,
// page for all of it together. decisions is a page of its own, of traces that
// bench/decisions has read: decided draws a span of one, with tables and legend
// beside it.
//
// Functions are safe for concurrent use on results that nobody changes.
package report
