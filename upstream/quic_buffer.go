package upstream

import (
	"log/slog"
	"os"
	"sync"
)

// quicBuffer is the receive buffer that quic-go asks for: what arrives while this
// process does not run has to be kept somewhere.
const quicBuffer = 7 << 20

const quicGoHush = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"

// quietBuffers keeps quic-go from writing of small buffers to standard error, past
// the log; warnBuffers says it there.
var quietBuffers = sync.OnceFunc(func() {
	if os.Getenv(quicGoHush) == "" {
		_ = os.Setenv(quicGoHush, "true")
	}
})

// warnBuffers tells if the system did not grant the buffer that was asked for.
func warnBuffers(s *quicSocket, log *slog.Logger) {
	if have, ok := receiveBuffer(s.UDPConn); ok && have < quicBuffer {
		log.Warn("udp receive buffer small", "len", have, "want", quicBuffer, "reason", "see net.core.rmem_max")
	}
}
