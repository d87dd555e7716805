package admin

import "net/http"

// ownPage reports whether a request comes from a page of this port, or from no page at all. What reads must not be asked for by other pages
// either: they see no answer, but each one costs something, and some, as a trace, take one of few places for as long as they are kept. For what
// changes something the token would be enough; this keeps a page that has been told it, by whatever accident, from using it.
//
// Browsers say so by themselves (Fetch standard, Origin; Fetch Metadata, Sec-Fetch-Site). A link to the status page may be anywhere, as long as
// the page opens as one of its own.
func ownPage(r *http.Request) bool {
	h := r.Header
	if origin := h.Get("Origin"); origin != "" && origin != "http://"+r.Host {
		return false
	}
	switch h.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site": // the port is no part of a site
		return r.URL.Path == "/" && r.Method == http.MethodGet && h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
	}
	return true
}
