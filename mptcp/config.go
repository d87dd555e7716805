package mptcp

import (
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"time"

	"github.com/mpsocks/mpsocks/mptcp/internal/key"
	"github.com/mpsocks/mpsocks/mptcp/internal/proto"
	"github.com/mpsocks/mpsocks/mptcp/internal/trace"
	"github.com/mpsocks/mpsocks/mptcp/internal/wire"
	"github.com/mpsocks/mpsocks/mptcp/pathman"
	"github.com/mpsocks/mpsocks/mptcp/sched"
)

// Config is a session's settings. The zero value, or nil, is a usable default. It is not changed and may be shared.
type Config struct {
	// Logger receives what happens to sessions and paths. Nil discards.
	Logger *slog.Logger
	// Linger is how long a session without any subflow is kept. Default 5 minutes; negative: not at all.
	Linger time.Duration
	// KeepAlive is the longest silence on an idle path before it is probed. Default 15 s; negative: never.
	KeepAlive time.Duration
	// HandshakeTimeout bounds MP_CAPABLE and MP_JOIN on a connected carrier; where the kernel knows the path's round trip, twenty of them may take
	// longer, up to 30 s. Default 10 s.
	HandshakeTimeout time.Duration
	// MaxStreams is how many streams the peer may have open at a time. Default of a Listener 16,384; of Dial none, because a responder need not open
	// any: one that does so without being allowed to loses the subflow.
	MaxStreams int
	// StreamWindow is the receive window a stream opens with, in octets. Default 256 KiB.
	StreamWindow int
	// Memory bounds what the peer may have under way to this side's readers, all streams of a session together, in octets, and likewise what waits for
	// its acknowledgement, but for 64 KiB that each stream may always have waiting. Default 64 MiB.
	Memory int
	// Budget bounds what all sessions of a Listener together are granted of Memory, in octets. A session gets at most a quarter of what is left of
	// it, and of the half that is for all sessions of its peer at most half of what is left, but no less than one StreamWindow. Default: 8 times Memory.
	Budget int
	// Congestion is the name of the kernel's congestion control for subflows, such as "cubic" or "bbr". A name the kernel does not have, or does not let
	// this user choose, is logged and has no effect. CongestionAuto takes cubic, and bbr on paths that lose packets at random. Empty: the system's default.
	Congestion string
	// Scheduler is the name of the policy that decides which path carries what is new: one of Schedulers. Empty, or none of them: the first.
	Scheduler string
	// Establish is the name of the way in which the paths of a session that Dial starts go about it: one of Establishments. Empty, or none of them: the first.
	Establish string
	// AllowV0 has MPTCP's version 0 (RFC 6824), which knows only SHA-1, spoken with peers that speak nothing else. A peer that speaks version 1 is never taken
	// down to it: both sides prove what they have offered.
	AllowV0 bool
	// History remembers how paths and peers have behaved, from one session that Dial starts to the next. Nil: nothing is remembered.
	History *History
	// Advertise are addresses of this Listener alone, for when it stands behind a balancer: subflows that join its sessions must come to them, not to the
	// address that the first one came to. At most 8. None: joins may come anywhere.
	Advertise []netip.AddrPort
	// PathPolicy is the name of the path policy: "default" or "ondemand".
	PathPolicy string
	// RedundantDatagrams sends small datagrams, of up to 512 octets, by two paths, if there are two that may carry data.
	RedundantDatagrams bool
	// AskPeer has the peer schedule what it sends by Scheduler and RedundantDatagrams as well, whatever its own settings.
	AskPeer bool
	// Trace receives the session's events. It is called with locks held and must not block. Nil: none.
	Trace func(Event)
	// TraceOn says whether anybody wants events now: while nobody does, Trace is not called and next to nothing is spent on it. It is asked for every
	// record, with locks held, and must not block. Nil: always.
	TraceOn func() bool

	// What earlier responders do not know, for tests: MP_JOIN_CAP, and any version but 0.
	noMerge, onlyV0 bool
	announceAll     bool // more than a peer remembers, as only a hostile responder would
}

// Event is one thing that happened inside a session: a name like "data:reinjected" and its details. See docs/trace.md for the names.
type Event = trace.Event

// maxSessionMemory and the like keep configured numbers inside what the Hello can say.
const (
	defaultLinger       = 5 * time.Minute
	defaultHandshake    = 10 * time.Second
	defaultMaxStreams   = 16384
	defaultStreamWindow = 256 << 10
	defaultMemory       = 64 << 20
)

// orDefault fills in what is not set; streams is the default of MaxStreams.
func (c *Config) orDefault(streams int) *Config {
	d := Config{}
	if c != nil {
		d = *c
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Linger == 0 {
		d.Linger = defaultLinger
	}
	d.Linger = max(d.Linger, 0)
	if d.HandshakeTimeout <= 0 {
		d.HandshakeTimeout = defaultHandshake
	}
	if d.MaxStreams <= 0 {
		d.MaxStreams = streams
	}
	if d.StreamWindow <= 0 {
		d.StreamWindow = defaultStreamWindow
	}
	if d.Memory <= 0 {
		d.Memory = defaultMemory
	}
	d.Memory = max(d.Memory, d.StreamWindow)
	if d.Budget <= 0 {
		d.Budget = 8 * d.Memory
	}
	return &d
}

// hello describes this side to the peer, whom it grants memory octets.
func (c *Config) hello(memory int) wire.Hello {
	h := wire.Hello{
		Version:       wire.HelloVersion,
		Features:      wire.FeatureDatagrams | wire.FeaturePaths | wire.FeatureMerge | wire.FeatureTerms,
		StreamCredit:  uint32(min(c.StreamWindow, 1<<30)),
		SessionCredit: uint64(memory),
		MaxStreams:    uint32(min(c.MaxStreams, 1<<30)),
		LingerMillis:  uint32(min(c.Linger.Milliseconds(), 1<<31)),
	}
	if c.noMerge || len(c.Advertise) > 0 { // the flows of a start are at different peers
		h.Features &^= wire.FeatureMerge
	}
	_, _ = rand.Read(h.Nonce[:]) // crypto/rand does not fail
	return h
}

// opening is what all paths of a session of Dial have in common.
func (c *Config) opening() proto.OpeningConfig {
	mode, _ := proto.StartModeByName(c.Establish)
	return proto.OpeningConfig{Mode: mode, Key: key.Key(random()), Hello: c.hello(c.Memory), AllowV0: c.AllowV0, Reliable: true}
}

// Schedulers returns the names of the scheduling policies, the default first. See docs/scheduling.md for what each of them does.
func Schedulers() []string { return sched.Names() }

func (c *Config) scheduler() sched.Policy {
	p, ok := sched.ByName(c.Scheduler)
	if !ok {
		p, _ = sched.ByName("")
	}
	return p
}

func (c *Config) pathPolicy() pathman.Policy {
	p, ok := pathman.ByName(c.PathPolicy)
	if !ok {
		return pathman.Default{}
	}
	return p
}

// random returns a number nobody can guess.
func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}
