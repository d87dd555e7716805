package metrics

import "github.com/prometheus/client_golang/prometheus"

// metric is one name, and what it stands for.
type metric struct {
	name string
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// all are the names there are.
var all []*metric

func define(kind prometheus.ValueType, name, help string, labels ...string) *metric {
	m := &metric{"mpsocks_" + name, prometheus.NewDesc("mpsocks_"+name, help, labels, nil), kind}
	all = append(all, m)
	return m
}

func gauge(name, help string, labels ...string) *metric {
	return define(prometheus.GaugeValue, name, help, labels...)
}

func counter(name, help string, labels ...string) *metric {
	return define(prometheus.CounterValue, name, help, labels...)
}

// Of both.
var (
	buildInfo       = gauge("build_info", "1, with the version and what the program is.", "version", "role")
	ready           = gauge("ready", "1 while the program can do its work, as /readyz says.")
	streams         = gauge("streams", "Streams that are open in sessions.")
	connsOpen       = gauge("connections_open", "Connections of programs that are open now.")
	connsOpened     = counter("connections_total", "Connections that programs have asked for.")
	connBytes       = counter("connection_bytes_total", "Bytes that connections have carried: up to the target, down from it.", "direction")
	connFailures    = counter("connection_failures_total", "Connections that did not come about, by the reply that the program was given.", "reason")
	udpAssociations = gauge("udp_associations", "UDP associations that are open now.")
	udpDatagrams    = counter("udp_datagrams_total", "Datagrams of UDP associations that were passed on.", "direction")
	udpDropped      = counter("udp_dropped_total", "Datagrams of UDP associations that were dropped.", "reason")
	datagrams       = counter("session_datagrams_total", "Datagrams of the sessions there are, by what became of them.", "event")
	leftOut         = gauge("series_left_out", "Paths, clients and reasons without series because there are too many of them.")
)

// Of a client.
var (
	oddRequests   = counter("odd_requests_total", "SOCKS5 requests that were served although their reserved byte is not 0: a program does not keep to RFC 1928.")
	sessionUp     = gauge("session_up", "1 while a path to the egress answers.", "transport")
	egressUp      = gauge("upstream_up", "1 while that one of several egresses answers.", "egress")
	egressInUse   = gauge("upstream_in_use", "1 for the one of several egresses that new streams go to.", "egress")
	egressStreams = gauge("upstream_streams", "Streams that are open in the session with that one of several egresses.", "egress")
	egressRTT     = gauge("upstream_min_rtt_seconds", "Lowest round-trip time to that one of several egresses.", "egress")
	egressChanges = counter("upstream_changes_total", "How often new streams went to another one of several egresses.")
	pathState     = gauge("path_state", "1 for the state that the path has.", "path", "state")
	pathRole      = gauge("path_role", "1 for the role that the path has.", "path", "role")
	pathBytes     = counter("path_bytes_total", "Bytes that the path has carried, those of the protocol included.", "path", "direction")
	pathRTT       = gauge("path_rtt_seconds", "Smoothed round-trip time of records, queues included.", "path")
	pathMinRTT    = gauge("path_min_rtt_seconds", "Lowest round-trip time seen.", "path")
	pathLoss      = gauge("path_loss_ratio", "Part of what was sent lately that the kernel had to send again.", "path")
	pathShare     = gauge("path_share_ratio", "Part of what all paths have carried in the last ten seconds.", "path")
	pathCapLimit  = gauge("path_cap_bytes", "Bytes that the path may carry in its period.", "path")
	pathCapUsed   = gauge("path_cap_used_bytes", "Bytes of the cap that are used up.", "path")
)

// Of an egress.
var (
	egressListening = gauge("egress_listening", "1 while the egress takes connections.")
	accepted        = counter("egress_accepted_total", "Connections that have come to the egress's port.")
	refused         = counter("egress_refused_total", "Connections to the egress's port that were refused.", "reason")
	links           = gauge("egress_links", "Sessions and connections of clients, by transport.", "transport")
	clientSubflows  = gauge("client_subflows", "Connections of the client's paths.", "client")
	clientOpen      = gauge("client_connections_open", "Connections that the client has open now.", "client")
	clientOpened    = counter("client_connections_total", "Connections that the client has asked for.", "client")
	clientBytes     = counter("client_bytes_total", "Bytes of the client's connections: up to targets, down from them.", "client", "direction")
	clientFailures  = counter("client_failures_total", "Connections of the client that did not come about.", "client", "reason")
)
