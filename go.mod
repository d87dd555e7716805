module github.com/mpsocks/mpsocks

go 1.26.0

require (
	github.com/goccy/go-yaml v1.19.0
	github.com/quic-go/quic-go v0.65.0
	github.com/robertkrimen/otto v0.5.1
	github.com/rs/zerolog v1.34.0
	github.com/spf13/cobra v1.10.2
	github.com/things-go/go-socks5 v0.1.3
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.54.0
	golang.org/x/net v0.56.0
	golang.org/x/sys v0.47.0
	golang.org/x/term v0.45.0
	golang.org/x/time v0.14.0
)

require (
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.19 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	golang.org/x/text v0.40.0 // indirect
	gopkg.in/sourcemap.v1 v1.0.5 // indirect
)
